#pragma once
// Gradients against central differences, for suites that compile the learner's arithmetic in double.

#include <check.h>
#include <math.h>
#include <stddef.h>

typedef double objective(void *context);

// Compares gradient (count) of what `f` says about x with differences; the worst entry is named.
static inline void check_against_differences(const char *name, double *x, const double *gradient, size_t count,
                                             objective *f, void *context)
{
    const double step = 1e-5, tolerance = 1e-7;
    double scale = 0, worst = -1, numeric_at = 0;
    size_t where = 0;
    for (size_t i = 0; i < count; i++)
        scale = fmax(scale, fabs(gradient[i]));
    ck_assert_msg(scale > 0, "%s: the gradient is zero", name);
    for (size_t i = 0; i < count; i++) {
        double kept = x[i];
        x[i] = kept + step;
        double up = f(context);
        x[i] = kept - step;
        double down = f(context);
        x[i] = kept;
        double numeric = (up - down) / (2 * step), off = fabs(numeric - gradient[i]) / scale;
        if (!(off <= worst)) {
            worst = off;
            where = i;
            numeric_at = numeric;
        }
    }
    ck_assert_msg(worst < tolerance, "%s[%zu]: %.12g, by differences %.12g (relative %.2g)", name, where,
                  gradient[where], numeric_at, worst);
}
