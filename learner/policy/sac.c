// The losses of soft actor-critic with their gradients, written out.

#include "sac.h"

#include "daemon/base/random.h"
#include "learner/nets/elementwise.h"
#include "learner/zeroes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const double LOG_TWO_PI = 1.8378770664093453;
// ln sd is kept within these by a tanh.
static const double LOG_SD_LOW = -5, LOG_SD_HIGH = 2;

static real *reals(size_t count)
{
    return zeroes(count, sizeof(real));
}

int sac_init(struct sac *sac, size_t inputs, size_t critic_inputs, size_t actions,
             const size_t hidden[SAC_HIDDEN_LAYERS])
{
    *sac = (struct sac){.actions = actions};
    size_t actor[] = {inputs, hidden[0], hidden[1], 2 * actions};
    size_t critic[] = {critic_inputs + actions, hidden[0], hidden[1], 1};
    net_init(&sac->actor, actor, 3, 0);
    net_init(&sac->critic, critic, 3, 0);
    sac->actor.relu = sac->critic.relu = 1;
    int error = trainee_init(&sac->acting, sac->actor.count);
    if (!error)
        error = trainee_init(&sac->temperature, 1);
    for (size_t k = 0; k < SAC_CRITICS && !error; k++) {
        error = trainee_init(&sac->judging[k], sac->critic.count);
        if (!error && !(sac->target[k] = reals(sac->critic.count)))
            error = -ENOMEM;
    }
    if (error)
        sac_release(sac);
    return error;
}

void sac_release(struct sac *sac)
{
    trainee_release(&sac->acting);
    trainee_release(&sac->temperature);
    for (size_t k = 0; k < SAC_CRITICS; k++) {
        trainee_release(&sac->judging[k]);
        free(sac->target[k]);
        sac->target[k] = NULL;
    }
}

static void start_net(const struct net *net, real *parameters, struct random_stream *stream)
{
    for (size_t l = 0; l < net->layer_count; l++) {
        double bound = 1 / sqrt((double)net->sizes[l]);
        for (size_t i = 0; i < (net->sizes[l] + 1) * net->sizes[l + 1]; i++)  // weight and bias stand together
            parameters[net->weight_at[l] + i] = (real)random_between(stream, -bound, bound);
    }
}

void sac_start(struct sac *sac, struct random_stream *stream)
{
    start_net(&sac->actor, sac->acting.parameters, stream);
    for (size_t k = 0; k < SAC_CRITICS; k++) {
        start_net(&sac->critic, sac->judging[k].parameters, stream);
        memcpy(sac->target[k], sac->judging[k].parameters, sac->critic.count * sizeof(real));
    }
    sac->temperature.parameters[0] = 0;
}

void sac_shard_free(struct sac_shard *shard)
{
    if (!shard)
        return;
    for (size_t i = 0; i < 1 + SAC_CRITICS; i++)
        free(shard->gradient[i]);
    for (size_t k = 0; k < SAC_CRITICS; k++)
        free(shard->values[k]);
    real *const rest[] = {shard->activations, shard->dactivations, shard->dvalues, shard->dinput, shard->dcontext,
                          shard->judged, shard->noise};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        free(rest[i]);
    free(shard->log_density);
    free(shard);
}

struct sac_shard *sac_shard_new(const struct sac *sac, size_t rows, int wants_context)
{
    struct sac_shard *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    size_t actor = net_activations(&sac->actor, rows), critic = net_activations(&sac->critic, rows);
    size_t width = sac->critic.sizes[0];
    *s = (struct sac_shard){
        .limit = rows,
        .gradient = {reals(sac->actor.count), reals(sac->critic.count), reals(sac->critic.count)},
        .activations = reals(actor), .dactivations = reals(actor),
        .values = {reals(critic), reals(critic)}, .dvalues = reals(critic),
        .dinput = reals(rows * width), .judged = reals(rows * width),
        .dcontext = wants_context ? reals(rows * width) : NULL,
        .noise = reals(rows * sac->actions), .log_density = calloc(rows, sizeof(double)),
    };
    if (s->gradient[0] && s->gradient[1] && s->gradient[2] && s->activations && s->dactivations && s->values[0]
        && s->values[1] && s->dvalues && s->dinput && s->judged && (s->dcontext || !wants_context) && s->noise
        && s->log_density)
        return s;
    sac_shard_free(s);
    return NULL;
}

