// The one-step predictive and how surprising a transition is under it.
//
//     y | phi  ~  t_df(M' phi, s Omega / df),   df = nu - d + 1,   s = 1 + phi' Xi^-1 phi
//     q = e' Omega^-1 e / s,   q df / d ~ F(d, df),   so P(as surprising or more) = I_{1 / (1 + q)}(df / 2, d / 2)

#include "solve.h"
#include "student_t.h"

#include <float.h>
#include <math.h>
#include <string.h>

// mean (d) and variance h = phi' Xi^-1 phi, from the factor.
static double predict(const struct posterior *p, const double *phi, double *mean)
{
    const struct lanes *lanes = lanes_for(p->kernels);
    double *v = p->scratch, h = 0;
    memcpy(v, phi, p->D * sizeof *v);
    lanes->forward(v, p->panel, p->stride, p->D);
    for (size_t k = 0; k < p->D; k++)
        h = fma(v[k], v[k], h);
    lanes->combine(mean, p->panel, p->stride, p->D, p->D, p->d, v);
    return h;
}

void posterior_predict(const struct posterior *p, const double *phi, double *mean, double *sd)
{
    double *room = p->scratch + kernel_padded(p->D);
    double s = 1 + predict(p, phi, room);
    for (size_t j = 0; j < p->d; j++) {
        if (mean)
            mean[j] = room[j];
        // Under the predictive's covariance where it exists, else under the noise's mode.
        if (sd)
            sd[j] = sqrt(s * posterior_noise(p, j));
    }
}

// e' Omega^-1 e; e is lost.
static double distance(const struct posterior *p, double *e)
{
    double sum = 0;
    lanes_for(p->kernels)->forward(e, p->corner, p->corner_stride, p->d);
    for (size_t j = 0; j < p->d; j++)
        sum = fma(e[j], e[j], sum);
    return sum;
}

// The Student-t with nu degrees, from q, the share q / (1 + q) and its complement, ln |Omega| and s.
static struct predictive judge(double d, double degrees, double q, double share, double complement,
                               double log_det_scale, double s)
{
    double df = degrees - d + 1;
    double whole = log_gamma((degrees + 1) / 2), rest = log_gamma(df / 2);
    return (struct predictive){
        .log_density = whole - rest - d / 2 * log(M_PI * s) - log_det_scale / 2 - (degrees + 1) / 2 * log1p(q),
        .p_value = incomplete_beta(df / 2, d / 2, complement, share, rest + log_gamma(d / 2) - whole),
        .distance = q,
    };
}

struct predictive posterior_assess(const struct posterior *p, const double *phi, const double *y)
{
    double *e = p->scratch + kernel_padded(p->D);
    double s = 1 + predict(p, phi, e);
    for (size_t j = 0; j < p->d; j++)
        e[j] = y[j] - e[j];
    double q = distance(p, e) / s;
    return judge((double)p->d, p->degrees, q, q / (1 + q), 1 / (1 + q), p->log_det_scale, s);
}

// With h = phi' Xi_n^-1 phi under the posterior that holds the transition (Sherman-Morrison backwards):
//
//     s = 1 / (1 - h),   e_old = s e_new,   Omega_n = Omega_old + e_old e_old' / s
//     q_new = e_old' Omega_n^-1 e_old / s = s e_new' Omega_n^-1 e_new = q / (1 + q)
//     |Omega_old| = |Omega_n| (1 - q_new)
struct predictive posterior_assess_whitened(const struct posterior *p, size_t row, double distance)
{
    // 1 - h and 1 - q_new are positive; where rounding left nothing of them, one unit is nearest.
    double left = fmax(1 - p->row_variance[row] - p->row_variance_low[row], DBL_EPSILON / 2);
    double s = 1 / left, share = s * distance, complement = fmax(1 - share, DBL_EPSILON / 2);
    return judge((double)p->d, p->degrees - 1, share / complement, share, complement,
                 p->log_det_scale + log(complement), s);
}

struct predictive posterior_assess_absorbed(const struct posterior *p, size_t row, const double *y)
{
    const double *mean = p->row_mean + row * p->d, *mean_low = p->row_mean_low + row * p->d;
    double *e = p->scratch;
    for (size_t j = 0; j < p->d; j++)
        e[j] = y[j] - mean[j] - mean_low[j];
    return posterior_assess_whitened(p, row, distance(p, e));
}
