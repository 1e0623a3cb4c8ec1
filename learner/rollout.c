// Environments in lockstep: act, step, observe, and the next episode or task where one has ended.

#include "rollout.h"

#include "policy/sac.h"
#include "zeroes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// A simulation that diverges is started again; one that does in half of its steps, or so often, is broken.
enum { DIVERGED_LIMIT = 100 };

struct rollout_env {
    struct world_instance *instance;
    struct agent_belief belief;
    void *belief_memory;
    struct explorer explorer;
    double latent[FACTORS_LATENT_LIMIT];  // noise of this episode's draw of the latents
    double task[WORLD_TASK_LIMIT];
    float *observation;              // now   (obs)
    float *task_float;               // what an oracle is told   (task_dim)
    size_t step, episode;            // within the meta-episode
    double returned[8];              // by episode, so far
    size_t finals;
};

struct rollout_worker {
    struct agent_scratch *scratch;
    struct action_item acts[AGENT_BATCH_LIMIT];
    struct observation_item observations[AGENT_BATCH_LIMIT];
    float *action;                   // what serving would answer: clipped, and not used here   (act)
    float *inputs;                   // normalised policy inputs     (batch, input_stride)
    float *means;                    // policy outputs, or exploring ones (batch, mean_stride)
    float *hidden;
    size_t input_stride, mean_stride;
    int error;
    int diverged;                    // that is why; env and step say where
    size_t env, step;
};

// One of the parts that environments are divided into.
struct rollout_job {
    struct rollout *rollout;
    const struct model *model;
    uint64_t seed, iteration;
    size_t parts;
};

static int worker_init(struct rollout_worker *worker, const struct model *model)
{
    worker->input_stride = kernel_padded(model->input_dim);
    worker->mean_stride = kernel_padded(2 * model->action_dim);
    worker->scratch = agent_scratch_new(model);
    worker->action = zeroes(model->action_dim, sizeof(float));
    worker->inputs = zeroes(AGENT_BATCH_LIMIT * worker->input_stride, sizeof(float));
    worker->means = zeroes(AGENT_BATCH_LIMIT * worker->mean_stride, sizeof(float));
    worker->hidden = zeroes(network_scratch(&model->policy, AGENT_BATCH_LIMIT), sizeof(float));
    return worker->scratch && worker->action && worker->inputs && worker->means && worker->hidden ? 0 : -ENOMEM;
}

static int env_init(struct rollout_env *env, const struct world *world, const struct model *model, char *why,
                    size_t why_size)
{
    int error = world->open(&env->instance, why, why_size);
    if (error)
        return error;
    env->belief_memory = zeroes(agent_belief_size(model), 1);
    env->observation = zeroes(world->observation_dim, sizeof(float));
    env->task_float = zeroes(world->task_dim, sizeof(float));
    env->explorer.explored = zeroes(world->action_dim, sizeof(double));
    if (!env->belief_memory || !env->observation || !env->task_float || !env->explorer.explored) {
        snprintf(why, why_size, "no memory for the environments");
        return -ENOMEM;
    }
    agent_belief_init(&env->belief, model, env->belief_memory);
    return 0;
}

int rollout_init(struct rollout *r, const struct world *world, const struct model *model, size_t N,
                 int clamp_actions, double memory, unsigned threads, char *why, size_t why_size)
{
    size_t T = world->horizon * world->episodes, rows = N * T;
    *r = (struct rollout){
        .world = world, .N = N, .T = T, .episodes = world->episodes, .input_dim = model->input_dim,
        .clamp_actions = clamp_actions, .memory = memory, .finals = rollout_finals(world), .threads = threads,
        .observation = zeroes(rows * world->observation_dim, sizeof(float)),
        .next_observation = zeroes(rows * world->observation_dim, sizeof(float)),
        .action = zeroes(rows * world->action_dim, sizeof(float)),
        .met = zeroes(rows * world->action_dim, sizeof(float)),
        .reward = zeroes(rows, sizeof(float)),
        .input = zeroes(rows * model->input_dim, sizeof(float)),
        .task = zeroes(rows * world->task_dim, sizeof(float)),
        .log_density = zeroes(rows, sizeof(float)),
        .clock = zeroes(CLOCK * rows, sizeof(float)),
        .end = zeroes(rows, 1),
        .begins = zeroes(rows, 1),
        .final_of = zeroes(rows, sizeof(int32_t)),
        .returns = zeroes(N, sizeof(struct rollout_returns)),
        .envs = zeroes(N, sizeof(struct rollout_env)),
        .workers = zeroes(threads, sizeof(struct rollout_worker)),
    };
    r->final_input = zeroes(N * r->finals * model->input_dim, sizeof(float));
    int error = r->observation && r->next_observation && r->action && r->met && r->reward && r->input && r->task
                && r->log_density && r->clock && r->end && r->begins && r->final_of && r->returns && r->envs
                && r->workers && r->final_input ? explore_tasks_init(&r->tasks, N) : -ENOMEM;
    if (error)
        snprintf(why, why_size, "no memory for %zu steps of experience", rows);
    for (size_t e = 0; e < N && !error; e++)
        error = env_init(&r->envs[e], world, model, why, why_size);
    for (unsigned t = 0; t < threads && !error; t++)
        if ((error = worker_init(&r->workers[t], model)))
            snprintf(why, why_size, "no memory for a worker");
    if (error)
        rollout_release(r);
    return error;
}

