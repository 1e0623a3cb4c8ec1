#pragma once
// The exact log evidence of one task's transitions under the matrix-normal inverse-Wishart prior, with gradients
// for features and prior: what the basis is trained on in place of a variational bound. All in double.
//
//     y | phi, M, Sigma ~ N(M' phi, Sigma),   M | Sigma ~ MN(M0, Xi0^-1, Sigma),   Sigma ~ IW(Omega0, nu0)
//     Xi0 = diag(exp l),   Omega0 = scale I
//
// T transitions, D features, d targets. The same number as posterior_log_evidence in daemon/belief, which has no
// gradients and reads fixed point.

#include <stddef.h>

struct evidence_prior {
    size_t D, d;
    const double *log_precision;  // l   (D)
    const double *mean;           // M0  (D, d)
    double scale;                 // of Omega0
    double degrees;               // nu0 > d - 1
};

// Gradients are written, not added to.
struct evidence_gradient {
    double *phi;            // (T, D)
    double *log_precision;  // (D)
    double *mean;           // (D, d)
};

size_t evidence_scratch(size_t T, size_t D, size_t d);  // doubles

// phi (T, D), y (T, d), row-major. gradient may be NULL.
// -EDOM: a matrix is not positive definite, which means that phi or y is not finite.
int evidence(double *value, const struct evidence_gradient *gradient, const struct evidence_prior *prior,
             const double *phi, const double *y, size_t T, double *scratch);

// M_n (D, d) of the last call with this scratch.
const double *evidence_weights(const double *scratch, size_t D);
