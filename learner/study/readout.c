// What is shown of each task's belief after so many transitions, and the regression of the tasks on it.

#include "readout.h"

#include "chart.h"
#include "daemon/agent/agent.h"

#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// LAPACK, which OpenBLAS brings along: A x = b for a positive definite A, column-major.
void dposv_(const char *triangle, const int *n, const int *count, double *A, const int *A_stride, double *B,
            const int *B_stride, int *info, size_t length);

// ---- What is shown --------------------------------------------------------------------------------------------------

struct showing {
    const struct model *model;
    const struct trajectories *on;
    const struct readout *readout;
    size_t shown;                // numbers
    double *rows;                // (contexts, tasks, shown)
    int *errors;                 // (tasks)
};

struct viewer {
    struct agent_scratch *scratch;
    struct agent_belief belief;
    void *memory;
    float *input, *action;
};

static int viewer_init(struct viewer *viewer, const struct model *model)
{
    size_t size = (agent_belief_size(model) / KERNEL_ALIGNMENT + 1) * KERNEL_ALIGNMENT;
    *viewer = (struct viewer){.scratch = agent_scratch_new(model), .memory = aligned_alloc(KERNEL_ALIGNMENT, size),
                              .input = calloc(model->input_dim + model->action_dim, sizeof *viewer->input)};
    if (!viewer->scratch || !viewer->memory || !viewer->input)
        return -ENOMEM;
    viewer->action = viewer->input + model->input_dim;
    agent_belief_init(&viewer->belief, model, viewer->memory);
    agent_belief_reset(&viewer->belief);
    return 0;
}

static void viewer_release(struct viewer *viewer)
{
    agent_scratch_free(viewer->scratch);
    free(viewer->memory);
    free(viewer->input);
}

static int view(const struct showing *s, struct viewer *viewer, size_t task)
{
    const struct model *model = s->model;
    const struct trajectory *t = &s->on->of[task];
    size_t obs = model->observation_dim, act = model->action_dim, seen = 0;
    for (size_t c = 0; c < s->readout->contexts; c++) {
        for (; seen < s->readout->after[c] && seen < t->steps; seen++) {
            struct observation_item item = {
                .belief = &viewer->belief, .observation = t->observation + seen * obs, .action = t->action + seen * act,
                .next_observation = t->next_observation + seen * obs, .reward = t->reward[seen]};
            agent_observe(model, viewer->scratch, &item, 1);
        }
        struct action_item item = {.belief = &viewer->belief, .observation = t->observation, .action = viewer->action,
                                   .input = viewer->input};
        agent_inputs(model, viewer->scratch, &item, 1);
        if (item.error)
            return item.error;
        double *row = s->rows + (c * s->on->tasks + task) * s->shown;
        for (size_t i = 0; i < s->shown; i++)
            row[i] = (double)viewer->input[obs + i];
    }
    return 0;
}

static void view_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct showing *s = context;
    struct viewer viewer;
    s->errors[part] = viewer_init(&viewer, s->model);
    if (s->errors[part] == 0)
        s->errors[part] = view(s, &viewer, part);
    viewer_release(&viewer);
}

static int show_all(struct showing *s, struct pool *pool, char *why, size_t why_size)
{
    size_t tasks = s->on->tasks;
    s->rows = calloc(s->readout->contexts * tasks * s->shown, sizeof *s->rows);
    s->errors = calloc(tasks, sizeof *s->errors);
    int error = s->rows && s->errors ? 0 : -ENOMEM;
    if (error == 0)
        pool_run(pool, view_part, s, tasks);
    for (size_t i = 0; i < tasks && error == 0; i++)
        error = s->errors[i];
    if (error)
        snprintf(why, why_size, error == -ENOMEM ? "no memory for what %zu policies are shown"
                                                 : "a belief of %zu tasks is not finite", tasks);
    return error;
}

// ---- The regression -------------------------------------------------------------------------------------------------

