// VariBAD's bound and its gradient.

#include "varibad_loss.h"

#include "daemon/base/random.h"
#include "learner/nets/elementwise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Rows that go through a decoder at once: their activations stay in the cache.
enum { DECODE_ROWS = 1024 };

void varibad_nets_init(struct varibad_nets *nets, const struct varibad_shape *shape)
{
    *nets = (struct varibad_nets){.latent = shape->latent};
    sequence_init(&nets->sequence, shape->inputs, shape->embedding, shape->hidden);
    nets->head_at = whole_lines(nets->sequence.count);
    net_init(&nets->head, (size_t[]){shape->hidden, 2 * shape->latent}, 1, 0);
    nets->count = whole_lines(nets->head_at + nets->head.count);
    for (size_t k = 0; k < VARIBAD_DECODERS; k++) {
        if (!shape->decoder[k].inputs)
            continue;
        size_t sizes[] = {shape->decoder[k].inputs + shape->latent, shape->decoder[k].hidden[0],
                          shape->decoder[k].hidden[1], shape->decoder[k].targets};
        net_init(&nets->decoder[k], sizes, 3, 0);
        nets->decoder[k].relu = 1;
        nets->decoder_at[k] = nets->count;
        nets->count = whole_lines(nets->count + nets->decoder[k].count);
    }
}

void varibad_nets_start(const struct varibad_nets *nets, real *parameters, struct random_stream *stream)
{
    memset(parameters, 0, nets->count * sizeof *parameters);
    sequence_start(&nets->sequence, parameters, stream);
    net_orthogonal(&nets->head, parameters + nets->head_at, 1, 1, stream);
    for (size_t k = 0; k < VARIBAD_DECODERS; k++)
        if (nets->decoder[k].layer_count)
            net_orthogonal(&nets->decoder[k], parameters + nets->decoder_at[k], sqrt(2), 1, stream);
}

static size_t decoder_inputs(const struct varibad_nets *nets, size_t k)
{
    return nets->decoder[k].layer_count ? nets->decoder[k].sizes[0] - nets->latent : 0;
}

static size_t decoder_targets(const struct varibad_nets *nets, size_t k)
{
    return nets->decoder[k].layer_count ? nets->decoder[k].sizes[3] : 0;
}

int varibad_batch_init(struct varibad_batch *batch, const struct varibad_nets *nets, size_t T, size_t B, size_t terms,
                       size_t decodes)
{
    *batch = (struct varibad_batch){.T = T, .B = B, .terms_limit = terms, .decodes_limit = decodes};
    size_t inputs = nets->sequence.embedding.sizes[0], count = T * B * inputs + B * terms * nets->latent;
    for (size_t k = 0; k < VARIBAD_DECODERS; k++)
        count += B * decodes * (decoder_inputs(nets, k) + decoder_targets(nets, k));
    batch->memory = calloc(count, sizeof *batch->memory);
    batch->indices = calloc(B * (2 + terms), sizeof *batch->indices);
    if (!batch->memory || !batch->indices) {
        varibad_batch_release(batch);
        return -ENOMEM;
    }
    batch->in = batch->memory;
    batch->noise = batch->in + T * B * inputs;
    real *next = batch->noise + B * terms * nets->latent;
    for (size_t k = 0; k < VARIBAD_DECODERS; k++) {
        batch->x[k] = next;
        batch->y[k] = batch->x[k] + B * decodes * decoder_inputs(nets, k);
        next = batch->y[k] + B * decodes * decoder_targets(nets, k);
    }
    batch->terms = batch->indices;
    batch->decodes = batch->terms + B;
    batch->term = batch->decodes + B;
    return 0;
}

void varibad_batch_release(struct varibad_batch *batch)
{
    free(batch->memory);
    free(batch->indices);
    *batch = (struct varibad_batch){0};
}

