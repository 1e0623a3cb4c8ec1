// Log evidence of the conjugate linear model, and its gradient.

#include "evidence_solve.h"

#include "daemon/belief/student_t.h"

#include <math.h>

// Everything that knows of an unknown Sigma:
//     ln p = -(T d / 2) ln pi + ln Gamma_d(nu_n / 2) - ln Gamma_d(nu0 / 2)
//            + (nu0 / 2) ln |Omega0| - (nu_n / 2) ln |Omega_n| + (d / 2) (ln |Xi0| - ln |Xi_n|)
static double value_inferred(const struct evidence_solved *s, const struct evidence_prior *prior, double T)
{
    double d = (double)prior->d;
    double value = -0.5 * T * d * log(M_PI) + 0.5 * prior->degrees * s->log_det_Omega0 -
                   0.5 * s->degrees * s->log_det_Omega + 0.5 * d * (s->log_det_Xi0 - s->log_det_Xi);
    for (size_t j = 0; j < prior->d; j++)
        value += log_gamma(0.5 * (s->degrees - (double)j)) - log_gamma(0.5 * (prior->degrees - (double)j));
    return value;
}

// And of a known one:
//     ln p = -(1/2) (T d ln 2 pi + T ln |Sigma| + tr(Sigma^-1 square)) + (d / 2) (ln |Xi0| - ln |Xi_n|)
static double value_known(const struct evidence_solved *s, const struct evidence_prior *prior, double T)
{
    double d = (double)prior->d;
    double value = -0.5 * T * (d * log(2 * M_PI) + s->log_det_Omega) + 0.5 * d * (s->log_det_Xi0 - s->log_det_Xi);
    for (size_t j = 0; j < prior->d; j++)
        value -= 0.5 * s->square[j * prior->d + j] / prior->scale[j];
    return value;
}

// dln scale_j = nu0 / 2 - (nu_n / 2) scale_j (Omega_n^-1)_jj                     inferred
//               -T / 2 + square_jj / (2 scale_j)                                 known
// dnu0 = (1/2) (sum_j psi((nu_n - j) / 2) - psi((nu0 - j) / 2) + ln |Omega0| - ln |Omega_n|)
static void noise_gradient(struct evidence_gradient *gradient, const struct evidence_solved *s,
                           const struct evidence_prior *prior, double T)
{
    size_t d = prior->d;
    int inferred = prior->noise == EVIDENCE_NOISE_INFERRED;
    gradient->degrees = inferred ? 0.5 * (s->log_det_Omega0 - s->log_det_Omega) : 0;
    for (size_t j = 0; j < d; j++) {
        gradient->log_scale[j] =
            inferred ? 0.5 * (prior->degrees - s->degrees * prior->scale[j] * s->Omega_inverse[j * d + j])
                     : 0.5 * (s->square[j * d + j] / prior->scale[j] - T);
        if (inferred)
            gradient->degrees +=
                0.5 * (digamma(0.5 * (s->degrees - (double)j)) - digamma(0.5 * (prior->degrees - (double)j)));
    }
}

int evidence(double *value, struct evidence_gradient *gradient, const struct evidence_prior *prior,
             const double *phi, const double *y, size_t T, double *scratch)
{
    size_t D = prior->D, d = prior->d;
    struct evidence_solved s;
    int error = evidence_solve(&s, prior, phi, y, T, scratch, T);
    if (error)
        return error;
    int inferred = prior->noise == EVIDENCE_NOISE_INFERRED;
    *value = inferred ? value_inferred(&s, prior, (double)T) : value_known(&s, prior, (double)T);
    if (!gradient)
        return 0;

    // With W = nu_n Omega_n^-1, or Sigma^-1:
    // dC = -d C Xi_n^-1 + R W M_n'   (that M_n depends on C adds nothing: it is the optimum)
    double weight = inferred ? s.degrees : 1;
    evidence_multiply(s.R_W, s.R, s.Omega_inverse, T, d, d, 0, 0, weight, 0);
    evidence_multiply(gradient->phi, phi, s.Xi_inverse, T, D, D, 0, 0, -(double)d, 0);
    evidence_multiply(gradient->phi, s.R_W, s.M, T, D, d, 0, 1, 1, 1);

    // dM0 = Xi0 (M_n - M0) W
    // dl_i = (d / 2) (1 - e^l_i (Xi_n^-1)_ii) - (1/2) e^l_i (M_n - M0)_i W (M_n - M0)_i'
    evidence_multiply(s.pull_W, s.pull, s.Omega_inverse, D, d, d, 0, 0, weight, 0);
    for (size_t i = 0; i < D; i++) {
        double precision = exp(prior->log_precision[i]), square = 0;
        for (size_t j = 0; j < d; j++) {
            gradient->mean[i * d + j] = precision * s.pull_W[i * d + j];
            square += s.pull_W[i * d + j] * s.pull[i * d + j];
        }
        gradient->log_precision[i] =
            0.5 * (double)d * (1 - precision * s.Xi_inverse[i * D + i]) - 0.5 * precision * square;
    }
    noise_gradient(gradient, &s, prior, (double)T);
    return 0;
}
