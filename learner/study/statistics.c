// The bootstrap; the contract is in statistics.h.

#include "statistics.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static const uint32_t PURPOSE = 0x626F6F74;  // "boot"

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double statistics_iqm(double *values, size_t count)
{
    size_t cut = count / 4;
    double sum = 0;
    qsort(values, count, sizeof *values, ascending);
    for (size_t i = cut; i < count - cut; i++)
        sum += values[i];
    return sum / (double)(count - 2 * cut);
}

double statistics_quantile(const double *sorted, size_t count, double q)
{
    double at = q * (double)(count - 1);
    size_t below = (size_t)at;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

void statistics_draw(size_t *index, size_t count, uint64_t seed, size_t draw, size_t stratum)
{
    struct random_stream stream = random_stream(seed, PURPOSE, (uint32_t)draw, (uint32_t)stratum);
    for (size_t i = 0; i < count; i++)
        index[i] = random_below(&stream, (uint32_t)count);
}

static size_t total(const struct stratum *strata, size_t count)
{
    size_t sum = 0;
    for (size_t s = 0; s < count; s++)
        sum += strata[s].count;
    return sum;
}

// The 95 % between the quantiles of what came of the draws. Runs that cannot be drawn differently tell nothing.
static void bounds(struct interval *interval, double *values, size_t draws, int varied)
{
    qsort(values, draws, sizeof *values, ascending);
    interval->low = varied ? statistics_quantile(values, draws, 0.025) : NAN;
    interval->high = varied ? statistics_quantile(values, draws, 0.975) : NAN;
}

static int is_varied(const struct stratum *strata, size_t count)
{
    return total(strata, count) > count;
}

int statistics_iqm_interval(struct interval *interval, const struct stratum *strata, size_t count, size_t draws,
                            uint64_t seed)
{
    size_t all = total(strata, count);
    double *values = malloc(draws * sizeof *values), *runs = malloc(all * sizeof *runs);
    size_t *index = malloc(all * sizeof *index);
    int error = values && runs && index ? 0 : -ENOMEM;
    for (size_t draw = 0; draw <= draws && !error; draw++) {
        size_t used = 0;
        for (size_t s = 0; s < count; s++) {
            statistics_draw(index, strata[s].count, seed, draw, s);
            for (size_t i = 0; i < strata[s].count; i++)
                runs[used++] = strata[s].values[draw < draws ? index[i] : i];  // the last one is the runs themselves
        }
        *(draw < draws ? &values[draw] : &interval->value) = statistics_iqm(runs, all);
    }
    if (!error)
        bounds(interval, values, draws, is_varied(strata, count));
    free(values);
    free(runs);
    free(index);
    return error;
}

// i and j: which runs are compared; NULL: each once.
static double share_better(const struct stratum *x, const struct stratum *y, const size_t *i, const size_t *j)
{
    double sum = 0;
    for (size_t a = 0; a < x->count; a++)
        for (size_t b = 0; b < y->count; b++) {
            double ours = x->values[i ? i[a] : a], theirs = y->values[j ? j[b] : b];
            sum += ours > theirs ? 1 : ours == theirs ? 0.5 : 0;
        }
    return sum / (double)(x->count * y->count);
}

int statistics_improvement(struct interval *interval, const struct stratum *x, const struct stratum *y, size_t count,
                           size_t draws, uint64_t seed)
{
    double *values = malloc(draws * sizeof *values);
    size_t *i = malloc(total(x, count) * sizeof *i), *j = malloc(total(y, count) * sizeof *j);
    int error = values && i && j ? 0 : -ENOMEM;
    for (size_t draw = 0; draw <= draws && !error; draw++) {
        double sum = 0;
        for (size_t s = 0; s < count; s++) {
            statistics_draw(i, x[s].count, seed, draw, 2 * s);
            statistics_draw(j, y[s].count, seed, draw, 2 * s + 1);
            sum += share_better(&x[s], &y[s], draw < draws ? i : NULL, draw < draws ? j : NULL);
        }
        *(draw < draws ? &values[draw] : &interval->value) = sum / (double)count;
    }
    if (!error)
        bounds(interval, values, draws, is_varied(x, count) || is_varied(y, count));
    free(values);
    free(i);
    free(j);
    return error;
}
