// Classical scaling of the tasks' posterior means, and the picture.
//
// With squared distances D2 and J = I - 11'/N, B = -J D2 J / 2 holds inner products about the centre; its two largest
// eigenvectors times the roots of their eigenvalues are the coordinates.

#include "distances.h"

#include "chart.h"
#include "client/svg/svg.h"
#include "outlook.h"

#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// LAPACK, which OpenBLAS brings along: all eigenvalues, ascending, and eigenvectors of a symmetric matrix.
void dsyev_(const char *job, const char *triangle, const int *n, double *A, const int *stride, double *values,
            double *work, const int *work_count, int *info, size_t job_length, size_t triangle_length);

struct gathering {
    struct task_weights *result;
    const struct model *model;
    enum head_kind kind;
    const struct trajectories *on;
    double *grams, *counts;      // of each task (tasks, D, D), (tasks)
    int *errors;
    char (*why)[200];
};

struct gram {
    size_t D;
    double *sum, *count;
};

static void add_gram(void *context, size_t step, const struct outlook *outlook)
{
    (void)step;
    const struct gram *gram = context;
    if (!outlook)
        return;
    cblas_dger(CblasRowMajor, (int)gram->D, (int)gram->D, 1, outlook->phi, 1, outlook->phi, 1, gram->sum,
               (int)gram->D);
    *gram->count += 1;
}

static void gather_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct gathering *g = context;
    size_t D = g->result->D;
    struct gram gram = {D, g->grams + part * D * D, &g->counts[part]};
    g->errors[part] = outlook_walk(g->model, g->kind, &g->on->of[part], add_gram, &gram,
                                   g->result->weights + part * D * g->result->d, g->why[part], sizeof g->why[part]);
}

int task_weights_make(struct task_weights *result, const struct model *model, enum head_kind kind,
                      const struct trajectories *on, struct pool *pool, char *why, size_t why_size)
{
    size_t N = on->tasks, D = model->heads[kind].features, d = model->heads[kind].targets;
    *result = (struct task_weights){.tasks = N, .D = D, .d = d, .weights = calloc(N * D * d + D * D, sizeof(double))};
    result->gram = result->weights ? result->weights + N * D * d : NULL;
    struct gathering g = {result, model, kind, on, calloc(N * D * D, sizeof(double)), calloc(N, sizeof(double)),
                          calloc(N, sizeof(int)), calloc(N, sizeof *g.why)};
    int error = result->weights && g.grams && g.counts && g.errors && g.why ? 0 : -ENOMEM;
    if (error == 0)
        pool_run(pool, gather_part, &g, N);
    else
        snprintf(why, why_size, "no memory for the weights of %zu tasks", N);
    double count = 0;
    for (size_t i = 0; i < N && error == 0; i++) {
        if ((error = g.errors[i]))
            snprintf(why, why_size, "%s", g.why[i]);
        count += g.counts[i];
        cblas_daxpy((int)(D * D), 1, g.grams + i * D * D, 1, result->gram, 1);
    }
    if (error == 0)
        cblas_dscal((int)(D * D), count > 0 ? 1 / count : 0, result->gram, 1);
    free(g.grams), free(g.counts), free(g.errors), free(g.why);
    if (error)
        task_weights_release(result);
    return error;
}

void task_weights_release(struct task_weights *weights)
{
    free(weights->weights);
    *weights = (struct task_weights){0};
}

// Squared distance between the posterior means of two tasks.
static double squared(const struct task_weights *w, enum map_metric metric, size_t a, size_t b, double *room)
{
    size_t D = w->D, d = w->d, count = D * d;
    double *difference = room, *turned = room + count;
    memcpy(difference, w->weights + a * count, count * sizeof *room);
    cblas_daxpy((int)count, -1, w->weights + b * count, 1, difference, 1);
    if (metric == MAP_WEIGHTS)
        return cblas_ddot((int)count, difference, 1, difference, 1);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)D, (int)d, (int)D, 1, w->gram, (int)D, difference,
                (int)d, 0, turned, (int)d);
    return fmax(cblas_ddot((int)count, difference, 1, turned, 1), 0);
}