int varibad_pass_init(struct varibad_pass *pass, const struct varibad_nets *nets, size_t T, size_t B, size_t decodes)
{
    size_t rows = decodes > DECODE_ROWS ? decodes : DECODE_ROWS;
    size_t posterior = whole_lines((T + 1) * B * 2 * nets->latent);
    size_t inputs = 0, activations = 0, targets = 0, gradient = 0;
    for (size_t k = 0; k < VARIBAD_DECODERS; k++) {
        const struct net *net = &nets->decoder[k];
        if (!net->layer_count)
            continue;
        inputs = net->sizes[0] > inputs ? net->sizes[0] : inputs;
        targets = net->sizes[3] > targets ? net->sizes[3] : targets;
        activations = net_activations(net, 1) > activations ? net_activations(net, 1) : activations;
        gradient = net->count > gradient ? net->count : gradient;
    }
    const struct { real **at; size_t count; } parts[] = {
        {&pass->posterior, posterior}, {&pass->dposterior, posterior}, {&pass->rows, rows * inputs},
        {&pass->target, rows * targets}, {&pass->activations, rows * activations},
        {&pass->dactivations, rows * activations}, {&pass->dlatent, rows * nets->latent}, {&pass->gradient, gradient},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        count += whole_lines(parts[i].count);
    *pass = (struct varibad_pass){.rows_limit = rows, .memory = aligned_alloc(64, count * sizeof(real))};
    if (!pass->memory || sequence_pass_init(&pass->sequence, &nets->sequence, T, B)) {
        varibad_pass_release(pass);
        return -ENOMEM;
    }
    real *next = pass->memory;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].at = next;
        next += whole_lines(parts[i].count);
    }
    return 0;
}

void varibad_pass_release(struct varibad_pass *pass)
{
    sequence_pass_release(&pass->sequence);
    free(pass->memory);
    *pass = (struct varibad_pass){0};
}

void varibad_encode(const struct varibad_nets *nets, const real *parameters, struct varibad_pass *pass, const real *in,
                    size_t T, size_t B)
{
    sequence_forward(&nets->sequence, parameters, &pass->sequence, in, NULL, NULL, T, B);
    net_forward(&nets->head, parameters + nets->head_at, pass->posterior, pass->sequence.gru.states, (T + 1) * B);
}

// KL(q || p) of diagonal Gaussians, times weight, and its gradients; p NULL is N(0, I).
static double divergence(const real *q, const real *p, real *dq, real *dp, size_t L, double weight)
{
    double sum = 0;
    for (size_t i = 0; i < L; i++) {
        double mean = (double)q[i], log_variance = (double)q[L + i];
        double other = p ? (double)p[i] : 0, other_log = p ? (double)p[L + i] : 0;
        double share = exp(log_variance - other_log), apart = mean - other, precision = exp(-other_log);
        sum += 0.5 * (other_log - log_variance - 1 + share + apart * apart * precision);
        dq[i] += (real)(weight * apart * precision);
        dq[L + i] += (real)(weight * 0.5 * (share - 1));
        if (p) {
            dp[i] -= (real)(weight * apart * precision);
            dp[L + i] += (real)(weight * 0.5 * (1 - share - apart * apart * precision));
        }
    }
    return sum;
}

