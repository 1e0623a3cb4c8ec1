// Refinement of a solve whose factor lost digits, against the exact matrix.
//
// With X from the factor, the residual R = B - A11 X is taken in double-double against the integers themselves,
// and the factor turns it into a correction dX = A11^-1 R. Quadratic forms of the solution are of second order
// in what X still lacks, so one residual gives them all:
//
//     b_i' A^-1 b_j  =  b_i' x_j + x_i' r_j + (x_i* - x_i)' r_j,    x_i* - x_i = dx_i, nearly
//
// which is the scale (b = A12, taken from A22), a row's mean (b_i = phi, b_j = A12), a row's variance
// (both phi) and the weights' variances (both e_k). If the first correction was large the residual is taken again.
//
// Columns do not influence each other: what else was asked for never changes a bit.

#include "solve.h"

#include <math.h>
#include <string.h>

enum { PASSES_LIMIT = 10 };

// A, B and X by parts: A = [A11; A21] row-major (P, D); B = [A12, rows of interest, I] (D, ld).
struct system {
    size_t D, d, columns, ld;
    double *A, *A_low;              // (P, D)
    double *B, *B_low;              // (D, ld)
    double *X, *R, *R_low, *dX;     // (D, ld)
    double *corner, *corner_low;    // A22, then A22 - A21 X    (d, ld)
    double *packed, *packed_low;    // all of A, as the sum is packed
    double *sums;                   // room for a row of results   (ld)
    double *previous;               // size of each column's last correction, 0 once it is done   (columns)
};

static size_t lay_out(struct system *s, size_t D, size_t d, size_t columns, double *memory)
{
    size_t used = 0;
    *s = (struct system){.D = D, .d = d, .columns = columns, .ld = kernel_padded(columns)};
    // Vectors of a row may end in the next one.
    s->A = take_doubles(memory, &used, (D + d) * D + KERNEL_LANES);
    s->A_low = take_doubles(memory, &used, (D + d) * D + KERNEL_LANES);
    s->B = take_doubles(memory, &used, D * s->ld), s->B_low = take_doubles(memory, &used, D * s->ld);
    s->X = take_doubles(memory, &used, D * s->ld), s->dX = take_doubles(memory, &used, D * s->ld);
    s->R = take_doubles(memory, &used, D * s->ld), s->R_low = take_doubles(memory, &used, D * s->ld);
    s->corner = take_doubles(memory, &used, d * s->ld), s->corner_low = take_doubles(memory, &used, d * s->ld);
    s->previous = take_doubles(memory, &used, columns), s->sums = take_doubles(memory, &used, 3 * s->ld);
    size_t entries = belief_entries(D, d);
    s->packed = take_doubles(memory, &used, entries), s->packed_low = take_doubles(memory, &used, entries);
    return used;
}

size_t posterior_refine_room(size_t D, size_t d, size_t rows_limit)
{
    struct system shape;
    return lay_out(&shape, D, d, d + rows_limit + D, NULL);
}

// hi + lo = a + b exactly (Knuth).
static inline void two_sum(double *hi, double *lo, double a, double b)
{
    double s = a + b, t = s - a;
    *lo = (a - (s - t)) + (b - t);
    *hi = s;
}

// A11 in full, A21, A12 as its transpose into B, A22 into the corner.
static void load_matrix(struct system *s, const struct lanes *lanes, const struct prior *prior,
                        const struct belief *belief, const struct refinement *what)
{
    size_t D = s->D, P = D + s->d, columns = what->scale ? P : D, entry = 0;  // (c, c)
    lanes->exact(s->packed, s->packed_low, prior->packed, prior->packed_low, belief->low, belief->high,
                 belief_entries(D, s->d) - (P - columns) * (P - columns + 1) / 2);
    for (size_t c = 0; c < columns; entry += P - c, c++) {
        const double *hi = s->packed + entry - c, *lo = s->packed_low + entry - c;
        for (size_t r = c; r < D; r++) {
            s->A[r * D + c] = s->A[c * D + r] = hi[r];
            s->A_low[r * D + c] = s->A_low[c * D + r] = lo[r];
        }
        for (size_t r = D; c < D && what->targets && r < P; r++) {
            s->A[r * D + c] = s->B[c * s->ld + r - D] = hi[r];
            s->A_low[r * D + c] = s->B_low[c * s->ld + r - D] = lo[r];
        }
        for (size_t r = c; c >= D && r < P; r++) {
            s->corner[(r - D) * s->ld + c - D] = s->corner[(c - D) * s->ld + r - D] = hi[r];
            s->corner_low[(r - D) * s->ld + c - D] = s->corner_low[(c - D) * s->ld + r - D] = lo[r];
        }
    }
}

// The size of a column's correction relative to the column, both by their largest entry.
static double relative_size(const struct system *s, size_t j)
{
    double correction = 0, solution = 0;
    for (size_t i = 0; i < s->D; i++) {
        correction = fmax(correction, fabs(s->dX[i * s->ld + j]));
        solution = fmax(solution, fabs(s->X[i * s->ld + j]));
    }
    return correction > 0 ? correction / solution : 0;
}

