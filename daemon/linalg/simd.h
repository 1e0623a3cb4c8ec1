#pragma once
// The widest vectors of the instruction set that a file is compiled for, behind a dozen names, so that
// the kernels are written once. Lanes never meet: whatever the width, a lane computes what plain C would.
//
//   f32v  F32_LANES floats      f64v  F64_LANES doubles      i64v  F64_LANES 64-bit integers
//
// load_once is load, but the compiler has to keep the vector in a register rather than load it for each use.
//
// AVX-512, AVX2 with FMA, NEON, else plain numbers as vectors of one lane. Every operation is exact or
// rounded once, to nearest: an instruction that approximates has no place here.

#include <math.h>
#include <stddef.h>
#include <stdint.h>

// Tiles are functions whose size is a constant in each caller: SIMD_INLINE makes it one, SIMD_UNROLL before a
// loop over an array of vectors lets the array live in registers. Sanitizers check every element of it
// instead; unrolled, that would compile for minutes and find nothing more.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(undefined_behavior_sanitizer)
#define SIMD_CHECKED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIMD_CHECKED
#endif

#if defined(SIMD_CHECKED)
#define SIMD_INLINE static inline __attribute__((unused))
#define SIMD_UNROLL
#elif defined(__clang__)
#define SIMD_INLINE static inline __attribute__((always_inline, unused))
#define SIMD_UNROLL _Pragma("unroll")
#else
#define SIMD_INLINE static inline __attribute__((always_inline, unused))
#define SIMD_UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "simd_avx2.h"
#elif defined(__aarch64__)
#include "simd_neon.h"
#else
#include "simd_plain.h"
#endif
