// The posterior of one task's transitions.
//
// Omega_n is a sum of squares (residuals and the prior's pull). The textbook difference Y'Y + .. - M_n' Xi_n M_n
// cancels badly once the noise is far below the signal.

#include "evidence_solve.h"

#include <cblas.h>
#include <errno.h>
#include <math.h>

size_t evidence_scratch(size_t T, size_t D, size_t d)
{
    return 3 * D * D + 4 * D * d + 3 * d * d + 2 * T * d + T * D;
}

const double *evidence_weights(const double *scratch, size_t D)
{
    return scratch + 2 * D * D;
}

static void place(struct evidence_solved *s, double *scratch, size_t T, size_t D, size_t d)
{
    s->Xi = scratch;
    s->Xi_inverse = s->Xi + D * D;
    s->M = s->Xi_inverse + D * D;
    s->right = s->M + D * d;
    s->pull = s->right + D * d;
    s->pull_W = s->pull + D * d;
    s->square = s->pull_W + D * d;
    s->Omega_inverse = s->square + d * d;
    s->factor = s->Omega_inverse + d * d;
    s->R = s->factor + d * d;
    s->R_W = s->R + T * d;
    s->V = s->R_W + T * d;
    s->H = s->V + T * D;
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

void evidence_multiply(double *C, const double *A, const double *B, size_t rows, size_t columns, size_t inner,
                       int transpose_a, int transpose_b, double alpha, double beta)
{
    cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                (int)rows, (int)columns, (int)inner, alpha, A, (int)(transpose_a ? rows : inner), B,
                (int)(transpose_b ? inner : columns), beta, C, (int)columns);
}

// Omega_n = Omega0 + square and what is needed of it; or Sigma.
static int solve_noise(struct evidence_solved *s, const struct evidence_prior *prior)
{
    size_t d = prior->d;
    s->log_det_Omega0 = 0;
    for (size_t j = 0; j < d; j++)
        s->log_det_Omega0 += log(prior->scale[j]);
    for (size_t i = 0; i < d * d; i++) {
        double scale = i % (d + 1) ? 0 : prior->scale[i / (d + 1)];
        s->factor[i] = prior->noise == EVIDENCE_NOISE_INFERRED ? s->square[i] + scale : scale;
    }
    if (factor(s->factor, d, &s->log_det_Omega))
        return -EDOM;
    invert(s->Omega_inverse, s->factor, d);
    return 0;
}

int evidence_solve(struct evidence_solved *s, const struct evidence_prior *prior, const double *phi,
                   const double *y, size_t T, double *scratch, size_t scratch_T)
{
    size_t D = prior->D, d = prior->d;
    const double *l = prior->log_precision, *M0 = prior->mean;
    place(s, scratch, scratch_T, D, d);
    s->degrees = prior->degrees + (double)T;

    // Xi_n = Xi0 + C'C,  M_n = Xi_n^-1 (Xi0 M0 + C'Y)
    s->log_det_Xi0 = 0;
    evidence_multiply(s->Xi, phi, phi, D, D, T, 1, 0, 1, 0);
    evidence_multiply(s->right, phi, y, D, d, T, 1, 0, 1, 0);
    for (size_t i = 0; i < D; i++) {
        s->Xi[i * D + i] += exp(l[i]);
        s->log_det_Xi0 += l[i];
        for (size_t j = 0; j < d; j++)
            s->right[i * d + j] += exp(l[i]) * M0[i * d + j];
    }
    if (factor(s->Xi, D, &s->log_det_Xi))
        return -EDOM;
    invert(s->Xi_inverse, s->Xi, D);
    evidence_multiply(s->M, s->Xi_inverse, s->right, D, d, D, 0, 0, 1, 0);

    // square = R'R + (M_n - M0)' Xi0 (M_n - M0),  R = Y - C M_n
    cblas_dcopy((int)(T * d), y, 1, s->R, 1);
    evidence_multiply(s->R, phi, s->M, T, d, D, 0, 0, -1, 1);
    evidence_multiply(s->square, s->R, s->R, d, d, T, 1, 0, 1, 0);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < d; j++) {
            s->pull[i * d + j] = s->M[i * d + j] - M0[i * d + j];
            s->right[i * d + j] = exp(l[i]) * s->pull[i * d + j];
        }
    evidence_multiply(s->square, s->pull, s->right, d, d, D, 1, 0, 1, 1);
    return solve_noise(s, prior);
}