// Residuals and corrections until each column's next correction would not matter any more; X stays the
// point at which R and dX were taken.
static void converge(struct system *s, const struct posterior *p)
{
    double *previous = s->previous;
    const struct lanes *lanes = lanes_for(p->kernels);
    for (size_t j = 0; j < s->columns; j++)
        previous[j] = 1;
    for (int pass = 0;; pass++) {
        if (s->columns <= LANES_FEW)
            lanes->residual_of_few(s->R, s->R_low, s->B, s->B_low, s->A, s->A_low, s->X, s->ld, s->D, s->columns);
        else
            lanes->residual(s->R, s->R_low, s->B, s->B_low, s->A, s->A_low, s->D, s->X, s->ld, s->D, s->D, s->columns);
        memcpy(s->dX, s->R, s->D * s->ld * sizeof *s->dX);
        lanes->solve(s->dX, s->ld, p->panel, p->stride, s->D, s->columns);
        if (pass == PASSES_LIMIT)
            return;
        int again = 0;
        for (size_t j = 0; j < s->columns; j++) {
            if (previous[j] == 0)
                continue;
            // Corrections shrink by about size / previous each time.
            double size = relative_size(s, j);
            if (size * size <= 0x1p-48 * previous[j]) {
                previous[j] = 0;
                continue;
            }
            for (size_t i = 0; i < s->D; i++)
                s->X[i * s->ld + j] += s->dX[i * s->ld + j];
            previous[j] = size;
            again = 1;
        }
        if (!again)
            return;
    }
}

// Columns first .. first+count-1 of B, the rows of interest, and after them the identity.
static void write_solution(struct posterior *p, const struct system *s, const struct refinement *what,
                           const struct interest *interest, size_t first, size_t count)
{
    const struct lanes *lanes = lanes_for(p->kernels);
    size_t D = s->D, d = s->d, ld = s->ld;
    double *product = s->sums, *product_low = product + ld, *rest = product_low + ld;
    if (what->solution && what->targets)
        for (size_t i = 0; i < D; i++)
            for (size_t j = 0; j < d; j++)
                p->mean[i * d + j] = s->X[i * ld + j] + s->dX[i * ld + j];
    for (size_t i = 0; i < count; i++) {
        if (!what->solution && !row_wants_refinement(p->row_variance[i]))
            continue;
        // -phi' X, and (x + dx)' R
        lanes->residual(product, product_low, NULL, NULL, interest_row(interest, i, D), NULL, D, s->X, ld, 1, D, d);
        lanes->cross(rest, s->X, s->dX, s->R, ld, D, first + i, d);
        for (size_t j = 0; j < d; j++)
            two_sum(&p->row_mean[i * d + j], &p->row_mean_low[i * d + j], -product[j], rest[j] - product_low[j]);
    }
    lanes->quadratic(product, product_low, s->B + first, s->X + first, s->dX + first, s->R + first, ld, D,
                     s->columns - first);
    for (size_t i = 0; i < count; i++) {
        if (!what->solution && !row_wants_refinement(p->row_variance[i]))
            continue;
        p->row_variance[i] = product[i];
        p->row_variance_low[i] = product_low[i];
    }
    if (what->solution && what->variance)
        memcpy(p->variance, product + count, D * sizeof *p->variance);
}

// Omega = A22 - A21 X - (X + dX)' R, into the posterior's refined corner.
static void write_scale(struct posterior *p, const struct system *s)
{
    const struct lanes *lanes = lanes_for(p->kernels);
    size_t D = s->D, d = s->d, ld = s->ld;
    lanes->residual(s->corner, s->corner_low, s->corner, s->corner_low, s->A + D * D, s->A_low + D * D, D, s->X, ld,
                    d, D, d);
    for (size_t r = 0; r < d; r++) {
        lanes->cross(s->sums, s->X, s->dX, s->R, ld, D, r, d);
        for (size_t c = 0; c <= r; c++)
            p->refined_corner[c * kernel_padded(d) + r] =
                s->corner[r * ld + c] + (s->corner_low[r * ld + c] - s->sums[c]);
    }
}

void posterior_refine(struct posterior *p, const struct prior *prior, const struct belief *belief,
                      const struct refinement *what, const struct interest *interest)
{
    size_t D = p->D, d = what->targets ? p->d : 0, rows = what->solution || what->rows ? interest->count : 0;
    size_t identity = what->solution && what->variance ? D : 0;
    struct system s;
    lay_out(&s, D, p->d, d + rows + identity, p->scratch);
    load_matrix(&s, lanes_for(p->kernels), prior, belief, what);

    // B = [A12, phi', I] and X = A11^-1 B as the factor sees it. Columns of padding are zero.
    size_t ld = s.ld;
    for (size_t k = 0; k < D; k++) {
        memset(s.B + k * ld + d, 0, (ld - d) * sizeof *s.B);
        memset(s.B_low + k * ld + d, 0, (ld - d) * sizeof *s.B_low);
        for (size_t i = 0; i < rows; i++)
            s.B[k * ld + d + i] = interest_row(interest, i, D)[k];
        if (identity)
            s.B[k * ld + d + rows + k] = 1;
    }
    memcpy(s.X, s.B, D * ld * sizeof *s.X);
    lanes_for(p->kernels)->solve(s.X, ld, p->panel, p->stride, D, s.columns);
    converge(&s, p);
    write_solution(p, &s, what, interest, d, rows);
    if (what->scale)
        write_scale(p, &s);
}
