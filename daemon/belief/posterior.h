#pragma once
// What prior and sum say together: the exact matrix-normal inverse-Wishart posterior.
//
//     y | phi, M, Sigma ~ N(M' phi, Sigma),   M | Sigma ~ MN(M0, Xi0^-1, Sigma),   Sigma ~ IW(Omega0, nu0)
//
//     A = [ Xi0      Xi0 M0             ] + S = L L',    L = [ L11     ]     Xi_n = L11 L11'    nu_n = nu0 + n
//         [ M0' Xi0  Omega0 + M0' Xi0 M0 ]                   [ L21 L22 ]     M_n' = L21 L11^-1  Omega_n = L22 L22'
//
// A posterior is a pure function of prior and belief: same inputs, same bits, on every machine. It is
// solved afresh each time, with rows of interest (probe features, the last transition, the identity)
// carried through the same factorisation. Where A is badly conditioned the solve is refined against
// the exact sums in double-double arithmetic, so mean and scale keep 1e-12.

#include "belief.h"

struct kernels;
struct random_stream;

// Immutable once made, and then shared by everybody; only a training, which is alone with its model, sets it again.
struct prior;

struct prior_values {
    size_t features;          // D
    size_t targets;           // d
    const double *precision;  // Xi0, positive definite       (D, D)
    const double *mean;       // M0                           (D, d)
    const double *scale;      // Omega0, positive definite    (d, d)
    double degrees;           // nu0 > d - 1
};

// -EINVAL: a dimension, a value not finite, nu0 too small; -EDOM: not positive definite.
int prior_new(struct prior **prior, const struct prior_values *values);
// Other values of the same dimensions; errors as above, the prior is then what it was. Allocates nothing.
int prior_set(struct prior *prior, const struct prior_values *values);
void prior_undo(struct prior *prior);  // the last prior_set that went well; once
void prior_free(struct prior *prior);
size_t prior_features(const struct prior *prior);
size_t prior_targets(const struct prior *prior);
double prior_degrees(const struct prior *prior);

// What to solve for; ask for no more than is read.
enum posterior_parts {
    POSTERIOR_MEAN = 1,      // M_n
    POSTERIOR_SCALE = 2,     // Omega_n and its factor
    POSTERIOR_VARIANCE = 4,  // diag(Xi_n^-1)
};

// Results of one solve. Arrays live in the posterior's own memory; those not asked for hold rubbish.
struct posterior {
    size_t D, d;
    size_t rows_limit;       // most rows of interest
    double degrees;          // nu_n
    double count;            // n
    int refined;             // the plain solve was not good enough
    double *mean;            // M_n, row-major                                    (D, d)
    double *scale;           // Omega_n, row-major, symmetric                     (d, d)
    double *scale_factor;    // L22, row-major, lower                             (d, d)
    double *variance;        // diag of Xi_n^-1                                   (D)
    double *row_mean;        // M_n' phi of each row of interest                  (rows, d)
    double *row_variance;    // phi' Xi_n^-1 phi                                  (rows)
    double log_det_precision;  // ln |Xi_n|
    double log_det_scale;      // ln |Omega_n|, with POSTERIOR_SCALE
    const struct kernels *kernels;  // kernels_best(); tests choose others, the bits are the same
    double *row_mean_low;    // what row_mean rounded away, where refined             (rows, d)
    double *row_variance_low;  //                                                     (rows)
    double *scale_diagonal;  // of Omega_n                                            (d)
    double *panel;           // working memory: L11, L21, L22, rows of interest, column after column
    size_t stride;
    double *corner;          // L22, column after column with corner_stride: in the panel, or refined apart
    size_t corner_stride;
    double *refined_corner;  //                                                       (d, kernel_padded(d))
    double *scratch;
};

size_t posterior_size(const struct prior *prior, size_t rows_limit);
void posterior_init(struct posterior *posterior, const struct prior *prior, size_t rows_limit, void *memory);

// Solves. rows of interest (count, D) row-major doubles, or NULL and 0.
// -EDOM: the sum and prior are not positive definite (something was removed that had not been added).
int posterior_solve(struct posterior *posterior, const struct prior *prior, const struct belief *belief,
                    unsigned parts, const double *rows, size_t count);

// The noise's expectation E[Sigma_jj] = Omega_jj / (nu - d - 1) where that exists (nu > d + 1), else its
// mode Omega_jj / (nu + d + 1).
double posterior_noise(const struct posterior *posterior, size_t target);

// One-step predictive, a multivariate Student-t with nu_n - d + 1 degrees of freedom, of y at features phi.
struct predictive {
    double log_density;  // of y
    double p_value;      // probability that a transition is at least as surprising as y
    double distance;     // Mahalanobis distance squared, e' Omega^-1 e / s
};

// Under the posterior itself: z has not been absorbed. phi (D), y (d). Needs POSTERIOR_SCALE.
// mean (d) and sd (d) may be NULL.
void posterior_predict(const struct posterior *posterior, const double *phi, double *mean, double *sd);
struct predictive posterior_assess(const struct posterior *posterior, const double *phi, const double *y);

// The same for a transition that the belief already holds, judged by the posterior *before* it: solve with
// phi as row of interest number `row`; nothing but that one solve is needed (Sherman-Morrison backwards).
struct predictive posterior_assess_absorbed(const struct posterior *posterior, size_t row, const double *y);

// log p(Y | C), all transitions integrated over M and Sigma. Needs POSTERIOR_SCALE.
double posterior_log_evidence(const struct posterior *posterior, const struct prior *prior);

// One draw of M (D, d) row-major and, unless NULL, Sigma (d, d) (Bartlett). Needs MEAN and SCALE.
// memory: posterior's scratch. Not bit-equal across C libraries (logarithms).
void posterior_sample(struct posterior *posterior, struct random_stream *stream, double *M, double *Sigma);

// KL(p || q), nats. Both need MEAN and SCALE; same dimensions.
double posterior_divergence(const struct posterior *p, const struct posterior *q);