double sac_alpha(const struct sac *sac)
{
    return exp((double)sac->temperature.parameters[0]);
}

static double log_sd_of(double raw)
{
    return LOG_SD_LOW + 0.5 * (LOG_SD_HIGH - LOG_SD_LOW) * (tanh(raw) + 1);
}

double sac_draw(real *action, const real *out, const real *noise, size_t A)
{
    double log_density = 0;
    for (size_t i = 0; i < A; i++) {
        double e = (double)noise[i], log_sd = log_sd_of((double)out[A + i]);
        double u = (double)out[i] + exp(log_sd) * e;
        // ln p(tanh u) = ln N(u) - ln(1 - tanh^2 u),  ln(1 - tanh^2 u) = 2 (ln 2 - |u| - ln(1 + e^-2|u|))
        log_density -= 0.5 * (e * e + LOG_TWO_PI) + log_sd + 2 * (M_LN2 - fabs(u) - log1p(exp(-2 * fabs(u))));
        action[i] = (real)tanh(u);
    }
    return log_density;
}

// Values (count) of a critic, in activations.
static const real *judge(const struct sac *sac, const real *parameters, real *activations, const real *judged,
                         size_t count)
{
    return net_forward(&sac->critic, parameters, activations, judged, count);
}

void sac_critic_loss(const struct sac *sac, const struct sac_settings *settings, struct sac_batch *batch, size_t first,
                     size_t count, struct sac_shard *s)
{
    size_t A = sac->actions, width = sac->critic.sizes[0], inputs = sac->actor.sizes[0];
    double alpha = sac_alpha(sac), share = 1 / (double)batch->B;
    real *next = batch->next_judged + first * width;
    const real *out = net_forward(&sac->actor, sac->acting.parameters, s->activations,
                                  batch->next_input + first * inputs, count);
    for (size_t b = 0; b < count; b++)
        s->log_density[b] = sac_draw(next + (b + 1) * width - A, out + 2 * b * A, s->noise + b * A, A);

    // log_density becomes y.
    const real *q0 = judge(sac, sac->target[0], s->values[0], next, count);
    const real *q1 = judge(sac, sac->target[1], s->values[1], next, count);
    for (size_t b = 0; b < count; b++) {
        double value = fmin((double)q0[b], (double)q1[b]) - alpha * s->log_density[b];
        s->log_density[b] = (double)batch->reward[first + b] +
                            settings->discount * (double)batch->goes_on[first + b] * value;
    }

    const real *judged = batch->judged + first * width;
    s->critic_loss = s->value = 0;
    for (size_t k = 0; k < SAC_CRITICS; k++) {
        const real *parameters = sac->judging[k].parameters, *q = judge(sac, parameters, s->values[k], judged, count);
        real *dq = net_doutput(&sac->critic, s->dvalues, count);
        for (size_t b = 0; b < count; b++) {
            double error = (double)q[b] - s->log_density[b];
            s->critic_loss += error * error;
            s->value += (double)q[b] / SAC_CRITICS;
            dq[b] = (real)(2 * share * error);
        }
        net_backward(&sac->critic, parameters, s->gradient[1 + k], s->values[k], s->dvalues, judged, count);
        if (s->dcontext) {
            net_dinput(&sac->critic, parameters, k ? s->dinput : s->dcontext, s->dvalues, count);
            for (size_t i = 0; k && i < count * width; i++)
                s->dcontext[i] += s->dinput[i];
        }
    }
}

void sac_actor_loss(const struct sac *sac, const struct sac_batch *batch, size_t first, size_t count,
                    struct sac_shard *s)
{
    size_t A = sac->actions, width = sac->critic.sizes[0], C = width - A;
    double alpha = sac_alpha(sac), share = 1 / (double)batch->B;
    const real *input = batch->input + first * sac->actor.sizes[0];
    const real *out = net_forward(&sac->actor, sac->acting.parameters, s->activations, input, count);
    s->actor_loss = s->entropy = 0;
    for (size_t b = 0; b < count; b++) {
        memcpy(s->judged + b * width, batch->judged + (first + b) * width, C * sizeof(real));
        s->log_density[b] = sac_draw(s->judged + b * width + C, out + 2 * b * A, s->noise + b * A, A);
        s->entropy -= s->log_density[b];
        s->actor_loss += alpha * s->log_density[b];
    }

