// One iteration of the training, and what it needs.

#include "train.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Iterations at whose end probes are chosen: the basis changes most in the beginning, and a policy that has learnt
// to read its probes should keep them.
static const uint64_t probe_iterations[] = {0, 2, 10, 30};

static int is_probe_iteration(uint64_t iteration)
{
    for (size_t i = 0; i < sizeof probe_iterations / sizeof *probe_iterations; i++)
        if (probe_iterations[i] == iteration)
            return 1;
    return 0;
}

static struct ppo_settings settings_of(const struct options *o)
{
    return (struct ppo_settings){
        .epochs = o->epochs, .minibatch = o->minibatch, .clip = o->clip, .value_clip = o->value_clip,
        .entropy = o->entropy, .norm_limit = o->norm_limit, .epsilon = o->epsilon, .sd_low = o->sd_low,
        .divergence_limit = o->divergence_limit,
    };
}

static int init_basis(struct train *train, enum head_kind kind, size_t features)
{
    const struct options *o = &train->options;
    size_t d = kind == HEAD_REWARD ? 1 : train->world->observation_dim;
    size_t hidden[] = {o->basis_hidden, o->basis_hidden};
    // One target: nu0 = 2, two observations' worth. More: so that E[Sigma] exists and is Omega0.
    double degrees = d == 1 ? 2 : (double)d + 2;
    double scale = o->prior_noise * (d == 1 ? degrees : 1);
    int error = basis_init(&train->basis[kind], basis_inputs(train, kind), hidden, features, d, scale, degrees);
    if (error == 0)
        error = moments_init(&train->targets[kind], d, 0);
    if (error)
        return error;
    struct random_stream stream = random_stream(o->seed, RANDOM_PARAMETERS, 2 + (uint32_t)kind, 0);
    basis_start(&train->basis[kind], &stream);
    train->probes[kind] = calloc(o->probes * (2 * train->world->observation_dim + train->world->action_dim) + 1,
                                 sizeof(float));
    return train->probes[kind] ? 0 : -ENOMEM;
}

static int init_nets(struct train *train)
{
    const struct options *o = &train->options;
    size_t hidden[] = {o->hidden, o->hidden};
    int error = actor_init(&train->actor, train->input_dim, hidden, train->world->action_dim);
    if (error == 0)
        error = critic_init(&train->critic, train->critic_dim, hidden);
    if (error)
        return error;
    struct random_stream actor = random_stream(o->seed, RANDOM_PARAMETERS, 0, 0);
    struct random_stream critic = random_stream(o->seed, RANDOM_PARAMETERS, 1, 0);
    actor_start(&train->actor, o->sd, &actor);
    critic_start(&train->critic, &critic);
    return 0;
}

static int init_memory(struct train *train)
{
    const struct options *o = &train->options;
    const struct world *world = train->world;
    size_t rows = train->rows, finals = o->envs * train->rollout.finals;
    train->input = malloc(rows * train->critic_dim * sizeof(float));
    train->reward = malloc(5 * rows * sizeof(float));
    train->final_input = malloc(finals * (train->critic_dim + 1) * sizeof(float));
    train->discounted = calloc(o->envs, sizeof(double));
    if (!train->input || !train->reward || !train->final_input || !train->discounted)
        return -ENOMEM;
    train->advantage = train->reward + rows;
    train->target = train->advantage + rows;
    train->value = train->target + rows;
    train->value_after = train->value + rows;
    train->final_value = train->final_input + finals * train->critic_dim;
    train->actor_scratch = ppo_scratch_new(&train->actor.net, o->minibatch, rows);
    train->critic_scratch = ppo_scratch_new(&train->critic.net, o->minibatch, rows);
    if (!train->actor_scratch || !train->critic_scratch)
        return -ENOMEM;
    double window = o->window * (double)rows;
    int error = moments_init(&train->inputs, train->input_dim, window);
    if (error == 0)
        error = moments_init(&train->observations, world->observation_dim, 0);
    if (error == 0 && o->kind == LEARN_GLIBRL)
        error = replay_init(&train->replay, o->replay, world->horizon * world->episodes, world->observation_dim,
                            world->action_dim);
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
    train->counters[COUNT_STEERING] = 1;
    train->probe_count = options->kind == LEARN_GLIBRL ? options->probes : 0;
    openblas_set_num_threads(1);

    int error = 0;
    why[0] = 0;
    if (options->kind == LEARN_GLIBRL) {
        if (options->features)
            error = init_basis(train, HEAD_REWARD, options->features);
        if (options->transition && error == 0)
            error = init_basis(train, HEAD_TRANSITION, options->transition);
    }
    if (error == 0)
        error = train_model_new(train, why, why_size);
    if (error == 0) {
        train->input_dim = train->model->input_dim;
        train->critic_dim = train->input_dim;
        if (options->critic_sees_task && options->kind != LEARN_ORACLE)
            train->critic_dim += world->task_dim;
        error = init_nets(train);
    }
    if (error == 0 && !(train->pool = pool_start(options->threads)))
        error = -ENOMEM;
    if (error == 0) {
        // The rollout's workers need a finished model.
        train->rollout.finals = world->episodes + 1;
        error = init_memory(train);
    }
    if (error == 0)
        error = train_export(train, why, why_size);
    if (error == 0)
        error = rollout_init(&train->rollout, world, train->model, options->envs, options->clamp_actions != 0,
                             options->memory, pool_threads(train->pool), why, why_size);
    if (error == 0 && options->kind == LEARN_GLIBRL && !(train->work = basis_work_new(train)))
        error = -ENOMEM;
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
    basis_work_free(train);
    rollout_release(&train->rollout);
    pool_stop(train->pool);
    actor_release(&train->actor);
    critic_release(&train->critic);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        basis_release(&train->basis[kind]);
        moments_release(&train->targets[kind]);
        free(train->probes[kind]);
    }
    moments_release(&train->inputs);
    moments_release(&train->observations);
    replay_release(&train->replay);
    model_free(train->model);
    ppo_scratch_free(train->actor_scratch);
    ppo_scratch_free(train->critic_scratch);
    free(train->input);
    free(train->reward);
    free(train->final_input);
    free(train->discounted);
    free(train);
}

