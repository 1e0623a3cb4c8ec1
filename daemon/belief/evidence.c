// ln p(Y | C) with M and Sigma integrated out: how well a model explains all that a belief has seen.

#include "prior.h"
#include "student_t.h"

#include <math.h>

double posterior_log_evidence(const struct posterior *p, const struct prior *prior)
{
    // -(n d / 2) ln pi + ln Gamma_d(nu_n / 2) - ln Gamma_d(nu0 / 2)
    //     + (nu0 / 2) ln |Omega0| - (nu_n / 2) ln |Omega_n| + (d / 2) (ln |Xi0| - ln |Xi_n|)
    double d = (double)p->d;
    return -p->count * d / 2 * log(M_PI)
        + log_gamma_multivariate(p->degrees / 2, p->d) - log_gamma_multivariate(prior->degrees / 2, p->d)
        + prior->degrees / 2 * prior->log_det_scale - p->degrees / 2 * p->log_det_scale
        + d / 2 * (prior->log_det_precision - p->log_det_precision);
}
