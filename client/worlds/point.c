// Point robot: a point on a plane that starts in the middle; the goal lies somewhere on the upper half of the unit
// circle. `point` pays minus the distance at every step; `point-sparse` pays only within 0.2 of the goal.
// After Rakelly et al. 2019 (PEARL), with the numbers of VariBAD's code.

#include "worlds.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double stride = 0.1;  // of one step along each axis, at full action
static const double reach = 0.2;   // within which the sparse world pays

struct world_instance {
    double goal[2];
    double position[2];
};

static int open_instance(struct world_instance **instance, char *why, size_t why_size)
{
    *instance = calloc(1, sizeof **instance);
    if (!*instance) {
        snprintf(why, why_size, "no memory for a point robot");
        return -ENOMEM;
    }
    return 0;
}

static void close_instance(struct world_instance *instance)
{
    free(instance);
}

static void sample_task(struct random_stream *stream, double *task)
{
    double angle = random_between(stream, 0, M_PI);
    task[0] = cos(angle);
    task[1] = sin(angle);
}

static void observe(const struct world_instance *instance, float *observation)
{
    observation[0] = (float)instance->position[0];
    observation[1] = (float)instance->position[1];
}

static void reset(struct world_instance *instance, const double *task, struct random_stream *stream,
                  float *observation)
{
    (void)stream;  // always the same start
    for (int k = 0; k < 2; k++) {
        instance->goal[k] = task[k];
        instance->position[k] = 0;
    }
    observe(instance, observation);
}

// Moves, observes, and tells how far the goal is then.
static int move(struct world_instance *instance, const float *action, double *distance, float *observation)
{
    if (!isfinite(action[0]) || !isfinite(action[1]))
        return -EIO;
    for (int k = 0; k < 2; k++)
        instance->position[k] += stride * fmax(-1, fmin(1, (double)action[k]));
    *distance = hypot(instance->position[0] - instance->goal[0], instance->position[1] - instance->goal[1]);
    observe(instance, observation);
    return 0;
}

static int step_dense(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    double distance;
    int error = move(instance, action, &distance, observation);
    if (!error)
        *reward = (float)-distance;
    return error;
}

static int step_sparse(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    double distance;
    int error = move(instance, action, &distance, observation);
    if (!error)
        *reward = distance <= reach ? (float)(1 - distance) : 0;
    return error;
}

// The goal nearest to where the robot arrived, if one is within reach.
static int ideal_task(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)observation;
    (void)action;
    double x = next_observation[0], y = next_observation[1];
    double angle = y >= 0 ? atan2(y, x) : x > 0 ? 0 : M_PI;
    double nearest[2] = {cos(angle), sin(angle)};
    if (!(hypot(x - nearest[0], y - nearest[1]) <= reach))
        return 0;
    task[0] = nearest[0];
    task[1] = nearest[1];
    return 1;
}

// What both worlds have in common.
#define POINT \
    .observation_dim = 2, .action_dim = 2, .task_dim = 2, .horizon = 100, .discount = 0.99, \
    .action_low = -1, .action_high = 1, \
    .sees_place = 1, .task_names = {"goal x", "goal y"}, .task_low = {-1, 0}, .task_high = {1, 1}, \
    .open = open_instance, .close = close_instance, .sample_task = sample_task, .reset = reset, \
    .ideal_task = ideal_task

// Published are three episodes. One is enough for the dense world: the first rewards already tell where the goal
// is, and 100 steps are left to go there.
const struct world point_dense = {
    POINT,
    .name = "point",
    .summary = "go to a hidden point on a half circle; the reward is minus the distance",
    .episodes = 1,
    .step = step_dense,
};

const struct world point_sparse = {
    POINT,
    .name = "point-sparse",
    .summary = "find a hidden point on a half circle; only near it there is a reward",
    .episodes = 3, .goal_pays = 1,
    .step = step_sparse,
};
