// Chance, for exploring robots; the contract is in explore.h.
#include "explore.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void explorer_begin(struct explorer *explorer, uint64_t seed, uint64_t iteration, size_t robot)
{
    explorer->tasks = random_stream(seed, EXPLORE_TASK, (uint32_t)iteration, (uint32_t)robot);
    explorer->starts = random_stream(seed, EXPLORE_START, (uint32_t)iteration, (uint32_t)robot);
    explorer->noise = random_stream(seed, EXPLORE_NOISE, (uint32_t)iteration, (uint32_t)robot);
}

void explorer_begin_episode(struct explorer *explorer, size_t A)
{
    for (size_t i = 0; i < A; i++)
        explorer->explored[i] = random_normal(&explorer->noise);
}

void explore_bound(float *met, const float *action, size_t A, const struct explore_bounds *bounds)
{
    for (size_t i = 0; i < A; i++) {
        met[i] = action[i];
        if (bounds->clamp) {
            met[i] = met[i] < bounds->low[i] ? bounds->low[i] : met[i];
            met[i] = met[i] > bounds->high[i] ? bounds->high[i] : met[i];
        }
    }
}

void explorer_draw(struct explorer *explorer, float *action, float *met, const float *mean, const float *log_sd, size_t A,
                   const struct explore_bounds *bounds)
{
    for (size_t i = 0; i < A; i++) {
        // e_t = memory e_t-1 + sqrt(1 - memory^2) n_t is as wide as n_t, but pushes in one direction for longer.
        double *e = &explorer->explored[i];
        *e = bounds->memory * *e + sqrt(1 - bounds->memory * bounds->memory) * random_normal(&explorer->noise);
        action[i] = mean[i] + (float)(exp((double)log_sd[i]) * *e);
    }
    explore_bound(met, action, A, bounds);
}

int explore_tasks_init(struct explore_tasks *tasks, size_t N)
{
    *tasks = (struct explore_tasks){
        .drawn = calloc(N * EXPLORE_STRATUM * WORLD_TASK_LIMIT, sizeof(double)),
        .order = calloc(N * EXPLORE_STRATUM, sizeof(uint32_t)),
        .task = calloc(N * WORLD_TASK_LIMIT, sizeof(double)),
    };
    return tasks->drawn && tasks->order && tasks->task ? 0 : -ENOMEM;
}

void explore_tasks_release(struct explore_tasks *tasks)
{
    free(tasks->drawn);
    free(tasks->order);
    free(tasks->task);
    *tasks = (struct explore_tasks){0};
}

void explore_tasks(struct explore_tasks *tasks, const struct world *world, size_t N, uint64_t seed, uint64_t iteration)
{
    struct random_stream stream = random_stream(seed, EXPLORE_TASK, (uint32_t)iteration, UINT32_MAX);
    double *drawn = tasks->drawn;
    uint32_t *order = tasks->order;
    if (world->task_count) {
        // Every task as often as any other, but for what does not come out even.
        size_t first = random_below(&stream, (uint32_t)world->task_count);
        for (size_t e = 0; e < N; e++)
            world->task_at((first + e) % world->task_count, tasks->task + e * WORLD_TASK_LIMIT);
        return;
    }
    for (size_t i = 0; i < N * EXPLORE_STRATUM; i++)
        world->sample_task(&stream, drawn + i * WORLD_TASK_LIMIT);
    // By insertion: qsort would allocate.
    for (uint32_t i = 0; i < N * EXPLORE_STRATUM; i++) {
        uint32_t place = i;
        for (; place > 0 && drawn[order[place - 1] * WORLD_TASK_LIMIT] > drawn[i * WORLD_TASK_LIMIT]; place--)
            order[place] = order[place - 1];
        order[place] = i;
    }
    for (size_t e = 0; e < N; e++) {
        uint32_t taken = order[e * EXPLORE_STRATUM + random_below(&stream, EXPLORE_STRATUM)];
        memcpy(tasks->task + e * WORLD_TASK_LIMIT, drawn + taken * WORLD_TASK_LIMIT, WORLD_TASK_LIMIT * sizeof(double));
    }
}

void explore_name(char name[EXPLORE_NAME_SIZE], const struct explore_name *what)
{
    snprintf(name, EXPLORE_NAME_SIZE, "x:%llu:%u:%llu:%u:%u", (unsigned long long)what->seed, what->robots,
             (unsigned long long)what->iteration, what->robot, what->meta);
}

int explore_name_read(struct explore_name *what, const char *name)
{
    unsigned long long seed, iteration;
    char again[EXPLORE_NAME_SIZE];
    if (sscanf(name, "x:%20llu:%10u:%20llu:%10u:%10u", &seed, &what->robots, &iteration, &what->robot, &what->meta) != 5)
        return -EINVAL;
    what->seed = seed;
    what->iteration = iteration;
    explore_name(again, what);
    return !strcmp(again, name) && what->robot < what->robots ? 0 : -EINVAL;
}
