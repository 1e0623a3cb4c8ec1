// Features forward, evidence, and the gradient back through the basis.

#include "basis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Bounds of l = ln Xi0_ii: weights with a prior sd between 7 and 0.08 noise sds.
static const double LOG_PRECISION_LOW = -4, LOG_PRECISION_HIGH = 5;
// Noise as large as the signal, and a little more; a prior worth between one transition and a thousand.
static const double VARIANCE_HIGH = 4, FREEDOM_LOW = 1, FREEDOM_HIGH = 1000;

static const double FREEDOM_OF_KNOWN = 0x1p28;

struct basis_scratch {
    real *activations, *dactivations;
    double *phi, *mean, *log_precision, *scale, *evidence;
    struct evidence_gradient gradient;
    size_t T;
};

int basis_init(struct basis *basis, size_t inputs, const size_t hidden[BASIS_HIDDEN_LAYERS], size_t features,
               size_t targets, const struct basis_prior *prior)
{
    size_t sizes[] = {inputs, hidden[0], hidden[1], features - 1};
    *basis = (struct basis){.features = features, .targets = targets, .prior = *prior};
    net_init(&basis->net, sizes, 3, 1);
    basis->mean_at = basis->net.count;
    basis->log_precision_at = basis->mean_at + features * targets;
    size_t count = basis->log_precision_at + features;
    if (prior->learns_variance) {
        basis->log_variance_at = count;
        count += targets;
    }
    if (prior->learns_freedom)
        basis->log_freedom_at = count++;
    return trainee_init(&basis->trainee, count);
}

void basis_release(struct basis *basis)
{
    trainee_release(&basis->trainee);
}

// Of parameters or gradient: the rows of the first layer's weights that belong to skipped inputs.
static void skip_inputs(const struct basis *basis, real *arena)
{
    memset(arena + basis->net.weight_at[0], 0, basis->skipped * basis->net.sizes[1] * sizeof *arena);
}

void basis_start(struct basis *basis, struct random_stream *stream)
{
    real *parameters = basis->trainee.parameters;
    net_orthogonal(&basis->net, parameters, sqrt(2), 1, stream);
    skip_inputs(basis, parameters);
    for (size_t i = basis->mean_at; i < basis->log_precision_at; i++)
        parameters[i] = 0;
    for (size_t i = 0; i < basis->features; i++)
        parameters[basis->log_precision_at + i] = (real)log(basis->prior.precision);
    for (size_t j = 0; basis->log_variance_at && j < basis->targets; j++)
        parameters[basis->log_variance_at + j] = (real)log(basis->prior.variance);
    if (basis->log_freedom_at)
        parameters[basis->log_freedom_at] = (real)log(basis->prior.freedom);
}

