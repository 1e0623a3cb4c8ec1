#pragma once
// The posterior once more, plainly, in 113-bit arithmetic: A assembled from the integers and the prior's own
// values, A = L G L' without square roots.

#include "scenario.h"

// __float128 where it is a type of its own (x86), long double where that has 113 bits (aarch64).
#if defined(__SIZEOF_FLOAT128__)
typedef __float128 quad;
#else
typedef long double quad;
#endif

struct quad_posterior {
    size_t D, d;
    quad *mean;      // (D, d)
    quad *scale;     // (d, d)
    quad *inverse;   // Xi_n^-1 (D, D)
};

struct quad_posterior quad_solve(const struct scenario *scenario, const struct belief *belief);
void quad_release(struct quad_posterior *posterior);

// |a - reference| / |reference|, Frobenius.
double quad_error(const double *a, const quad *reference, size_t count);
