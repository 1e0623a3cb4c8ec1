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

#define SIMD_INLINE static inline __attribute__((always_inline, unused))

// Before a loop with constant bounds over an array that should live in registers.
#ifdef __clang__
#define SIMD_UNROLL _Pragma("unroll")
#else
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
