// One solve: prior and sum into a panel, one Cholesky of its D leading columns with everything of interest in
// rows below, and only then, if asked for, the scale's corner.
//
//     [ A11       ]      [ L11                ]
//     [ A21  A22  ]  ->  [ L21  L22           ]     Omega_n = A22 - L21 L21' = L22 L22'
//     [ phi'      ]      [ v' = phi' L11^-T   ]     M_n' phi = L21 v,  phi' Xi_n^-1 phi = v' v
//     [ I         ]      [ L11^-T             ]     diag Xi_n^-1 = its rows' squares
//
// What is not solved for costs nothing, and no result's bits depend on what else was asked.

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
    p->stride = kernel_padded(D + d + rows + D);
    p->corner_stride = kernel_padded(d);
    // Kernels may read a vector beyond the last column.
    p->panel = take_doubles(memory, &used, p->stride * (D + d) + KERNEL_LANES);
    p->corner = take_doubles(memory, &used, p->corner_stride * d);
    p->mean = take_doubles(memory, &used, D * d);
    p->scale = take_doubles(memory, &used, d * d);
    p->scale_factor = take_doubles(memory, &used, d * d);
    p->variance = take_doubles(memory, &used, D);
    p->row_mean = take_doubles(memory, &used, rows * d);
    p->row_mean_low = take_doubles(memory, &used, rows * d);
    p->row_variance = take_doubles(memory, &used, rows);
    p->row_variance_low = take_doubles(memory, &used, rows);
    size_t sampling = 2 * d * d + D * d, divergence = D + d + D * d, assessing = 2 * (D + d);
    size_t solving = D * kernel_padded(d) + 2 * kernel_padded(D) + kernel_padded(d);
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
    *posterior = (struct posterior){.D = prior->D, .d = prior->d, .rows_limit = rows_limit, .kernels = kernels_best()};
    memset(memory, 0, lay_out(posterior, memory) * sizeof(double));
}

// Extra rows below the panel's A21, or in its place if that is not needed.
static size_t fill_rows(struct posterior *p, size_t first, const struct interest *interest, int identity)
{
    size_t D = p->D;
    for (size_t c = 0; c < D; c++) {
        double *column = p->panel + c * p->stride + first;
        for (size_t i = 0; i < interest->count; i++)
            column[i] = interest_row(interest, i, D)[c];
        if (identity) {
            memset(column + interest->count, 0, D * sizeof *column);
            column[interest->count + c] = 1;
        }
    }
    return first + interest->count + (identity ? D : 0);
}

// ln |L L'| from a factor's diagonal.
static double log_determinant(struct posterior *p, const double *factor, size_t stride, size_t n)
{
    double *pivots = p->scratch, *logarithms = p->scratch + kernel_padded(n), sum = 0;
    for (size_t i = 0; i < n; i++)
        pivots[i] = factor[i * stride + i];
    lanes_for(p->kernels)->logarithm(logarithms, pivots, n);
    for (size_t i = 0; i < n; i++)
        sum += logarithms[i];
    return 2 * sum;
}

// M_n' = L21 L11^-1.
static void write_mean(struct posterior *p)
{
    size_t stride = kernel_padded(p->d);
    p->kernels->back_substitute(p->scratch, stride, p->panel, p->stride, p->D, p->D, p->d);
    for (size_t i = 0; i < p->D; i++)
        memcpy(p->mean + i * p->d, p->scratch + i * stride, p->d * sizeof *p->mean);
}

static void write_rows(struct posterior *p, size_t first, size_t count)
{
    const struct lanes *lanes = lanes_for(p->kernels);
    double *v = p->scratch;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < p->D; k++)
            v[k] = p->panel[k * p->stride + first + i];
        lanes->combine(p->row_mean + i * p->d, p->panel, p->stride, p->D, p->D, p->d, v);
    }
    lanes->squares(p->row_variance, p->panel, p->stride, p->D, first, count);
    memset(p->row_mean_low, 0, count * p->d * sizeof *p->row_mean_low);
    memset(p->row_variance_low, 0, count * sizeof *p->row_variance_low);
}

