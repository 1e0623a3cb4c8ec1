// KL(p || q) between two posteriors: how far apart two beliefs are.
//
//     KL = (nu_q / 2) (ln |Omega_p| - ln |Omega_q|) + ln Gamma_d(nu_q / 2) - ln Gamma_d(nu_p / 2)
//          + ((nu_p - nu_q) / 2) psi_d(nu_p / 2) + (nu_p / 2) (tr(Omega_q Omega_p^-1) - d)
//          + (d / 2) (tr(Xi_q Xi_p^-1) - D + ln |Xi_p| - ln |Xi_q|)
//          + (nu_p / 2) tr(Omega_p^-1 (M_p - M_q)' Xi_q (M_p - M_q))
//
// Every trace is a sum of squares of one factor solved by the other: tr(Xi_q Xi_p^-1) = |L_p^-1 L_q|^2.

#include "lanes.h"
#include "posterior.h"
#include "student_t.h"

#include <assert.h>

static double square(const double *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sum;
}

// |L_p^-1 L_q|^2 for two lower factors, stored column after column; room (n).
static double trace(const struct lanes *lanes, const double *Lp, size_t p_stride, const double *Lq,
                    size_t q_stride, size_t n, double *room)
{
    double sum = 0;
    for (size_t c = 0; c < n; c++) {
        for (size_t r = 0; r < n; r++)
            room[r] = r >= c ? Lq[c * q_stride + r] : 0;
        lanes->forward(room, Lp, p_stride, n);
        sum += square(room, n);
    }
    return sum;
}

double posterior_divergence(const struct posterior *p, const struct posterior *q)
{
    assert(p->D == q->D && p->d == q->d);
    const struct lanes *lanes = lanes_for(p->kernels);
    size_t D = p->D, d = p->d;
    double *room = p->scratch, *difference = room + D + d;

    double psi = 0;
    for (size_t j = 0; j < d; j++)
        psi += digamma((p->degrees - (double)j) / 2);
    double result = q->degrees / 2 * (p->log_det_scale - q->log_det_scale)
        + log_gamma_multivariate(q->degrees / 2, d) - log_gamma_multivariate(p->degrees / 2, d)
        + (p->degrees - q->degrees) / 2 * psi
        + p->degrees / 2
            * (trace(lanes, p->corner, p->corner_stride, q->corner, q->corner_stride, d, room) - (double)d)
        + (double)d / 2
            * (trace(lanes, p->panel, p->stride, q->panel, q->stride, D, room) - (double)D
               + p->log_det_precision - q->log_det_precision);

    // tr(Omega_p^-1 dM' Xi_q dM) = |L22p^-1 dM' L11q|^2, one column of L11q at a time
    for (size_t i = 0; i < D * d; i++)
        difference[i] = p->mean[i] - q->mean[i];
    for (size_t c = 0; c < D; c++) {
        for (size_t j = 0; j < d; j++) {
            room[j] = 0;
            for (size_t k = c; k < D; k++)
                room[j] += difference[k * d + j] * q->panel[c * q->stride + k];
        }
        lanes->forward(room, p->corner, p->corner_stride, d);
        result += p->degrees / 2 * square(room, d);
    }
    return result;
}