int train_done(const struct train *train)
{
    return (size_t)train->counters[COUNT_ITERATION] >= train->iterations;
}

// Share of the training that lies behind.
static double progress(const struct train *train)
{
    return train->counters[COUNT_ITERATION] / (double)train->iterations;
}

static int is_frozen(const struct train *train)
{
    return progress(train) >= train->options.freeze;
}

// The schedule alone: constant, then falling.
static double planned_rate(const struct train *train)
{
    const struct options *o = &train->options;
    double past = progress(train) - o->rate_hold;
    if (past <= 0)
        return o->rate;
    double share = past / (1 - o->rate_hold);
    return o->rate * (1 + share * (o->rate_end - 1));
}

// The actor's: the schedule times what steering has found.
static double actor_rate(const struct train *train)
{
    return fmin(planned_rate(train) * train->counters[COUNT_STEERING], train->options.rate_high);
}

// A policy that moved too far in this iteration takes smaller steps in the next, one that hardly moved larger ones.
// What is too far falls with the schedule.
static void steer(struct train *train)
{
    double *factor = &train->counters[COUNT_STEERING];
    double target = train->options.divergence_target * planned_rate(train) / train->options.rate;
    if (!(target > 0))
        return;
    if (train->report.ppo.divergence > 1.5 * target)
        *factor = fmax(*factor / 1.2, 0.03);
    else if (train->report.ppo.divergence < target / 1.5)
        *factor = fmin(*factor * 1.2, 30);
}

static double basis_rate(const struct train *train)
{
    return is_frozen(train) ? 0 : train->options.basis_rate * (1 - progress(train) / train->options.freeze);
}

// One row of critic input: the policy's, normalised, and the task within its bounds as [-1, 1].
static void normalise_row(const struct train *train, float *out, const float *raw, const float *task)
{
    const struct model *model = train->model;
    for (size_t i = 0; i < train->input_dim; i++) {
        float x = (raw[i] - model->input_mean[i]) / model->input_scale[i];
        x = x < -model->input_clip ? -model->input_clip : x;
        out[i] = x > model->input_clip ? model->input_clip : x;
    }
    for (size_t i = 0; i < train->critic_dim - train->input_dim; i++) {
        double low = train->world->task_low[i], high = train->world->task_high[i];
        out[train->input_dim + i] = (float)(2 * ((double)task[i] - low) / (high - low) - 1);
    }
}

// Rewards are divided by the running sd of the discounted return, and not centred.
static void scale_rewards(struct train *train)
{
    const struct rollout *r = &train->rollout;
    double discount = train->options.discount, *c = train->counters;
    for (size_t e = 0; e < r->N; e++)
        for (size_t t = 0; t < r->T; t++) {
            size_t row = e * r->T + t;
            double *sum = &train->discounted[e];
            *sum = (r->begins[row] ? 0 : discount * *sum) + (double)r->reward[row];
            // Welford
            double away = *sum - c[COUNT_RETURN_MEAN];
            c[COUNT_RETURN]++;
            c[COUNT_RETURN_MEAN] += away / c[COUNT_RETURN];
            c[COUNT_RETURN_SQUARE] += away * (*sum - c[COUNT_RETURN_MEAN]);
        }
    double sd = fmax(sqrt(c[COUNT_RETURN_SQUARE] / c[COUNT_RETURN]), 1e-6);
    for (size_t row = 0; row < train->rows; row++)
        train->reward[row] = (float)((double)r->reward[row] / sd);
}

