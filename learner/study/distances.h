#pragma once
// The geometry of beliefs: how far apart two tasks are, and that it can be said in terms of a kernel between their
// samples, k(x, x') = phi(x)' phi(x').
//
//     (a) |C1'Y1 - C2'Y2|^2 = sum k_ab <y_a, y_b> within 1, within 2, less twice between    (an MMD, not normalised)
//     (b) |C1'C1 - C2'C2|^2 = the same with k_ab^2
//     (c) |M1 - M2|^2       = <a1, K11 a1> + <a2, K22 a2> - 2 <a1, K12 a2>,  with duals a_i = (G_ii + I)^-1 (Y_i - C_i M0),
//                             G = C Xi0^-1 C' and K = C Xi0^-2 C': M_i = M0 + Xi0^-1 C_i' a_i
//
// The left sides are of sums and posteriors as they are served, the right ones of the samples.

#include "trajectories.h"

struct identity {
    double left, right;
};

struct distances {
    size_t pairs;
    struct identity (*of)[3];    // (a), (b), (c) of each pair    (pairs)
    double worst[3];             // |left - right| over the larger, of each
};

// Pairs of tasks 0 and 1, 2 and 3, ...; of each task its first `context` transitions. 0 or a negative errno with a
// sentence.
int distances_check(struct distances *distances, const struct model *model, enum head_kind kind,
                    const struct trajectories *on, size_t pairs, size_t context, char *why, size_t why_size);
void distances_release(struct distances *distances);

// What of two tasks is compared.
enum map_metric {
    MAP_WEIGHTS,      // |M1 - M2|
    MAP_PREDICTIONS,  // root mean square, over all transitions of all tasks, of phi' (M1 - M2)
};

// Tasks in the plane, by classical scaling (Torgerson 1952): coordinates whose distances are nearest to those between
// the tasks' posterior means.
struct task_map {
    enum map_metric metric;
    size_t tasks;
    double *place;               // (tasks, 2)
    double explained[2];         // share of the sum of positive eigenvalues, of each axis
    double likeness;             // correlation of the pairs' distances with those between their true tasks
    double circle[3];            // the circle nearest to the places: centre, radius
    double circle_error;         // rms distance of a place from it, over the radius
};

// weights (tasks, D d): posterior means after all transitions; gram (D, D): mean of phi phi'. Made once for both metrics.
struct task_weights {
    size_t tasks, D, d;
    double *weights, *gram;
};
int task_weights_make(struct task_weights *weights, const struct model *model, enum head_kind kind,
                      const struct trajectories *on, struct pool *pool, char *why, size_t why_size);
void task_weights_release(struct task_weights *weights);

int task_map_make(struct task_map *map, enum map_metric metric, const struct task_weights *weights,
                  const struct trajectories *on);  // -ENOMEM, -EDOM
void task_map_release(struct task_map *map);
int task_map_draw(const struct task_map *map, const struct trajectories *on, const char *path);  // as svg_close
