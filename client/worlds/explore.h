#pragma once
// What exploring robots do by chance: tasks, starts, and the noise around their actions. All of it follows from a seed,
// an iteration (the model's revision) and the robot's number, so a training makes the same experience whether it
// simulates by itself or robots anywhere do it for it.

#include "daemon/base/random.h"
#include "world.h"

#include <stdint.h>

// What numbers are drawn for; the first word after the seed. Those of the learner follow (learner/rollout.h).
enum explore_purpose { EXPLORE_TASK = 0x4c450002, EXPLORE_START, EXPLORE_NOISE, EXPLORE_END };

struct explorer {
    struct random_stream tasks, starts, noise;
    double *explored;        // the last step's noise   (action_dim), the caller's
};

void explorer_begin(struct explorer *explorer, uint64_t seed, uint64_t iteration, size_t robot);
// Each episode's noise begins anew. A: action_dim.
void explorer_begin_episode(struct explorer *explorer, size_t A);

struct explore_bounds {
    const float *low, *high;
    int clamp;               // what is met is within the bounds
    double memory;           // of the noise: correlation of one step's with the next's
};

// action = mean + noise, which is exp(log_sd) wide; met: what is done. Each (A).
void explorer_draw(struct explorer *explorer, float *action, float *met, const float *mean, const float *log_sd, size_t A,
                   const struct explore_bounds *bounds);

// met: what is done of a drawn action. Each (A).
void explore_bound(float *met, const float *action, size_t A, const struct explore_bounds *bounds);

// The first task of each of N robots in an iteration, spread over the family: EXPLORE_STRATUM times as many are drawn,
// put in order of their first number, and each robot takes one of its stretch. Each draw is as likely to be taken as
// any other, so a task has the family's distribution; but no iteration is all of fast tasks, or all of slow ones.
// A robot's later tasks in the iteration are draws of its own stream `tasks`.
enum { EXPLORE_STRATUM = 8 };
struct explore_tasks {
    double *drawn;           // before some are taken       (N * EXPLORE_STRATUM, WORLD_TASK_LIMIT)
    uint32_t *order;         // of them                     (N * EXPLORE_STRATUM)
    double *task;            // out                         (N, WORLD_TASK_LIMIT)
};
int explore_tasks_init(struct explore_tasks *tasks, size_t N);  // -ENOMEM
void explore_tasks_release(struct explore_tasks *tasks);
void explore_tasks(struct explore_tasks *tasks, const struct world *world, size_t N, uint64_t seed, uint64_t iteration);

// The name of a session that explored tells what chance was used: the seed, how many robots there are, and the
// iteration, the robot's number and which of its meta-episodes in the iteration it is (from 0).
struct explore_name {
    uint64_t seed, iteration;
    uint32_t robots, robot, meta;
};
enum { EXPLORE_NAME_SIZE = 64 + 1 };
void explore_name(char name[EXPLORE_NAME_SIZE], const struct explore_name *what);
int explore_name_read(struct explore_name *what, const char *name);  // -EINVAL: another session's
