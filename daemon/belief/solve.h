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
    const double *last;  // phi (D), or NULL
    const double *targets;  // y (d) of the last, or NULL; with the scale, L22^-1 (y - M_n' phi) stands in its row
    size_t count;        // with the last
};

static inline const double *interest_row(const struct interest *interest, size_t i, size_t D)
{
    return interest->last && i + 1 == interest->count ? interest->last : interest->rows + i * D;
}

// More parts: only what their name says, without the arrays that POSTERIOR_SCALE fills for callers.
enum {
    SOLVE_FACTOR = 8,          // L22 in the corner, scale_diagonal
    SOLVE_SCALE_DIAGONAL = 16,
};

// posterior_solve with one more row of interest from another array, and without log_det_precision.
// An unrefined solve leaves the rows of interest in the panel from row *first on.
int posterior_solve_interest(struct posterior *posterior, const struct prior *prior, const struct belief *belief,
                             unsigned parts, const struct interest *interest, size_t *first);

// What to replace by refined results; the panel holds the factor of its D leading columns.
struct refinement {
    int solution;           // mean, variances, all rows of interest
    int rows;               // those rows whose 1 - h is small
    int scale;              // Omega_n
    int targets, variance;  // which parts of the solution were asked for
};

// A row that was absorbed is judged by s = 1 / (1 - h): where little is left of 1 - h, it needs all its digits.
static inline int row_wants_refinement(double h)
{
    return REFINE_RATIO * (1 - h) < 1 && REFINE_RATIO * (h - 1) < 1;
}

void posterior_refine(struct posterior *posterior, const struct prior *prior, const struct belief *belief,
                      const struct refinement *what, const struct interest *interest);

// The same as posterior_assess_absorbed for a row that was solved with its targets: distance = |L22^-1 (y - M_n' phi)|^2.
struct predictive posterior_assess_whitened(const struct posterior *posterior, size_t row, double distance);

// prior + S for one entry (r, r), the same bits as in a panel.
double diagonal_entry(const struct kernels *kernels, const struct prior *prior, const struct belief *belief, size_t r);

// 2 sum_i ln pivots[i]. pivots may stand at the beginning of the posterior's scratch.
double log_determinant_of_pivots(struct posterior *posterior, const double *pivots, size_t n);
size_t posterior_refine_room(size_t D, size_t d, size_t rows_limit);  // doubles of scratch
