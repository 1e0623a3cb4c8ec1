#pragma once
// The batch formulas, in long double and by Gauss and Jordan, from transitions and not from sums.

#include "scenario.h"
#include "tests/support/suite.h"

#include <math.h>

struct naive {
    long double *mean, *inverse, *scale;  // M_n (D, d), Xi_n^-1 (D, D), Omega_n (d, d)
    long double log_det_precision, log_det_scale, degrees;
};

struct naive naive_solve(const struct scenario *scenario, const int32_t *z, size_t count);
void naive_release(struct naive *naive);

// A^-1 in place; returns ln |A|.
long double invert(long double *A, size_t n);

static inline void assert_near(const char *what, double a, double b, double tolerance)
{
    ck_assert_msg(fabs(a - b) <= tolerance * (1 + fabs(b)), "%s: %.17g, expected %.17g", what, a, b);
}
