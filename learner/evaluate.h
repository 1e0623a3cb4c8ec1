#pragma once
// Return per episode of a model on fresh tasks, mean action: with its belief, with the belief held at the prior, and
// of an oracle model that is told the task.

#include "daemon/agent/agent.h"
#include "client/worlds/world.h"
#include "parallel.h"

enum evaluate_agent { EVALUATE_BELIEF, EVALUATE_PRIOR, EVALUATE_ORACLE };

struct evaluation {
    size_t tasks, episodes;
    double *returns;        // (tasks, episodes), the caller's
    double mean[8], standard_error[8];  // per episode
};

// Tasks and starts are drawn from streams of purpose "evaluate" and seed, which training never uses, so all agents
// meet the same tasks and starts, and the result does not depend on the threads. -EIO: a simulation diverged.
int evaluate(struct evaluation *result, const struct world *world, const struct model *model,
             enum evaluate_agent agent, size_t tasks, uint64_t seed, struct pool *pool);