void rollout_release(struct rollout *r)
{
    for (size_t e = 0; r->envs && e < r->N; e++) {
        if (r->envs[e].instance)
            r->world->close(r->envs[e].instance);
        free(r->envs[e].belief_memory);
        free(r->envs[e].observation);
        free(r->envs[e].task_float);
        free(r->envs[e].explorer.explored);
    }
    for (unsigned t = 0; r->workers && t < r->threads; t++) {
        agent_scratch_free(r->workers[t].scratch);
        free(r->workers[t].action);
        free(r->workers[t].inputs);
        free(r->workers[t].means);
        free(r->workers[t].hidden);
    }
    void *const arrays[] = {r->observation, r->next_observation, r->action, r->met, r->reward, r->input, r->task,
                            r->log_density, r->clock, r->end, r->begins, r->final_of, r->returns, r->envs,
                            r->workers, r->final_input};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    explore_tasks_release(&r->tasks);
    *r = (struct rollout){0};
}

static void begin_episode(struct rollout *r, struct rollout_env *env)
{
    if (r->told)
        r->told->reset(r->told->context, (size_t)(env - r->envs), env->observation);
    else
        r->world->reset(env->instance, env->task, &env->explorer.starts, env->observation);
    env->step = 0;
    explorer_begin_episode(&env->explorer, r->world->action_dim);
    for (size_t i = 0; i < r->latents; i++)
        env->latent[i] = random_normal(&env->explorer.noise);
}

// On the task that env->task holds, unless it is told which it was.
static void begin_meta(struct rollout *r, struct rollout_env *env)
{
    if (r->told)
        r->told->begin(r->told->context, (size_t)(env - r->envs), env->task);
    for (size_t i = 0; i < r->world->task_dim; i++)
        env->task_float[i] = (float)env->task[i];
    agent_belief_reset(&env->belief);
    env->episode = 0;
    memset(env->returned, 0, sizeof env->returned);
    begin_episode(r, env);
}

// Raw policy inputs of some environments, to rows[i]; returns -EIO for a damaged belief.
static int see(const struct rollout_job *job, struct rollout_worker *worker, struct rollout_env *const *envs,
               float *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        worker->acts[i] = (struct action_item){
            .belief = &envs[i]->belief, .observation = envs[i]->observation, .task = envs[i]->task_float,
            .action = worker->action, .input = rows[i],
        };
    agent_act(job->model, worker->scratch, worker->acts, count);
    for (size_t i = 0; i < count; i++)
        if (worker->acts[i].error)
            return -EIO;
    return 0;
}

// The policy's mean actions before clipping, for raw input rows; the bits that agent_act clips.
static void mean_actions(const struct rollout_job *job, struct rollout_worker *worker, struct rollout_env *const *envs,
                         float *const *rows, size_t count)
{
    const struct model *model = job->model;
    const struct network *exploring = job->rollout->exploring;
    size_t obs = model->observation_dim, latents = job->rollout->latents;
    for (size_t i = 0; i < count; i++) {
        float *input = worker->inputs + i * worker->input_stride;
        memcpy(input, rows[i], model->input_dim * sizeof *input);
        for (size_t k = obs; k < obs + latents; k++)
            input[k] += (float)(exp(0.5 * (double)input[k + latents]) * envs[i]->latent[k - obs]);
        agent_put_input(input, model, input);
    }
    network_forward(exploring ? exploring : &model->policy, kernels_best(), worker->means, worker->mean_stride,
                    worker->inputs, worker->input_stride, count, worker->hidden);
}

