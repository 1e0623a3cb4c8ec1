#pragma once
// Return per episode of a model on fresh tasks, mean action: with its belief, with the belief held at the prior, and
// of an oracle model that is told the task.

#include "daemon/agent/agent.h"
#include "client/worlds/world.h"
#include "parallel.h"

enum { EVALUATE_EPISODES_LIMIT = 8 };

enum evaluate_agent { EVALUATE_BELIEF, EVALUATE_PRIOR, EVALUATE_ORACLE };

struct evaluation {
    size_t tasks, episodes;  // episodes: the world's
    double *returns;         // (tasks, episodes), the caller's
    double *rewards;         // of each step, mean over tasks, 0 after an early end; (episodes * horizon), the
                             // caller's; NULL: not wanted
    double mean[EVALUATE_EPISODES_LIMIT];            // over tasks, per episode
    double standard_error[EVALUATE_EPISODES_LIMIT];  // of the mean; NaN for one task
    double reached[EVALUATE_EPISODES_LIMIT];         // share of tasks in which a step paid more than 0
};

// Tasks and starts are drawn from streams of purpose "evaluate" and seed, which training never uses, so all agents
// meet the same tasks and starts, and the result does not depend on the threads.
// -EINVAL: world and model have other dimensions, no tasks, or an oracle is asked for and the model is none (or the
// other way round); -ENOMEM; -EIO: a simulation diverged. Then returns holds rubbish.
int evaluate(struct evaluation *result, const struct world *world, const struct model *model,
             enum evaluate_agent agent, size_t tasks, uint64_t seed, struct pool *pool);