// Columns of both sets in units of the first: less its mean, over its standard deviation.
static void standardise(double *fit, size_t fits, double *held, size_t holds, size_t columns)
{
    for (size_t j = 0; j < columns; j++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < fits; i++)
            mean += fit[i * columns + j] / (double)fits;
        for (size_t i = 0; i < fits; i++)
            square += (fit[i * columns + j] - mean) * (fit[i * columns + j] - mean) / (double)fits;
        double scale = square > 0 ? 1 / sqrt(square) : 0;
        for (size_t i = 0; i < fits; i++)
            fit[i * columns + j] = (fit[i * columns + j] - mean) * scale;
        for (size_t i = 0; i < holds; i++)
            held[i * columns + j] = (held[i * columns + j] - mean) * scale;
    }
}

// R^2 of each of d numbers of a task; from here rows and tasks are in units of what was fitted on. As many unknowns as tasks:
// read = X_held X' (X X' + penalty I)^-1 y. Room: kernel (N, N), across (holds, N), duals (d, N).
static int regress(double *share, const double *fit, const double *fit_task, size_t N, const double *held,
                   const double *held_task, size_t holds, size_t shown, size_t d, double *room)
{
    double *kernel = room, *across = kernel + N * N, *duals = across + holds * N;
    int n = (int)N, width = (int)shown, count = (int)d, info;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, width, 1, fit, width, fit, width, 0, kernel, n);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)holds, n, width, 1, held, width, fit, width, 0, across, n);
    for (size_t i = 0; i < N; i++)
        kernel[i * N + i] += READOUT_PENALTY;
    for (size_t j = 0; j < d; j++)
        for (size_t i = 0; i < N; i++)
            duals[j * N + i] = fit_task[i * d + j];
    dposv_("L", &n, &count, kernel, &n, duals, &n, &info, 1);
    if (info)
        return -EDOM;
    for (size_t j = 0; j < d; j++) {
        double mean = 0, left = 0, all = 0;
        for (size_t i = 0; i < holds; i++)
            mean += held_task[i * d + j] / (double)holds;
        for (size_t i = 0; i < holds; i++) {
            double away = held_task[i * d + j] - cblas_ddot(n, across + i * N, 1, duals + j * N, 1);
            left += away * away;
            all += (held_task[i * d + j] - mean) * (held_task[i * d + j] - mean);
        }
        share[j] = all > 0 ? 1 - left / all : NAN;
    }
    return 0;
}

static int regress_all(struct readout *readout, struct showing *fit, struct showing *held, char *why, size_t why_size)
{
    size_t N = fit->on->tasks, holds = held->on->tasks, d = fit->on->world->task_dim, shown = fit->shown;
    double *room = calloc(N * N + holds * N + d * N + (N + holds) * d + d, sizeof *room);
    double *fit_task = room ? room + N * N + holds * N + d * N : NULL, *held_task = room ? fit_task + N * d : NULL;
    double *share = room ? held_task + holds * d : NULL;
    int error = room ? 0 : -ENOMEM;
    if (error == 0) {
        memcpy(fit_task, fit->on->task, N * d * sizeof *fit_task);
        memcpy(held_task, held->on->task, holds * d * sizeof *held_task);
        standardise(fit_task, N, held_task, holds, d);
    }
    for (size_t c = 0; c < readout->contexts && error == 0; c++) {
        double *rows = fit->rows + c * N * shown, *other = held->rows + c * holds * shown;
        standardise(rows, N, other, holds, shown);
        error = regress(share, rows, fit_task, N, other, held_task, holds, shown, d, room);
        for (size_t line = 0; line < readout->lines && error == 0; line++)
            for (size_t j = readout->first[line]; j < readout->first[line + 1]; j++)
                readout->share[c * readout->lines + line] +=
                    share[j] / (double)(readout->first[line + 1] - readout->first[line]);
    }
    if (error)
        snprintf(why, why_size, "%s", error == -ENOMEM ? "no memory for a regression of the tasks"
                                                       : "what the policy is shown is not finite");
    free(room);
    return error;
}