// By the softmax of the scores: the first choice up to which the probabilities reach a uniform number.
static void draw_choice(const struct rollout *r, struct rollout_env *env, const float *score, size_t row)
{
    size_t A = r->world->action_dim, choice = 0;
    float *action = r->action + row * A;
    double probability[PPO_ACTIONS_LIMIT], at = random_uniform(&env->explorer.noise), sum;
    choice_probabilities(probability, score, A);
    for (sum = probability[0]; sum < at && choice + 1 < A; sum += probability[choice])
        choice++;
    for (size_t i = 0; i < A && !r->told; i++)
        action[i] = i == choice;
    memcpy(r->met + row * A, action, A * sizeof *action);
    r->log_density[row] = (float)choice_log_density(action, score, A);
}

// The tanh of a Gaussian whose sd depends on the state, or uniform; [-1, 1] mapped to the bounds.
static void draw_squashed(const struct rollout *r, const struct model *model, struct rollout_env *env,
                          const float *output, size_t row)
{
    size_t A = r->world->action_dim;
    float *action = r->action + row * A, noise[MODEL_ACTION_LIMIT];
    for (size_t i = 0; i < A; i++)
        noise[i] = (float)(r->uniform ? random_between(&env->explorer.noise, -1, 1) : random_normal(&env->explorer.noise));
    if (r->uniform)
        memcpy(action, noise, A * sizeof *action);
    r->log_density[row] = r->uniform ? (float)(-(double)A * M_LN2) : (float)sac_draw(action, output, noise, A);
    for (size_t i = 0; i < A; i++) {
        float low = model->action_low[i], high = model->action_high[i];
        action[i] = low + (action[i] + 1) / 2 * (high - low);
    }
    memcpy(r->met + row * A, action, A * sizeof *action);
}

static void draw_action(const struct rollout *r, const struct model *model, struct rollout_env *env,
                        const float *mean, size_t row)
{
    size_t A = r->world->action_dim;
    float *action = r->action + row * A, *met = r->met + row * A;
    if (r->world->discrete) {
        draw_choice(r, env, mean, row);
        return;
    }
    if (r->exploring) {
        draw_squashed(r, model, env, mean, row);
        return;
    }
    const struct explore_bounds bounds = {model->action_low, model->action_high, r->clamp_actions, r->memory};
    if (r->told)
        explore_bound(met, action, A, &bounds);
    else
        explorer_draw(&env->explorer, action, met, mean, model->action_log_sd, A, &bounds);
#ifndef REAL_DOUBLE
    r->log_density[row] = (float)gaussian_log_density(action, mean, model->action_log_sd, A);
#endif
}

// What the policy would see after a step that time has ended, for the value of going on.
static int see_final(const struct rollout_job *job, struct rollout_worker *worker, struct rollout_env *env, size_t e,
                     size_t row)
{
    struct rollout *r = job->rollout;
    float *final = r->final_input + (e * r->finals + env->finals) * r->input_dim;
    r->final_of[row] = (int32_t)(e * r->finals + env->finals++);
    return see(job, worker, &env, &final, 1);
}

// After a step was taken and its transition absorbed.
static int move_on(const struct rollout_job *job, struct rollout_worker *worker, size_t e, size_t t, int failed)
{
    struct rollout *r = job->rollout;
    struct rollout_env *env = &r->envs[e];
    size_t row = e * r->T + t;
    env->step++;
    int by_time = !failed && env->step == r->world->horizon;
    if (failed)
        r->end[row] = ROW_FAILED;
    else if (by_time && r->across)
        r->end[row] = env->episode + 1 < r->episodes ? ROW_GOES_ON : ROW_FAILED;
    else if (by_time || t + 1 == r->T) {
        r->end[row] = ROW_STOPPED;
        int error = see_final(job, worker, env, e, row);
        if (error)
            return error;
    }
    int ended = (failed || by_time) && env->episode + 1 == r->episodes;
    if (r->told && (ended || t + 1 == r->T)) {
        int error = r->told->end(r->told->context, e, &env->belief);
        if (error)
            return error;
    }
    if (!failed && !by_time)
        return 0;
    env->episode++;
    if (!ended) {
        begin_episode(r, env);
        return 0;
    }
    r->returns[e].metas++;
    for (size_t i = 0; i < r->episodes && i < 8; i++)
        r->returns[e].sum[i] += env->returned[i];
    r->world->sample_task(&env->explorer.tasks, env->task);
    begin_meta(r, env);
    if (t + 1 < r->T)
        r->begins[row + 1] = 1;
    return 0;
}

