// One set of lanes: compiled once per instruction set with LANES_SET defined to its name.
//
// Mostly plain loops over lanes that compilers turn into vectors; fma is written out, nothing else is fused.

#include "lanes.h"

#include "daemon/linalg/simd.h"

#include <math.h>
#include <string.h>

enum {
    BLOCK = KERNEL_LANES,   // lanes that are finished together
    DIMENSION_LIMIT = 256,  // BELIEF_FEATURES_LIMIT
};

// hi + lo = a + b exactly (Knuth).
#define TWO_SUM(hi, lo, a, b)                   \
    do {                                        \
        double two_a = (a), two_b = (b);        \
        double two_s = two_a + two_b;           \
        double two_t = two_s - two_a;           \
        (lo) = (two_a - (two_s - two_t)) + (two_b - two_t); \
        (hi) = two_s;                           \
    } while (0)

static void residual(double *R, double *R_low, const double *B, const double *B_low, const double *A,
                     const double *A_low, size_t lda, const double *X, size_t ld, size_t rows, size_t inner,
                     size_t count)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t first = 0; first < count; first += BLOCK) {
            double hi[BLOCK], lo[BLOCK];
            for (size_t j = 0; j < BLOCK; j++) {
                hi[j] = B ? B[i * ld + first + j] : 0;
                lo[j] = B ? B_low[i * ld + first + j] : 0;
            }
            for (size_t k = 0; k < inner; k++) {
                double a = -A[i * lda + k], a_low = A_low ? -A_low[i * lda + k] : 0;
                const double *x = X + k * ld + first;
                for (size_t j = 0; j < BLOCK; j++) {
                    // (hi, lo) += a x: the product exactly, its sum with hi exactly, all that is small in lo
                    double product = a * x[j], lost, error = fma(a, x[j], -product);
                    TWO_SUM(hi[j], lost, hi[j], product);
                    lo[j] += lost + fma(a_low, x[j], error);
                }
            }
            for (size_t j = 0; j < BLOCK; j++)
                TWO_SUM(R[i * ld + first + j], R_low[i * ld + first + j], hi[j], lo[j]);
        }
    }
}

static void residual_of_few(double *R, double *R_low, const double *B, const double *B_low, const double *A,
                            const double *A_low, const double *X, size_t ld, size_t D, size_t count)
{
    for (size_t j = 0; j < count; j++) {
        for (size_t first = 0; first < D; first += BLOCK) {
            size_t rows = D - first < BLOCK ? D - first : BLOCK;
            double hi[BLOCK] = {0}, lo[BLOCK] = {0};
            for (size_t i = 0; i < rows; i++) {
                hi[i] = B[(first + i) * ld + j];
                lo[i] = B_low[(first + i) * ld + j];
            }
            for (size_t k = 0; k < D; k++) {
                const double *a = A + k * D + first, *a_low = A_low + k * D + first;
                double x = X[k * ld + j];
                for (size_t i = 0; i < BLOCK; i++) {
                    double product = -a[i] * x, lost, error = fma(-a[i], x, -product);
                    TWO_SUM(hi[i], lost, hi[i], product);
                    lo[i] += lost + fma(-a_low[i], x, error);
                }
            }
            for (size_t i = 0; i < rows; i++)
                TWO_SUM(R[(first + i) * ld + j], R_low[(first + i) * ld + j], hi[i], lo[i]);
        }
    }
}

static void quadratic(double *out, double *out_low, const double *B, const double *X, const double *dX,
                      const double *R, size_t ld, size_t D, size_t count)
{
    for (size_t first = 0; first < count; first += BLOCK) {
        double hi[BLOCK] = {0}, lo[BLOCK] = {0};
        for (size_t k = 0; k < D; k++) {
            const double *b = B + k * ld + first, *x = X + k * ld + first, *dx = dX + k * ld + first;
            const double *r = R + k * ld + first;
            for (size_t j = 0; j < BLOCK; j++) {
                double product = b[j] * x[j], lost, error = fma(b[j], x[j], -product);
                TWO_SUM(hi[j], lost, hi[j], product);
                lo[j] = fma(x[j] + dx[j], r[j], lo[j] + (lost + error));
            }
        }
        for (size_t j = 0; j < BLOCK && first + j < count; j++)
            TWO_SUM(out[first + j], out_low[first + j], hi[j], lo[j]);
    }
}

static void cross(double *out, const double *X, const double *dX, const double *R, size_t ld, size_t D, size_t i,
                  size_t count)
{
    for (size_t first = 0; first < count; first += BLOCK) {
        double sum[BLOCK] = {0};
        for (size_t k = 0; k < D; k++) {
            double x = X[k * ld + i] + dX[k * ld + i];
            for (size_t j = 0; j < BLOCK; j++)
                sum[j] = fma(x, R[k * ld + first + j], sum[j]);
        }
        memcpy(out + first, sum, sizeof sum);
    }
}