// One trajectory's terms first .. first + count - 1 and all it decodes, through one decoder.
static double decode(const struct varibad_nets *nets, const real *parameters, real *gradient,
                     const struct varibad_batch *batch, struct varibad_pass *pass, size_t k, size_t b, size_t first,
                     size_t count, double share)
{
    const struct net *net = &nets->decoder[k];
    size_t L = nets->latent, width = net->sizes[0], inputs = width - L, targets = net->sizes[3], H1 = net->sizes[1];
    size_t E = batch->terms_limit, D = batch->decodes_limit, decodes = batch->decodes[b], rows = count * decodes;
    const real *x = batch->x[k] + b * D * inputs, *y = batch->y[k] + b * D * targets;

    for (size_t e = 0; e < count; e++) {
        // m = mu + exp(logvar / 2) noise
        const real *q = pass->posterior + (batch->term[b * E + first + e] * batch->B + b) * 2 * L;
        const real *noise = batch->noise + (b * E + first + e) * L;
        real m[VARIBAD_LATENT_LIMIT];
        for (size_t i = 0; i < L; i++)
            m[i] = q[i] + (real)exp(0.5 * (double)q[L + i]) * noise[i];
        for (size_t d = 0; d < decodes; d++) {
            real *row = pass->rows + (e * decodes + d) * width;
            memcpy(row, m, L * sizeof *row);
            memcpy(row + L, x + d * inputs, inputs * sizeof *row);
        }
    }
    const real *out = net_forward(net, parameters + nets->decoder_at[k], pass->activations, pass->rows, rows);
    real *dout = net_doutput(net, pass->dactivations, rows);
    double errors = 0;
    for (size_t e = 0; e < count; e++)
        for (size_t i = 0; i < decodes * targets; i++) {
            double error = (double)out[e * decodes * targets + i] - (double)y[i];
            errors += error * error;
            dout[e * decodes * targets + i] = (real)(2 * share * error / (double)targets);
        }
    net_backward(net, parameters + nets->decoder_at[k], pass->gradient, pass->activations, pass->dactivations,
                 pass->rows, rows);
    add_to(gradient + nets->decoder_at[k], pass->gradient, net->count);

    // To m, through the rows of the first weight that read it.
    REAL(gemm)(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)L, (int)H1, 1, pass->dactivations, (int)H1,
               parameters + nets->decoder_at[k] + net->weight_at[0], (int)H1, 0, pass->dlatent, (int)L);
    for (size_t e = 0; e < count; e++) {
        size_t at = (batch->term[b * E + first + e] * batch->B + b) * 2 * L;
        const real *noise = batch->noise + (b * E + first + e) * L;
        for (size_t i = 0; i < L; i++) {
            double dm = 0;
            for (size_t d = 0; d < decodes; d++)
                dm += (double)pass->dlatent[(e * decodes + d) * L + i];
            pass->dposterior[at + i] += (real)dm;
            pass->dposterior[at + L + i] +=
                (real)(dm * 0.5 * exp(0.5 * (double)pass->posterior[at + L + i]) * (double)noise[i]);
        }
    }
    return errors / (double)targets;
}

void varibad_loss(struct varibad_value *value, const struct varibad_nets *nets, const real *parameters, real *gradient,
                  const struct varibad_batch *batch, double kl_weight, double share, struct varibad_pass *pass)
{
    size_t T = batch->T, B = batch->B, L = nets->latent, P = 2 * L;
    *value = (struct varibad_value){0};
    varibad_encode(nets, parameters, pass, batch->in, T, B);
    memset(pass->dposterior, 0, (T + 1) * B * P * sizeof *pass->dposterior);
    memset(gradient, 0, nets->count * sizeof *gradient);

    for (size_t b = 0; b < B; b++) {
        size_t terms = batch->terms[b], decodes = batch->decodes[b];
        if (!terms || !decodes)
            continue;
        for (size_t e = 0; e < terms; e++) {
            size_t t = batch->term[b * batch->terms_limit + e], at = (t * B + b) * P, before = at - B * P;
            double nats = divergence(pass->posterior + at, t ? pass->posterior + before : NULL, pass->dposterior + at,
                                     t ? pass->dposterior + before : NULL, L, share * kl_weight);
            value->divergence += share * nats / (double)terms;
            value->loss += share * kl_weight * nats;
        }
        size_t block = pass->rows_limit / decodes;
        for (size_t k = 0; k < VARIBAD_DECODERS; k++)
            for (size_t e = 0; nets->decoder[k].layer_count && e < terms; e += block) {
                size_t count = terms - e < block ? terms - e : block;
                double errors = decode(nets, parameters, gradient, batch, pass, k, b, e, count, share);
                value->errors[k] += share * errors / (double)(terms * decodes);
                value->loss += share * errors;
            }
    }
    // Through the head to the states, and from there through time.
    net_backward(&nets->head, parameters + nets->head_at, gradient + nets->head_at, pass->posterior, pass->dposterior,
                 pass->sequence.gru.states, (T + 1) * B);
    net_dinput(&nets->head, parameters + nets->head_at, pass->sequence.gru.dstates, pass->dposterior, (T + 1) * B);
    sequence_backward(&nets->sequence, parameters, gradient, &pass->sequence, batch->in, NULL);
}
