#pragma once
// What each step of a rollout taught the belief: an intrinsic reward for looking where something can be learnt. The
// mutual information, in nats, between a transition's targets and the heads' weights, were the noise known:
//
//     gain_t = (d / 2) ln(1 + phi' Xi_t^-1 phi)       the sum over a task's steps is (d / 2) ln (|Xi_n| / |Xi0|)
//
// (MacKay 1992, Information-based objective functions for active data selection.) Exact, as the belief is; where
// the basis and its learnt prior say that tasks do not differ, there is nothing to gain.
//
// T steps of an environment, D features, d targets.

#include "basis.h"

struct gain;

// For one head and one worker. NULL: no memory.
struct gain *gain_new(const struct basis *basis, size_t T);
void gain_free(struct gain *gain);

// Room for basis inputs (T, inputs) of the next gain_add.
real *gain_input(struct gain *gain);
// Adds to gains (T). begins (T): a task begins here, so the belief is the prior; absorbed (T): 0 for a step that
// taught nothing, because the belief did not take it.
void gain_add(struct gain *gain, const struct basis *basis, float *gains, const uint8_t *begins,
              const uint8_t *absorbed, size_t T);