static inline double as_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void exact(double *restrict hi, double *restrict lo, const double *prior, const double *prior_low,
                  const uint64_t *low, const int64_t *high, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        // The signed low word is cut in two. A piece becomes a double by standing in the low bits of 2^52 (of
        // 1.5 2^52 if it has a sign).
        double top = (as_double(0x4338000000000000 + (uint64_t)high[i]) - 0x1.8p52) * 0x1p16;
        double middle = (as_double(0x4330000000000000 | (low[i] >> 32 ^ 0x80000000)) - (0x1p52 + 0x1p31)) * 0x1p-16;
        double bottom = (as_double(0x4330000000000000 | (low[i] & 0xffffffff)) - 0x1p52) * 0x1p-48;
        double sum, lost, lost_too, lost_then;
        TWO_SUM(sum, lost, top, middle);
        TWO_SUM(sum, lost_too, sum, bottom);
        TWO_SUM(sum, lost_then, sum, prior[i]);
        TWO_SUM(hi[i], lo[i], sum, (lost + lost_too) + (lost_then + prior_low[i]));
    }
}

static void forward(double *x, const double *panel, size_t stride, size_t D)
{
    for (size_t c = 0; c < D; c++) {
        const double *column = panel + c * stride;
        double done = x[c] *= 1 / column[c];
        for (size_t r = c + 1; r < D; r++)
            x[r] = fma(-column[r], done, x[r]);
    }
}

// x = A^-1 x for one vector, each finished element taken from all that wait for it.
static void solve_one(double *x, const double *panel, size_t stride, size_t D)
{
    forward(x, panel, stride, D);
    for (size_t k = D; k-- > 0;) {
        double done = x[k] *= 1 / panel[k * stride + k];
        for (size_t c = 0; c < k; c++)
            x[c] = fma(-panel[c * stride + k], done, x[c]);
    }
}

static void solve(double *X, size_t ld, const double *panel, size_t stride, size_t D, size_t count)
{
    if (count <= LANES_FEW) {
        double x[DIMENSION_LIMIT];
        for (size_t j = 0; j < count; j++) {
            for (size_t i = 0; i < D; i++)
                x[i] = X[i * ld + j];
            solve_one(x, panel, stride, D);
            for (size_t i = 0; i < D; i++)
                X[i * ld + j] = x[i];
        }
        return;
    }
    for (size_t first = 0; first < count; first += BLOCK) {
        for (size_t c = 0; c < D; c++) {  // L Y = X
            double x[BLOCK], reciprocal = 1 / panel[c * stride + c];
            memcpy(x, X + c * ld + first, sizeof x);
            for (size_t k = 0; k < c; k++)
                for (size_t j = 0; j < BLOCK; j++)
                    x[j] = fma(-panel[k * stride + c], X[k * ld + first + j], x[j]);
            for (size_t j = 0; j < BLOCK; j++)
                X[c * ld + first + j] = x[j] * reciprocal;
        }
        for (size_t c = D; c-- > 0;) {  // L' X = Y
            double x[BLOCK], reciprocal = 1 / panel[c * stride + c];
            memcpy(x, X + c * ld + first, sizeof x);
            for (size_t k = D; k-- > c + 1;)
                for (size_t j = 0; j < BLOCK; j++)
                    x[j] = fma(-panel[c * stride + k], X[k * ld + first + j], x[j]);
            for (size_t j = 0; j < BLOCK; j++)
                X[c * ld + first + j] = x[j] * reciprocal;
        }
    }
}

static void store_some(double *out, f64v a, size_t count)
{
    if (count < F64_LANES)
        f64_store_first(out, a, count);
    else
        f64_store(out, a);
}

static void combine(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count,
                    const double *v)
{
    for (size_t i = 0; i < count; i += F64_LANES) {
        const double *rows = panel + first + i;
        f64v sum = f64_all(0);
        for (size_t k = 0; k < D; k++)
            sum = f64_fma(f64_load(rows + k * stride), f64_all(v[k]), sum);
        store_some(out + i, sum, count - i);
    }
}

static void squares(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i += F64_LANES) {
        const double *rows = panel + first + i;
        f64v sum = f64_all(0);
        for (size_t k = 0; k < D; k++) {
            f64v row = f64_load(rows + k * stride);
            sum = f64_fma(row, row, sum);
        }
        store_some(out + i, sum, count - i);
    }
}

enum { PAIR = 2 * F64_LANES, GROUP = 4 };

