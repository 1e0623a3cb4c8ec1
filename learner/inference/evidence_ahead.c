// The posterior predictive of what comes after a context, and its gradient through that posterior.
//
// With K = Xi_n^-1 and rows of the query in capitals: V = Phi K, s = 1 + phi . v, E = Y - Phi M, U = E Omega^-1,
// q = e . u / s. Under the Student-t of nu = nu_n degrees, row by row
//
//     ln p = ln Gamma((nu + 1) / 2) - ln Gamma((nu + 1 - d) / 2) - (d / 2) ln(pi s) - (1/2) ln |Omega|
//            - ((nu + 1) / 2) ln(1 + q)
//
// and with known Sigma in Omega's place the normal  -(d / 2) ln(2 pi s) - (1/2) ln |Sigma| - q / 2.

#include "evidence_solve.h"

#include "daemon/belief/student_t.h"

#include <math.h>
#include <string.h>

// What is differentiated through the posterior. F (T, d) are dln p/de of each row, g (T) dln p/ds.
struct query {
    size_t rows;
    double *phi_gradient;  // (rows, D)
    double *V;             // Phi K, later diag(g) V     (rows, D)
    double *U, *F;         // (rows, d)
};

// One row: its log density, F in place of e, and dln p/ds.
static double row_density(double *g, double *e, const double *u, double s, const struct evidence_solved *solved,
                          const struct evidence_prior *prior, double *d_degrees)
{
    double d = (double)prior->d, q = 0, a = 0.5, value = -0.5 * (d * log(s) + solved->log_det_Omega);
    for (size_t j = 0; j < prior->d; j++)
        q += e[j] * u[j] / s;
    if (prior->noise == EVIDENCE_NOISE_INFERRED) {
        double whole = 0.5 * (solved->degrees + 1), rest = 0.5 * (solved->degrees + 1 - d);
        value += log_gamma(whole) - log_gamma(rest) - 0.5 * d * log(M_PI) - whole * log1p(q);
        a = whole / (1 + q);
        *d_degrees += 0.5 * (digamma(whole) - digamma(rest) - log1p(q));
    } else {
        value -= 0.5 * (d * log(2 * M_PI) + q);
    }
    // a = -dln p/dq:  dln p/de = -2 a u / s,  dln p/ds = -d / 2s + a q / s
    for (size_t j = 0; j < prior->d; j++)
        e[j] = -2 * a * u[j] / s;
    *g = (a * q - 0.5 * d) / s;
    return value;
}

// G = dln p/dOmega, summed over the rows:  -(rows / 2) Omega^-1 - (1/2) U'F
static void scale_gradient(double *G, const struct query *query, const struct evidence_solved *s, size_t d)
{
    memcpy(G, s->Omega_inverse, d * d * sizeof *G);
    evidence_multiply(G, query->U, query->F, d, d, query->rows, 1, 0, -0.5, -0.5 * (double)query->rows);
}

// Through Omega_n = Omega0 + R'R + pull' Xi0 pull (M_n is its optimum and adds nothing):
//     dC = -2 R G M_n'    dM0 = -2 Xi0 pull G    dl_i = e^l_i pull_i G pull_i'
static void through_scale(struct evidence_gradient *gradient, const struct evidence_solved *s,
                          const struct evidence_prior *prior, const double *G, size_t context)
{
    size_t D = prior->D, d = prior->d;
    evidence_multiply(s->R_W, s->R, G, context, d, d, 0, 0, -2, 0);
    evidence_multiply(gradient->phi, s->R_W, s->M, context, D, d, 0, 1, 1, 1);
    evidence_multiply(s->pull_W, s->pull, G, D, d, d, 0, 0, 1, 0);
    for (size_t i = 0; i < D; i++) {
        double precision = exp(prior->log_precision[i]);
        for (size_t j = 0; j < d; j++) {
            gradient->mean[i * d + j] -= 2 * precision * s->pull_W[i * d + j];
            gradient->log_precision[i] += precision * s->pull_W[i * d + j] * s->pull[i * d + j];
        }
    }
}