static size_t diverged_limit(const struct rollout *r)
{
    return r->T / 2 < DIVERGED_LIMIT ? r->T / 2 : DIVERGED_LIMIT;
}

static int step_all(const struct rollout_job *job, struct rollout_worker *worker, size_t first, size_t count, size_t t)
{
    struct rollout *r = job->rollout;
    size_t obs = r->world->observation_dim, act = r->world->action_dim, task = r->world->task_dim;
    struct rollout_env *envs[AGENT_BATCH_LIMIT];
    float *rows[AGENT_BATCH_LIMIT];
    int status[AGENT_BATCH_LIMIT];

    for (size_t i = 0; i < count; i++) {
        envs[i] = &r->envs[first + i];
        rows[i] = r->input + ((first + i) * r->T + t) * r->input_dim;
    }
    if (see(job, worker, envs, rows, count))
        return -EIO;
    mean_actions(job, worker, envs, rows, count);

    size_t absorbed = 0;
    for (size_t i = 0; i < count; i++) {
        struct rollout_env *env = envs[i];
        size_t row = (first + i) * r->T + t;
        memcpy(r->observation + row * obs, env->observation, obs * sizeof(float));
        memcpy(r->task + row * task, env->task_float, task * sizeof(float));
        r->end[row] = ROW_GOES_ON;
        r->final_of[row] = -1;
        r->clock[CLOCK * row] = 2 * (float)env->step / (float)r->world->horizon - 1;
        r->clock[CLOCK * row + 1] = 2 * (float)env->episode / (float)r->episodes - 1;
        if (r->told)
            status[i] = r->told->step(r->told->context, first + i, r->action + row * act, &r->reward[row],
                                      env->observation);
        draw_action(r, job->model, env, worker->means + i * worker->mean_stride, row);
        if (!r->told)
            status[i] = r->world->step(env->instance, r->met + row * act, &r->reward[row], env->observation);
        if (status[i] < 0) {
            // The step is void: the episode is begun again, and the row before ends here.
            r->end[row] = ROW_VOID;
            r->reward[row] = 0;
            if (++r->returns[first + i].diverged > diverged_limit(r)) {
                worker->diverged = 1;
                worker->env = first + i;
                worker->step = t;
                return -EIO;
            }
            r->world->reset(env->instance, env->task, &env->explorer.starts, env->observation);
        }
        memcpy(r->next_observation + row * obs, env->observation, obs * sizeof(float));
        if (status[i] < 0)
            continue;
        if (env->episode < 8)
            env->returned[env->episode] += (double)r->reward[row];
        worker->observations[absorbed++] = (struct observation_item){
            .belief = &env->belief, .observation = r->observation + row * obs, .action = r->met + row * act,
            .next_observation = r->next_observation + row * obs, .reward = r->reward[row],
        };
    }
    if (!job->model->reads_task) {
        agent_observe(job->model, worker->scratch, worker->observations, absorbed);
        for (size_t i = 0, k = 0; i < count; i++)
            if (status[i] >= 0)
                r->returns[first + i].refused += worker->observations[k++].status != OBSERVE_ABSORBED;
    }
    for (size_t i = 0; i < count; i++) {
        // A void step takes its time too, so that every environment makes T rows.
        int error = move_on(job, worker, first + i, t, status[i] == 1);
        if (error)
            return error;
        if (status[i] < 0)
            r->end[(first + i) * r->T + t] = ROW_VOID;
    }
    return 0;
}

