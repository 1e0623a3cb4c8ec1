#pragma once
// What a model said about each transition of a trajectory before it saw it: the log density of the reward, or of the
// change of the observation, given all transitions before. Of an exact belief the sum of these is its evidence; of a
// learnt encoder they are what its decoder makes of its posterior. So models of different kinds can be compared on
// the same held-out trajectories, at every context length.

#include "daemon/agent/model.h"

// Transitions of one meta-episode in order; the caller's arrays.
struct trajectory {
    size_t steps;
    const float *observation, *next_observation;  // (steps, obs)
    const float *action;                          // as the world met it (steps, act)
    const float *reward;                          // (steps)
};

// One-step predictions of one head, in the world's own units. Arrays are the caller's; moments may be NULL.
struct prediction {
    double *log_density;  // nats, of all targets of the head together           (steps)
    double *mean, *sd;    // of each target: the predictive's first two moments  (steps, targets)
};

// A VariBAD model: before transition t its encoder believes q_t = N(mu, diag exp(logvar)); with `samples` draws m ~ q_t
//     p(y_t | context) = mean over m of N(y_t; decoder(s, a, s', m), diag noise),
// the decoder's noise having been fitted on training replay. Targets: 1 for the reward, obs for the transition. The
// same seed gives the same draws. 0; -ENOTSUP with a sentence: another kind, or no decoder of that head; -ENOMEM;
// -EDOM: a number that is not finite, with its transition.
int predict_varibad(struct prediction *prediction, const struct model *model, enum head_kind kind,
                    const struct trajectory *trajectory, size_t samples, uint64_t seed, char *why, size_t why_size);
