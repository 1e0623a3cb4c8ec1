// Exact sums of z z' in 128-bit integers, and their way into doubles.
//
// Two limbs in two arrays, so that lanes hold neighbouring entries: add the low words, see the carry by
// comparing, add it to the high words.

#include "set.h"
#include "simd.h"

// (low, high) += product, lane by lane
SIMD_INLINE void add_product(i64v *low, i64v *high, i64v product)
{
    *low = i64_add(*low, product);
    *high = i64_add_below(i64_add(*high, i64_sign(product)), *low, product);
}

// The triangle is one array, walked in aligned vectors that are loaded and stored once: a vector in which
// a column ends holds the beginning of the next one too. (Going column by column, each column's first
// load would wait for the last store of the one before.)
void KERNEL(sum_add)(uint64_t *low, int64_t *high, const int32_t *z, size_t P, int sign)
{
    size_t entries = P * (P + 1) / 2, left = P, c = 0;  // left: entries of column c from entry i on
    // |z| <= 2^29, so a change of sign stays within 32 bits.
    i64v factor = i64_all(sign * z[0]);
    for (size_t i = 0; i < entries; i += F64_LANES) {
        i64v product;
        if (left >= F64_LANES) {
            product = i64_product(factor, i64_widen(z + P - left));
            left -= F64_LANES;
        } else {
            product = i64_product(factor, i64_widen_lanes(z + P - left, 0, left));
            for (size_t lane = left; lane < F64_LANES && ++c < P; lane += P - c) {
                size_t end = lane + P - c < F64_LANES ? lane + P - c : F64_LANES;
                factor = i64_all(sign * z[c]);
                product = i64_add(product, i64_product(factor, i64_widen_lanes(z + c - lane, lane, end)));
                left = P - c - (end - lane);
            }
        }
        size_t count = entries - i;
        if (count >= F64_LANES) {
            i64v l = i64_load(low + i), h = i64_load(high + i);
            add_product(&l, &h, product);
            i64_store(low + i, l);
            i64_store(high + i, h);
        } else {
            i64v l = i64_load_first(low + i, count), h = i64_load_first(high + i, count);
            add_product(&l, &h, product);
            i64_store_first(low + i, l, count);
            i64_store_first(high + i, h, count);
        }
    }
}

static void merge_add(uint64_t *low, int64_t *high, const uint64_t *other_low, const int64_t *other_high,
                      size_t left)
{
    i64v a = i64_load_first(low, left), b = i64_load_first(other_low, left), sum = i64_add(a, b);
    i64v h = i64_add(i64_load_first(high, left), i64_load_first(other_high, left));
    i64_store_first(low, sum, left);
    i64_store_first(high, i64_add_below(h, sum, b), left);
}

static void merge_subtract(uint64_t *low, int64_t *high, const uint64_t *other_low, const int64_t *other_high,
                           size_t left)
{
    i64v a = i64_load_first(low, left), b = i64_load_first(other_low, left);
    i64v h = i64_sub(i64_load_first(high, left), i64_load_first(other_high, left));
    i64_store_first(low, i64_sub(a, b), left);
    i64_store_first(high, i64_sub_below(h, a, b), left);
}

void KERNEL(sum_merge)(uint64_t *low, int64_t *high, const uint64_t *other_low, const int64_t *other_high,
                       size_t count, int sign)
{
    for (size_t i = 0; i < count; i += F64_LANES) {
        size_t left = count - i < F64_LANES ? count - i : F64_LANES;
        if (sign > 0)
            merge_add(low + i, high + i, other_low + i, other_high + i, left);
        else
            merge_subtract(low + i, high + i, other_low + i, other_high + i, left);
    }
}

// prior + (high 2^64 + low) 2^-48; the scaling is exact, so fusing it with the addition changes no bit.
SIMD_INLINE f64v with_prior(f64v prior, i64v low, i64v high)
{
    f64v upper = f64_from_i64(i64_sub(high, i64_sign(low)));
    return f64_fma(f64_fma(upper, f64_all(0x1p64), f64_from_i64(low)), f64_all(0x1p-48), prior);
}

void KERNEL(sum_to_panel)(double *panel, size_t stride, const double *prior, const uint64_t *low,
                          const int64_t *high, size_t P, size_t columns, size_t rows)
{
    for (size_t c = 0; c < columns; c++) {
        // Entry (r, c) stands at i + r.
        size_t i = c * P - c * (c + 1) / 2, r = c;
        double *column = panel + c * stride;
        for (; r + F64_LANES <= rows; r += F64_LANES)
            f64_store(column + r, with_prior(f64_load(prior + i + r), i64_load(low + i + r),
                                             i64_load(high + i + r)));
        if (r < rows) {
            size_t left = rows - r;
            f64v sum = with_prior(f64_load_first(prior + i + r, left), i64_load_first(low + i + r, left),
                                  i64_load_first(high + i + r, left));
            f64_store_first(column + r, sum, left);
        }
    }
}
