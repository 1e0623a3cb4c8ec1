// One solve: prior and sum into a panel, and one Cholesky with everything of interest in rows below.
//
//     [ A11       ]      [ L11                ]
//     [ A21  A22  ]  ->  [ L21  L22           ]     Omega_n = A22 - L21 L21' = L22 L22'
//     [ phi'  y'  ]      [ v'   w'            ]     v = L11^-1 phi,  M_n' phi = L21 v,  phi' Xi_n^-1 phi = v' v
//                                                   w = L22^-1 (y - M_n' phi)
//
// Columns D and beyond only if the scale is asked for. What is not solved for costs nothing, and no result's bits
// depend on what else was asked.

#include "solve.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

static size_t largest(size_t a, size_t b) { return a > b ? a : b; }

// All of a posterior's arrays in one block; returns its doubles.
static size_t lay_out(struct posterior *p, double *memory)
{
    size_t D = p->D, d = p->d, rows = p->rows_limit, used = 0;
    p->stride = kernel_padded(D + d + rows);
    // Kernels may read a vector beyond the last column.
    p->panel = take_doubles(memory, &used, p->stride * (D + d) + KERNEL_LANES);
    p->refined_corner = take_doubles(memory, &used, kernel_padded(d) * d);
    p->mean = take_doubles(memory, &used, D * d);
    p->scale = take_doubles(memory, &used, d * d);
    p->scale_factor = take_doubles(memory, &used, d * d);
    p->scale_diagonal = take_doubles(memory, &used, d);
    p->variance = take_doubles(memory, &used, D);
    p->row_mean = take_doubles(memory, &used, rows * d);
    p->row_mean_low = take_doubles(memory, &used, rows * d);
    p->row_variance = take_doubles(memory, &used, rows);
    p->row_variance_low = take_doubles(memory, &used, rows);
    size_t sampling = 2 * d * d + D * d, divergence = D + d + D * d, assessing = 2 * (D + d);
    size_t solving = D * kernel_padded(d) + (D + 2) * KERNEL_LANES + 2 * kernel_padded(D + d);
    size_t scratch = largest(largest(sampling, divergence), largest(assessing, solving));
    p->scratch = take_doubles(memory, &used, largest(scratch, posterior_refine_room(D, d, rows)));
    return used;
}

size_t posterior_size(const struct prior *prior, size_t rows_limit)
{
    struct posterior shape = {.D = prior->D, .d = prior->d, .rows_limit = rows_limit};
    return lay_out(&shape, NULL) * sizeof(double);
}

void posterior_init(struct posterior *posterior, const struct prior *prior, size_t rows_limit, void *memory)
{
    assert((uintptr_t)memory % KERNEL_ALIGNMENT == 0);
    *posterior = (struct posterior){
        .D = prior->D, .d = prior->d, .rows_limit = rows_limit, .kernels = kernels_best()};
    memset(memory, 0, lay_out(posterior, memory) * sizeof(double));
}

// Rows of interest below the matrix, with their targets in the columns beyond D.
static void fill_rows(struct posterior *p, size_t first, size_t columns, const struct interest *interest)
{
    for (size_t i = 0; i < interest->count; i++) {
        const double *phi = interest_row(interest, i, p->D);
        const double *y = interest->last && i + 1 == interest->count ? interest->targets : NULL;
        for (size_t c = 0; c < p->D; c++)
            p->panel[c * p->stride + first + i] = phi[c];
        for (size_t c = p->D; c < columns; c++)
            p->panel[c * p->stride + first + i] = y ? y[c - p->D] : 0;
    }
}

double log_determinant_of_pivots(struct posterior *p, const double *pivots, size_t n)
{
    double *logarithms = p->scratch + kernel_padded(n), sum = 0;
    lanes_for(p->kernels)->logarithm(logarithms, pivots, n);
    for (size_t i = 0; i < n; i++)
        sum += logarithms[i];
    return 2 * sum;
}

