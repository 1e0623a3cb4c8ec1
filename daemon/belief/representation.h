#pragma once
// How the policy is shown a belief: a fixed number of floats per head, a pure function of the posterior.
//
//   weight space    means vec(M_n) (D d), log sd of the weights (D), log noise sd (d); each part optional
//   function space  at K probe features: predictive means (K d), log sd of the mean (K); then log noise sd (d)
//   natural         what the posterior is a function of, as averages over the transitions: C'Y / n (D d), the lower
//                   triangle of C'C / n row by row (D (D + 1) / 2); then log noise sd (d)
//   principal       <V_k, M_n - M0> along K components (K): how far the means moved from the prior's in the directions
//                   in which tasks differ most; then log noise sd (d). There is no sd
//
// and last in any of them, as a part of its own, ln sqrt(1 + n): how much was seen.
//
// Function space does not change when the basis is rotated or rescaled, so a policy survives a basis that
// still learns. All are in standardised target units.

#include "posterior.h"

enum representation_kind {
    REPRESENTATION_NONE, REPRESENTATION_WEIGHT, REPRESENTATION_FUNCTION, REPRESENTATION_NATURAL,
    REPRESENTATION_PRINCIPAL
};

enum representation_parts {
    REPRESENT_MEAN = 1,   // natural: C'Y
    REPRESENT_SD = 2,     // natural: C'C
    REPRESENT_NOISE = 4,
    REPRESENT_COUNT = 8,
    REPRESENT_ALL = 15
};

enum { REPRESENTATION_COMPONENTS_LIMIT = 64 };

struct representation {
    enum representation_kind kind;
    unsigned parts;          // of enum representation_parts, unless the kind is none
    size_t features, targets;
    size_t probe_count;      // K of function space
    const double *probes;    // features at the probes   (K, D)
    size_t component_count;  // K of principal
    const double *components;  // column k is V_k, row by row  (D d, kernel_padded(K)), aligned
    const double *origin;    // M0                       (D, d)
};

size_t representation_count(const struct representation *representation);  // floats it writes

// Solves for the belief (hold it: for the prior, pass an empty belief) and writes the floats. When z is
// not NULL the belief has just absorbed it, and *surprise is how the belief before judged it, from the same
// factorisation. posterior has room for probe_count + 1 rows of interest.
// -EDOM as posterior_solve; then nothing is written.
int representation_write(float *out, const struct representation *representation, struct posterior *posterior,
                         const struct prior *prior, const struct belief *belief, const int32_t *z,
                         struct predictive *surprise);

// Room in which several posteriors of one prior are solved at once. For one worker.
struct posterior_group {
    size_t D, d, rows_limit;
    const struct kernels *kernels;  // kernels_best(); tests choose others, the bits are the same
    // Of each session's panel; then results of the last solve. Sessions are innermost (kernels.h).
    double *panel;                  // element (r, c) at c * rows + r
    size_t rows, columns, first;    // of it, and the first row of interest
    double *diagonal;               // prior + S                            (D + d)
    double *mean, *variance;        // (D, d), (D)
    double *scale_diagonal;         // (d)
    double *row_mean, *row_variance;  // (rows, d), (rows)
    double *room;
};

size_t posterior_group_size(const struct prior *prior, size_t rows_limit);
void posterior_group_init(struct posterior_group *group, const struct prior *prior, size_t rows_limit, void *memory);

// representation_write for many beliefs, each with the bits that it has alone.
struct representation_item {
    float *out;
    const struct belief *belief;
    const int32_t *z;             // or NULL
    struct predictive *surprise;  // out, if z
    int error;                    // out
};
void representation_write_many(const struct representation *representation, struct posterior *posterior,
                               struct posterior_group *group, const struct prior *prior,
                               struct representation_item *items, size_t count);