// Eigenvectors of B, row by row, in place of the squared distances.
static int scale(struct task_map *map, double *squares, double *values)
{
    int N = (int)map->tasks, info, count = -1;
    double mean_of_all = 0, wanted;
    for (int i = 0; i < N; i++)
        mean_of_all += cblas_dasum(N, squares + i * N, 1) / N / N;
    double *row_mean = values;
    for (int i = 0; i < N; i++)
        row_mean[i] = cblas_dasum(N, squares + i * N, 1) / N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            squares[i * N + j] = -0.5 * (squares[i * N + j] - row_mean[i] - row_mean[j] + mean_of_all);
    dsyev_("V", "U", &N, squares, &N, values, &wanted, &count, &info, 1, 1);
    count = (int)wanted;
    double *work = calloc((size_t)count, sizeof *work);
    if (!work)
        return -ENOMEM;
    dsyev_("V", "U", &N, squares, &N, values, work, &count, &info, 1, 1);
    free(work);
    if (info)
        return -EDOM;
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += fmax(values[i], 0);
    for (int axis = 0; axis < 2; axis++) {
        // Ascending, and column-major: the last eigenvectors are the last rows.
        double value = N > axis ? fmax(values[N - 1 - axis], 0) : 0;
        const double *vector = squares + (size_t)(N - 1 - axis) * (size_t)N;
        map->explained[axis] = sum > 0 ? value / sum : 0;
        for (int i = 0; i < N; i++)
            map->place[2 * i + axis] = sqrt(value) * vector[i];
    }
    return 0;
}

// Kasa's circle: x^2 + y^2 = 2 a x + 2 b y + c in least squares, from centred sums.
static void fit_circle(struct task_map *map)
{
    double xx = 0, xy = 0, yy = 0, xz = 0, yz = 0, zm = 0, N = (double)map->tasks;
    for (size_t i = 0; i < map->tasks; i++) {
        // Classical scaling is centred: the means of x and y are zero.
        double x = map->place[2 * i], y = map->place[2 * i + 1], z = x * x + y * y;
        xx += x * x, xy += x * y, yy += y * y, xz += x * z, yz += y * z, zm += z / N;
    }
    double determinant = xx * yy - xy * xy;
    double a = 0.5 * (xz * yy - yz * xy) / determinant, b = 0.5 * (yz * xx - xz * xy) / determinant;
    double radius = sqrt(zm + a * a + b * b), error = 0;
    for (size_t i = 0; i < map->tasks; i++) {
        double off = hypot(map->place[2 * i] - a, map->place[2 * i + 1] - b) - radius;
        error += off * off / N;
    }
    map->circle[0] = a, map->circle[1] = b, map->circle[2] = radius;
    map->circle_error = sqrt(error) / radius;
}

// Correlation over all pairs of their distance in the belief and between the true tasks.
static double likeness(const double *squares, const struct trajectories *on)
{
    size_t N = on->tasks, dims = on->world->task_dim, pairs = 0;
    double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i; j++, pairs++) {
            double square = 0, far = sqrt(squares[i * N + j]);
            for (size_t k = 0; k < dims; k++) {
                double width = on->world->task_high[k] - on->world->task_low[k];
                double step = (on->task[i * dims + k] - on->task[j * dims + k]) / (width > 0 ? width : 1);
                square += step * step;
            }
            double apart = sqrt(square);
            x += far, y += apart, xx += far * far, yy += apart * apart, xy += far * apart;
        }
    double n = (double)pairs;
    return (xy - x * y / n) / sqrt((xx - x * x / n) * (yy - y * y / n));
}

int task_map_make(struct task_map *map, enum map_metric metric, const struct task_weights *weights,
                  const struct trajectories *on)
{
    size_t N = weights->tasks;
    *map = (struct task_map){.metric = metric, .tasks = N, .place = calloc(2 * N, sizeof(double))};
    double *squares = calloc(N * N + N + 2 * weights->D * weights->d, sizeof *squares);
    int error = map->place && squares ? 0 : -ENOMEM;
    if (error == 0) {
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < i; j++)
                squares[i * N + j] = squares[j * N + i] = squared(weights, metric, i, j, squares + N * N + N);
        map->likeness = likeness(squares, on);
        error = scale(map, squares, squares + N * N);
    }
    if (error == 0)
        fit_circle(map);
    free(squares);
    if (error)
        task_map_release(map);
    return error;
}

void task_map_release(struct task_map *map)
{
    free(map->place);
    *map = (struct task_map){0};
}

enum { SIZE = 560, MARGIN = 70, TOP = 108, LEGEND = 60, COLOURS = 16 };

// Where a task stands along its family: a number of its own, or the direction of the first two.
static double along(const struct trajectories *on, size_t task)
{
    const double *t = on->task + task * on->world->task_dim;
    return on->world->task_dim == 0 ? 0 : on->world->task_dim == 1 ? t[0] : atan2(t[1], t[0]);
}