    // The smaller of both values is gone down from; the other critic's part of the gradient is zero.
    const real *q[SAC_CRITICS];
    for (size_t k = 0; k < SAC_CRITICS; k++)
        q[k] = judge(sac, sac->judging[k].parameters, s->values[k], s->judged, count);
    for (size_t b = 0; b < count; b++)
        s->actor_loss -= fmin((double)q[0][b], (double)q[1][b]);
    real *dout = net_doutput(&sac->actor, s->dactivations, count);
    for (size_t k = 0; k < SAC_CRITICS; k++) {
        real *dq = net_doutput(&sac->critic, s->dvalues, count);
        for (size_t b = 0; b < count; b++)
            dq[b] = (q[1][b] < q[0][b]) == (k == 1) ? (real)-share : 0;
        const real *parameters = sac->judging[k].parameters;
        net_backward(&sac->critic, parameters, NULL, s->values[k], s->dvalues, s->judged, count);
        net_dinput(&sac->critic, parameters, s->dinput, s->dvalues, count);
        for (size_t b = 0; b < count; b++)
            for (size_t i = 0; i < A; i++) {
                real da = s->dinput[b * width + C + i], *sum = dout + 2 * b * A + i;
                *sum = k ? *sum + da : da;
            }
    }
    for (size_t b = 0; b < count; b++)
        for (size_t i = 0; i < A; i++) {
            const real *row = out + 2 * b * A;
            double y = (double)s->judged[b * width + C + i], e = (double)s->noise[b * A + i];
            double t = tanh((double)row[A + i]), sd = exp(log_sd_of((double)row[A + i]));
            // u = mean + sd e;  d ln pi / du = 2 y,  d ln pi / d ln sd = -1 besides,  dy / du = 1 - y^2
            double du = share * alpha * 2 * y + (double)dout[2 * b * A + i] * (1 - y * y);
            double dlog_sd = du * sd * e - share * alpha;
            dout[2 * b * A + i] = (real)du;
            dout[2 * b * A + A + i] = (real)(dlog_sd * 0.5 * (LOG_SD_HIGH - LOG_SD_LOW) * (1 - t * t));
        }
    net_backward(&sac->actor, sac->acting.parameters, s->gradient[0], s->activations, s->dactivations, input, count);
}

// Adds the shards' gradients up in order and steps.
static int step(struct trainee *trainee, struct sac_shard *const *shards, size_t count, size_t which,
                const struct sac_settings *settings, double rate)
{
    memcpy(trainee->gradient, shards[0]->gradient[which], trainee->count * sizeof(real));
    for (size_t i = 1; i < count; i++)
        add_to(trainee->gradient, shards[i]->gradient[which], trainee->count);
    double norm;
    return trainee_step(trainee, rate, settings->norm_limit, settings->epsilon, &norm);
}

int sac_critic_step(struct sac *sac, size_t k, struct sac_shard *const *shards, size_t count,
                    const struct sac_settings *settings, double rate)
{
    int error = step(&sac->judging[k], shards, count, 1 + k, settings, rate);
    if (!error)
        follow(sac->target[k], sac->judging[k].parameters, sac->critic.count, (real)settings->follow);
    return error;
}

int sac_actor_step(struct sac *sac, struct sac_shard *const *shards, size_t count, const struct sac_settings *settings,
                   double rate)
{
    return step(&sac->acting, shards, count, 0, settings, rate);
}

int sac_temperature_step(struct sac *sac, struct sac_shard *const *shards, size_t count, size_t B,
                         const struct sac_settings *settings, double rate)
{
    // loss = alpha (entropy - wanted),  d / d ln alpha = the same
    double entropy = 0, norm;
    for (size_t i = 0; i < count; i++)
        entropy += shards[i]->entropy / (double)B;
    sac->temperature.gradient[0] = (real)(sac_alpha(sac) * (entropy - settings->entropy));
    return trainee_step(&sac->temperature, rate, settings->norm_limit, settings->epsilon, &norm);
}