// The next `group` rows of L^-1 (the first `done` stand above them) and their squares; column: L's first that counts,
// from its diagonal on. Always inlined with a constant group, so that v lives in registers.
SIMD_INLINE void finish_rows(double *rows, const size_t group, size_t done, const double *column, size_t stride,
                             f64v sum[2])
{
    f64v v[GROUP][2];
    double *own = rows + done * PAIR;
    SIMD_UNROLL
    for (size_t g = 0; g < group; g++) {
        v[g][0] = f64_load(own + g * PAIR);
        v[g][1] = f64_load(own + g * PAIR + F64_LANES);
    }
    for (size_t k = 0; k < done; k++) {
        f64v a = f64_load_once(rows + k * PAIR), b = f64_load_once(rows + k * PAIR + F64_LANES);
        SIMD_UNROLL
        for (size_t g = 0; g < group; g++) {
            f64v l = f64_all(column[k * stride + done + g]);
            v[g][0] = f64_fnma(l, a, v[g][0]);
            v[g][1] = f64_fnma(l, b, v[g][1]);
        }
    }
    const double *corner = column + done * stride + done;
    SIMD_UNROLL
    for (size_t g = 0; g < group; g++) {
        f64v reciprocal = f64_all(1 / corner[g * stride + g]);
        SIMD_UNROLL
        for (size_t half = 0; half < 2; half++) {
            SIMD_UNROLL
            for (size_t k = 0; k < g; k++)
                v[g][half] = f64_fnma(f64_all(corner[k * stride + g]), v[k][half], v[g][half]);
            v[g][half] = f64_mul(v[g][half], reciprocal);
            sum[half] = f64_fma(v[g][half], v[g][half], sum[half]);
            f64_store(own + g * PAIR + half * F64_LANES, v[g][half]);
        }
    }
}

// Rows of L^-1 from the first that is not zero down, two vectors of its columns at a time and four rows together, so
// that a row above is loaded once for four; every element still meets its terms in ascending order.
static void inverse_squares(double *out, const double *panel, size_t stride, size_t D, double *room)
{
    for (size_t first = 0; first < D; first += PAIR) {
        const double *column = panel + first * stride + first;
        size_t count = D - first, done = 0;
        memset(room, 0, count * PAIR * sizeof *room);
        for (size_t j = 0; j < PAIR && j < count; j++)
            room[j * PAIR + j] = 1;
        f64v sum[2] = {f64_all(0), f64_all(0)};
        for (; done + GROUP <= count; done += GROUP)
            finish_rows(room, GROUP, done, column, stride, sum);
        for (; done < count; done++)
            finish_rows(room, 1, done, column, stride, sum);
        double sums[PAIR];
        f64_store(sums, sum[0]);
        f64_store(sums + F64_LANES, sum[1]);
        for (size_t j = 0; j < PAIR && j < count; j++)
            out[first + j] = sums[j];
    }
}

static void square(double *restrict out, const double *restrict factor, size_t stride, size_t n)
{
    for (size_t c = 0; c < n; c++) {
        double *row = out + c * n;
        for (size_t r = c; r < n; r++)
            row[r] = 0;
        for (size_t k = 0; k <= c; k++)
            for (size_t r = c; r < n; r++)
                row[r] = fma(factor[k * stride + r], factor[k * stride + c], row[r]);
    }
}

// x = 2^e m with m in [sqrt 1/2, sqrt 2);  ln x = e ln 2 + 2 artanh((m - 1) / (m + 1)), the series to f^21.
static void logarithm(double *out, const double *x, size_t count)
{
    const uint64_t root_half = 0x3fe6a09e667f3bcd;  // bits of sqrt 1/2
    const double ln2 = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;  // ln 2 in two parts, the first short
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        // Count exponents from sqrt 1/2 upwards, so that the mantissa falls into the interval above.
        uint64_t offset = bits - root_half, mantissa = (offset & 0x000fffffffffffff) + root_half;
        // The exponent as a double: written into the low bits of 2^52 + 2^51, which then goes away.
        uint64_t exponent_bits = 0x4338000000000000 + ((offset >> 52) ^ 0x800);
        double m, exponent;
        memcpy(&m, &mantissa, sizeof m);
        memcpy(&exponent, &exponent_bits, sizeof exponent);
        exponent -= 0x1.8p52 + 0x800;

        double f = (m - 1) / (m + 1), s = f * f, tail = 2.0 / 21;
        tail = fma(tail, s, 2.0 / 19);
        tail = fma(tail, s, 2.0 / 17);
        tail = fma(tail, s, 2.0 / 15);
        tail = fma(tail, s, 2.0 / 13);
        tail = fma(tail, s, 2.0 / 11);
        tail = fma(tail, s, 2.0 / 9);
        tail = fma(tail, s, 2.0 / 7);
        tail = fma(tail, s, 2.0 / 5);
        tail = fma(tail, s, 2.0 / 3);
        // 2 f = (m - 1) - f (m - 1): keeps the last bit where ln x is small.
        double small = fma(tail * s, f, fma(exponent, ln2_low, -f * (m - 1)));
        out[i] = fma(exponent, ln2, (m - 1) + small);
    }
}

const struct lanes LANES_SET = {
    .residual = residual,
    .residual_of_few = residual_of_few,
    .quadratic = quadratic,
    .cross = cross,
    .exact = exact,
    .solve = solve,
    .forward = forward,
    .combine = combine,
    .squares = squares,
    .inverse_squares = inverse_squares,
    .square = square,
    .logarithm = logarithm,
};
