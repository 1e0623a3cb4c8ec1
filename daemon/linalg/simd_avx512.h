#pragma once
// Vectors of 512 bits; see simd.h.

#include <immintrin.h>

enum { F32_LANES = 16, F64_LANES = 8, SIMD_REGISTERS = 32 };
typedef __m512 f32v;
typedef __m512d f64v;
typedef __m512i i64v;

SIMD_INLINE f32v f32_load(const float *p) { return _mm512_loadu_ps(p); }
SIMD_INLINE f32v f32_load_once(const float *p)
{
    f32v a = f32_load(p);
    __asm__("" : "+v"(a));
    return a;
}
SIMD_INLINE f32v f32_load_first(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
SIMD_INLINE void f32_store(float *p, f32v a) { _mm512_storeu_ps(p, a); }
SIMD_INLINE void f32_store_first(float *p, f32v a, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a);
}
SIMD_INLINE f32v f32_all(float x) { return _mm512_set1_ps(x); }
SIMD_INLINE f32v f32_mul(f32v a, f32v b) { return _mm512_mul_ps(a, b); }
SIMD_INLINE f32v f32_div(f32v a, f32v b) { return _mm512_div_ps(a, b); }
SIMD_INLINE f32v f32_fma(f32v a, f32v b, f32v c) { return _mm512_fmadd_ps(a, b, c); }
SIMD_INLINE f32v f32_min(f32v a, f32v b) { return _mm512_min_ps(a, b); }
SIMD_INLINE f32v f32_max(f32v a, f32v b) { return _mm512_max_ps(a, b); }

SIMD_INLINE __mmask8 simd_first(size_t n) { return (__mmask8)((1u << n) - 1); }
SIMD_INLINE f64v f64_load(const double *p) { return _mm512_loadu_pd(p); }
SIMD_INLINE f64v f64_load_once(const double *p)
{
    f64v a = f64_load(p);
    __asm__("" : "+v"(a));
    return a;
}
SIMD_INLINE f64v f64_load_first(const double *p, size_t n) { return _mm512_maskz_loadu_pd(simd_first(n), p); }
SIMD_INLINE void f64_store(double *p, f64v a) { _mm512_storeu_pd(p, a); }
SIMD_INLINE void f64_store_first(double *p, f64v a, size_t n) { _mm512_mask_storeu_pd(p, simd_first(n), a); }
SIMD_INLINE f64v f64_all(double x) { return _mm512_set1_pd(x); }
SIMD_INLINE f64v f64_mul(f64v a, f64v b) { return _mm512_mul_pd(a, b); }
SIMD_INLINE f64v f64_fma(f64v a, f64v b, f64v c) { return _mm512_fmadd_pd(a, b, c); }
SIMD_INLINE f64v f64_fnma(f64v a, f64v b, f64v c) { return _mm512_fnmadd_pd(a, b, c); }
SIMD_INLINE f64v f64_spread(f64v a, size_t lane)
{
    return _mm512_permutexvar_pd(_mm512_set1_epi64((long long)lane), a);
}
SIMD_INLINE f64v f64_replace(f64v a, size_t lane, double x)
{
    return _mm512_mask_mov_pd(a, (__mmask8)(1u << lane), _mm512_set1_pd(x));
}
SIMD_INLINE f64v f64_div(f64v a, f64v b) { return _mm512_div_pd(a, b); }
SIMD_INLINE f64v f64_sqrt(f64v a) { return _mm512_sqrt_pd(a); }
// The lanes that do not lie between two numbers, NaNs among them, a bit for each.
SIMD_INLINE unsigned f64_outside(f64v a, double low, double high)
{
    return _mm512_cmp_pd_mask(a, _mm512_set1_pd(low), _CMP_NGE_UQ)
        | _mm512_cmp_pd_mask(a, _mm512_set1_pd(high), _CMP_NLE_UQ);
}
// Lane j of vector i goes to lane i of vector j.
SIMD_INLINE void f64_turn(f64v a[F64_LANES])
{
    f64v b[F64_LANES], c[F64_LANES];
    SIMD_UNROLL
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm512_unpacklo_pd(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_pd(a[i], a[i + 1]);
    }
    SIMD_UNROLL
    for (int i = 0; i < 8; i += 4)
        SIMD_UNROLL
        for (int j = 0; j < 2; j++) {
            c[i + j] = _mm512_shuffle_f64x2(b[i + j], b[i + j + 2], 0x88);
            c[i + j + 2] = _mm512_shuffle_f64x2(b[i + j], b[i + j + 2], 0xdd);
        }
    SIMD_UNROLL
    for (int j = 0; j < 4; j++) {
        a[j] = _mm512_shuffle_f64x2(c[j], c[j + 4], 0x88);
        a[j + 4] = _mm512_shuffle_f64x2(c[j], c[j + 4], 0xdd);
    }
}
SIMD_INLINE double f64_first(f64v a) { return _mm512_cvtsd_f64(a); }
SIMD_INLINE f64v f64_from_i64(i64v a) { return _mm512_cvtepi64_pd(a); }

SIMD_INLINE i64v i64_load(const void *p) { return _mm512_loadu_si512(p); }
SIMD_INLINE i64v i64_load_first(const void *p, size_t n)
{
    return _mm512_maskz_loadu_epi64(simd_first(n), p);
}
SIMD_INLINE void i64_store(void *p, i64v a) { _mm512_storeu_si512(p, a); }
SIMD_INLINE void i64_store_first(void *p, i64v a, size_t n) { _mm512_mask_storeu_epi64(p, simd_first(n), a); }
SIMD_INLINE i64v i64_all(int64_t x) { return _mm512_set1_epi64(x); }
SIMD_INLINE i64v i64_widen(const int32_t *p)
{
    return _mm512_cvtepi32_epi64(_mm256_loadu_si256((const void *)p));
}
SIMD_INLINE i64v i64_widen_lanes(const int32_t *p, size_t first, size_t end)
{
    return _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(simd_first(end) & ~simd_first(first), p));
}
SIMD_INLINE i64v i64_product(i64v a, i64v b) { return _mm512_mul_epi32(a, b); }
SIMD_INLINE i64v i64_add(i64v a, i64v b) { return _mm512_add_epi64(a, b); }
SIMD_INLINE i64v i64_overflown(i64v a, i64v b, i64v sum)
{
    return _mm512_and_si512(_mm512_xor_si512(a, sum), _mm512_xor_si512(b, sum));
}
SIMD_INLINE int i64_any_negative(i64v a) { return _mm512_movepi64_mask(a) != 0; }
