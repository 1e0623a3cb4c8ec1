// Exact sums of z z' in 128-bit integers, and their way into doubles.
//
// Two words in two arrays. The low word is signed, so it is the whole value until it first overflows, which takes
// tens of thousands of ordinary transitions: until then no high word is read or written, and half the bytes stay
// where they are.

#include "set.h"
#include "simd.h"

// What a low word lost or gained by overflowing.
static void carry(int64_t *high, const uint64_t *low, i64v overflown, size_t count)
{
    int64_t lanes[F64_LANES];
    i64_store(lanes, overflown);
    for (size_t i = 0; i < count; i++)
        if (lanes[i] < 0)
            high[i] += (int64_t)low[i] < 0 ? 1 : -1;
}

// S += product for `count` entries; whether any high word changed.
SIMD_INLINE int add_product(uint64_t *low, int64_t *high, i64v product, size_t count)
{
    i64v before = count < F64_LANES ? i64_load_first(low, count) : i64_load(low), after = i64_add(before, product);
    if (count < F64_LANES)
        i64_store_first(low, after, count);
    else
        i64_store(low, after);
    i64v overflown = i64_overflown(before, product, after);
    if (__builtin_expect(!i64_any_negative(overflown), 1))
        return 0;
    carry(high, low, overflown, count);
    return 1;
}

// The triangle is one array, walked in aligned vectors that are loaded and stored once. A vector in which a column
// ends holds the beginning of the next one too, so its product waits until that has been added. (Column by column,
// each column's first load would wait for the last store of the one before.)
int KERNEL(sum_add)(uint64_t *low, int64_t *high, const int32_t *z, size_t P, int sign)
{
    size_t lane = 0;  // where column c begins in the vector
    int changed = 0;
    i64v product = i64_all(0);
    for (size_t c = 0; c < P; c++) {
        // |z| <= 2^29, so a change of sign stays within 32 bits.
        i64v factor = i64_all(sign * z[c]);
        const int32_t *row = z + c - lane;
        size_t end = lane + P - c;
        product = i64_add(product, i64_product(factor, i64_widen_lanes(row, lane, end < F64_LANES ? end : F64_LANES)));
        if (end >= F64_LANES) {
            for (;;) {
                changed |= add_product(low, high, product, F64_LANES);
                low += F64_LANES, high += F64_LANES, row += F64_LANES, end -= F64_LANES;
                if (end < F64_LANES)
                    break;
                product = i64_product(factor, i64_widen(row));
            }
            product = i64_product(factor, i64_widen_lanes(row, 0, end));
        }
        lane = end;
    }
    return lane ? changed | add_product(low, high, product, lane) : changed;
}

int KERNEL(sum_merge)(uint64_t *low, int64_t *high, const uint64_t *other_low, const int64_t *other_high, size_t count,
                      int sign)
{
    int64_t any = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t sum;
        int overflown = sign > 0 ? __builtin_add_overflow((int64_t)low[i], (int64_t)other_low[i], &sum)
                                 : __builtin_sub_overflow((int64_t)low[i], (int64_t)other_low[i], &sum);
        low[i] = (uint64_t)sum;
        high[i] += sign > 0 ? other_high[i] : -other_high[i];
        high[i] += overflown ? (sum < 0 ? 1 : -1) : 0;
        any |= high[i];
    }
    return any != 0;
}

// prior + (high 2^64 + low) 2^-48; the scaling is exact, so fusing it with the addition changes no bit.
SIMD_INLINE f64v with_prior(const double *prior, const uint64_t *low, const int64_t *high, size_t count)
{
    int whole = count >= F64_LANES;
    f64v sum = f64_from_i64(whole ? i64_load(low) : i64_load_first(low, count));
    if (high)
        sum = f64_fma(f64_from_i64(whole ? i64_load(high) : i64_load_first(high, count)), f64_all(0x1p64), sum);
    return f64_fma(sum, f64_all(0x1p-48), whole ? f64_load(prior) : f64_load_first(prior, count));
}

SIMD_INLINE void fill_column(double *column, const double *prior, const uint64_t *low, const int64_t *high,
                             size_t count)
{
    size_t r = 0;
    for (; r + F64_LANES <= count; r += F64_LANES)
        f64_store(column + r, with_prior(prior + r, low + r, high ? high + r : NULL, F64_LANES));
    if (r < count)
        f64_store_first(column + r, with_prior(prior + r, low + r, high ? high + r : NULL, count - r), count - r);
}

void KERNEL(sum_to_panel)(double *panel, size_t stride, const double *prior, const uint64_t *low, const int64_t *high,
                          size_t P, size_t columns, size_t rows)
{
    size_t entry = 0;  // (c, c)
    for (size_t c = 0; c < columns; entry += P - c, c++) {
        double *diagonal = panel + c * stride + c;
        if (high)
            fill_column(diagonal, prior + entry, low + entry, high + entry, rows - c);
        else
            fill_column(diagonal, prior + entry, low + entry, NULL, rows - c);
    }
}
