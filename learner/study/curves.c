// Curves over runs; the contract is in curves.h.

#include "curves.h"

#include "statistics.h"

#include <math.h>

enum { RUNS = 64, DRAWS = 1000 };
static const double WINDOW = 1.0 / 30;   // of the way, over which returns are averaged
static const uint64_t SEED = 1;

static double at(const struct curve_point *point, enum curve_axis axis)
{
    return axis == CURVE_FRAMES ? point->frames : point->cpu_seconds;
}

// Mean of what was logged within half a window of x; where iterations are longer than that, on the line between two
// of them. `from` is where the last search ended.
static double smooth(const struct result *run, enum curve_axis axis, double x, double window, size_t *from)
{
    double sum = 0, count = 0;
    while (*from < run->point_count && !(at(&run->points[*from], axis) >= x - window / 2))
        ++*from;
    size_t end = *from;
    for (; end < run->point_count && at(&run->points[end], axis) <= x + window / 2; end++) {
        sum += run->points[end].reward;
        count++;
    }
    if (count > 1)
        return sum / count;
    size_t right = end < run->point_count ? end : run->point_count - 1;
    while (right > 0 && at(&run->points[right - 1], axis) >= x)
        right--;
    if (right == 0 || at(&run->points[right], axis) < x)
        return run->points[right].reward;
    const struct curve_point *before = &run->points[right - 1], *after = &run->points[right];
    double share = (x - at(before, axis)) / (at(after, axis) - at(before, axis));
    return before->reward + share * (after->reward - before->reward);
}

static int set_point(struct curve *curve, double x, double *values, size_t count)
{
    struct interval interval;
    struct stratum stratum = {values, count};
    int error = statistics_iqm_interval(&interval, &stratum, 1, DRAWS, SEED);
    if (error)
        return error;
    size_t i = curve->count++;
    curve->x[i] = x;
    curve->y[i] = interval.value;
    curve->low[i] = interval.low;
    curve->high[i] = interval.high;
    return 0;
}

int curve_of_learning(struct curve *curve, const struct result *runs, size_t count, enum curve_axis axis)
{
    const struct result *logged[RUNS];
    size_t from[RUNS] = {0}, used = 0;
    double end = INFINITY;
    curve->count = 0;
    for (size_t r = 0; r < count && used < RUNS; r++)
        if (runs[r].point_count > 1 && isfinite(at(&runs[r].points[runs[r].point_count - 1], axis))) {
            logged[used++] = &runs[r];
            end = fmin(end, at(&runs[r].points[runs[r].point_count - 1], axis));
        }
    double window = end * WINDOW;
    for (size_t g = 0; used && g < CURVE_GRID; g++) {
        double x = window / 2 + (end - window / 2) * (double)g / (CURVE_GRID - 1), values[RUNS];
        for (size_t r = 0; r < used; r++)
            values[r] = smooth(logged[r], axis, x, window, &from[r]);
        int error = set_point(curve, x, values, used);
        if (error)
            return error;
    }
    return 0;
}

int curve_of_adaptation(struct curve *curve, const struct result *runs, size_t count)
{
    size_t steps = 0;
    curve->count = 0;
    for (size_t r = 0; r < count; r++)
        steps = runs[r].steps > steps ? runs[r].steps : steps;
    for (size_t t = 0; t < steps && t < CURVE_POINTS; t++) {
        double values[RUNS];
        size_t used = 0;
        for (size_t r = 0; r < count && used < RUNS; r++)
            if (runs[r].steps == steps)
                values[used++] = runs[r].rewards[t];
        int error = set_point(curve, (double)t + 1, values, used);
        if (error)
            return error;
    }
    return 0;
}
