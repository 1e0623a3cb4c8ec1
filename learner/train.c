// One iteration of the training, and what it needs.

#include "train.h"

#include "inference/inference.h"
#include "policy/algorithm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int init_replay(struct train *train)
{
    const struct world *world = train->world;
    if (!train->inference->replay_slots)
        return 0;
    return replay_init(&train->replay, train->inference->replay_slots(&train->options),
                       world->horizon * world->episodes, world->observation_dim, world->action_dim);
}

static int build(struct train *train, char *why, size_t why_size)
{
    const struct options *o = &train->options;
    const struct world *world = train->world;
    int error = train->inference->start ? train->inference->start(train, why, why_size) : 0;
    if (error == 0)
        error = train_model_new(train, why, why_size);
    if (error)
        return error;
    train->input_dim = train->model->input_dim;
    train->critic_dim = train->input_dim;
    if (o->critic_sees_task && o->kind != LEARN_ORACLE)
        train->critic_dim += world->task_dim;
    train->experienced = calloc(o->envs, sizeof *train->experienced);
    if (!train->experienced || !(train->pool = pool_start(o->threads)))
        return -ENOMEM;
    error = moments_init(&train->inputs, train->input_dim, o->window * (double)train->rows);
    if (error == 0)
        error = moments_init(&train->observations, world->observation_dim, 0);
    if (error == 0)
        error = init_replay(train);
    if (error == 0)
        error = train->algorithm->start(train, why, why_size);
    // The rollout's workers need a finished model.
    if (error == 0)
        error = train_export(train, why, why_size);
    if (error == 0)
        error = rollout_init(&train->rollout, world, train->model, o->envs, o->clamp_actions != 0, o->memory,
                             pool_threads(train->pool), why, why_size);
    train->rollout.across = o->across != 0;
    if (error == 0 && train->inference->ready)
        error = train->inference->ready(train, why, why_size);
    return error;
}

int train_new(struct train **result, const struct options *options, char *why, size_t why_size)
{
    struct train *train = calloc(1, sizeof *train);
    if (!train) {
        snprintf(why, why_size, "no memory for a training");
        return -ENOMEM;
    }
    const struct world *world = options->world;
    train->options = *options;
    train->world = world;
    train->rows = options->envs * world->horizon * world->episodes;
    train->iterations = (options->frames + train->rows - 1) / train->rows;
    train->inference = inference_of(options->kind);
    train->algorithm = algorithm_of(options->algorithm);
    openblas_set_num_threads(1);

    why[0] = 0;
    int error = build(train, why, why_size);
    if (error) {
        if (!why[0])
            snprintf(why, why_size, "no memory for a training of %zu rows", train->rows);
        train_free(train);
        return error;
    }
    *result = train;
    return 0;
}

void train_free(struct train *train)
{
    if (!train)
        return;
    if (train->inference->stop)
        train->inference->stop(train);
    train->algorithm->stop(train);
    rollout_release(&train->rollout);
    pool_stop(train->pool);
    moments_release(&train->inputs);
    moments_release(&train->observations);
    replay_release(&train->replay);
    model_free(train->model);
    free(train->experienced);
    free(train);
}

int train_done(const struct train *train)
{
    return train_iteration(train) >= train->iterations;
}

double train_progress(const struct train *train)
{
    return train->counters[COUNT_ITERATION] / (double)train->iterations;
}

void train_tell(struct train *train, const char *name, double value)
{
    struct train_report *report = &train->report;
    if (report->value_count < TRAIN_VALUES_LIMIT)
        report->values[report->value_count++] = (struct events_value){name, value};
}

void train_say(struct train *train, const char *format, ...)
{
    char *text = train->report.text;
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, sizeof train->report.text - used, format, arguments);
    va_end(arguments);
}

int train_not_finite(const struct train *train, const char *what, char *why, size_t why_size)
{
    snprintf(why, why_size, "the gradient of the %s is not finite at iteration %zu of %s with seed %llu", what,
             train_iteration(train), train->world->name, (unsigned long long)train->options.seed);
    return -EDOM;
}

void train_policy_row(const struct train *train, float *out, const float *raw, const float *task)
{
    out = agent_put_input(out, train->model, raw);
    for (size_t i = 0; i < train->critic_dim - train->input_dim; i++) {
        double low = train->world->task_low[i], high = train->world->task_high[i];
        out[i] = (float)(train->options.task_scale * (2 * ((double)task[i] - low) / (high - low) - 1));
    }
}

void train_add_moments(struct train *train, struct moments *reward, struct moments *change)
{
    const struct rollout *r = &train->rollout;
    size_t obs = train->world->observation_dim;
    moments_add(&train->observations, r->observation, obs, train->rows);
    if (reward)
        moments_add(reward, r->reward, 1, train->rows);
    for (size_t row = 0; change && row < train->rows; row++) {
        float step[MODEL_OBSERVATION_LIMIT];
        for (size_t i = 0; i < obs; i++)
            step[i] = r->next_observation[row * obs + i] - r->observation[row * obs + i];
        moments_add(change, step, obs, 1);
    }
}

static void sum_up(struct train *train)
{
    struct rollout_returns sum = rollout_sum(&train->rollout);
    struct train_report *report = &train->report;
    report->metas = sum.metas;
    report->refused = sum.refused;
    report->diverged = sum.diverged;
    for (size_t i = 0; i < 8; i++)
        report->returns[i] = sum.metas ? sum.sum[i] / (double)sum.metas : 0;
}

int train_iterate(struct train *train, char *why, size_t why_size)
{
    // The first iteration only looks: it gives normalisers and inference their first data.
    size_t iteration = train_iteration(train);
    train->report = (struct train_report){0};
    int error = train_export(train, why, why_size);
    if (error == 0 && train->gather)
        error = train->gather(train, why, why_size);
    if (error == 0)
        error = rollout_run(&train->rollout, train->model, train->options.seed, iteration, train->pool, why, why_size);
    if (error == 0 && iteration > 0)
        error = train->algorithm->learn(train, why, why_size);
    if (error == 0 && train->inference->learn)
        error = train->inference->learn(train, why, why_size);
    if (error)
        return error;
    moments_add(&train->inputs, train->rollout.input, train->input_dim, train->rows);
    sum_up(train);
    train->counters[COUNT_ITERATION]++;
    train->counters[COUNT_FRAMES] += (double)train->rows;
    return 0;
}