// Part e of the preparation: normalised inputs, values and advantages of one environment.
static void prepare(void *context, size_t e, unsigned thread)
{
    (void)thread;
    struct train *train = context;
    const struct rollout *r = &train->rollout;
    size_t width = train->critic_dim, task = train->world->task_dim;
    for (size_t row = e * r->T; row < (e + 1) * r->T; row++) {
        normalise_row(train, train->input + row * width, r->input + row * r->input_dim, r->task + row * task);
        if (r->final_of[row] >= 0)
            normalise_row(train, train->final_input + (size_t)r->final_of[row] * width,
                          r->final_input + (size_t)r->final_of[row] * r->input_dim, r->task + row * task);
    }
}

static void evaluate_critic(struct train *train)
{
    const struct rollout *r = &train->rollout;
    size_t finals = r->N * r->finals;
    critic_values(&train->critic, train->value, train->input, train->critic_dim, train->rows, train->critic_scratch);
    critic_values(&train->critic, train->final_value, train->final_input, train->critic_dim, finals,
                  train->critic_scratch);
    for (size_t row = 0; row < train->rows; row++)
        train->value_after[row] = r->final_of[row] >= 0 ? train->final_value[r->final_of[row]] : 0;
    for (size_t e = 0; e < r->N; e++) {
        size_t at = e * r->T;
        advantages(train->advantage + at, train->target + at, train->reward + at, train->value + at,
                   train->value_after + at, r->end + at, r->T, train->options.discount, train->options.trace);
    }
    standardise(train->advantage, train->rows);
}

struct update {
    struct train *train;
    struct experience experience;
    struct ppo_settings settings;
    double rate[2];
    int errors[2];
};

// Part 0 is the critic's update, part 1 the actor's.
static void update_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct update *update = context;
    struct train *train = update->train;
    uint32_t iteration = (uint32_t)train->counters[COUNT_ITERATION];
    struct random_stream stream = random_stream(train->options.seed, part ? RANDOM_ACTOR : RANDOM_CRITIC, iteration, 0);
    update->errors[part] =
        part ? actor_update(&train->actor, &update->experience, &update->settings, update->rate[1], &stream,
                            train->actor_scratch, &train->report.ppo)
             : critic_update(&train->critic, &update->experience, &update->settings, update->rate[0], &stream,
                             train->critic_scratch, &train->report.ppo);
}

static int complain(const struct train *train, const char *what, char *why, size_t why_size)
{
    snprintf(why, why_size, "the gradient of the %s is not finite at iteration %zu of %s with seed %llu", what,
             (size_t)train->counters[COUNT_ITERATION], train->world->name, (unsigned long long)train->options.seed);
    return -EDOM;
}

static int learn_policy(struct train *train, char *why, size_t why_size)
{
    scale_rewards(train);
    pool_run(train->pool, prepare, train, train->rollout.N);
    evaluate_critic(train);
    struct update update = {
        .train = train, .settings = settings_of(&train->options),
        .rate = {planned_rate(train), actor_rate(train)},
        .experience = {
            .rows = train->rows, .input = train->input, .input_stride = train->critic_dim,
            .action = train->rollout.action, .log_density = train->rollout.log_density,
            .advantage = train->advantage, .value = train->value, .target = train->target,
        },
    };
    pool_run(train->pool, update_part, &update, 2);
    if (update.errors[0])
        return complain(train, "critic", why, why_size);
    if (update.errors[1])
        return complain(train, "actor", why, why_size);
    train->report.rate = actor_rate(train);
    steer(train);
    return 0;
}

// The reward's and the observations' moments, and with them what the basis sees and predicts.
static void add_moments(struct train *train)
{
    const struct rollout *r = &train->rollout;
    size_t obs = train->world->observation_dim;
    moments_add(&train->observations, r->observation, obs, train->rows);
    if (train->basis[HEAD_REWARD].features)
        moments_add(&train->targets[HEAD_REWARD], r->reward, 1, train->rows);
    if (train->basis[HEAD_TRANSITION].features)
        for (size_t row = 0; row < train->rows; row++) {
            float change[MODEL_OBSERVATION_LIMIT];
            for (size_t i = 0; i < obs; i++)
                change[i] = r->next_observation[row * obs + i] - r->observation[row * obs + i];
            moments_add(&train->targets[HEAD_TRANSITION], change, obs, 1);
        }
}

