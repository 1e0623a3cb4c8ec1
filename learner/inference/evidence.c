// Log evidence of the conjugate linear model, and its gradient.
//
// Omega_n is a sum of squares (residuals and the prior's pull). The textbook difference Y'Y + .. - M_n' Xi_n M_n
// cancels badly once the noise is far below the signal.

#include "evidence.h"

#include <cblas.h>
#include <errno.h>
#include <math.h>

size_t evidence_scratch(size_t T, size_t D, size_t d)
{
    return 2 * D * D + 4 * D * d + 3 * d * d + 2 * T * d;
}

const double *evidence_weights(const double *scratch, size_t D)
{
    return scratch + 2 * D * D;
}

// A = L L' in place, lower triangle; the upper is left alone. -EDOM: a pivot is not positive and finite.
static int factor(double *A, size_t n, double *log_det)
{
    *log_det = 0;
    for (size_t c = 0; c < n; c++) {
        double pivot = A[c * n + c];
        for (size_t k = 0; k < c; k++)
            pivot -= A[c * n + k] * A[c * n + k];
        if (!(pivot > 0) || !isfinite(pivot))
            return -EDOM;
        double root = sqrt(pivot);
        A[c * n + c] = root;
        *log_det += log(pivot);
        for (size_t r = c + 1; r < n; r++) {
            double sum = A[r * n + c];
            for (size_t k = 0; k < c; k++)
                sum -= A[r * n + k] * A[c * n + k];
            A[r * n + c] = sum / root;
        }
    }
    return 0;
}

// out = A^-1 from the factor L.
static void invert(double *out, const double *L, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        // Column j of the inverse, as row j (it is symmetric): L L' x = e_j.
        double *x = out + j * n;
        for (size_t r = 0; r < n; r++) {
            double sum = r == j;
            for (size_t k = j; k < r; k++)
                sum -= L[r * n + k] * x[k];
            x[r] = r < j ? 0 : sum / L[r * n + r];
        }
        for (size_t r = n; r-- > 0;) {
            double sum = x[r];
            for (size_t k = r + 1; k < n; k++)
                sum -= L[k * n + r] * x[k];
            x[r] = sum / L[r * n + r];
        }
    }
}

static void multiply(double *C, const double *A, const double *B, size_t rows, size_t columns, size_t inner,
                     int transpose_a, int transpose_b, double alpha, double beta)
{
    cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                (int)rows, (int)columns, (int)inner, alpha, A, (int)(transpose_a ? rows : inner), B,
                (int)(transpose_b ? inner : columns), beta, C, (int)columns);
}

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

int evidence(double *value, const struct evidence_gradient *gradient, const struct evidence_prior *prior,
             const double *phi, const double *y, size_t T, double *scratch)
{
    size_t D = prior->D, d = prior->d;
    double *Xi = scratch, *Xi_inverse = Xi + D * D, *M = Xi_inverse + D * D, *right = M + D * d;
    double *pull = right + D * d, *pull_O = pull + D * d, *Omega = pull_O + D * d, *Omega_inverse = Omega + d * d;
    double *factor_O = Omega_inverse + d * d, *R = factor_O + d * d, *R_O = R + T * d;
    const double *l = prior->log_precision, *M0 = prior->mean;
    double nu = prior->degrees + (double)T;

    // Xi_n = Xi0 + C'C,  M_n = Xi_n^-1 (Xi0 M0 + C'Y)
    double log_det_Xi0 = 0, log_det_Xi, log_det_Omega;
    multiply(Xi, phi, phi, D, D, T, 1, 0, 1, 0);
    multiply(right, phi, y, D, d, T, 1, 0, 1, 0);
    for (size_t i = 0; i < D; i++) {
        Xi[i * D + i] += exp(l[i]);
        log_det_Xi0 += l[i];
        for (size_t j = 0; j < d; j++)
            right[i * d + j] += exp(l[i]) * M0[i * d + j];
    }
    if (factor(Xi, D, &log_det_Xi))
        return -EDOM;
    invert(Xi_inverse, Xi, D);
    multiply(M, Xi_inverse, right, D, d, D, 0, 0, 1, 0);

    // Omega_n = Omega0 + R'R + (M_n - M0)' Xi0 (M_n - M0),  R = Y - C M_n
    cblas_dcopy((int)(T * d), y, 1, R, 1);
    multiply(R, phi, M, T, d, D, 0, 0, -1, 1);
    multiply(Omega, R, R, d, d, T, 1, 0, 1, 0);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < d; j++) {
            pull[i * d + j] = M[i * d + j] - M0[i * d + j];
            right[i * d + j] = exp(l[i]) * pull[i * d + j];
        }
    multiply(Omega, pull, right, d, d, D, 1, 0, 1, 1);
    for (size_t j = 0; j < d; j++)
        Omega[j * d + j] += prior->scale;
    cblas_dcopy((int)(d * d), Omega, 1, factor_O, 1);
    if (factor(factor_O, d, &log_det_Omega))
        return -EDOM;

    // ln p = -(T d / 2) ln pi + ln Gamma_d(nu_n / 2) - ln Gamma_d(nu0 / 2)
    //        + (nu0 / 2) ln |Omega0| - (nu_n / 2) ln |Omega_n| + (d / 2) (ln |Xi0| - ln |Xi_n|)
    *value = -0.5 * (double)(T * d) * log(M_PI) + 0.5 * prior->degrees * (double)d * log(prior->scale) -
             0.5 * nu * log_det_Omega + 0.5 * (double)d * (log_det_Xi0 - log_det_Xi);
    for (size_t j = 0; j < d; j++)
        *value += log_gamma(0.5 * (nu - (double)j)) - log_gamma(0.5 * (prior->degrees - (double)j));
    if (!gradient)
        return 0;

    // dC = -d C Xi_n^-1 + nu_n R Omega_n^-1 M_n'   (that M_n depends on C adds nothing: it is the optimum)
    invert(Omega_inverse, factor_O, d);
    multiply(R_O, R, Omega_inverse, T, d, d, 0, 0, nu, 0);
    multiply(gradient->phi, phi, Xi_inverse, T, D, D, 0, 0, -(double)d, 0);
    multiply(gradient->phi, R_O, M, T, D, d, 0, 1, 1, 1);

    // dM0 = nu_n Xi0 (M_n - M0) Omega_n^-1
    // dl_i = (d / 2) (1 - e^l_i (Xi_n^-1)_ii) - (nu_n / 2) e^l_i (M_n - M0)_i Omega_n^-1 (M_n - M0)_i'
    multiply(pull_O, pull, Omega_inverse, D, d, d, 0, 0, nu, 0);
    for (size_t i = 0; i < D; i++) {
        double precision = exp(l[i]), square = 0;
        for (size_t j = 0; j < d; j++) {
            gradient->mean[i * d + j] = precision * pull_O[i * d + j];
            square += pull_O[i * d + j] * pull[i * d + j];
        }
        gradient->log_precision[i] =
            0.5 * (double)d * (1 - precision * Xi_inverse[i * D + i]) - 0.5 * precision * square;
    }
    return 0;
}
