#pragma once
// Private to this folder: the loops of a posterior that linalg's kernels do not have, compiled like them from
// one source for each instruction set. Lanes hold independent results and each is reduced in one order by
// fused multiply-add, so all sets give the same bits.

#include "daemon/linalg/kernels.h"

struct lanes {
    // panel[c][r] = prior + S[r][c] 2^-48 for the columns c < columns and their rows c <= r < rows; column c at
    // panel + c stride. prior and S packed as a belief is, columns of P - c entries. The integer is rounded twice
    // at most, relative to itself, whatever its sign.
    void (*load)(double *panel, size_t stride, const double *prior, const uint64_t *low, const int64_t *high,
                 size_t P, size_t columns, size_t rows);

    // R = B - A X in double-double: each result is hi + lo, |lo| <= ulp(hi) / 2.
    //   A (rows, inner) row-major with lda, B and R (rows, ld), X (inner, ld); columns of B, R and X are
    //   lanes, count of them, ld >= kernel_padded(count). B may be NULL (zero). R may be B. A_low may be NULL.
    void (*residual)(double *R, double *R_low, const double *B, const double *B_low, const double *A,
                     const double *A_low, size_t lda, const double *X, size_t ld, size_t rows, size_t inner,
                     size_t count);

    // X = A^-1 X for A = L L', L the D leading rows and columns of a panel (column c at panel + c stride).
    //   X (D, ld), count lanes.
    void (*solve)(double *X, size_t ld, const double *panel, size_t stride, size_t D, size_t count);

    // x = L^-1 x for one vector (D).
    void (*forward)(double *x, const double *panel, size_t stride, size_t D);

    // out[i] = sum_k panel[k][first + i] v[k], k ascending.
    void (*combine)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count,
                    const double *v);

    // out[i] = sum_k panel[k][first + i]^2, k ascending.
    void (*squares)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count);

    // corner = A22 - L21 L21', lower triangle, column c at corner + c corner_stride; A22 stands in rows and
    // columns D .. D+d-1 of the panel, L21 in those rows of the columns before.
    void (*schur)(double *corner, size_t corner_stride, const double *panel, size_t stride, size_t D, size_t d);

    // out[i] = ln x[i] for finite normal x[i] > 0: within two units in the last place, and unlike libm's the same
    // bits everywhere.
    void (*logarithm)(double *out, const double *x, size_t count);
};

// The set that goes with a set of kernels.
const struct lanes *lanes_for(const struct kernels *kernels);
