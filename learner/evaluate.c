// Plays fresh tasks, many side by side.
//
// A part is up to AGENT_BATCH_LIMIT tasks in lock step, so that each control step is one batched pass of the policy
// and one of the features: what the daemon does for as many robots. An answer does not depend on its batch, and a
// task has its own random streams, so neither the threads nor the size of a part can be seen in the result.

#include "evaluate.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static const uint32_t PURPOSE = 0x6576616C;  // "eval"

// One task being played.
struct lane {
    struct world_instance *instance;
    struct agent_belief belief;
    double task[WORLD_TASK_LIMIT];
    float told[WORLD_TASK_LIMIT];  // the task, as an oracle is told it
    float *observation;            // (observation_dim)
    float *next_observation;       // (observation_dim)
    float *action;                 // (action_dim)
    float reward;
    double total;                  // return of the episode so far
    int reached;                   // a reward of it was above 0
};

// What one thread works with.
struct team {
    struct agent_scratch *scratch;
    struct lane lanes[AGENT_BATCH_LIMIT];
    struct lane *active[AGENT_BATCH_LIMIT];  // whose episode goes on
    struct action_item decisions[AGENT_BATCH_LIMIT];
    struct observation_item transitions[AGENT_BATCH_LIMIT];
    float *numbers;                // behind the lanes' arrays
    void *beliefs;                 // behind the lanes' beliefs
};

struct run {
    struct evaluation *result;
    const struct world *world;
    const struct model *model;
    enum evaluate_agent agent;
    uint64_t seed;
    size_t width;                  // tasks of a part
    struct team *teams;            // (threads)
    float *rewards;                // (tasks, episodes, horizon), or NULL
    uint8_t *reached;              // (tasks, episodes)
    int *errors;                   // (parts)
};

// One control step of all active lanes, the t-th of their task. Returns how many go on, or a negative errno.
static int step(const struct run *run, struct team *team, int active, size_t first, size_t t)
{
    const struct world *world = run->world;
    int believes = run->agent == EVALUATE_BELIEF;
    for (int i = 0; i < active; i++) {
        struct lane *lane = team->active[i];
        team->decisions[i] = (struct action_item){
            .belief = believes ? &lane->belief : NULL,
            .observation = lane->observation,
            .task = lane->told,
            .action = lane->action,
        };
    }
    agent_act(run->model, team->scratch, team->decisions, (size_t)active);

    int left = 0;
    for (int i = 0; i < active; i++) {
        struct lane *lane = team->active[i];
        if (team->decisions[i].error)
            return team->decisions[i].error;
        int ended = world->step(lane->instance, lane->action, &lane->reward, lane->next_observation);
        if (ended < 0)
            return ended;
        lane->total += lane->reward;
        lane->reached |= lane->reward > 0;
        if (run->rewards)
            run->rewards[(first + (size_t)(lane - team->lanes)) * run->result->episodes * world->horizon + t] =
                lane->reward;
        team->transitions[i] = (struct observation_item){
            .belief = &lane->belief,
            .observation = lane->observation,
            .action = lane->action,
            .next_observation = lane->next_observation,
            .reward = lane->reward,
        };
        float *swap = lane->observation;
        lane->observation = lane->next_observation;
        lane->next_observation = swap;
        if (!ended)
            team->active[left++] = lane;
    }
    if (believes)
        agent_observe(run->model, team->scratch, team->transitions, (size_t)active);
    return left;
}

// One episode of the tasks first .. first+count-1.
static int play_episode(const struct run *run, struct team *team, size_t first, size_t count, size_t episode)
{
    for (size_t i = 0; i < count; i++) {
        struct lane *lane = team->active[i] = &team->lanes[i];
        uint32_t task = (uint32_t)(first + i);
        struct random_stream start = random_stream(run->seed, PURPOSE, task, 1 + (uint32_t)episode);
        run->world->reset(lane->instance, lane->task, &start, lane->observation);
        lane->total = 0;
        lane->reached = 0;
    }
    int active = (int)count;
    for (size_t t = 0; t < run->world->horizon && active > 0; t++)
        active = step(run, team, active, first, episode * run->world->horizon + t);
    if (active < 0)
        return active;
    for (size_t i = 0; i < count; i++) {
        run->result->returns[(first + i) * run->result->episodes + episode] = team->lanes[i].total;
        run->reached[(first + i) * run->result->episodes + episode] = (uint8_t)team->lanes[i].reached;
    }
    return 0;
}

static void play_part(void *context, size_t part, unsigned thread)
{
    struct run *run = context;
    struct team *team = &run->teams[thread];
    size_t first = part * run->width, left = run->result->tasks - first;
    size_t count = left < run->width ? left : run->width;
    for (size_t i = 0; i < count; i++) {
        struct lane *lane = &team->lanes[i];
        struct random_stream stream = random_stream(run->seed, PURPOSE, (uint32_t)(first + i), 0);
        if (run->world->task_count)
            run->world->task_at((first + i) % run->world->task_count, lane->task);
        else
            run->world->sample_task(&stream, lane->task);
        for (size_t k = 0; k < run->world->task_dim; k++)
            lane->told[k] = (float)lane->task[k];
        agent_belief_reset(&lane->belief);
    }
    for (size_t episode = 0; episode < run->result->episodes && !run->errors[part]; episode++)
        run->errors[part] = play_episode(run, team, first, count, episode);
}

