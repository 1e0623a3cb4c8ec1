// Features forward, evidence, and the gradient back through the basis.

#include "basis.h"

#include "evidence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Bounds of l = ln Xi0_ii: weights with a prior sd between 7 and 0.08 noise sds.
static const double LOG_PRECISION_LOW = -4, LOG_PRECISION_HIGH = 5;

struct basis_scratch {
    real *activations, *dactivations;
    double *phi, *dphi, *dmean, *dlog_precision, *mean, *log_precision, *evidence;
    size_t T;
};

int basis_init(struct basis *basis, size_t inputs, const size_t hidden[BASIS_HIDDEN_LAYERS], size_t features,
               size_t targets, double prior_scale, double prior_degrees)
{
    size_t sizes[] = {inputs, hidden[0], hidden[1], features - 1};
    *basis = (struct basis){.features = features, .targets = targets, .scale = prior_scale, .degrees = prior_degrees};
    net_init(&basis->net, sizes, 3, 1);
    basis->mean_at = basis->net.count;
    basis->log_precision_at = basis->mean_at + features * targets;
    return trainee_init(&basis->trainee, basis->log_precision_at + features);
}

void basis_release(struct basis *basis)
{
    trainee_release(&basis->trainee);
}

void basis_start(struct basis *basis, struct random_stream *stream)
{
    net_orthogonal(&basis->net, basis->trainee.parameters, sqrt(2), 1, stream);
    for (size_t i = basis->mean_at; i < basis->trainee.count; i++)
        basis->trainee.parameters[i] = 0;
}

struct basis_scratch *basis_scratch_new(const struct basis *basis, size_t T)
{
    size_t D = basis->features, d = basis->targets, prior = D * d + D;
    struct basis_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->T = T;
    s->activations = malloc(2 * net_activations(&basis->net, T) * sizeof *s->activations);
    s->phi = malloc((2 * T * D + 2 * prior + evidence_scratch(T, D, d)) * sizeof *s->phi);
    if (!s->activations || !s->phi) {
        basis_scratch_free(s);
        return NULL;
    }
    s->dactivations = s->activations + net_activations(&basis->net, T);
    s->dphi = s->phi + T * D;
    s->mean = s->dphi + T * D;
    s->log_precision = s->mean + D * d;
    s->dmean = s->log_precision + D;
    s->dlog_precision = s->dmean + D * d;
    s->evidence = s->dlog_precision + D;
    return s;
}

void basis_scratch_free(struct basis_scratch *scratch)
{
    if (!scratch)
        return;
    free(scratch->activations);
    free(scratch->phi);
    free(scratch);
}

void basis_features(const struct basis *basis, double *phi, const real *in, size_t T, struct basis_scratch *scratch)
{
    size_t D = basis->features;
    const real *out = net_forward(&basis->net, basis->trainee.parameters, scratch->activations, in, T);
    for (size_t t = 0; t < T; t++) {
        for (size_t i = 0; i + 1 < D; i++)
            phi[t * D + i] = (double)out[t * (D - 1) + i];
        phi[t * D + D - 1] = 1;
    }
}

int basis_evidence(const struct basis *basis, double *value, real *gradient, const real *in, const double *y,
                   size_t T, struct basis_scratch *scratch)
{
    size_t D = basis->features, d = basis->targets;
    const real *parameters = basis->trainee.parameters;
    for (size_t i = 0; i < D * d; i++)
        scratch->mean[i] = (double)parameters[basis->mean_at + i];
    for (size_t i = 0; i < D; i++)
        scratch->log_precision[i] = (double)parameters[basis->log_precision_at + i];
    struct evidence_prior prior = {
        .D = D, .d = d, .log_precision = scratch->log_precision, .mean = scratch->mean,
        .scale = basis->scale, .degrees = basis->degrees,
    };
    struct evidence_gradient d_evidence = {scratch->dphi, scratch->dlog_precision, scratch->dmean};

    basis_features(basis, scratch->phi, in, T, scratch);
    int error = evidence(value, gradient ? &d_evidence : NULL, &prior, scratch->phi, y, T, scratch->evidence);
    if (error)
        return error;
    double share = 1 / (double)(T * d);
    *value *= share;
    if (!gradient)
        return 0;

    real *dout = net_doutput(&basis->net, scratch->dactivations, T);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i + 1 < D; i++)
            dout[t * (D - 1) + i] = (real)(-share * scratch->dphi[t * D + i]);
    net_backward(&basis->net, parameters, gradient, scratch->activations, scratch->dactivations, in, T);
    for (size_t i = 0; i < D * d; i++)
        gradient[basis->mean_at + i] = (real)(-share * scratch->dmean[i]);
    for (size_t i = 0; i < D; i++)
        gradient[basis->log_precision_at + i] = (real)(-share * scratch->dlog_precision[i]);
    return 0;
}

const double *basis_weights(const struct basis *basis, const struct basis_scratch *scratch)
{
    return evidence_weights(scratch->evidence, basis->features);
}

void basis_clamp(struct basis *basis)
{
    real *l = basis->trainee.parameters + basis->log_precision_at;
    for (size_t i = 0; i < basis->features; i++)
        l[i] = (real)fmin(fmax((double)l[i], LOG_PRECISION_LOW), LOG_PRECISION_HIGH);
}
