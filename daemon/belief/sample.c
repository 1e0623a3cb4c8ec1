// A draw from the posterior, by Bartlett's decomposition of the Wishart distribution.
//
// The precision Sigma^-1 ~ W(Omega^-1, nu) is B B' with B = L22^-T A: A lower triangular, A_jj^2 ~ chi^2(nu - j),
// standard normals below. With T = A^-1 L22' then Sigma = T' T, and M = M_n + L11^-T Z T for standard normals Z.

#include "posterior.h"

#include "daemon/base/random.h"

#include <math.h>

void posterior_sample(struct posterior *p, struct random_stream *stream, double *M, double *Sigma)
{
    size_t D = p->D, d = p->d;
    double *A = p->scratch, *T = A + d * d, *Z = T + d * d;
    for (size_t j = 0; j < d; j++) {
        A[j * d + j] = sqrt(random_chi_square(stream, p->degrees - (double)j));
        for (size_t i = j + 1; i < d; i++)
            A[i * d + j] = random_normal(stream);
    }
    // A T = L22', row after row
    for (size_t i = 0; i < d; i++) {
        for (size_t j = 0; j < d; j++) {
            double sum = j >= i ? p->scale_factor[j * d + i] : 0;
            for (size_t k = 0; k < i; k++)
                sum -= A[i * d + k] * T[k * d + j];
            T[i * d + j] = sum / A[i * d + i];
        }
    }
    if (Sigma) {
        for (size_t i = 0; i < d; i++) {
            for (size_t j = 0; j <= i; j++) {
                double sum = 0;
                for (size_t k = 0; k < d; k++)
                    sum += T[k * d + i] * T[k * d + j];
                Sigma[i * d + j] = Sigma[j * d + i] = sum;
            }
        }
    }

    for (size_t i = 0; i < D * d; i++)
        Z[i] = random_normal(stream);
    // L11' X = Z T, from the last row up; M = M_n + X. M holds X meanwhile.
    for (size_t i = D; i-- > 0;) {
        double reciprocal = 1 / p->panel[i * p->stride + i];
        for (size_t j = 0; j < d; j++) {
            double sum = 0;
            for (size_t k = 0; k < d; k++)
                sum += Z[i * d + k] * T[k * d + j];
            for (size_t k = i + 1; k < D; k++)
                sum -= p->panel[i * p->stride + k] * M[k * d + j];
            M[i * d + j] = sum * reciprocal;
        }
    }
    for (size_t i = 0; i < D * d; i++)
        M[i] += p->mean[i];
}
