#pragma once
// One Bayesian linear head in training: a basis network and the prior of the weights on its features, both moved
// uphill on what the belief says of replayed tasks. The policy's loss never reaches it.
//
// Parameters, in one arena: the network | prior mean M0 (D, d) | log prior precision l (D) | if learnt: log noise
// variance of each target (d) | log df.
// T transitions of one task, D features with the constant, d targets.
//
// The noise prior is told by two numbers that mean the same for any d: the variance that it expects of each target and
// the degrees of freedom df of a target's own marginal. nu0 = d - 1 + df, Omega0 = df diag(variance). Known noise is
// Sigma = diag(variance), and df has no meaning.

#include "evidence.h"
#include "learner/nets/net.h"

struct basis_prior {
    enum evidence_noise noise;
    double variance, freedom;     // of the noise, at first; freedom: df > 0
    double precision;             // Xi0's diagonal, at first
    int learns_mean, learns_precision, learns_variance, learns_freedom;
    double variance_low;          // that a learnt variance never falls below: simulators are free of noise, and the
                                  // evidence of what is predicted perfectly has no limit
};

struct basis {
    size_t features, targets;     // D, d
    struct net net;               // inputs -> D - 1 tanh features
    struct basis_prior prior;
    size_t skipped;               // inputs at the beginning that it does not read: their weights stay 0
    size_t mean_at, log_precision_at;      // offsets into the arena
    size_t log_variance_at, log_freedom_at;  // 0: not learnt
    struct trainee trainee;
};

enum { BASIS_HIDDEN_LAYERS = 2 };

int basis_init(struct basis *basis, size_t inputs, const size_t hidden[BASIS_HIDDEN_LAYERS], size_t features,
               size_t targets, const struct basis_prior *prior);  // -ENOMEM
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

// ALPaCA's objective instead: the predictive log density, per transition and target, of what comes after the first
// `context` < T transitions.
int basis_ahead(const struct basis *basis, double *value, real *gradient, const real *in, const double *y, size_t T,
                size_t context, struct basis_scratch *scratch);

// Posterior mean of the weights (D, d) of the last basis_evidence with this scratch.
const double *basis_weights(const struct basis *basis, const struct basis_scratch *scratch);

// After a step: the prior kept where it can be computed with.
void basis_clamp(struct basis *basis);

// The prior as the belief is served it: Omega0's diagonal (d) and nu0. Known noise is served as a prior that no
// session's data can move: nu0 = d - 1 + 2^28, which differs from a known Sigma by less than a millionth of a nat a
// transition over sessions of a thousand.
void basis_noise_prior(const struct basis *basis, double *scale, double *degrees);
