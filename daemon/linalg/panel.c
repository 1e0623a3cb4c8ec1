// Cholesky factor and the triangular solves that go with it, in doubles.

#include "set.h"

#include <math.h>

size_t KERNEL(factor)(double *panel, size_t stride, size_t D, size_t rows)
{
    for (size_t c = 0; c < D; c++) {
        double *column = panel + c * stride;
        for (size_t k = 0; k < c; k++)
            for (size_t r = c; r < rows; r++)
                column[r] = fma(-panel[k * stride + r], panel[k * stride + c], column[r]);
        if (!(column[c] > 0 && isfinite(column[c])))
            return c + 1;
        column[c] = sqrt(column[c]);
        double reciprocal = 1 / column[c];
        for (size_t r = c + 1; r < rows; r++)
            column[r] *= reciprocal;
    }
    return 0;
}

void KERNEL(back_substitute)(double *out, size_t out_stride, const double *panel, size_t stride, size_t D,
                             size_t first, size_t count)
{
    for (size_t c = D; c-- > 0;) {
        double *x = out + c * out_stride;
        const double *column = panel + c * stride;
        for (size_t r = 0; r < count; r++)
            x[r] = column[first + r];
        for (size_t k = D; k-- > c + 1;)
            for (size_t r = 0; r < count; r++)
                x[r] = fma(-out[k * out_stride + r], column[k], x[r]);
        double reciprocal = 1 / column[c];
        for (size_t r = 0; r < count; r++)
            x[r] *= reciprocal;
    }
}
