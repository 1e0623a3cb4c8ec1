// Prints runs, the draws of a bootstrap, and what statistics.h makes of them: for numpy to make it again.

#include "learner/study/statistics.h"

#include <stdio.h>

enum { STRATA = 3, RUNS = 7, DRAWS = 400 };

static const size_t counts[2][STRATA] = {{5, 3, 7}, {4, 7, 2}};
static double runs[2][STRATA][RUNS];

static void print_interval(const char *name, const struct interval *interval)
{
    printf("%s %.17g %.17g %.17g\n", name, interval->value, interval->low, interval->high);
}

int main(void)
{
    struct stratum strata[2][STRATA];
    size_t index[RUNS];
    for (size_t side = 0; side < 2; side++)
        for (size_t s = 0; s < STRATA; s++) {
            strata[side][s] = (struct stratum){runs[side][s], counts[side][s]};
            printf("runs %zu", side);
            for (size_t i = 0; i < counts[side][s]; i++) {
                runs[side][s][i] = (double)((17 + 7 * s + 31 * i * i + 11 * side * i) % 23) - 3.25 * (double)s;
                printf(" %.17g", runs[side][s][i]);
            }
            printf("\n");
        }
    // Of iqm: stratum s of side 0. Of the improvement: 2 s of side 0, 2 s + 1 of side 1.
    for (size_t draw = 0; draw < DRAWS; draw++)
        for (size_t stream = 0; stream < 2 * STRATA; stream++)
            for (size_t side = 0; side < 2; side++) {
                size_t s = side ? stream / 2 : stream;
                if (s >= STRATA)
                    continue;
                size_t count = counts[side ? stream % 2 : 0][s];
                statistics_draw(index, count, 9, draw, stream);
                printf("draw %zu %zu %zu", side, draw, stream);
                for (size_t i = 0; i < count; i++)
                    printf(" %zu", index[i]);
                printf("\n");
            }
    struct interval interval;
    if (statistics_iqm_interval(&interval, strata[0], STRATA, DRAWS, 9))
        return 1;
    print_interval("iqm", &interval);
    if (statistics_improvement(&interval, strata[0], strata[1], STRATA, DRAWS, 9))
        return 1;
    print_interval("improvement", &interval);
    return 0;
}
