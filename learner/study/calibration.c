// Coverage of central intervals, and the one number that corrects it.
//
// A target whose predictive is right has |t| below the level's quantile as often as the level says. The scale is the
// 90 % quantile, over other tasks, of |t| / quantile(90 %): with every interval as many times as wide, those tasks'
// 90 % intervals are right. One number for all targets and context lengths, so that it cannot hide what is wrong with
// the shape of the predictive.

#include "calibration.h"

#include "daemon/belief/student_t.h"
#include "outlook.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const double calibration_levels[CALIBRATION_LEVELS] = {0.5, 0.8, 0.9, 0.95};
enum { FITTED_LEVEL = 2 };

// P(|t| > x) = I_{df / (df + x^2)}(df / 2, 1 / 2)
static double beyond(double x, double df)
{
    double a = df / 2, log_beta = log_gamma(a) + log_gamma(0.5) - log_gamma(a + 0.5);
    return incomplete_beta(a, 0.5, df / (df + x * x), x * x / (df + x * x), log_beta);
}

double student_interval(double level, double freedom)
{
    double low = 0, high = 1;
    while (beyond(high, freedom) > 1 - level)
        high *= 2;
    for (int i = 0; i < 60 && high - low > 1e-12 * high; i++) {
        double middle = (low + high) / 2;
        *(beyond(middle, freedom) > 1 - level ? &low : &high) = middle;
    }
    return (low + high) / 2;
}

size_t context_bins(size_t low[CALIBRATION_BINS], size_t high[CALIBRATION_BINS], size_t steps)
{
    size_t count = 0;
    for (size_t from = 0, to = 1; from < steps && count < CALIBRATION_BINS; from = to, to *= 2, count++) {
        low[count] = from;
        high[count] = to < steps && count + 1 < CALIBRATION_BINS ? to : steps;
    }
    return count;
}

struct judging {
    struct judged *judged;
    const struct model *model;
    enum head_kind kind;
    const struct trajectories *on;
    int *errors;
    char (*why)[200];
};

struct judging_task {
    struct judged *judged;
    size_t task;
};

static void judge_step(void *context, size_t step, const struct outlook *outlook)
{
    const struct judging_task *of = context;
    size_t at = of->task * of->judged->steps + step, d = of->judged->targets;
    if (!outlook)
        return;
    for (size_t j = 0; j < d; j++)
        of->judged->statistic[at * d + j] = fabs(outlook->error[j]) / outlook->scale[j];
    of->judged->freedom[at] = outlook->freedom;
    of->judged->log_density[at] = outlook->log_density;
}

static void judge_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct judging *judging = context;
    struct judging_task of = {judging->judged, part};
    judging->errors[part] = outlook_walk(judging->model, judging->kind, &judging->on->of[part], judge_step, &of, NULL,
                                         judging->why[part], sizeof judging->why[part]);
}

int judge(struct judged *judged, const struct model *model, enum head_kind kind, const struct trajectories *on,
          struct pool *pool, char *why, size_t why_size)
{
    size_t rows = on->tasks * on->steps, d = model->heads[kind].targets;
    *judged = (struct judged){.tasks = on->tasks, .steps = on->steps, .targets = d};
    judged->statistic = malloc(rows * (d + 2) * sizeof *judged->statistic);
    struct judging judging = {judged, model, kind, on, calloc(on->tasks, sizeof(int)),
                              calloc(on->tasks, sizeof *judging.why)};
    int error = judged->statistic && judging.errors && judging.why ? 0 : -ENOMEM;
    if (error == 0) {
        judged->freedom = judged->statistic + rows * d;
        judged->log_density = judged->freedom + rows;
        for (size_t i = 0; i < rows * (d + 2); i++)
            judged->statistic[i] = NAN;
        pool_run(pool, judge_part, &judging, on->tasks);
        for (size_t i = 0; i < on->tasks && error == 0; i++)
            if ((error = judging.errors[i]))
                snprintf(why, why_size, "%s", judging.why[i]);
        for (size_t i = 0; i < rows; i++)
            judged->refused += i % on->steps < on->of[i / on->steps].steps && !isfinite(judged->freedom[i]);
    } else {
        snprintf(why, why_size, "no memory for %zu judgements", rows);
    }
    free(judging.errors);
    free(judging.why);
    if (error)
        judged_release(judged);
    return error;
}

