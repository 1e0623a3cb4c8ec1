// Curves of log density over context length, and their picture.

#include "compare.h"

#include "client/svg/svg.h"
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

enum { WIDTH = 620, HEIGHT = 360, LEFT = 80, RIGHT = 170, TOP = 70, BOTTOM = 60, COLOURS = 4 };

// Okabe and Ito's colours.
static const char style[] =
    "svg { background: #ffffff; }\n"
    ".page { fill: #ffffff; }\n"
    "text { font-family: Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif; "
    "fill: #57606a; font-size: 13px; }\n"
    ".title { font-size: 18px; font-weight: 600; fill: #1f2328; }\n"
    ".left { text-anchor: end; }\n"
    ".middle { text-anchor: middle; }\n"
    ".panel { fill: #f6f8fa; }\n"
    ".grid { stroke: #ffffff; stroke-width: 1.5; }\n"
    ".l0 { stroke: #0072b2; } .l1 { stroke: #d55e00; } .l2 { stroke: #009e73; } .l3 { stroke: #cc79a7; }\n"
    ".l0, .l1, .l2, .l3 { stroke-width: 2; fill: none; stroke-linejoin: round; }\n"
    ".d0 { fill: #0072b2; } .d1 { fill: #d55e00; } .d2 { fill: #009e73; } .d3 { fill: #cc79a7; }\n";

struct plane {
    double low, high;            // of the densities
    size_t bins;
};

static double place_x(const struct plane *plane, size_t bin)
{
    return LEFT + WIDTH * ((double)bin + 0.5) / (double)plane->bins;
}

static double place_y(const struct plane *plane, double value)
{
    return TOP + HEIGHT * (plane->high - value) / (plane->high - plane->low);
}

static double round_step(double range)
{
    double step = pow(10, floor(log10(range / 4)));
    return range / step > 20 ? 5 * step : range / step > 8 ? 2 * step : step;
}

static void axes(struct svg *svg, const struct plane *plane, const struct curve *curve)
{
    svg_rectangle(svg, LEFT, TOP, WIDTH, HEIGHT, "panel");
    double step = round_step(plane->high - plane->low);
    for (double y = ceil(plane->low / step) * step; y <= plane->high; y += step) {
        svg_line(svg, LEFT, place_y(plane, y), LEFT + WIDTH, place_y(plane, y), "grid");
        svg_text(svg, LEFT - 8, place_y(plane, y) + 4, "left", "%g", fabs(y) < step / 2 ? 0 : y);
    }
    for (size_t bin = 0; bin < plane->bins; bin++)
        if (curve->high[bin] > curve->low[bin] + 1)
            svg_text(svg, place_x(plane, bin), TOP + HEIGHT + 20, "middle", "%zu-%zu", curve->low[bin],
                     curve->high[bin] - 1);
        else
            svg_text(svg, place_x(plane, bin), TOP + HEIGHT + 20, "middle", "%zu", curve->low[bin]);
    svg_text(svg, LEFT + WIDTH / 2.0, TOP + HEIGHT + 44, "middle", "transitions seen before");
    svg_text_upwards(svg, 22, TOP + HEIGHT / 2.0, "middle", "log density of the next (nats)");
}

static void draw_curve(struct svg *svg, const struct plane *plane, const struct named_curve *named, size_t which)
{
    const struct curve *curve = named->curve;
    char line[4], dot[4];
    snprintf(line, sizeof line, "l%zu", which % COLOURS);
    snprintf(dot, sizeof dot, "d%zu", which % COLOURS);
    svg_path(svg, line);
    for (size_t bin = 0; bin < curve->bins; bin++)
        svg_path_to(svg, place_x(plane, bin), place_y(plane, curve->mean[bin]));
    svg_path_end(svg, 0);
    for (size_t bin = 0; bin < curve->bins; bin++) {
        double x = place_x(plane, bin), y = place_y(plane, curve->mean[bin]);
        double up = place_y(plane, curve->mean[bin] + curve->error[bin]);
        svg_ellipse(svg, x, y, 3.5, 3.5, 1, dot);
        svg_line(svg, x, up, x, 2 * y - up, line);
    }
    double y = TOP + 16 + 22 * (double)which;
    svg_line(svg, LEFT + WIDTH + 14, y - 4, LEFT + WIDTH + 38, y - 4, line);
    svg_text(svg, LEFT + WIDTH + 44, y, "", "%s", named->name);
}

int curves_draw(const struct named_curve *curves, size_t count, const char *title, const char *path)
{
    struct plane plane = {.low = INFINITY, .high = -INFINITY, .bins = curves[0].curve->bins};
    for (size_t c = 0; c < count; c++)
        for (size_t bin = 0; bin < plane.bins; bin++)
            if (isfinite(curves[c].curve->mean[bin])) {
                plane.low = fmin(plane.low, curves[c].curve->mean[bin]);
                plane.high = fmax(plane.high, curves[c].curve->mean[bin]);
            }
    double room = fmax(0.06 * (plane.high - plane.low), 1e-6);
    plane.low -= room, plane.high += room;
    struct svg svg;
    int error = svg_open(&svg, path, LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM, title,
                         "Log density that each model gave to the next transition, by how many it had seen.", style);
    if (error)
        return error;
    svg_text(&svg, LEFT, 36, "title", "%s", title);
    axes(&svg, &plane, curves[0].curve);
    for (size_t c = 0; c < count; c++)
        draw_curve(&svg, &plane, &curves[c], c);
    return svg_close(&svg);
}