// Through M_n and K, with P = K dln p/dM = -V'F and H = K dln p/dK K = V' diag(g) V:
//     dC = R P' - C P M_n' - 2 C H    dM0 = Xi0 P    dl_i = -e^l_i (pull_i . P_i + H_ii)
static void through_mean(struct evidence_gradient *gradient, const struct evidence_solved *s,
                         const struct evidence_prior *prior, const double *phi, const struct query *query,
                         const double *weighted, size_t context)
{
    size_t D = prior->D, d = prior->d;
    double *P = s->right, *H = s->H;
    evidence_multiply(P, query->V, query->F, D, d, query->rows, 1, 0, -1, 0);
    evidence_multiply(H, query->V, weighted, D, D, query->rows, 1, 0, 1, 0);
    evidence_multiply(gradient->phi, phi, H, context, D, D, 0, 0, -2, 0);
    evidence_multiply(gradient->phi, s->R, P, context, D, d, 0, 1, 1, 1);
    evidence_multiply(s->R_W, phi, P, context, d, D, 0, 0, -1, 0);
    evidence_multiply(gradient->phi, s->R_W, s->M, context, D, d, 0, 1, 1, 1);
    for (size_t i = 0; i < D; i++) {
        double precision = exp(prior->log_precision[i]), sum = H[i * D + i];
        for (size_t j = 0; j < d; j++) {
            gradient->mean[i * d + j] = precision * P[i * d + j];
            sum += s->pull[i * d + j] * P[i * d + j];
        }
        gradient->log_precision[i] = -precision * sum;
    }
}

int evidence_ahead(double *value, struct evidence_gradient *gradient, const struct evidence_prior *prior,
                   const double *phi, const double *y, size_t T, size_t context, double *scratch)
{
    size_t D = prior->D, d = prior->d, rows = T - context;
    struct evidence_solved s;
    int error = evidence_solve(&s, prior, phi, y, context, scratch, T);
    if (error)
        return error;
    struct query query = {.rows = rows, .V = s.V, .U = s.R_W + context * d, .F = s.R + context * d};
    const double *Phi = phi + context * D;
    memcpy(query.F, y + context * d, rows * d * sizeof *query.F);
    evidence_multiply(query.F, Phi, s.M, rows, d, D, 0, 0, -1, 1);
    evidence_multiply(query.U, query.F, s.Omega_inverse, rows, d, d, 0, 0, 1, 0);
    evidence_multiply(query.V, Phi, s.Xi_inverse, rows, D, D, 0, 0, 1, 0);

    // dphi = -M F + 2 g v, of which g v is kept for H.
    double d_degrees = 0, g;
    double *weighted = gradient ? gradient->phi + context * D : NULL;
    *value = 0;
    for (size_t t = 0; t < rows; t++) {
        double variance = 1;
        for (size_t i = 0; i < D; i++)
            variance += Phi[t * D + i] * query.V[t * D + i];
        *value += row_density(&g, query.F + t * d, query.U + t * d, variance, &s, prior, &d_degrees);
        for (size_t i = 0; gradient && i < D; i++)
            weighted[t * D + i] = g * query.V[t * D + i];
    }
    if (!gradient)
        return 0;

    through_mean(gradient, &s, prior, phi, &query, weighted, context);
    evidence_multiply(weighted, query.F, s.M, rows, D, d, 0, 1, -1, 2);
    double *G = s.factor;
    scale_gradient(G, &query, &s, d);
    if (prior->noise == EVIDENCE_NOISE_INFERRED)
        through_scale(gradient, &s, prior, G, context);
    for (size_t j = 0; j < d; j++)
        gradient->log_scale[j] = prior->scale[j] * G[j * d + j];
    gradient->degrees = d_degrees;
    return 0;
}
