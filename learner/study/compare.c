// Curves of log density over context length, and their picture.

#include "compare.h"

#include "chart.h"
#include "outlook.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct predictions {
    const struct model *model;
    enum head_kind kind;
    const struct trajectories *on;
    double *log_density;         // (tasks, steps)
    int *errors;
    char (*why)[200];
};

static int predict(struct prediction *prediction, const struct predictions *p, size_t task, char *why, size_t why_size)
{
    switch (p->model->kind) {
    case MODEL_GLIBRL:
        return predict_glibrl(prediction, p->model, p->kind, &p->on->of[task], why, why_size);
    case MODEL_VARIBAD:
        return predict_varibad(prediction, p->model, p->kind, &p->on->of[task], VARIBAD_SAMPLES, task, why, why_size);
    default:
        snprintf(why, why_size, "a model of kind %s predicts nothing", model_kind_name(p->model->kind));
        return -ENOTSUP;
    }
}

static void predict_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct predictions *p = context;
    struct prediction prediction = {.log_density = p->log_density + part * p->on->steps};
    p->errors[part] = predict(&prediction, p, part, p->why[part], sizeof p->why[part]);
}

// Mean over tasks of each task's mean within the bin, and its standard error: steps of one task are not independent.
static void sum_bin(struct curve *curve, size_t bin, const double *log_density, const struct trajectories *on)
{
    double sum = 0, squares = 0, tasks = 0;
    for (size_t task = 0; task < on->tasks; task++) {
        double own = 0, count = 0;
        for (size_t t = curve->low[bin]; t < curve->high[bin] && t < on->of[task].steps; t++) {
            double value = log_density[task * on->steps + t];
            if (!isfinite(value)) {
                curve->missing++;
                continue;
            }
            own += value;
            count++;
            curve->counted++;
        }
        if (count > 0) {
            own /= count;
            sum += own;
            squares += own * own;
            tasks++;
        }
    }
    curve->mean[bin] = sum / tasks;
    curve->error[bin] = sqrt(fmax(squares / tasks - curve->mean[bin] * curve->mean[bin], 0) / (tasks - 1));
}

int curve_make(struct curve *curve, const struct model *model, enum head_kind kind, const struct trajectories *on,
               struct pool *pool, char *why, size_t why_size)
{
    *curve = (struct curve){0};
    struct predictions p = {model, kind, on, calloc(on->tasks * on->steps, sizeof(double)),
                            calloc(on->tasks, sizeof(int)), calloc(on->tasks, sizeof *p.why)};
    int error = p.log_density && p.errors && p.why ? 0 : -ENOMEM;
    if (error == 0)
        pool_run(pool, predict_part, &p, on->tasks);
    else
        snprintf(why, why_size, "no memory for the predictions of %zu tasks", on->tasks);
    for (size_t i = 0; i < on->tasks && error == 0; i++)
        if ((error = p.errors[i]))
            snprintf(why, why_size, "%s", p.why[i]);
    if (error == 0) {
        curve->bins = context_bins(curve->low, curve->high, on->steps);
        for (size_t bin = 0; bin < curve->bins; bin++)
            sum_bin(curve, bin, p.log_density, on);
    }
    free(p.log_density), free(p.errors), free(p.why);
    return error;
}

int curves_draw(const struct named_curve *curves, size_t count, const char *title, const char *path)
{
    enum { MOST = 4 };
    static const unsigned colours[MOST] = {CHART_BLUE, CHART_VERMILION, CHART_GREEN, CHART_PURPLE};
    double x[CALIBRATION_BINS], low[MOST][CALIBRATION_BINS], high[MOST][CALIBRATION_BINS];
    char text[CALIBRATION_BINS][48];
    const char *names[CALIBRATION_BINS];
    struct chart_series series[MOST];
    const struct curve *first = curves[0].curve;
    for (size_t bin = 0; bin < first->bins; bin++) {
        x[bin] = (double)bin;
        names[bin] = text[bin];
        if (first->high[bin] > first->low[bin] + 1)
            snprintf(text[bin], sizeof text[bin], "%zu-%zu", first->low[bin], first->high[bin] - 1);
        else
            snprintf(text[bin], sizeof text[bin], "%zu", first->low[bin]);
    }
    count = count < MOST ? count : MOST;
    for (size_t c = 0; c < count; c++) {
        const struct curve *curve = curves[c].curve;
        for (size_t bin = 0; bin < curve->bins; bin++) {
            low[c][bin] = curve->mean[bin] - curve->error[bin];
            high[c][bin] = curve->mean[bin] + curve->error[bin];
        }
        series[c] = (struct chart_series){.label = curves[c].name, .colour = colours[c], .count = curve->bins, .x = x,
                                          .y = curve->mean, .low = low[c], .high = high[c]};
    }
    const struct chart chart = {
        .title = title, .message = "Log density that each model gave to the next transition; bands are one standard error.",
        .y_name = "log density of the next (nats)", .y_low = NAN, .y_high = NAN, .panel_count = 1,
        .panels = {{.x_name = "transitions seen before", .x_low = -0.5, .x_high = (double)first->bins - 0.5, .count = count,
                    .series = series, .name_count = first->bins, .names = names}}};
    return chart_draw(&chart, path);
}
