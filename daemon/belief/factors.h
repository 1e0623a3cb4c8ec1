#pragma once
// A belief as a product of Gaussian factors, one for each transition, times the prior N(0, I): what PEARL's
// encoder infers. Natural parameters of a product are sums, so it is kept as our own exact sums are: a `struct
// belief` whose only feature is the constant 1 and whose 2 L targets are, for a factor of mean m and precision w,
//
//     [ w_1 .. w_L,  w_1 m_1 / 2 .. w_L m_L / 2 ]        posterior:  1/v = 1 + sum w,   mean = v sum w m
//
// A network's outputs u, p become m = 4 tanh(u / 4) and w = 16 sigmoid(p), so no factor is beyond a belief's
// limits, and none is refused unless it is not a number. Order-free, mergeable, removable, digested as beliefs are.

#include "belief.h"

struct kernels;

enum {
    FACTORS_LATENT_LIMIT = 64,   // L
    FACTORS_MEAN_LIMIT = 4,
    FACTORS_PRECISION_LIMIT = 16,
    FACTORS_FEATURES = 1,        // D of such a belief
};

static inline size_t factors_targets(size_t latent) { return 2 * latent; }

// outputs (2 L): u, then p; overwritten. z as belief_round writes it, with room for kernel_padded(1 + 2 L).
// room (2 L). -EDOM: an output is not a number, *where its index.
int factors_round(int32_t *z, size_t *where, float *outputs, size_t latent, double *room,
                  const struct kernels *kernels);

// out (2 L): posterior mean, then the logarithm of its variance. room (L). -EDOM: the sum is not one of factors
// (something was removed that had not been added).
int factors_posterior(float *out, const struct belief *belief, size_t latent, double *room,
                       const struct kernels *kernels);
