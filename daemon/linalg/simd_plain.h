#pragma once
// Plain numbers as vectors of one lane; see simd.h.

// No fused multiply-add that the compiler may rely on: fma() of the C library rounds correctly, in
// hardware where it finds some.
enum { F32_LANES = 1, F64_LANES = 1, SIMD_REGISTERS = 8 };
typedef float f32v;
typedef double f64v;
typedef int64_t i64v;

SIMD_INLINE f32v f32_load(const float *p) { return *p; }
SIMD_INLINE f32v f32_load_once(const float *p) { return *p; }
SIMD_INLINE f32v f32_load_first(const float *p, size_t n) { return n ? *p : 0; }
SIMD_INLINE void f32_store(float *p, f32v a) { *p = a; }
SIMD_INLINE void f32_store_first(float *p, f32v a, size_t n)
{
    if (n)
        *p = a;
}
SIMD_INLINE f32v f32_all(float x) { return x; }
SIMD_INLINE f32v f32_mul(f32v a, f32v b) { return a * b; }
SIMD_INLINE f32v f32_div(f32v a, f32v b) { return a / b; }
SIMD_INLINE f32v f32_fma(f32v a, f32v b, f32v c) { return fmaf(a, b, c); }
SIMD_INLINE f32v f32_min(f32v a, f32v b) { return a < b ? a : b; }
SIMD_INLINE f32v f32_max(f32v a, f32v b) { return a > b ? a : b; }

SIMD_INLINE f64v f64_load(const double *p) { return *p; }
SIMD_INLINE f64v f64_load_once(const double *p) { return *p; }
SIMD_INLINE f64v f64_load_first(const double *p, size_t n) { return n ? *p : 0; }
SIMD_INLINE void f64_store(double *p, f64v a) { *p = a; }
SIMD_INLINE void f64_store_first(double *p, f64v a, size_t n)
{
    if (n)
        *p = a;
}
SIMD_INLINE f64v f64_all(double x) { return x; }
SIMD_INLINE f64v f64_mul(f64v a, f64v b) { return a * b; }
SIMD_INLINE f64v f64_fma(f64v a, f64v b, f64v c) { return fma(a, b, c); }
SIMD_INLINE f64v f64_fnma(f64v a, f64v b, f64v c) { return fma(-a, b, c); }
SIMD_INLINE f64v f64_spread(f64v a, size_t lane)
{
    (void)lane;
    return a;
}
SIMD_INLINE f64v f64_replace(f64v a, size_t lane, double x)
{
    (void)a, (void)lane;
    return x;
}
SIMD_INLINE f64v f64_div(f64v a, f64v b) { return a / b; }
SIMD_INLINE f64v f64_sqrt(f64v a) { return sqrt(a); }
SIMD_INLINE unsigned f64_outside(f64v a, double low, double high) { return !(a >= low && a <= high); }
SIMD_INLINE void f64_turn(f64v a[F64_LANES]) { (void)a; }
SIMD_INLINE double f64_first(f64v a) { return a; }
SIMD_INLINE f64v f64_from_i64(i64v a) { return (double)a; }

SIMD_INLINE i64v i64_load(const void *p) { return *(const int64_t *)p; }
SIMD_INLINE i64v i64_load_first(const void *p, size_t n) { return n ? *(const int64_t *)p : 0; }
SIMD_INLINE void i64_store(void *p, i64v a) { *(int64_t *)p = a; }
SIMD_INLINE void i64_store_first(void *p, i64v a, size_t n)
{
    if (n)
        *(int64_t *)p = a;
}
SIMD_INLINE i64v i64_all(int64_t x) { return x; }
SIMD_INLINE i64v i64_widen(const int32_t *p) { return *p; }
SIMD_INLINE i64v i64_widen_lanes(const int32_t *p, size_t first, size_t end)
{
    return first < end ? *p : 0;
}
SIMD_INLINE i64v i64_product(i64v a, i64v b) { return a * b; }
SIMD_INLINE i64v i64_add(i64v a, i64v b) { return (i64v)((uint64_t)a + (uint64_t)b); }
SIMD_INLINE i64v i64_overflown(i64v a, i64v b, i64v sum) { return (a ^ sum) & (b ^ sum); }
SIMD_INLINE int i64_any_negative(i64v a) { return a < 0; }