// ln |L L'| from a factor's diagonal.
static double log_determinant(struct posterior *p, const double *factor, size_t stride, size_t n)
{
    double *pivots = p->scratch;
    for (size_t i = 0; i < n; i++)
        pivots[i] = factor[i * stride + i];
    return log_determinant_of_pivots(p, pivots, n);
}

// M_n' = L21 L11^-1.
static void write_mean(struct posterior *p)
{
    size_t stride = kernel_padded(p->d);
    p->kernels->back_substitute(p->scratch, stride, p->panel, p->stride, p->D, p->D, p->d);
    for (size_t i = 0; i < p->D; i++)
        memcpy(p->mean + i * p->d, p->scratch + i * stride, p->d * sizeof *p->mean);
}

// row_mean of the first `count` rows; row_variance stands already.
static void write_row_means(struct posterior *p, size_t first, size_t count)
{
    double *v = p->scratch;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < p->D; k++)
            v[k] = p->panel[k * p->stride + first + i];
        lanes_for(p->kernels)->combine(p->row_mean + i * p->d, p->panel, p->stride, p->D, p->D, p->d, v);
    }
    memset(p->row_mean_low, 0, count * p->d * sizeof *p->row_mean_low);
}

double diagonal_entry(const struct kernels *kernels, const struct prior *prior, const struct belief *belief, size_t r)
{
    size_t P = prior->D + prior->d, entry = r * P - r * (r - 1) / 2;
    double value[KERNEL_LANES];
    kernels->sum_to_panel(value, KERNEL_LANES, prior->packed + entry, belief->low + entry, belief->high + entry, 1, 1,
                          1);
    return value[0];
}

// diag Omega_n = diag A22 - squares of L21's rows. Returns whether digits were lost.
static int write_scale_diagonal(struct posterior *p, const double *diagonal)
{
    int lost = 0;
    lanes_for(p->kernels)->squares(p->scale_diagonal, p->panel, p->stride, p->D, p->D, p->d);
    for (size_t j = 0; j < p->d; j++) {
        p->scale_diagonal[j] = diagonal[j] - p->scale_diagonal[j];
        lost |= !(diagonal[j] <= REFINE_RATIO * p->scale_diagonal[j]);
    }
    return lost;
}

// The refined Omega_n stands in refined_corner; leaves its factor there.
static int factor_refined_scale(struct posterior *p, int whole)
{
    size_t d = p->d, stride = kernel_padded(d);
    for (size_t c = 0; c < d; c++) {
        p->scale_diagonal[c] = p->refined_corner[c * stride + c];
        for (size_t r = c; whole && r < d; r++)
            p->scale[r * d + c] = p->scale[c * d + r] = p->refined_corner[c * stride + r];
    }
    p->corner = p->refined_corner;
    p->corner_stride = stride;
    return p->kernels->factor(p->corner, stride, d, d) ? -EDOM : 0;
}

// scale_factor, and the scale from it unless it was refined.
static void write_scale(struct posterior *p, int refined)
{
    size_t d = p->d;
    if (!refined)
        lanes_for(p->kernels)->square(p->scale, p->corner, p->corner_stride, d);
    for (size_t c = 0; c < d; c++) {
        p->scale[c * d + c] = p->scale_diagonal[c];
        for (size_t r = 0; r < c; r++) {
            p->scale[c * d + r] = p->scale[r * d + c];
            p->scale_factor[r * d + c] = 0;
        }
        for (size_t r = c; r < d; r++)
            p->scale_factor[r * d + c] = p->corner[c * p->corner_stride + r];
    }
}

