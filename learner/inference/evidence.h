#pragma once
// The exact log evidence of one task's transitions under the matrix-normal inverse-Wishart prior, with gradients
// for features and prior: what the basis is trained on in place of a variational bound. All in double.
//
//     y | phi, M, Sigma ~ N(M' phi, Sigma),   M | Sigma ~ MN(M0, Xi0^-1, Sigma),   Sigma ~ IW(Omega0, nu0)
//     Xi0 = diag(exp l),   Omega0 = diag(scale)
//
// Or with known noise, Sigma = diag(scale), which leaves a normal prior and a normal posterior: the belief of ALPaCA
// (Harrison et al. 2018).
//
// T transitions, D features, d targets. The same number as posterior_log_evidence in daemon/belief, which has no
// gradients and reads fixed point.

#include <stddef.h>

enum evidence_noise { EVIDENCE_NOISE_INFERRED, EVIDENCE_NOISE_KNOWN };

struct evidence_prior {
    size_t D, d;
    enum evidence_noise noise;
    const double *log_precision;  // l   (D)
    const double *mean;           // M0  (D, d)
    const double *scale;          // diagonal of Omega0, or of Sigma when that is known   (d)
    double degrees;               // nu0 > d - 1; not read when Sigma is known
};

// Gradients are written, not added to.
struct evidence_gradient {
    double *phi;            // (T, D)
    double *log_precision;  // (D)
    double *mean;           // (D, d)
    double *log_scale;      // of ln scale (d)
    double degrees;         // 0 when Sigma is known
};

size_t evidence_scratch(size_t T, size_t D, size_t d);  // doubles

// ln p(Y | C), everything integrated out. phi (T, D), y (T, d), row-major. gradient may be NULL.
// -EDOM: a matrix is not positive definite, which means that phi or y is not finite.
int evidence(double *value, struct evidence_gradient *gradient, const struct evidence_prior *prior,
             const double *phi, const double *y, size_t T, double *scratch);

// The loss that ALPaCA trains on instead: sum of ln p(y_t | phi_t, the first `context` rows) over t >= context, each
// row by itself. The evidence is the sum of such one-step predictives over growing contexts.
int evidence_ahead(double *value, struct evidence_gradient *gradient, const struct evidence_prior *prior,
                   const double *phi, const double *y, size_t T, size_t context, double *scratch);

// M_n (D, d) of the last call with this scratch.
const double *evidence_weights(const double *scratch, size_t D);
