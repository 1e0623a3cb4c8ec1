#pragma once
// Networks and losses are written once in `real`: float in the product, double where a test holds their gradients
// against central differences (compiled again with -DREAL_DOUBLE; in float a difference would prove nothing).

#include <cblas.h>
#include <math.h>
#include <stddef.h>

#ifdef REAL_DOUBLE
typedef double real;
#define REAL(function) cblas_d##function
#else
typedef float real;
#define REAL(function) cblas_s##function
#endif

// Arenas, and arenas within arenas, begin on cache lines: counts are rounded up to whole ones.
static inline size_t whole_lines(size_t count) { return (count + 15) / 16 * 16; }