int posterior_solve_interest(struct posterior *p, const struct prior *prior, const struct belief *belief,
                             unsigned parts, const struct interest *interest, size_t *first)
{
    size_t D = p->D, d = p->d, P = D + d;
    assert(prior->D == D && prior->d == d && belief->features == D && belief->targets == d);
    assert(interest->count <= p->rows_limit);
    const struct lanes *lanes = lanes_for(p->kernels);
    int factor = !!(parts & (POSTERIOR_SCALE | SOLVE_FACTOR)), scale = factor || parts & SOLVE_SCALE_DIAGONAL;
    int targets = scale || parts & POSTERIOR_MEAN || interest->count, variance = !!(parts & POSTERIOR_VARIANCE);
    *first = targets ? P : D;

    double *diagonal = p->scratch;
    size_t columns = factor ? P : D;
    int corner_lost = 0;
    for (;;) {
        p->kernels->sum_to_panel(p->panel, p->stride, prior->packed, belief->low, belief->wide ? belief->high : NULL, P,
                                 columns, *first);
        for (size_t c = 0; c < columns; c++)
            diagonal[c] = p->panel[c * p->stride + c];
        fill_rows(p, *first, columns, interest);
        size_t failed = p->kernels->factor(p->panel, p->stride, columns, *first + interest->count);
        if (!failed)
            break;
        if (failed <= D)
            return -EDOM;
        // All of Omega_n was lost to rounding: once more without it, it will be refined.
        columns = D;
        corner_lost = 1;
    }
    for (size_t c = columns; scale && c < P; c++)
        diagonal[c] = diagonal_entry(p->kernels, prior, belief, c);

    struct refinement refinement = {.targets = targets, .variance = variance};
    for (size_t c = 0; c < D; c++) {
        double pivot = p->panel[c * p->stride + c];
        refinement.solution |= diagonal[c] > REFINE_RATIO * (pivot * pivot);
    }
    if (scale)
        refinement.scale = write_scale_diagonal(p, diagonal + D) | corner_lost | refinement.solution;
    p->degrees = prior->degrees + (double)belief->count;
    p->count = (double)belief->count;
    p->corner = p->panel + D * p->stride + D;
    p->corner_stride = p->stride;

    if (!refinement.solution) {
        if (parts & POSTERIOR_MEAN)
            write_mean(p);
        if (variance)
            lanes->inverse_squares(p->variance, p->panel, p->stride, D, p->scratch);
        lanes->squares(p->row_variance, p->panel, p->stride, D, *first, interest->count);
        memset(p->row_variance_low, 0, interest->count * sizeof *p->row_variance_low);
        for (size_t i = 0; i < interest->count; i++)
            refinement.rows |= row_wants_refinement(p->row_variance[i]);
        // A row that keeps its targets in the panel needs no mean, unless the panel's factor is given up.
        int whitened = interest->targets && !refinement.rows && !refinement.scale;
        write_row_means(p, *first, interest->count - (size_t)whitened);
    }
    p->refined = refinement.solution || refinement.rows || refinement.scale;
    if (p->refined)
        posterior_refine(p, prior, belief, &refinement, interest);
    if (refinement.scale && factor_refined_scale(p, !!(parts & POSTERIOR_SCALE)))
        return -EDOM;
    if (factor)
        p->log_det_scale = log_determinant(p, p->corner, p->corner_stride, d);
    if (parts & POSTERIOR_SCALE)
        write_scale(p, refinement.scale);
    return 0;
}

int posterior_solve(struct posterior *posterior, const struct prior *prior, const struct belief *belief,
                    unsigned parts, const double *rows, size_t count)
{
    struct interest interest = {.rows = rows, .count = count};
    size_t first;
    int error = posterior_solve_interest(posterior, prior, belief, parts, &interest, &first);
    if (!error)
        posterior->log_det_precision = log_determinant(posterior, posterior->panel, posterior->stride, posterior->D);
    return error;
}

double posterior_noise(const struct posterior *p, size_t target)
{
    double d = (double)p->d, scale = p->scale_diagonal[target];
    return p->degrees > d + 1 ? scale / (p->degrees - d - 1) : scale / (p->degrees + d + 1);
}
