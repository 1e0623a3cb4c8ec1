#pragma once
// PEARL within a training: the factor network, and the normalisers of what it reads. It has no loss of its own but the
// divergence from the prior: the critics' gradient trains it (policy/latents.h).

#include "learner/train.h"
#include "pearl_loss.h"

struct pearl {
    struct pearl_net net;
    struct moments reward;             // one number
};

// One row of encoder input, [s, a, r, s'] as served.
void pearl_row(const struct train *train, float *row, const float *observation, const float *action, float reward,
               const float *next_observation);
