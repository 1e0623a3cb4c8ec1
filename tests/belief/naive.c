// The batch formulas; the contract is in naive.h.
#include "naive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

long double invert(long double *A, size_t n)
{
    long double result = 0;
    for (size_t i = 0; i < n; i++) {
        long double pivot = A[i * n + i];
        result += logl(pivot);
        A[i * n + i] = 1;
        for (size_t j = 0; j < n; j++)
            A[i * n + j] /= pivot;
        for (size_t r = 0; r < n; r++) {
            if (r == i)
                continue;
            long double factor = A[r * n + i];
            A[r * n + i] = 0;
            for (size_t j = 0; j < n; j++)
                A[r * n + j] -= factor * A[i * n + j];
        }
    }
    return result;
}

// Omega_n = Omega0 + (Y - C M)'(Y - C M) + (M - M0)' Xi0 (M - M0)
struct naive naive_solve(const struct scenario *s, const int32_t *z, size_t count)
{
    size_t D = s->D, d = s->d, stride = kernel_padded(s->P);
    struct naive n = {
        .mean = calloc(D * d, sizeof(long double)),
        .inverse = calloc(D * D, sizeof(long double)),
        .scale = calloc(d * d, sizeof(long double)),
        .degrees = s->degrees + (long double)count,
    };
    long double *right = calloc(D * d, sizeof *right), *copy = calloc(d * d, sizeof *copy);
    for (size_t i = 0; i < D; i++) {
        for (size_t j = 0; j < D; j++) {
            n.inverse[i * D + j] = s->precision[i * D + j];
            for (size_t k = 0; k < d; k++)
                right[i * d + k] += (long double)s->precision[i * D + j] * s->mean[j * d + k];
        }
    }
    for (size_t t = 0; t < count; t++) {
        double x[512];
        in_units(x, z + t * stride, s->P);
        for (size_t i = 0; i < D; i++) {
            for (size_t j = 0; j < D; j++)
                n.inverse[i * D + j] += (long double)x[i] * x[j];
            for (size_t k = 0; k < d; k++)
                right[i * d + k] += (long double)x[i] * x[D + k];
        }
    }
    n.log_det_precision = invert(n.inverse, D);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < D; j++)
            for (size_t k = 0; k < d; k++)
                n.mean[i * d + k] += n.inverse[i * D + j] * right[j * d + k];
    for (size_t i = 0; i < d * d; i++)
        n.scale[i] = s->scale[i];
    for (size_t t = 0; t < count; t++) {
        double x[512];
        long double e[256];
        in_units(x, z + t * stride, s->P);
        for (size_t k = 0; k < d; k++) {
            e[k] = x[D + k];
            for (size_t i = 0; i < D; i++)
                e[k] -= n.mean[i * d + k] * x[i];
        }
        for (size_t k = 0; k < d; k++)
            for (size_t l = 0; l < d; l++)
                n.scale[k * d + l] += e[k] * e[l];
    }
    for (size_t k = 0; k < d; k++)
        for (size_t l = 0; l < d; l++)
            for (size_t i = 0; i < D; i++)
                for (size_t j = 0; j < D; j++)
                    n.scale[k * d + l] += (n.mean[i * d + k] - s->mean[i * d + k]) * s->precision[i * D + j]
                                        * (n.mean[j * d + l] - s->mean[j * d + l]);
    memcpy(copy, n.scale, d * d * sizeof *copy);
    n.log_det_scale = invert(copy, d);
    free(right), free(copy);
    return n;
}

void naive_release(struct naive *n)
{
    free(n->mean), free(n->inverse), free(n->scale);
}