// The corner's lower triangle as a full symmetric matrix.
static void write_scale(struct posterior *p)
{
    for (size_t c = 0; c < p->d; c++)
        for (size_t r = c; r < p->d; r++)
            p->scale[r * p->d + c] = p->scale[c * p->d + r] = p->corner[c * p->corner_stride + r];
}

// The scale stands in the corner; leaves its factor there.
static int factor_scale(struct posterior *p)
{
    if (p->kernels->factor(p->corner, p->corner_stride, p->d, p->d))
        return -EDOM;
    for (size_t c = 0; c < p->d; c++) {
        for (size_t r = c; r < p->d; r++)
            p->scale_factor[r * p->d + c] = p->corner[c * p->corner_stride + r];
        for (size_t r = 0; r < c; r++)
            p->scale_factor[r * p->d + c] = 0;
    }
    p->log_det_scale = log_determinant(p, p->corner, p->corner_stride, p->d);
    return 0;
}

int posterior_solve_interest(struct posterior *p, const struct prior *prior, const struct belief *belief,
                             unsigned parts, const struct interest *interest)
{
    size_t D = p->D, d = p->d, P = D + d;
    assert(prior->D == D && prior->d == d && belief->features == D && belief->targets == d);
    assert(interest->count <= p->rows_limit);
    const struct lanes *lanes = lanes_for(p->kernels);
    int scale = !!(parts & POSTERIOR_SCALE), variance = !!(parts & POSTERIOR_VARIANCE);
    int targets = parts & (POSTERIOR_MEAN | POSTERIOR_SCALE) || interest->count;

    lanes->load(p->panel, p->stride, prior->packed, belief->low, belief->high, P, scale ? P : D, targets ? P : D);
    double *diagonal = p->scratch;
    for (size_t c = 0; c < D; c++)
        diagonal[c] = p->panel[c * p->stride + c];
    size_t first = targets ? P : D, end = fill_rows(p, first, interest, variance);
    if (p->kernels->factor(p->panel, p->stride, D, end))
        return -EDOM;

    struct refinement refinement = {.targets = targets, .variance = variance};
    for (size_t c = 0; c < D; c++) {
        double pivot = p->panel[c * p->stride + c];
        refinement.solution |= diagonal[c] > REFINE_RATIO * (pivot * pivot);
    }
    if (scale) {
        lanes->schur(p->corner, p->corner_stride, p->panel, p->stride, D, d);
        refinement.scale = refinement.solution;
        for (size_t j = 0; j < d; j++)
            refinement.scale |= !(p->panel[(D + j) * p->stride + D + j]
                                  <= REFINE_RATIO * p->corner[j * p->corner_stride + j]);
    }
    p->degrees = prior->degrees + (double)belief->count;
    p->count = (double)belief->count;
    p->log_det_precision = log_determinant(p, p->panel, p->stride, D);

    if (!refinement.solution) {
        if (parts & POSTERIOR_MEAN)
            write_mean(p);
        if (variance)
            lanes->squares(p->variance, p->panel, p->stride, D, first + interest->count, D);
        write_rows(p, first, interest->count);
        for (size_t i = 0; i < interest->count; i++)
            refinement.rows |= row_wants_refinement(p->row_variance[i]);
    }
    p->refined = refinement.solution || refinement.rows || refinement.scale;
    if (p->refined)
        posterior_refine(p, prior, belief, &refinement, interest);
    if (scale) {
        write_scale(p);
        return factor_scale(p);
    }
    return 0;
}

int posterior_solve(struct posterior *posterior, const struct prior *prior, const struct belief *belief,
                    unsigned parts, const double *rows, size_t count)
{
    struct interest interest = {.rows = rows, .count = count};
    return posterior_solve_interest(posterior, prior, belief, parts, &interest);
}

double posterior_noise(const struct posterior *p, size_t target)
{
    double d = (double)p->d, scale = p->scale[target * p->d + target];
    return p->degrees > d + 1 ? scale / (p->degrees - d - 1) : scale / (p->degrees + d + 1);
}
