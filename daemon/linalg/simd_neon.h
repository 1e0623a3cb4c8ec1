#pragma once
// Vectors of 128 bits, aarch64; see simd.h.

#include <arm_neon.h>

enum { F32_LANES = 4, F64_LANES = 2, SIMD_REGISTERS = 32 };
typedef float32x4_t f32v;
typedef float64x2_t f64v;
typedef int64x2_t i64v;

SIMD_INLINE f32v f32_load(const float *p) { return vld1q_f32(p); }
SIMD_INLINE f32v f32_load_once(const float *p)
{
    f32v a = f32_load(p);
    __asm__("" : "+w"(a));
    return a;
}
SIMD_INLINE f32v f32_load_first(const float *p, size_t n)
{
    float padded[F32_LANES] = {0};
    for (size_t i = 0; i < n; i++)
        padded[i] = p[i];
    return vld1q_f32(padded);
}
SIMD_INLINE void f32_store(float *p, f32v a) { vst1q_f32(p, a); }
SIMD_INLINE void f32_store_first(float *p, f32v a, size_t n)
{
    float lanes[F32_LANES];
    vst1q_f32(lanes, a);
    for (size_t i = 0; i < n; i++)
        p[i] = lanes[i];
}
SIMD_INLINE f32v f32_all(float x) { return vdupq_n_f32(x); }
SIMD_INLINE f32v f32_mul(f32v a, f32v b) { return vmulq_f32(a, b); }
SIMD_INLINE f32v f32_div(f32v a, f32v b) { return vdivq_f32(a, b); }
SIMD_INLINE f32v f32_fma(f32v a, f32v b, f32v c) { return vfmaq_f32(c, a, b); }
SIMD_INLINE f32v f32_min(f32v a, f32v b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
SIMD_INLINE f32v f32_max(f32v a, f32v b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

SIMD_INLINE f64v f64_load(const double *p) { return vld1q_f64(p); }
SIMD_INLINE f64v f64_load_once(const double *p)
{
    f64v a = f64_load(p);
    __asm__("" : "+w"(a));
    return a;
}
SIMD_INLINE f64v f64_load_first(const double *p, size_t n)
{
    return n > 1 ? vld1q_f64(p) : vsetq_lane_f64(*p, vdupq_n_f64(0), 0);
}
SIMD_INLINE void f64_store(double *p, f64v a) { vst1q_f64(p, a); }
SIMD_INLINE void f64_store_first(double *p, f64v a, size_t n)
{
    if (n > 1)
        vst1q_f64(p, a);
    else
        vst1q_lane_f64(p, a, 0);
}
SIMD_INLINE f64v f64_all(double x) { return vdupq_n_f64(x); }
SIMD_INLINE f64v f64_mul(f64v a, f64v b) { return vmulq_f64(a, b); }
SIMD_INLINE f64v f64_fma(f64v a, f64v b, f64v c) { return vfmaq_f64(c, a, b); }
SIMD_INLINE f64v f64_fnma(f64v a, f64v b, f64v c) { return vfmsq_f64(c, a, b); }
SIMD_INLINE f64v f64_spread(f64v a, size_t lane) { return vdupq_n_f64(a[lane]); }
SIMD_INLINE f64v f64_replace(f64v a, size_t lane, double x)
{
    a[lane] = x;
    return a;
}
SIMD_INLINE f64v f64_div(f64v a, f64v b) { return vdivq_f64(a, b); }
SIMD_INLINE f64v f64_sqrt(f64v a) { return vsqrtq_f64(a); }
SIMD_INLINE unsigned f64_outside(f64v a, double low, double high)
{
    return !(a[0] >= low && a[0] <= high) | !(a[1] >= low && a[1] <= high) << 1;
}
SIMD_INLINE void f64_turn(f64v a[F64_LANES])
{
    f64v first = vtrn1q_f64(a[0], a[1]);
    a[1] = vtrn2q_f64(a[0], a[1]);
    a[0] = first;
}
SIMD_INLINE double f64_first(f64v a) { return vgetq_lane_f64(a, 0); }
SIMD_INLINE f64v f64_from_i64(i64v a) { return vcvtq_f64_s64(a); }

SIMD_INLINE i64v i64_load(const void *p) { return vld1q_s64(p); }
SIMD_INLINE i64v i64_load_first(const void *p, size_t n)
{
    return n > 1 ? vld1q_s64(p) : vsetq_lane_s64(*(const int64_t *)p, vdupq_n_s64(0), 0);
}
SIMD_INLINE void i64_store(void *p, i64v a) { vst1q_s64(p, a); }
SIMD_INLINE void i64_store_first(void *p, i64v a, size_t n)
{
    if (n > 1)
        vst1q_s64(p, a);
    else
        vst1q_lane_s64(p, a, 0);
}
SIMD_INLINE i64v i64_all(int64_t x) { return vdupq_n_s64(x); }
SIMD_INLINE i64v i64_widen(const int32_t *p) { return vmovl_s32(vld1_s32(p)); }
SIMD_INLINE i64v i64_widen_lanes(const int32_t *p, size_t first, size_t end)
{
    i64v a = vdupq_n_s64(0);
    if (first == 0 && end > 0)
        a = vsetq_lane_s64(p[0], a, 0);
    if (first <= 1 && end > 1)
        a = vsetq_lane_s64(p[1], a, 1);
    return a;
}
SIMD_INLINE i64v i64_product(i64v a, i64v b) { return vmull_s32(vmovn_s64(a), vmovn_s64(b)); }
SIMD_INLINE i64v i64_add(i64v a, i64v b) { return vaddq_s64(a, b); }
SIMD_INLINE i64v i64_overflown(i64v a, i64v b, i64v sum)
{
    return vandq_s64(veorq_s64(a, sum), veorq_s64(b, sum));
}
SIMD_INLINE int i64_any_negative(i64v a) { return (vgetq_lane_s64(a, 0) | vgetq_lane_s64(a, 1)) < 0; }
