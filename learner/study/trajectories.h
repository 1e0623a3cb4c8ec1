#pragma once
// Held-out meta-episodes: fresh tasks, played by a model's mean action as it is served. What is studied of a belief
// is studied on these, and another model can be shown the very same.

#include "client/worlds/world.h"
#include "learner/parallel.h"
#include "predictive.h"

struct trajectories {
    const struct world *world;
    size_t tasks, steps;         // steps: at most, of one task
    struct trajectory *of;       // transitions in order, all episodes of the task        (tasks)
    double *task;                // (tasks, task_dim)
    double *returns;             // of all episodes together                              (tasks)
    float *numbers;              // behind the trajectories
};

// Tasks and starts come from streams of their own, which neither trainings nor evaluations use; they do not depend
// on the driver. 0, or a negative errno with a sentence.
int trajectories_play(struct trajectories *trajectories, const struct world *world, const struct model *driver,
                      size_t tasks, uint64_t seed, struct pool *pool, char *why, size_t why_size);
void trajectories_release(struct trajectories *trajectories);
