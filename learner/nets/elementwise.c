// The loops beside the large products. gcc makes a version for each instruction set and chooses at start.

#include "elementwise.h"

#include "each_machine.h"

#include <string.h>

EACH_MACHINE void tanh_backward(real *restrict d, const real *restrict y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        d[i] *= 1 - y[i] * y[i];
}

EACH_MACHINE void rectify(real *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] = x[i] < 0 ? 0 : x[i];
}

EACH_MACHINE void rectify_backward(real *restrict d, const real *restrict y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        d[i] = y[i] <= 0 ? 0 : d[i];
}

EACH_MACHINE void add_to(real *restrict sum, const real *restrict x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += x[i];
}

EACH_MACHINE void follow(real *restrict slow, const real *restrict fast, size_t count, real share)
{
    for (size_t i = 0; i < count; i++)
        slow[i] += share * (fast[i] - slow[i]);
}

EACH_MACHINE void sum_rows(real *restrict sum, const real *restrict rows, size_t count, size_t width)
{
    memset(sum, 0, width * sizeof *sum);
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < width; i++)
            sum[i] += rows[r * width + i];
}

EACH_MACHINE double sum_squares(const real *x, size_t count)
{
    enum { LANES = 16 };
    double lanes[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lanes[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    for (size_t k = 0; k < LANES; k++)
        sum += lanes[k];
    return sum;
}

EACH_MACHINE void adam_update(real *restrict parameters, real *restrict first, real *restrict second,
                              const real *restrict gradient, size_t count, real scale, real beta1, real beta2,
                              real rate, real root_scale, real epsilon)
{
    for (size_t i = 0; i < count; i++) {
        real g = scale * gradient[i];
        first[i] = beta1 * first[i] + (1 - beta1) * g;
        second[i] = beta2 * second[i] + (1 - beta2) * g * g;
#ifdef REAL_DOUBLE
        real root = sqrt(second[i]);
#else
        real root = sqrtf(second[i]);
#endif
        parameters[i] -= rate * first[i] / (root * root_scale + epsilon);
    }
}
