#pragma once
// Private to this folder: the loops of a posterior that linalg's kernels do not have, compiled like them from
// one source for each instruction set. Lanes hold independent results and each is reduced in one order by
// fused multiply-add, so all sets give the same bits.

#include "daemon/linalg/kernels.h"

// Columns that are not worth a lane each; rows are lanes then, or nothing.
enum { LANES_FEW = 4 };

struct lanes {
    // R = B - A X in double-double: each result is hi + lo, |lo| <= ulp(hi) / 2.
    //   A (rows, inner) row-major with lda, B and R (rows, ld), X (inner, ld); columns of B, R and X are
    //   lanes, count of them, ld >= kernel_padded(count). B may be NULL (zero). R may be B. A_low may be NULL.
    void (*residual)(double *R, double *R_low, const double *B, const double *B_low, const double *A,
                     const double *A_low, size_t lda, const double *X, size_t ld, size_t rows, size_t inner,
                     size_t count);

    // The same bits for a symmetric A (D, D), with rows as lanes: for few columns. Reads up to KERNEL_LANES - 1 numbers
    // behind A and A_low.
    void (*residual_of_few)(double *R, double *R_low, const double *B, const double *B_low, const double *A,
                            const double *A_low, const double *X, size_t ld, size_t D, size_t count);

    // out + out_low = sum_k B[k][j] X[k][j] in double-double, plus sum_k (X + dX)[k][j] R[k][j], for count lanes j.
    //   all (D, ld); out (count)
    void (*quadratic)(double *out, double *out_low, const double *B, const double *X, const double *dX,
                      const double *R, size_t ld, size_t D, size_t count);

    // out[j] = sum_k (X + dX)[k][i] R[k][j] for count lanes j.  out (kernel_padded(count))
    void (*cross)(double *out, const double *X, const double *dX, const double *R, size_t ld, size_t D, size_t i,
                  size_t count);

    // hi + lo = prior + prior_low + S 2^-48, entry by entry, to twice a double's digits.
    void (*exact)(double *hi, double *lo, const double *prior, const double *prior_low, const uint64_t *low,
                  const int64_t *high, size_t count);

    // X = A^-1 X for A = L L', L the D leading rows and columns of a panel (column c at panel + c stride).
    //   X (D, ld), count lanes.
    void (*solve)(double *X, size_t ld, const double *panel, size_t stride, size_t D, size_t count);

    // x = L^-1 x for one vector (D).
    void (*forward)(double *x, const double *panel, size_t stride, size_t D);

    // out[i] = sum_k panel[k][first + i] v[k], k ascending. Reads whole vectors of rows, as squares does.
    void (*combine)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count,
                    const double *v);

    // out[i] = sum_k panel[k][first + i]^2, k ascending.
    void (*squares)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count);

    // out[i] = sum_k (L^-1)_ki^2, k ascending: the diagonal of (L L')^-1.  (D); room (D, KERNEL_LANES)
    void (*inverse_squares)(double *out, const double *panel, size_t stride, size_t D, double *room);

    // out = L L', upper triangle, row-major (n, n), for a factor whose column c stands at factor + c stride.
    void (*square)(double *out, const double *factor, size_t stride, size_t n);

    // out[i] = ln x[i] for finite normal x[i] > 0: within two units in the last place, and unlike libm's the same
    // bits everywhere.
    void (*logarithm)(double *out, const double *x, size_t count);
};

// The set that goes with a set of kernels.
const struct lanes *lanes_for(const struct kernels *kernels);
