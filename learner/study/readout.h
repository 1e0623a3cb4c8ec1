#pragma once
// How much of the true task can be read, by a line, off what a policy is shown of a belief: a policy cannot act on what
// is inferred and not shown.
//
// After each number of transitions, ridge regression of each of the task's numbers on the shown ones, standardised, with
// penalty READOUT_PENALTY; fitted on the tasks of one set of trajectories, judged on those of another:
//
//     R^2 = 1 - sum (true - read)^2 / sum (true - mean)^2
//
// 1: all of it; 0 or below: nothing. What all tasks share is NaN.

#include "trajectories.h"

enum { READOUT_CONTEXTS = 12 };
#define READOUT_PENALTY 1.0  // squared standard deviations: as one task would weigh

struct readout {
    size_t lines;                    // numbers of the task; those without a name of their own are one line with the last
    size_t first[WORLD_TASK_LIMIT + 1];  //   named one, which is their mean: those from first[line] to first[line + 1]
    size_t contexts;
    size_t after[READOUT_CONTEXTS];  // transitions: 1, 2, 5, 10, 20, 50, .. and all
    double *share;                   // R^2 (contexts, lines)
};

// For every kind of model that has a belief. 0 or a negative errno with a sentence: -ENOTSUP, it has none; -ENOMEM;
// -EDOM, numbers that are not finite.
int readout_make(struct readout *readout, const struct model *model, const struct trajectories *fit,
                 const struct trajectories *held, struct pool *pool, char *why, size_t why_size);
void readout_release(struct readout *readout);
int readout_draw(const struct readout *readout, const struct world *world, const char *path);  // as chart_draw
