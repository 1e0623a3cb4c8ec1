#include "quad.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#if !defined(__SIZEOF_FLOAT128__)
_Static_assert(LDBL_MANT_DIG == 113, "no 113-bit arithmetic here");
#endif

static quad *new_quads(size_t count)
{
    quad *x = aligned(count * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = 0;
    return x;
}

// [Xi0, Xi0 M0; M0' Xi0, Omega0 + M0' Xi0 M0] + S, full (P, P).
static quad *assemble(const struct scenario *s, const struct belief *belief)
{
    size_t D = s->D, d = s->d, P = D + d, entry = 0;
    quad *A = new_quads(P * P), *product = new_quads(D * d);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < d; j++)
            for (size_t k = 0; k < D; k++)
                product[i * d + j] += (quad)s->precision[i * D + k] * s->mean[k * d + j];
    for (size_t r = 0; r < P; r++) {
        for (size_t c = 0; c <= r; c++) {
            quad value = 0;
            if (r < D) {
                value = s->precision[r * D + c];
            } else if (c < D) {
                value = product[c * d + r - D];
            } else {
                value = s->scale[(r - D) * d + c - D];
                for (size_t k = 0; k < D; k++)
                    value += (quad)s->mean[k * d + r - D] * product[k * d + c - D];
            }
            A[r * P + c] = value;
        }
    }
    for (size_t c = 0; c < P; c++) {
        for (size_t r = c; r < P; r++, entry++) {
            // Three exact pieces.
            A[r * P + c] += ((quad)belief->high[entry] * 0x1p64 + (quad)(int64_t)belief->low[entry]) * 0x1p-48;
            A[c * P + r] = A[r * P + c];
        }
    }
    free(product);
    return A;
}

struct quad_posterior quad_solve(const struct scenario *s, const struct belief *belief)
{
    size_t D = s->D, d = s->d, P = D + d, columns = d + D;
    quad *A = assemble(s, belief);
    struct quad_posterior result = {
        .D = D, .d = d, .mean = new_quads(D * d), .scale = new_quads(d * d), .inverse = new_quads(D * D)};

    // A11 = L G L': L in the strict lower triangle, G on the diagonal. X = A11^-1 [A12, I].
    quad *L = new_quads(D * D), *X = new_quads(D * columns);
    for (size_t c = 0; c < D; c++) {
        for (size_t r = c; r < D; r++) {
            quad sum = A[r * P + c];
            for (size_t k = 0; k < c; k++)
                sum -= L[r * D + k] * L[k * D + k] * L[c * D + k];
            L[r * D + c] = r == c ? sum : sum / L[c * D + c];
        }
    }
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < columns; j++)
            X[i * columns + j] = j < d ? A[i * P + D + j] : (quad)(i == j - d);
    for (size_t j = 0; j < columns; j++) {
        for (size_t i = 0; i < D; i++)
            for (size_t k = 0; k < i; k++)
                X[i * columns + j] -= L[i * D + k] * X[k * columns + j];
        for (size_t i = D; i-- > 0;) {
            X[i * columns + j] /= L[i * D + i];
            for (size_t k = i + 1; k < D; k++)
                X[i * columns + j] -= L[k * D + i] * X[k * columns + j];
        }
    }
    for (size_t i = 0; i < D; i++) {
        for (size_t j = 0; j < d; j++)
            result.mean[i * d + j] = X[i * columns + j];
        for (size_t j = 0; j < D; j++)
            result.inverse[i * D + j] = X[i * columns + d + j];
    }
    for (size_t r = 0; r < d; r++) {
        for (size_t c = 0; c < d; c++) {
            result.scale[r * d + c] = A[(D + r) * P + D + c];
            for (size_t k = 0; k < D; k++)
                result.scale[r * d + c] -= A[k * P + D + r] * result.mean[k * d + c];
        }
    }
    free(A), free(L), free(X);
    return result;
}

void quad_release(struct quad_posterior *p) { free(p->mean), free(p->scale), free(p->inverse); }

double quad_error(const double *a, const quad *reference, size_t count)
{
    quad wrong = 0, whole = 0;
    for (size_t i = 0; i < count; i++) {
        wrong += (a[i] - reference[i]) * (a[i] - reference[i]);
        whole += reference[i] * reference[i];
    }
    return sqrt((double)(wrong / whole));
}
