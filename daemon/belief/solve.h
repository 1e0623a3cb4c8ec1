#pragma once
// Private to this folder: what the parts of a solve share.

#include "lanes.h"
#include "posterior.h"
#include "prior.h"

// Hands out aligned arrays from a block; with no block it only counts.
static inline double *take_doubles(double *memory, size_t *used, size_t count)
{
    double *array = memory ? memory + *used : NULL;
    *used += kernel_padded(count);
    return array;
}

// A pivot's square below its diagonal entry by more than this, or a scale below the targets' second moment by
// more: then digits were lost, and the solve is refined. Chosen from measured errors, docs/belief.md.
#define REFINE_RATIO 1e3

// Rows of interest: count - (last != NULL) of them in one array, one more from elsewhere.
struct interest {
    const double *rows;  // (.., D)
    const double *last;  // (D) or NULL
    size_t count;        // with the last
};

static inline const double *interest_row(const struct interest *interest, size_t i, size_t D)
{
    return interest->last && i + 1 == interest->count ? interest->last : interest->rows + i * D;
}

// posterior_solve with one more row of interest from another array.
int posterior_solve_interest(struct posterior *posterior, const struct prior *prior, const struct belief *belief,
                             unsigned parts, const struct interest *interest);

// Replaces results by refined ones: the mean, variances and rows (solution), Omega_n (scale), or both. The panel
// holds the factor of the D leading columns. rows below it: L21 (if targets), interest, identity (if variance).
struct refinement {
    int solution, scale;
    int targets, variance;  // which rows stand in the panel
};
void posterior_refine(struct posterior *posterior, const struct prior *prior, const struct belief *belief,
                      const struct refinement *what, const struct interest *interest);
size_t posterior_refine_room(size_t D, size_t d, size_t rows_limit);  // doubles of scratch