void judged_release(struct judged *judged)
{
    free(judged->statistic);
    *judged = (struct judged){0};
}

// Quantiles of all levels by how many degrees of freedom the prior has more than none: freedom - first is how many
// transitions were seen.
struct intervals {
    double first;
    double (*of)[CALIBRATION_LEVELS];  // (steps)
};

static int intervals_make(struct intervals *intervals, const struct judged *judged)
{
    intervals->of = calloc(judged->steps, sizeof *intervals->of);
    if (!intervals->of)
        return -ENOMEM;
    intervals->first = INFINITY;
    for (size_t i = 0; i < judged->tasks * judged->steps; i++)
        intervals->first = fmin(intervals->first, judged->freedom[i]);
    for (size_t n = 0; n < judged->steps && isfinite(intervals->first); n++)
        for (size_t level = 0; level < CALIBRATION_LEVELS; level++)
            intervals->of[n][level] = student_interval(calibration_levels[level], intervals->first + (double)n);
    return 0;
}

static const double *intervals_at(const struct intervals *intervals, double freedom)
{
    return intervals->of[(size_t)lround(freedom - intervals->first)];
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int fit_scale(double *scale, const struct judged *fit, const struct intervals *intervals)
{
    size_t rows = fit->tasks * fit->steps, d = fit->targets, count = 0;
    double *ratio = malloc((rows * d + 1) * sizeof *ratio);
    if (!ratio)
        return -ENOMEM;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < d && isfinite(fit->freedom[i]); j++)
            ratio[count++] = fit->statistic[i * d + j] / intervals_at(intervals, fit->freedom[i])[FITTED_LEVEL];
    qsort(ratio, count, sizeof *ratio, ascending);
    *scale = count ? ratio[(size_t)(calibration_levels[FITTED_LEVEL] * (double)(count - 1))] : NAN;
    free(ratio);
    return 0;
}

static void add(struct calibration_bin *bin, const double *statistic, size_t d, const double *interval, double scale,
                double log_density)
{
    for (size_t j = 0; j < d; j++)
        for (size_t level = 0; level < CALIBRATION_LEVELS; level++) {
            bin->covered[level] += statistic[j] < interval[level];
            bin->corrected[level] += statistic[j] < scale * interval[level];
        }
    bin->count += (double)d;
    bin->log_density += log_density;
}

static void finish(struct calibration_bin *bin, size_t d)
{
    for (size_t level = 0; level < CALIBRATION_LEVELS; level++) {
        bin->covered[level] /= bin->count;
        bin->corrected[level] /= bin->count;
    }
    bin->log_density /= bin->count / (double)d;
}

int calibrate(struct calibration *calibration, const struct judged *on, const struct judged *fit)
{
    *calibration = (struct calibration){.whole.high = on->steps, .refused = on->refused};
    size_t low[CALIBRATION_BINS], high[CALIBRATION_BINS], d = on->targets;
    calibration->bins = context_bins(low, high, on->steps);
    for (size_t b = 0; b < calibration->bins; b++)
        calibration->bin[b] = (struct calibration_bin){.low = low[b], .high = high[b]};
    struct intervals intervals;
    int error = intervals_make(&intervals, on);
    if (error == 0)
        error = fit_scale(&calibration->scale, fit, &intervals);
    for (size_t i = 0; i < on->tasks * on->steps && error == 0; i++) {
        if (!isfinite(on->freedom[i]))
            continue;
        size_t context = i % on->steps, b = 0;
        while (context >= high[b])
            b++;
        const double *interval = intervals_at(&intervals, on->freedom[i]);
        add(&calibration->bin[b], on->statistic + i * d, d, interval, calibration->scale, on->log_density[i]);
        add(&calibration->whole, on->statistic + i * d, d, interval, calibration->scale, on->log_density[i]);
        calibration->transitions++;
    }
    for (size_t b = 0; b < calibration->bins; b++)
        finish(&calibration->bin[b], d);
    finish(&calibration->whole, d);
    free(intervals.of);
    return error;
}
