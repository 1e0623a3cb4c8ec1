// Products of Gaussian factors, forward and back.

#include "pearl_loss.h"

#include "daemon/base/random.h"
#include "daemon/belief/factors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const double MEAN = FACTORS_MEAN_LIMIT, PRECISION = FACTORS_PRECISION_LIMIT;

int pearl_net_init(struct pearl_net *pearl, size_t inputs, const size_t hidden[PEARL_HIDDEN_LAYERS], size_t latent)
{
    size_t sizes[] = {inputs, hidden[0], hidden[1], 2 * latent};
    *pearl = (struct pearl_net){.latent = latent};
    net_init(&pearl->net, sizes, 3, 0);
    pearl->net.relu = 1;
    return trainee_init(&pearl->trainee, pearl->net.count);
}

void pearl_net_release(struct pearl_net *pearl)
{
    trainee_release(&pearl->trainee);
}

void pearl_net_start(struct pearl_net *pearl, struct random_stream *stream)
{
    net_orthogonal(&pearl->net, pearl->trainee.parameters, sqrt(2), 0.1, stream);
    real *bias = pearl->trainee.parameters + pearl->net.bias_at[2];
    for (size_t i = 0; i < pearl->latent; i++)
        bias[pearl->latent + i] = -4;
}

void pearl_shard_free(struct pearl_shard *shard)
{
    if (!shard)
        return;
    free(shard->count);
    free(shard->in);
    free(shard->activations);
    free(shard->mean);
    free(shard->gradient);
    free(shard);
}

struct pearl_shard *pearl_shard_new(const struct pearl_net *pearl, size_t groups, size_t rows)
{
    size_t activations = net_activations(&pearl->net, rows), latents = groups * pearl->latent;
    struct pearl_shard *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (struct pearl_shard){
        .count = calloc(groups, sizeof *s->count), .in = calloc(rows * pearl->net.sizes[0] + 1, sizeof(real)),
        .activations = calloc(2 * activations + 1, sizeof(real)), .mean = calloc(4 * latents, sizeof(real)),
        .gradient = calloc(pearl->net.count, sizeof(real)),
    };
    if (!s->count || !s->in || !s->activations || !s->mean || !s->gradient) {
        pearl_shard_free(s);
        return NULL;
    }
    s->dactivations = s->activations + activations;
    s->log_variance = s->mean + latents;
    s->dmean = s->log_variance + latents;
    s->dlog_variance = s->dmean + latents;
    return s;
}

static double sigmoid(double x)
{
    return 0.5 + 0.5 * tanh(0.5 * x);
}

static size_t rows_of(const struct pearl_shard *s)
{
    size_t rows = 0;
    for (size_t g = 0; g < s->groups; g++)
        rows += s->count[g];
    return rows;
}

void pearl_infer(const struct pearl_net *pearl, struct pearl_shard *s)
{
    size_t L = pearl->latent, R = rows_of(s);
    const real *out = s->in;
    if (R)
        out = net_forward(&pearl->net, pearl->trainee.parameters, s->activations, s->in, R);
    for (size_t g = 0; g < s->groups; out += s->count[g++] * 2 * L)
        for (size_t i = 0; i < L; i++) {
            double precision = 1, sum = 0;
            for (size_t n = 0; n < s->count[g]; n++) {
                double w = PRECISION * sigmoid((double)out[2 * L * n + L + i]);
                precision += w;
                sum += w * MEAN * tanh((double)out[2 * L * n + i] / MEAN);
            }
            s->mean[g * L + i] = (real)(sum / precision);
            s->log_variance[g * L + i] = (real)-log(precision);
        }
}

double pearl_divergence(const struct pearl_net *pearl, struct pearl_shard *s, double weight)
{
    double sum = 0;
    for (size_t i = 0; i < s->groups * pearl->latent; i++) {
        double mean = (double)s->mean[i], log_variance = (double)s->log_variance[i], variance = exp(log_variance);
        sum += 0.5 * (variance + mean * mean - 1 - log_variance);
        s->dmean[i] += (real)(weight * mean);
        s->dlog_variance[i] += (real)(weight * 0.5 * (variance - 1));
    }
    return sum;
}

void pearl_backward(const struct pearl_net *pearl, struct pearl_shard *s)
{
    size_t L = pearl->latent, R = rows_of(s);
    if (R == 0) {
        memset(s->gradient, 0, pearl->net.count * sizeof(real));
        return;
    }
    const real *out = s->activations + net_activations(&pearl->net, R) - R * 2 * L;
    real *dout = net_doutput(&pearl->net, s->dactivations, R);
    for (size_t g = 0; g < s->groups; g++)
        for (size_t n = 0; n < s->count[g]; n++, out += 2 * L, dout += 2 * L)
            for (size_t i = 0; i < L; i++) {
                double t = tanh((double)out[i] / MEAN), q = sigmoid((double)out[L + i]);
                double share = exp((double)s->log_variance[g * L + i]);  // 1 / P
                double dmean = (double)s->dmean[g * L + i], dlog_variance = (double)s->dlog_variance[g * L + i];
                // d mean / dm = w / P,  d mean / dw = (m - mean) / P,  d log variance / dw = -1 / P
                double dw = share * (dmean * (MEAN * t - (double)s->mean[g * L + i]) - dlog_variance);
                dout[i] = (real)(dmean * share * PRECISION * q * (1 - t * t));
                dout[L + i] = (real)(dw * PRECISION * q * (1 - q));
            }
    net_backward(&pearl->net, pearl->trainee.parameters, s->gradient, s->activations, s->dactivations, s->in, R);
}