struct basis_scratch *basis_scratch_new(const struct basis *basis, size_t T)
{
    size_t D = basis->features, d = basis->targets, prior = D * d + D + d;
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
    s->gradient.phi = s->phi + T * D;
    s->mean = s->gradient.phi + T * D;
    s->log_precision = s->mean + D * d;
    s->scale = s->log_precision + D;
    s->gradient.mean = s->scale + d;
    s->gradient.log_precision = s->gradient.mean + D * d;
    s->gradient.log_scale = s->gradient.log_precision + D;
    s->evidence = s->gradient.log_scale + d;
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

static double freedom(const struct basis *basis)
{
    return basis->log_freedom_at ? exp((double)basis->trainee.parameters[basis->log_freedom_at])
                                 : basis->prior.freedom;
}

static double variance(const struct basis *basis, size_t target)
{
    return basis->log_variance_at ? exp((double)basis->trainee.parameters[basis->log_variance_at + target])
                                  : basis->prior.variance;
}

// The parameters as the evidence reads them.
static struct evidence_prior prior_of(const struct basis *basis, struct basis_scratch *scratch)
{
    size_t D = basis->features, d = basis->targets;
    const real *parameters = basis->trainee.parameters;
    double df = freedom(basis);
    for (size_t i = 0; i < D * d; i++)
        scratch->mean[i] = (double)parameters[basis->mean_at + i];
    for (size_t i = 0; i < D; i++)
        scratch->log_precision[i] = (double)parameters[basis->log_precision_at + i];
    for (size_t j = 0; j < d; j++)
        scratch->scale[j] = variance(basis, j) * (basis->prior.noise == EVIDENCE_NOISE_KNOWN ? 1 : df);
    return (struct evidence_prior){
        .D = D, .d = d, .noise = basis->prior.noise, .log_precision = scratch->log_precision,
        .mean = scratch->mean, .scale = scratch->scale, .degrees = (double)d - 1 + df,
    };
}

// Times -share, through the network and onto the parameters. What is not learnt gets a gradient of zero, by which
// Adam does not move it.
static void go_back(const struct basis *basis, real *gradient, const real *in, size_t T, double share,
                    struct basis_scratch *scratch)
{
    size_t D = basis->features, d = basis->targets;
    const struct evidence_gradient *up = &scratch->gradient;
    real *dout = net_doutput(&basis->net, scratch->dactivations, T);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i + 1 < D; i++)
            dout[t * (D - 1) + i] = (real)(-share * up->phi[t * D + i]);
    net_backward(&basis->net, basis->trainee.parameters, gradient, scratch->activations, scratch->dactivations, in, T);
    skip_inputs(basis, gradient);
    for (size_t i = 0; i < D * d; i++)
        gradient[basis->mean_at + i] = basis->prior.learns_mean ? (real)(-share * up->mean[i]) : 0;
    for (size_t i = 0; i < D; i++)
        gradient[basis->log_precision_at + i] =
            basis->prior.learns_precision ? (real)(-share * up->log_precision[i]) : 0;
    // scale_j = df variance_j and nu0 = d - 1 + df
    double d_freedom = freedom(basis) * up->degrees;
    for (size_t j = 0; j < d; j++) {
        d_freedom += up->log_scale[j];
        if (basis->log_variance_at)
            gradient[basis->log_variance_at + j] = (real)(-share * up->log_scale[j]);
    }
    if (basis->log_freedom_at)
        gradient[basis->log_freedom_at] = (real)(-share * d_freedom);
}

int basis_evidence(const struct basis *basis, double *value, real *gradient, const real *in, const double *y,
                   size_t T, struct basis_scratch *scratch)
{
    struct evidence_prior prior = prior_of(basis, scratch);
    basis_features(basis, scratch->phi, in, T, scratch);
    int error = evidence(value, gradient ? &scratch->gradient : NULL, &prior, scratch->phi, y, T, scratch->evidence);
    if (error)
        return error;
    double share = 1 / (double)(T * basis->targets);
    *value *= share;
    if (gradient)
        go_back(basis, gradient, in, T, share, scratch);
    return 0;
}

int basis_ahead(const struct basis *basis, double *value, real *gradient, const real *in, const double *y, size_t T,
                size_t context, struct basis_scratch *scratch)
{
    struct evidence_prior prior = prior_of(basis, scratch);
    basis_features(basis, scratch->phi, in, T, scratch);
    int error = evidence_ahead(value, gradient ? &scratch->gradient : NULL, &prior, scratch->phi, y, T, context,
                               scratch->evidence);
    if (error)
        return error;
    double share = 1 / (double)((T - context) * basis->targets);
    *value *= share;
    if (gradient)
        go_back(basis, gradient, in, T, share, scratch);
    return 0;
}

const double *basis_weights(const struct basis *basis, const struct basis_scratch *scratch)
{
    return evidence_weights(scratch->evidence, basis->features);
}

static void clamp(real *x, double low, double high)
{
    *x = (real)fmin(fmax((double)*x, low), high);
}

void basis_clamp(struct basis *basis)
{
    real *parameters = basis->trainee.parameters;
    for (size_t i = 0; i < basis->features; i++)
        clamp(&parameters[basis->log_precision_at + i], LOG_PRECISION_LOW, LOG_PRECISION_HIGH);
    for (size_t j = 0; basis->log_variance_at && j < basis->targets; j++)
        clamp(&parameters[basis->log_variance_at + j], log(basis->prior.variance_low), log(VARIANCE_HIGH));
    if (basis->log_freedom_at)
        clamp(&parameters[basis->log_freedom_at], log(FREEDOM_LOW), log(FREEDOM_HIGH));
}

void basis_noise_prior(const struct basis *basis, double *scale, double *degrees)
{
    double df = basis->prior.noise == EVIDENCE_NOISE_KNOWN ? FREEDOM_OF_KNOWN : freedom(basis);
    for (size_t j = 0; j < basis->targets; j++)
        scale[j] = df * variance(basis, j);
    *degrees = (double)basis->targets - 1 + df;
}
