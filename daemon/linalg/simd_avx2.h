#pragma once
// Vectors of 256 bits; see simd.h.

#include <immintrin.h>

enum { F32_LANES = 8, F64_LANES = 4, SIMD_REGISTERS = 16 };
typedef __m256 f32v;
typedef __m256d f64v;
typedef __m256i i64v;

// All ones in the lanes before n.
SIMD_INLINE __m256i simd_first32(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
SIMD_INLINE __m256i simd_first(size_t n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)n), _mm256_setr_epi64x(0, 1, 2, 3));
}

SIMD_INLINE f32v f32_load(const float *p) { return _mm256_loadu_ps(p); }
SIMD_INLINE f32v f32_load_once(const float *p)
{
    f32v a = f32_load(p);
    __asm__("" : "+x"(a));
    return a;
}
SIMD_INLINE f32v f32_load_first(const float *p, size_t n) { return _mm256_maskload_ps(p, simd_first32(n)); }
SIMD_INLINE void f32_store(float *p, f32v a) { _mm256_storeu_ps(p, a); }
SIMD_INLINE void f32_store_first(float *p, f32v a, size_t n) { _mm256_maskstore_ps(p, simd_first32(n), a); }
SIMD_INLINE f32v f32_all(float x) { return _mm256_set1_ps(x); }
SIMD_INLINE f32v f32_mul(f32v a, f32v b) { return _mm256_mul_ps(a, b); }
SIMD_INLINE f32v f32_div(f32v a, f32v b) { return _mm256_div_ps(a, b); }
SIMD_INLINE f32v f32_fma(f32v a, f32v b, f32v c) { return _mm256_fmadd_ps(a, b, c); }
SIMD_INLINE f32v f32_min(f32v a, f32v b) { return _mm256_min_ps(a, b); }
SIMD_INLINE f32v f32_max(f32v a, f32v b) { return _mm256_max_ps(a, b); }

SIMD_INLINE f64v f64_load(const double *p) { return _mm256_loadu_pd(p); }
SIMD_INLINE f64v f64_load_once(const double *p)
{
    f64v a = f64_load(p);
    __asm__("" : "+x"(a));
    return a;
}
SIMD_INLINE f64v f64_load_first(const double *p, size_t n) { return _mm256_maskload_pd(p, simd_first(n)); }
SIMD_INLINE void f64_store(double *p, f64v a) { _mm256_storeu_pd(p, a); }
SIMD_INLINE void f64_store_first(double *p, f64v a, size_t n) { _mm256_maskstore_pd(p, simd_first(n), a); }
SIMD_INLINE f64v f64_all(double x) { return _mm256_set1_pd(x); }
SIMD_INLINE f64v f64_mul(f64v a, f64v b) { return _mm256_mul_pd(a, b); }
SIMD_INLINE f64v f64_fma(f64v a, f64v b, f64v c) { return _mm256_fmadd_pd(a, b, c); }
SIMD_INLINE f64v f64_fnma(f64v a, f64v b, f64v c) { return _mm256_fnmadd_pd(a, b, c); }
SIMD_INLINE f64v f64_spread(f64v a, size_t lane)
{
    return _mm256_set1_pd(a[lane]);
}
SIMD_INLINE f64v f64_replace(f64v a, size_t lane, double x)
{
    a[lane] = x;
    return a;
}
SIMD_INLINE f64v f64_div(f64v a, f64v b) { return _mm256_div_pd(a, b); }
SIMD_INLINE f64v f64_sqrt(f64v a) { return _mm256_sqrt_pd(a); }
SIMD_INLINE unsigned f64_outside(f64v a, double low, double high)
{
    f64v below = _mm256_cmp_pd(a, _mm256_set1_pd(low), _CMP_NGE_UQ);
    return (unsigned)_mm256_movemask_pd(_mm256_or_pd(below, _mm256_cmp_pd(a, _mm256_set1_pd(high), _CMP_NLE_UQ)));
}
SIMD_INLINE void f64_turn(f64v a[F64_LANES])
{
    f64v b0 = _mm256_unpacklo_pd(a[0], a[1]), b1 = _mm256_unpackhi_pd(a[0], a[1]);
    f64v b2 = _mm256_unpacklo_pd(a[2], a[3]), b3 = _mm256_unpackhi_pd(a[2], a[3]);
    a[0] = _mm256_permute2f128_pd(b0, b2, 0x20);
    a[1] = _mm256_permute2f128_pd(b1, b3, 0x20);
    a[2] = _mm256_permute2f128_pd(b0, b2, 0x31);
    a[3] = _mm256_permute2f128_pd(b1, b3, 0x31);
}
SIMD_INLINE double f64_first(f64v a) { return _mm256_cvtsd_f64(a); }

SIMD_INLINE i64v i64_load(const void *p) { return _mm256_loadu_si256(p); }
SIMD_INLINE i64v i64_load_first(const void *p, size_t n) { return _mm256_maskload_epi64(p, simd_first(n)); }
SIMD_INLINE void i64_store(void *p, i64v a) { _mm256_storeu_si256(p, a); }
SIMD_INLINE void i64_store_first(void *p, i64v a, size_t n) { _mm256_maskstore_epi64(p, simd_first(n), a); }
SIMD_INLINE i64v i64_all(int64_t x) { return _mm256_set1_epi64x(x); }
SIMD_INLINE i64v i64_widen(const int32_t *p)
{
    return _mm256_cvtepi32_epi64(_mm_loadu_si128((const void *)p));
}
SIMD_INLINE i64v i64_widen_lanes(const int32_t *p, size_t first, size_t end)
{
    __m128i lanes = _mm_setr_epi32(0, 1, 2, 3);
    __m128i before = _mm_cmpgt_epi32(_mm_set1_epi32((int)first), lanes);
    __m128i until = _mm_cmpgt_epi32(_mm_set1_epi32((int)end), lanes);
    return _mm256_cvtepi32_epi64(_mm_maskload_epi32(p, _mm_andnot_si128(before, until)));
}
SIMD_INLINE i64v i64_product(i64v a, i64v b) { return _mm256_mul_epi32(a, b); }
SIMD_INLINE i64v i64_add(i64v a, i64v b) { return _mm256_add_epi64(a, b); }
SIMD_INLINE i64v i64_overflown(i64v a, i64v b, i64v sum)
{
    return _mm256_and_si256(_mm256_xor_si256(a, sum), _mm256_xor_si256(b, sum));
}
SIMD_INLINE int i64_any_negative(i64v a) { return _mm256_movemask_pd(_mm256_castsi256_pd(a)) != 0; }

// AVX2 cannot convert 64-bit integers. Their halves become doubles exactly by placing the bits under the
// exponent of 2^52 and 2^84; the last addition is the only one that rounds.
SIMD_INLINE f64v simd_from_halves(i64v lower, i64v upper, double offset)
{
    lower = _mm256_blend_epi32(_mm256_castpd_si256(_mm256_set1_pd(0x1p52)), lower, 0x55);
    upper = _mm256_xor_si256(_mm256_castpd_si256(_mm256_set1_pd(0x1p84)), _mm256_srli_epi64(upper, 32));
    f64v high = _mm256_sub_pd(_mm256_castsi256_pd(upper), _mm256_set1_pd(offset));
    return _mm256_add_pd(high, _mm256_castsi256_pd(lower));
}
SIMD_INLINE f64v f64_from_i64(i64v a)
{
    i64v flipped = _mm256_xor_si256(a, _mm256_set1_epi64x(INT64_MIN));  // a + 2^63
    return simd_from_halves(a, flipped, 0x1p84 + 0x1p63 + 0x1p52);
}
