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