static size_t rounded_up(size_t size)
{
    return (size + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
}

static int team_init(struct team *team, const struct run *run)
{
    const struct world *world = run->world;
    size_t numbers = 2 * world->observation_dim + world->action_dim;
    size_t belief_bytes = rounded_up(agent_belief_size(run->model));
    team->scratch = agent_scratch_new(run->model);
    team->numbers = calloc(run->width * numbers, sizeof *team->numbers);
    team->beliefs = aligned_alloc(KERNEL_ALIGNMENT, run->width * belief_bytes + KERNEL_ALIGNMENT);
    if (!team->scratch || !team->numbers || !team->beliefs)
        return -ENOMEM;
    for (size_t i = 0; i < run->width; i++) {
        struct lane *lane = &team->lanes[i];
        lane->observation = team->numbers + i * numbers;
        lane->next_observation = lane->observation + world->observation_dim;
        lane->action = lane->next_observation + world->observation_dim;
        agent_belief_init(&lane->belief, run->model, (char *)team->beliefs + i * belief_bytes);
        char why[200];
        int error = world->open(&lane->instance, why, sizeof why);
        if (error)
            return error;
    }
    return 0;
}

static void team_release(struct team *team, const struct run *run)
{
    for (size_t i = 0; i < run->width; i++)
        if (team->lanes[i].instance)
            run->world->close(team->lanes[i].instance);
    agent_scratch_free(team->scratch);
    free(team->numbers);
    free(team->beliefs);
}

// Mean over tasks, and the standard error of it; that of one task is not known.
static void summarise(struct evaluation *result, const uint8_t *reached)
{
    size_t tasks = result->tasks;
    for (size_t episode = 0; episode < result->episodes; episode++) {
        double sum = 0, squares = 0;
        size_t reaching = 0;
        for (size_t task = 0; task < tasks; task++) {
            sum += result->returns[task * result->episodes + episode];
            reaching += reached[task * result->episodes + episode];
        }
        result->reached[episode] = (double)reaching / (double)tasks;
        double mean = sum / (double)tasks;
        for (size_t task = 0; task < tasks; task++) {
            double difference = result->returns[task * result->episodes + episode] - mean;
            squares += difference * difference;
        }
        result->mean[episode] = mean;
        result->standard_error[episode] = tasks > 1 ? sqrt(squares / (double)(tasks - 1) / (double)tasks) : NAN;
    }
}

// In the order of the tasks, whoever played them.
static void average_rewards(const struct run *run)
{
    struct evaluation *result = run->result;
    size_t steps = result->episodes * run->world->horizon;
    for (size_t t = 0; t < steps; t++) {
        double sum = 0;
        for (size_t task = 0; task < result->tasks; task++)
            sum += run->rewards[task * steps + t];
        result->rewards[t] = sum / (double)result->tasks;
    }
}

static int fits(const struct world *world, const struct model *model, enum evaluate_agent agent)
{
    return world->observation_dim == model->observation_dim && world->action_dim == model->action_dim &&
           world->task_dim == model->task_dim && world->episodes <= EVALUATE_EPISODES_LIMIT &&
           (agent == EVALUATE_ORACLE) == (model->reads_task != 0);
}

int evaluate(struct evaluation *result, const struct world *world, const struct model *model,
             enum evaluate_agent agent, size_t tasks, uint64_t seed, struct pool *pool)
{
    if (!fits(world, model, agent) || tasks == 0 || tasks > UINT32_MAX)
        return -EINVAL;
    result->tasks = tasks;
    result->episodes = world->episodes;

    // Every thread has work before a batch is full.
    size_t threads = pool_threads(pool), width = (tasks + threads - 1) / threads;
    struct run run = {
        .result = result, .world = world, .model = model, .agent = agent, .seed = seed,
        .width = width < AGENT_BATCH_LIMIT ? width : AGENT_BATCH_LIMIT,
    };
    size_t parts = (tasks + run.width - 1) / run.width;
    run.teams = calloc(threads, sizeof *run.teams);
    run.errors = calloc(parts, sizeof *run.errors);
    if (result->rewards)
        run.rewards = calloc(tasks * world->episodes * world->horizon, sizeof *run.rewards);
    run.reached = calloc(tasks * world->episodes, 1);
    int error = run.teams && run.errors && run.reached && !run.rewards == !result->rewards ? 0 : -ENOMEM;
    for (size_t i = 0; i < threads && !error; i++)
        error = team_init(&run.teams[i], &run);
    if (!error)
        pool_run(pool, play_part, &run, parts);
    for (size_t part = 0; part < parts && !error; part++)
        error = run.errors[part];
    if (!error)
        summarise(result, run.reached);
    if (!error && run.rewards)
        average_rewards(&run);

    for (size_t i = 0; i < threads && run.teams; i++)
        team_release(&run.teams[i], &run);
    free(run.teams);
    free(run.rewards);
    free(run.reached);
    free(run.errors);
    return error;
}
