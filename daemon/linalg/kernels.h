#pragma once
// The numeric kernels of the step path, compiled from one source for each instruction set and
// chosen once at start.
//
// Every kernel gives the same bits for every instruction set, compiler, batch size and vector
// width: lanes hold independent results, each result is reduced in one fixed order by fused
// multiply-add, and there is no other freedom. Tests compare all sets that the machine can run.

#include <stddef.h>
#include <stdint.h>

// Rows of matrices that a kernel vectorises over are padded to this many numbers, and arrays are
// aligned to this many bytes. Padding is readable and writable; what it holds is never used in a
// result that the caller sees.
enum { KERNEL_LANES = 16, KERNEL_ALIGNMENT = 64, KERNEL_GROUP_LIMIT = 8 };

static inline size_t kernel_padded(size_t count)
{
    return (count + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
}

// What a layer does with its sums. Of numbers that are not above zero, ACTIVATION_RELU lets NaN through.
enum activation { ACTIVATION_NONE, ACTIVATION_TANH, ACTIVATION_RELU };

struct kernels {
    const char *name;  // "generic", "x86-64-v3", "x86-64-v4"

    // out[b][o] = activation(bias[o] + sum_i in[b][i] weight[i][o]), i ascending.  Floats.
    //   in (batch, in_stride), weight (inputs, kernel_padded(outputs)), bias (kernel_padded(outputs)),
    //   out (batch, out_stride) with out_stride >= kernel_padded(outputs); in and out do not overlap.
    //   tanh is a rational function of our own, absolute error below 5e-7, |result| <= 1.
    void (*layer)(float *out, size_t out_stride, const float *in, size_t in_stride, const float *weight,
                  const float *bias, size_t batch, size_t inputs, size_t outputs, enum activation activation);

    // x[i] = tanh(x[i]), the same bits as layer's.  count need not be padded.
    void (*tanh)(float *x, size_t count);

    // S += z z' (sign = 1) or S -= z z' (sign = -1) for the packed lower triangle of S.
    //   z (P), P > 0, fixed point, |z| <= 2^29. S column after column: entry (r, c), r >= c, at
    //   c P - c (c - 1) / 2 + (r - c). An entry is high 2^64 + low with the bits of `low` read as a signed number:
    //   one way to write each value, so equal sums are equal bytes. Exact; cannot overflow in fewer than 2^69
    //   additions. Returns whether any high word changed; those of a small sum are all zero and are not touched.
    int (*sum_add)(uint64_t *low, int64_t *high, const int32_t *z, size_t P, int sign);

    // a += b (sign = 1) or a -= b (sign = -1), entry by entry. Returns whether any high word of a is not zero.
    int (*sum_merge)(uint64_t *low, int64_t *high, const uint64_t *other_low, const int64_t *other_high,
                      size_t count, int sign);

    // panel[c][r] = prior[...] + S[r][c] 2^-48 for the columns c < columns and their rows c <= r < rows; column
    // c of the panel starts at panel + c * stride. prior is packed as S is. An entry becomes the double
    // fma((double)high, 2^64, (double)low), times 2^-48, then one addition. high NULL: all zero, the same bits.
    // Other rows are not touched.
    void (*sum_to_panel)(double *panel, size_t stride, const double *prior, const uint64_t *low,
                         const int64_t *high, size_t P, size_t columns, size_t rows);

    // Cholesky factor of the D leading rows and columns of a panel, and forward substitution of the
    // rows below, in place:   [A; B] -> [L; B L^-T],  A = L L'.
    //   panel column c at panel + c * stride, rows 0 .. rows-1, of which rows >= c count; what stands above
    //   the diagonal may become rubbish. stride a multiple of KERNEL_LANES and >= kernel_padded(rows).
    //   With the pivot p = a_cc - sum_k<c l_ck^2, l_cc = sqrt(p) and l_rc = (a_rc - sum_k<c l_rk l_ck) *
    //   (l_cc * (1 / p)), k ascending.
    //   Returns 0, or c + 1 for the first column whose pivot is not between 2^-1000 and 2^1000: not
    //   positive, not finite, or beyond reason (panel then holds rubbish).
    size_t (*factor)(double *panel, size_t stride, size_t D, size_t rows);

    // X L = B for rows of B that stand below the factor:  out = B L^-1 (backward substitution), so that
    // after `factor` with A21 below A11 the result is M' = A21 A11^-1.
    //   B is rows first .. first+count-1 of the panel; out column c at out + c * out_stride, count numbers.
    //   Column D-1 first; element (r, c) is (b_rc - sum_k>c out_rk l_kc) * (1 / l_cc), k descending.
    void (*back_substitute)(double *out, size_t out_stride, const double *panel, size_t stride, size_t D,
                            size_t first, size_t count);

    // The same for `group` sessions of one shape at once, and for each the same bits. Number i of session s stands
    // at i * group + s; so element (r, c) of its panel at (c * stride + r) * group + s, and stride >= rows. Arrays
    // are aligned.
    size_t group;  // at most KERNEL_GROUP_LIMIT

    // low and high (group): each session's words, of which high[s] may be NULL.
    void (*group_sum_to_panel)(double *panel, size_t stride, const double *prior, const uint64_t *const low[],
                               const int64_t *const high[], size_t P, size_t columns, size_t rows);

    // Returns a bit for each session whose pivots failed; it holds rubbish, the others are good.
    unsigned (*group_factor)(double *panel, size_t stride, size_t D, size_t rows);

    // out (D, count, group)
    void (*group_back_substitute)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count);

    // out[i] = sum_k (L^-1)_ki^2, k ascending: the diagonal of (L L')^-1.  out (D, group); room (5 D, group)
    void (*group_inverse_squares)(double *out, const double *panel, size_t stride, size_t D, double *room);

    // out[c] = panel[c][c]: the diagonal of the matrix before it is factored.  (D, group)
    void (*group_diagonal)(double *out, const double *panel, size_t stride, size_t D);

    // A bit for each session of which some x[c] > ratio l_cc^2, or one of them is not a number.  x (D, group)
    unsigned (*group_exceeds)(const double *x, const double *panel, size_t stride, size_t D, double ratio);

    // out[i] = sum_k panel[k][first + i]^2 and sum_k panel[k][first + i] panel[k][row], k ascending.  out (count, group)
    void (*group_squares)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count);
    void (*group_combine)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count,
                          size_t row);
};

// The best set for this machine, decided once; never NULL.
const struct kernels *kernels_best(void);

// The i-th set that was compiled in and that this machine can run, or NULL past the last; for tests.
const struct kernels *kernels_at(size_t i);
