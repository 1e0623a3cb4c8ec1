// Gridworld: five by five cells, the robot starts in a corner, one cell is the goal and it cannot be seen. Small
// enough that the best possible behaviour is known exactly; the classic of VariBAD (Zintgraf et al. 2020).
//
// Its five actions are five numbers, of which the largest is done: a world of choices (world.h, `discrete`).

#include "worlds.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 5, ACTIONS = 5, GOALS = SIDE * SIDE - 4 };

static const int moves[ACTIONS][2] = {{0, 0}, {0, 1}, {1, 0}, {0, -1}, {-1, 0}};  // stay, up, right, down, left

struct world_instance {
    int goal[2];
    int cell[2];
};

// The four cells around the start are never the goal: 21 are left.
static int can_be_goal(int x, int y)
{
    return x >= 0 && x < SIDE && y >= 0 && y < SIDE && (x > 1 || y > 1);
}

static int open_instance(struct world_instance **instance, char *why, size_t why_size)
{
    *instance = calloc(1, sizeof **instance);
    if (!*instance) {
        snprintf(why, why_size, "no memory for a gridworld");
        return -ENOMEM;
    }
    return 0;
}

static void close_instance(struct world_instance *instance)
{
    free(instance);
}

// Row after row; two cells at the beginning of each of the first two cannot be.
static void task_at(size_t i, double *task)
{
    size_t cell = i < SIDE - 2 ? i + 2 : i + 4;
    task[0] = (double)(cell % SIDE);
    task[1] = (double)(cell / SIDE);
}

static void sample_task(struct random_stream *stream, double *task)
{
    task_at(random_below(stream, GOALS), task);
}

static void observe(const struct world_instance *instance, float *observation)
{
    observation[0] = (float)instance->cell[0];
    observation[1] = (float)instance->cell[1];
}

static void reset(struct world_instance *instance, const double *task, struct random_stream *stream,
                  float *observation)
{
    (void)stream;  // always the same start
    for (int k = 0; k < 2; k++) {
        instance->goal[k] = (int)lround(task[k]);
        instance->cell[k] = 0;
    }
    observe(instance, observation);
}

static int clamp(int value)
{
    return value < 0 ? 0 : value >= SIDE ? SIDE - 1 : value;
}

static int step(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    int best = 0;
    for (int i = 0; i < ACTIONS; i++) {
        if (!isfinite(action[i]))
            return -EIO;
        if (action[i] > action[best])
            best = i;
    }
    for (int k = 0; k < 2; k++)
        instance->cell[k] = clamp(instance->cell[k] + moves[best][k]);
    int arrived = instance->cell[0] == instance->goal[0] && instance->cell[1] == instance->goal[1];
    *reward = arrived ? 1.f : -0.1f;
    observe(instance, observation);
    return 0;
}

// The goal that would have been reached.
static int ideal_task(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)observation;
    (void)action;
    long x = lroundf(next_observation[0]), y = lroundf(next_observation[1]);
    if (!can_be_goal((int)x, (int)y))
        return 0;
    task[0] = (double)x;
    task[1] = (double)y;
    return 1;
}

const struct world gridworld = {
    .name = "gridworld",
    .summary = "find a hidden goal among 21 cells of a 5 x 5 grid, then stay",
    .observation_dim = 2, .action_dim = ACTIONS, .task_dim = 2,
    .horizon = 15, .episodes = 4, .discount = 0.95,
    .action_low = 0, .action_high = 1, .discrete = 1, .goal_pays = 1, .sees_place = 1,
    .task_count = GOALS, .task_at = task_at,
    .task_names = {"goal column", "goal row"}, .task_low = {0, 0}, .task_high = {SIDE - 1, SIDE - 1},
    .open = open_instance, .close = close_instance, .sample_task = sample_task,
    .reset = reset, .step = step, .ideal_task = ideal_task,
};