static void roll_part(void *context, size_t part, unsigned thread)
{
    const struct rollout_job *job = context;
    struct rollout *r = job->rollout;
    struct rollout_worker *worker = &r->workers[thread];
    size_t first = r->N * part / job->parts, last = r->N * (part + 1) / job->parts;
    for (size_t e = first; e < last; e++) {
        struct rollout_env *env = &r->envs[e];
        explorer_begin(&env->explorer, job->seed, job->iteration, e);
        env->finals = 0;
        r->returns[e] = (struct rollout_returns){0};
        memset(r->begins + e * r->T, 0, r->T);
        r->begins[e * r->T] = 1;
        begin_meta(r, env);
    }
    for (size_t t = 0; t < r->T && !worker->error; t++)
        worker->error = step_all(job, worker, first, last - first, t);
}

int rollout_run(struct rollout *r, const struct model *model, uint64_t seed, uint64_t iteration, struct pool *pool,
                char *why, size_t why_size)
{
    size_t parts = pool_threads(pool), least = (r->N + AGENT_BATCH_LIMIT - 1) / AGENT_BATCH_LIMIT;
    parts = parts < least ? least : parts;
    parts = parts > r->N ? r->N : parts;
    struct rollout_job job = {r, model, seed, iteration, parts};
    explore_tasks(&r->tasks, r->world, r->N, seed, iteration);
    for (size_t e = 0; e < r->N; e++)
        memcpy(r->envs[e].task, r->tasks.task + e * WORLD_TASK_LIMIT, sizeof r->envs[e].task);
    for (unsigned t = 0; t < r->threads; t++)
        r->workers[t].error = r->workers[t].diverged = 0;
    pool_run(pool, roll_part, &job, parts);
    for (unsigned t = 0; t < r->threads; t++) {
        const struct rollout_worker *worker = &r->workers[t];
        if (!worker->error)
            continue;
        if (r->told)
            r->told->explain(r->told->context, why, why_size);
        else if (worker->diverged)
            snprintf(why, why_size, "the simulation of %s diverged more than %zu times in one rollout, last at step %zu of "
                     "environment %zu in iteration %llu", r->world->name, diverged_limit(r), worker->step, worker->env,
                     (unsigned long long)iteration);
        else
            snprintf(why, why_size, "a belief about %s is damaged in iteration %llu", r->world->name,
                     (unsigned long long)iteration);
        return worker->error;
    }
    return 0;
}

struct rollout_returns rollout_sum(const struct rollout *r)
{
    struct rollout_returns sum = {0};
    for (size_t e = 0; e < r->N; e++) {
        sum.metas += r->returns[e].metas;
        sum.refused += r->returns[e].refused;
        sum.diverged += r->returns[e].diverged;
        for (size_t i = 0; i < 8; i++)
            sum.sum[i] += r->returns[e].sum[i];
    }
    return sum;
}

void rollout_store(const struct rollout *r, struct replay *replay)
{
    size_t obs = r->world->observation_dim, act = r->world->action_dim;
    for (size_t row = 0; row < r->N * r->T; row++) {
        if (r->begins[row])
            replay_begin(replay);
        if (r->end[row] != ROW_VOID)
            replay_add(replay, r->observation + row * obs, r->met + row * act, r->next_observation + row * obs,
                       r->reward[row]);
    }
}

static double thread_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

double rollout_bare_rate(const struct world *world, double seconds)
{
    struct world_instance *instance;
    char why[200];
    if (world->open(&instance, why, sizeof why))
        return 0;
    struct random_stream stream = random_stream(0, RANDOM_BARE, 0, 0);
    double task[WORLD_TASK_LIMIT];
    float observation[MODEL_OBSERVATION_LIMIT], action[MODEL_ACTION_LIMIT], reward;
    float actions[64][16];
    for (int i = 0; i < 64; i++)
        for (int k = 0; k < 16; k++)
            actions[i][k] = (float)random_between(&stream, world->action_low, world->action_high);
    uint64_t steps = 0;
    double start = thread_seconds(), used = 0;
    while (used < seconds) {
        world->sample_task(&stream, task);
        world->reset(instance, task, &stream, observation);
        for (size_t t = 0; t < world->horizon; t++, steps++) {
            for (size_t i = 0; i < world->action_dim; i++)
                action[i] = actions[(steps + i / 16) % 64][i % 16];
            if (world->step(instance, action, &reward, observation))
                break;
        }
        used = thread_seconds() - start;
    }
    world->close(instance);
    return (double)steps / used;
}