static size_t contexts_of(size_t after[READOUT_CONTEXTS], size_t steps)
{
    size_t count = 0;
    for (size_t unit = 1; unit < steps; unit *= 10)
        for (size_t times = 1; times <= 5; times += times == 1 ? 1 : 3)
            if (times * unit < steps && count + 1 < READOUT_CONTEXTS)
                after[count++] = times * unit;
    after[count++] = steps;
    return count;
}

static void lines_of(struct readout *readout, const struct world *world)
{
    for (size_t j = 0; j < world->task_dim; j++)
        if (j == 0 || world->task_names[j])
            readout->first[readout->lines++] = j;
    readout->first[readout->lines] = world->task_dim;
}

int readout_make(struct readout *readout, const struct model *model, const struct trajectories *fit,
                 const struct trajectories *held, struct pool *pool, char *why, size_t why_size)
{
    *readout = (struct readout){0};
    lines_of(readout, held->world);
    size_t shown = model->input_dim - model->observation_dim;
    if (model->kind == MODEL_ORACLE || shown == 0) {
        snprintf(why, why_size, "a model of kind %s shows its policy no belief", model_kind_name(model->kind));
        return -ENOTSUP;
    }
    readout->contexts = contexts_of(readout->after, held->steps);
    readout->share = calloc(readout->contexts * readout->lines, sizeof *readout->share);
    if (!readout->share) {
        snprintf(why, why_size, "no memory to read tasks off");
        return -ENOMEM;
    }
    struct showing of[2] = {{.model = model, .on = fit, .readout = readout, .shown = shown},
                            {.model = model, .on = held, .readout = readout, .shown = shown}};
    int error = show_all(&of[0], pool, why, why_size);
    if (error == 0)
        error = show_all(&of[1], pool, why, why_size);
    if (error == 0)
        error = regress_all(readout, &of[0], &of[1], why, why_size);
    for (size_t i = 0; i < 2; i++) {
        free(of[i].rows);
        free(of[i].errors);
    }
    if (error)
        readout_release(readout);
    return error;
}

void readout_release(struct readout *readout)
{
    free(readout->share);
    *readout = (struct readout){0};
}

// ---- The picture ----------------------------------------------------------------------------------------------------

int readout_draw(const struct readout *r, const struct world *world, const char *path)
{
    struct chart_series series[CHART_SERIES];
    double x[READOUT_CONTEXTS], y[CHART_SERIES][READOUT_CONTEXTS];
    char text[READOUT_CONTEXTS][24], title[120];
    const char *names[READOUT_CONTEXTS];
    size_t count = r->lines < CHART_SERIES ? r->lines : CHART_SERIES;
    for (size_t c = 0; c < r->contexts; c++) {
        x[c] = (double)c;
        snprintf(text[c], sizeof text[c], "%zu", r->after[c]);
        names[c] = text[c];
    }
    for (size_t j = 0; j < count; j++) {
        for (size_t c = 0; c < r->contexts; c++)
            y[j][c] = fmax(r->share[c * r->lines + j], 0);
        series[j] = (struct chart_series){.label = world->task_names[r->first[j]], .colour = (unsigned)(j % CHART_COLOURS),
                                          .dashed = j >= CHART_COLOURS, .count = r->contexts, .x = x, .y = y[j]};
    }
    snprintf(title, sizeof title, "%s: what the policy is shown of the task", world->name);
    struct chart chart = {
        .title = title, .message = "share of each number's variance that can be read, on other tasks",
        .y_name = "R^2", .y_low = 0, .y_high = 1, .panel_count = 1,
        .panels[0] = {.x_name = "transitions seen", .x_low = 0, .x_high = (double)(r->contexts - 1), .count = count,
                      .series = series, .name_count = r->contexts, .names = names}};
    return chart_draw(&chart, path);
}
