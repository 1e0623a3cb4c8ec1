// One task is one part; who drives is asked one action at a time.

#include "trajectories.h"

#include "daemon/agent/agent.h"
#include "daemon/base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t PURPOSE = 0x73747564;  // "stud"

struct play {
    struct trajectories *result;
    const struct model *driver;
    uint64_t seed;
    int *errors;                 // (tasks)
};

// What one task needs beside its room in the result.
struct player {
    struct world_instance *instance;
    struct agent_scratch *scratch;
    struct agent_belief belief;
    void *memory;
};

static int player_init(struct player *player, const struct world *world, const struct model *driver)
{
    char why[200];
    size_t size = (agent_belief_size(driver) / KERNEL_ALIGNMENT + 1) * KERNEL_ALIGNMENT;
    *player = (struct player){.scratch = agent_scratch_new(driver), .memory = aligned_alloc(KERNEL_ALIGNMENT, size)};
    if (!player->scratch || !player->memory)
        return -ENOMEM;
    agent_belief_init(&player->belief, driver, player->memory);
    agent_belief_reset(&player->belief);
    return world->open(&player->instance, why, sizeof why);
}

static void player_release(struct player *player, const struct world *world)
{
    if (player->instance)
        world->close(player->instance);
    agent_scratch_free(player->scratch);
    free(player->memory);
}

// One step onto the end of the trajectory. As world->step.
static int step(const struct play *play, struct player *player, struct trajectory *t, const float *told, double *total)
{
    const struct world *world = play->result->world;
    float *s = (float *)t->observation + t->steps * world->observation_dim;
    float *next = (float *)t->next_observation + t->steps * world->observation_dim;
    float *action = (float *)t->action + t->steps * world->action_dim, *reward = (float *)t->reward + t->steps;
    struct action_item decision = {
        .belief = play->driver->reads_task ? NULL : &player->belief, .observation = s, .task = told, .action = action};
    agent_act(play->driver, player->scratch, &decision, 1);
    if (decision.error)
        return decision.error;
    int ended = world->step(player->instance, action, reward, next);
    if (ended < 0)
        return ended;
    struct observation_item seen = {
        .belief = &player->belief, .observation = s, .action = action, .next_observation = next, .reward = *reward};
    agent_observe(play->driver, player->scratch, &seen, 1);
    *total += (double)*reward;
    t->steps++;
    return ended;
}

static int play_task(const struct play *play, struct player *player, size_t index)
{
    const struct world *world = play->result->world;
    struct trajectory *t = &play->result->of[index];
    double *task = play->result->task + index * world->task_dim;
    float told[WORLD_TASK_LIMIT];
    struct random_stream draw = random_stream(play->seed, PURPOSE, (uint32_t)index, 0);
    world->sample_task(&draw, task);
    for (size_t i = 0; i < world->task_dim; i++)
        told[i] = (float)task[i];
    for (size_t episode = 0; episode < world->episodes; episode++) {
        struct random_stream start = random_stream(play->seed, PURPOSE, (uint32_t)index, 1 + (uint32_t)episode);
        size_t obs = world->observation_dim;
        world->reset(player->instance, task, &start, (float *)t->observation + t->steps * obs);
        int ended = 0;
        for (size_t i = 0; i < world->horizon && ended == 0; i++) {
            if (i > 0)
                memcpy((float *)t->observation + t->steps * obs, t->next_observation + (t->steps - 1) * obs,
                       obs * sizeof(float));
            ended = step(play, player, t, told, &play->result->returns[index]);
        }
        if (ended < 0)
            return ended;
    }
    return 0;
}

static void play_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct play *play = context;
    struct player player;
    play->errors[part] = player_init(&player, play->result->world, play->driver);
    if (play->errors[part] == 0)
        play->errors[part] = play_task(play, &player, part);
    player_release(&player, play->result->world);
}

static int allocate(struct trajectories *t)
{
    size_t obs = t->world->observation_dim, act = t->world->action_dim, width = 2 * obs + act + 1;
    t->of = calloc(t->tasks, sizeof *t->of);
    t->task = calloc(t->tasks * (t->world->task_dim + 1), sizeof *t->task);
    t->numbers = calloc(t->tasks * t->steps * width, sizeof *t->numbers);
    if (!t->of || !t->task || !t->numbers)
        return -ENOMEM;
    t->returns = t->task + t->tasks * t->world->task_dim;
    for (size_t i = 0; i < t->tasks; i++) {
        float *at = t->numbers + i * t->steps * width;
        t->of[i] = (struct trajectory){
            .observation = at, .next_observation = at + t->steps * obs, .action = at + t->steps * 2 * obs,
            .reward = at + t->steps * (2 * obs + act),
        };
    }
    return 0;
}

int trajectories_play(struct trajectories *result, const struct world *world, const struct model *driver,
                      size_t tasks, uint64_t seed, struct pool *pool, char *why, size_t why_size)
{
    *result = (struct trajectories){.world = world, .tasks = tasks, .steps = world->episodes * world->horizon};
    if (driver->observation_dim != world->observation_dim || driver->action_dim != world->action_dim
        || driver->task_dim != world->task_dim) {
        snprintf(why, why_size, "the model was not trained for %s", world->name);
        return -EINVAL;
    }
    struct play play = {.result = result, .driver = driver, .seed = seed, .errors = calloc(tasks, sizeof(int))};
    int error = play.errors ? allocate(result) : -ENOMEM;
    if (error == 0)
        pool_run(pool, play_part, &play, tasks);
    for (size_t i = 0; i < tasks && error == 0; i++) {
        error = play.errors[i];
        if (error)
            snprintf(why, why_size, "task %zu of seed %llu of %s could not be played: %s", i,
                     (unsigned long long)seed, world->name, strerror(-error));
    }
    if (error == -ENOMEM)
        snprintf(why, why_size, "no memory for %zu trajectories", tasks);
    free(play.errors);
    if (error)
        trajectories_release(result);
    return error;
}

void trajectories_release(struct trajectories *trajectories)
{
    free(trajectories->of);
    free(trajectories->task);
    free(trajectories->numbers);
    *trajectories = (struct trajectories){0};
}
