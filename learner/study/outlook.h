#pragma once
// How the exact belief of a served model looks upon each transition before it takes it in: from the same features, fixed
// point, sums and posterior as the daemon's.

#include "predictive.h"

// The predictive of one head: each target by itself is a Student-t, in the head's standardised units.
struct outlook {
    double log_density;          // nats, of all targets together, in the world's units
    double freedom;              // nu - d + 1
    const double *error;         // y - M' phi                                  (targets)
    const double *scale;         // sqrt(s Omega_jj / freedom)                  (targets)
    const double *mean, *sd;     // M' phi, and the sd of y                     (targets)
    const double *phi, *y;       // as fixed point holds them                   (features), (targets)
};

// Of a transition that the belief refuses (beyond 32 standard deviations) outlook is NULL.
typedef void outlook_visit(void *context, size_t step, const struct outlook *outlook);

// One walk along a trajectory from the prior. weights (features, targets), unless NULL: the posterior mean at its end.
// 0; -ENOTSUP with a sentence: the model has no such head; -ENOMEM; -EDOM.
int outlook_walk(const struct model *model, enum head_kind kind, const struct trajectory *trajectory,
                 outlook_visit *visit, void *context, double *weights, char *why, size_t why_size);

// predictive.h's contract for a model with that head. What the belief refused is NaN.
int predict_glibrl(struct prediction *prediction, const struct model *model, enum head_kind kind,
                   const struct trajectory *trajectory, char *why, size_t why_size);
