#pragma once
// GLiBRL in training: a basis for each head, learnt from replay on exact evidence, and the probes at which the
// policy is shown predictions.

#include "basis.h"
#include "gain.h"
#include "inference.h"

// Mean features of replayed transitions that would have been ideal in a known task, binned by it.
struct landmarks {
    size_t side[WORLD_TASK_LIMIT], dims, bins;
    size_t count;                           // bins that hold enough to be a landmark
    double *task, *features, *transitions;  // sums (bins, dims), (bins, D); how many (bins)
};

struct glibrl {
    struct basis basis[HEAD_COUNT];    // features 0: no such head
    struct moments targets[HEAD_COUNT];
    float *probes[HEAD_COUNT];         // transitions [s, a, s'] (probes, 2 obs + act)
    size_t probe_count;
    double *components[HEAD_COUNT];    // directions in which tasks differ (D d, components)
    size_t component_count;
    struct basis_work *work;           // of the basis' updates
    struct landmarks landmarks;        // of the last model
    struct gain **gains[HEAD_COUNT];   // of each thread, if the policy is paid for what it learns
    uint8_t *absorbed;                 // (envs, T), with gains
    double evidence[HEAD_COUNT];       // per transition and target, nats, of this iteration
};

// learn_basis.c: updates of all heads from replay.
struct basis_work *basis_work_new(struct train *train);  // NULL: no memory
void basis_work_free(struct train *train);
// For the caller's thread outside pool_run: room for the inputs of a replay slot or the pool of probes, for the
// targets of a slot, and a scratch.
float *basis_work_input(struct train *train);
double *basis_work_targets(struct train *train);
struct basis_scratch *basis_work_scratch(struct train *train, enum head_kind kind);
int learn_basis(struct train *train, size_t updates, double rate, char *why, size_t why_size);
// Basis input rows of a head for transitions first, first + stride, ... of one replay slot; returns how many, at most
// limit.
size_t basis_rows(const struct train *train, enum head_kind kind, float *in, double *y, size_t slot, size_t first,
                  size_t stride, size_t limit);
void basis_row(const struct train *train, enum head_kind kind, float *in, const float *observation,
               const float *action, const float *next_observation);
size_t basis_inputs(const struct train *train, enum head_kind kind);

// probes.c. From replay. -ENOMEM
int choose_probes(struct train *train, enum head_kind kind);

// components.c. From replay. -ENOMEM; -EDOM: not finite
int choose_components(struct train *train, enum head_kind kind);

// landmarks.c. Gathering replaces what was there. -ENOMEM
int landmarks_gather(struct landmarks *landmarks, struct train *train);
void landmarks_fill(const struct landmarks *landmarks, struct model *model);
void landmarks_release(struct landmarks *landmarks);