// Sixteen steps of viridis (van der Walt and Smith): light and dark tell as much as the hue.
static const char colours[] =
    ".circle { stroke: #8c959f; stroke-width: 1; stroke-dasharray: 3 4; fill: none; }\n"
    ".c0 { fill: #440154; } .c1 { fill: #481a6c; } .c2 { fill: #472f7d; } .c3 { fill: #414487; } "
    ".c4 { fill: #39568c; } .c5 { fill: #31688e; } .c6 { fill: #2a788e; } .c7 { fill: #23888e; }\n"
    ".c8 { fill: #1f988b; } .c9 { fill: #22a884; } .c10 { fill: #35b779; } .c11 { fill: #54c568; } "
    ".c12 { fill: #7ad151; } .c13 { fill: #a5db36; } .c14 { fill: #d2e21b; } .c15 { fill: #fde725; }\n";

static void legend(struct svg *svg, const struct trajectories *on, double low, double high)
{
    const struct world *world = on->world;
    double y = TOP + SIZE + 24, width = 12;
    char class[8];
    if (world->task_dim > 0)
        svg_text(svg, MARGIN, y + 12, "", "%s",
                 world->task_dim > 1 ? "direction of the task (rad)" : world->task_names[0]);
    svg_text(svg, MARGIN + SIZE - COLOURS * width - 50, y + 12, "left", "%.3g", low);
    for (int c = 0; c < COLOURS; c++) {
        snprintf(class, sizeof class, "c%d", c);
        svg_rectangle(svg, MARGIN + SIZE - (COLOURS - c) * width - 44, y, width, 16, class);
    }
    svg_text(svg, MARGIN + SIZE, y + 12, "left", "%.3g", high);
}

int task_map_draw(const struct task_map *map, const struct trajectories *on, const char *path)
{
    double reach = 0, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < map->tasks; i++) {
        reach = fmax(reach, fmax(fabs(map->place[2 * i]), fabs(map->place[2 * i + 1])));
        low = fmin(low, along(on, i));
        high = fmax(high, along(on, i));
    }
    char style[CHART_STYLE + sizeof colours];
    chart_style(style);
    strcat(style, colours);
    struct svg svg;
    int error = svg_open(&svg, path, SIZE + 2 * MARGIN, TOP + SIZE + LEGEND, "Tasks by the distance of their beliefs",
                         "Each dot is a task; near dots are tasks whose posterior means are near.", style);
    if (error)
        return error;
    double unit = reach > 0 ? 0.92 * SIZE / 2 / reach : 1, x0 = MARGIN + SIZE / 2.0, y0 = TOP + SIZE / 2.0;
    svg_rectangle(&svg, 0, 0, SIZE + 2 * MARGIN, TOP + SIZE + LEGEND, "page");
    svg_text(&svg, MARGIN, 40, "title", "%s: tasks by the distance of their beliefs", on->world->name);
    svg_text(&svg, MARGIN, 66, "", "near dots are tasks whose %s are alike",
             map->metric == MAP_WEIGHTS ? "mean weights" : "mean predictions");
    svg_text(&svg, MARGIN, 86, "", "the plane holds %.0f %% + %.0f %%; correlation with the true tasks' distances %.3f",
             100 * map->explained[0], 100 * map->explained[1], map->likeness);
    svg_rectangle(&svg, MARGIN, TOP, SIZE, SIZE, "panel");
    svg_group_within(&svg, MARGIN, TOP, SIZE, SIZE);
    // A circle of tasks shows; of a line the nearest circle would be one beyond the picture.
    if (map->circle[2] < 2 * reach)
        svg_ellipse(&svg, x0 + unit * map->circle[0], y0 - unit * map->circle[1], unit * map->circle[2],
                    unit * map->circle[2], 1, "circle");
    for (size_t i = 0; i < map->tasks; i++) {
        char class[8];
        double share = high > low ? (along(on, i) - low) / (high - low) : 0;
        snprintf(class, sizeof class, "c%d", (int)fmin(COLOURS * share, COLOURS - 1));
        svg_ellipse(&svg, x0 + unit * map->place[2 * i], y0 - unit * map->place[2 * i + 1], 6, 6, 0.9, class);
    }
    svg_group_end(&svg);
    legend(&svg, on, low, high);
    return svg_close(&svg);
}
