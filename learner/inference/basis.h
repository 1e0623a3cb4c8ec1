#pragma once
// One Bayesian linear head in training: a basis network and the prior of the weights on its features, both moved
// uphill on the exact log evidence of replayed tasks. The policy's loss never reaches it.
//
// Parameters, in one arena: the network | prior mean M0 (D, d) | log prior precision l (D).
// T transitions of one task, D features with the constant, d targets.

#include "learner/nets/net.h"

struct basis {
    size_t features, targets;     // D, d
    struct net net;               // inputs -> D - 1 tanh features
    size_t mean_at, log_precision_at;  // offsets into the arena
    double scale, degrees;        // Omega0 = scale I and nu0: fixed, the noise would otherwise go to zero
    struct trainee trainee;
};

enum { BASIS_HIDDEN_LAYERS = 2 };

int basis_init(struct basis *basis, size_t inputs, const size_t hidden[BASIS_HIDDEN_LAYERS], size_t features,
               size_t targets, double prior_scale, double prior_degrees);  // -ENOMEM
void basis_release(struct basis *basis);
void basis_start(struct basis *basis, struct random_stream *stream);  // first parameters

struct basis_scratch;
struct basis_scratch *basis_scratch_new(const struct basis *basis, size_t T);  // NULL: no memory
void basis_scratch_free(struct basis_scratch *scratch);

// phi (T, D): features of in (T, inputs), the constant last.
void basis_features(const struct basis *basis, double *phi, const real *in, size_t T, struct basis_scratch *scratch);

// Log evidence per transition and target of one task's transitions. Unless NULL, gradient (trainee.count): of its
// negative, overwritten.  y (T, d) in standard deviations.  -EDOM: not finite.
int basis_evidence(const struct basis *basis, double *value, real *gradient, const real *in, const double *y,
                   size_t T, struct basis_scratch *scratch);

// Posterior mean of the weights (D, d) of the last basis_evidence with this scratch.
const double *basis_weights(const struct basis *basis, const struct basis_scratch *scratch);

// After a step: the prior precision kept where it can be computed with.
void basis_clamp(struct basis *basis);