static int learn_model(struct train *train, char *why, size_t why_size)
{
    uint64_t iteration = (uint64_t)train->counters[COUNT_ITERATION];
    add_moments(train);
    rollout_store(&train->rollout, &train->replay);
    size_t updates = train->options.basis_updates + (iteration == 0 ? train->options.warmup : 0);
    if (learn_basis(train, updates, basis_rate(train), why, why_size))
        return -EDOM;
    return is_probe_iteration(iteration) ? choose_probes(train, why, why_size) : 0;
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
    report->sd = 0;
    for (size_t i = train->actor.log_sd_at; i < train->actor.trainee.count; i++)
        report->sd += exp((double)train->actor.trainee.parameters[i]) / (double)train->world->action_dim;
    report->basis_rate = train->options.kind == LEARN_GLIBRL ? basis_rate(train) : 0;
}

int train_iterate(struct train *train, char *why, size_t why_size)
{
    // The first iteration only looks: it gives normalisers, basis and probes their first data.
    uint64_t iteration = (uint64_t)train->counters[COUNT_ITERATION];
    train->report = (struct train_report){0};
    int error = train_export(train, why, why_size);
    if (error == 0)
        error = rollout_run(&train->rollout, train->model, train->options.seed, iteration, train->pool, why, why_size);
    if (error == 0 && iteration > 0)
        error = learn_policy(train, why, why_size);
    if (error == 0 && train->options.kind == LEARN_GLIBRL && !is_frozen(train))
        error = learn_model(train, why, why_size);
    if (error)
        return error;
    moments_add(&train->inputs, train->rollout.input, train->input_dim, train->rows);
    sum_up(train);
    train->counters[COUNT_ITERATION]++;
    train->counters[COUNT_FRAMES] += (double)train->rows;
    return 0;
}

static int put(struct train_array *array, const char *name, const char *dtype, void *data, size_t count)
{
    snprintf(array->name, sizeof array->name, "%s", name);
    snprintf(array->dtype, sizeof array->dtype, "%s", dtype);
    array->data = data;
    array->count = count;
    return 1;
}

static int put_trainee(struct train_array *array, const char *owner, size_t which, struct trainee *trainee)
{
    static const char *const parts[] = {"parameters", "adam_first", "adam_second"};
    float *const data[] = {trainee->parameters, trainee->adam.first, trainee->adam.second};
    char name[32];
    snprintf(name, sizeof name, "%s.%s", owner, parts[which]);
    return put(array, name, "F32", data[which], trainee->count);
}

static int put_head(struct train *train, enum head_kind kind, size_t which, struct train_array *array)
{
    const char *owner = kind == HEAD_REWARD ? "reward" : "transition";
    const char *targets = kind == HEAD_REWARD ? "reward.targets" : "transition.targets";
    const char *probes = kind == HEAD_REWARD ? "reward.probes" : "transition.probes";
    if (which < 3)
        return put_trainee(array, owner, which, &train->basis[kind].trainee);
    if (which == 3)
        return put(array, targets, "F64", train->targets[kind].mean, 2 * train->targets[kind].width);
    size_t width = 2 * train->world->observation_dim + train->world->action_dim;
    return put(array, probes, "F32", train->probes[kind], train->probe_count * width);
}

int train_state(struct train *train, size_t i, struct train_array *array)
{
    // The steps and counts that live in structs travel through the counters (train_gather, train_scatter).
    if (i == 0)
        return put(array, "counters", "F64", train->counters, COUNTERS);
    if (i < 4)
        return put_trainee(array, "actor", i - 1, &train->actor.trainee);
    if (i < 7)
        return put_trainee(array, "critic", i - 4, &train->critic.trainee);
    if (i == 7)
        return put(array, "inputs", "F64", train->inputs.mean, 2 * train->inputs.width);
    if (i == 8)
        return put(array, "observations", "F64", train->observations.mean, 2 * train->observations.width);
    if (i == 9)
        return put(array, "discounted", "F64", train->discounted, train->options.envs);
    i -= 10;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        if (!train->basis[kind].features)
            continue;
        if (i < 5)
            return put_head(train, kind, i, array);
        i -= 5;
    }
    struct replay *r = &train->replay;
    if (!r->slots)
        return 0;
    size_t rows = r->slots * r->steps;
    switch (i) {
    case 0: return put(array, "replay.count", "U32", r->count, r->slots);
    case 1: return put(array, "replay.observation", "F32", r->observation, rows * r->observation_dim);
    case 2: return put(array, "replay.action", "F32", r->action, rows * r->action_dim);
    case 3: return put(array, "replay.next_observation", "F32", r->next_observation, rows * r->observation_dim);
    case 4: return put(array, "replay.reward", "F32", r->reward, rows);
    default: return 0;
    }
}
