// VariBAD's side of a training: batches of replayed meta-episodes, steps up the bound, what of it is served.

#include "varibad.h"

#include "daemon/base/random.h"
#include "glibrl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Trajectories that one part of an update takes through the encoder together: enough for one product a step, and few
// enough for two threads to have their share.
enum { GROUP = 5 };

struct varibad_work {
    unsigned threads;
    size_t parts, stride;            // reals between the gradients of two parts
    float *gradients;                // (parts, stride)
    struct varibad_value *values;    // (parts)
    struct varibad_batch *batches;   // of each thread
    struct varibad_pass *passes;     // of each thread
};

static struct varibad_shape shape_of(const struct train *train)
{
    const struct options *o = &train->options;
    size_t obs = train->world->observation_dim, act = train->world->action_dim, width = o->decoder_hidden;
    struct varibad_shape shape = {
        .inputs = history_inputs(train->world), .embedding = o->embedding, .hidden = o->gru, .latent = o->latent,
    };
    // Published: 64 and 32 for rewards, 256 and 128 for states.
    if (o->decode_reward) {
        shape.decoder[HEAD_REWARD].inputs = 2 * obs + act;
        shape.decoder[HEAD_REWARD].targets = 1;
        shape.decoder[HEAD_REWARD].hidden[0] = width;
        shape.decoder[HEAD_REWARD].hidden[1] = (width + 1) / 2;
    }
    if (o->decode_transition) {
        shape.decoder[HEAD_TRANSITION].inputs = obs + act;
        shape.decoder[HEAD_TRANSITION].targets = obs;
        shape.decoder[HEAD_TRANSITION].hidden[0] = 4 * width;
        shape.decoder[HEAD_TRANSITION].hidden[1] = 2 * width;
    }
    return shape;
}

static int start(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    struct varibad *own = train->inferring = calloc(1, sizeof *own);
    if (!own)
        return -ENOMEM;
    struct varibad_shape shape = shape_of(train);
    varibad_nets_init(&own->nets, &shape);
    if (trainee_init(&own->trainee, own->nets.count))
        return -ENOMEM;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        size_t targets = kind == HEAD_REWARD ? 1 : train->world->observation_dim;
        own->log_sd[kind] = calloc(targets, sizeof **own->log_sd);
        if (!own->log_sd[kind] || moments_init(&own->targets[kind], targets, 0))
            return -ENOMEM;
    }
    struct random_stream stream = random_stream(train->options.seed, RANDOM_PARAMETERS, 4, 0);
    varibad_nets_start(&own->nets, own->trainee.parameters, &stream);
    return 0;
}

// How many of `count` are asked for; 0 is all.
static size_t at_most(size_t asked, size_t count)
{
    return asked && asked < count ? asked : count;
}

static int ready(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    const struct options *o = &train->options;
    struct varibad *own = train->inferring;
    struct varibad_work *work = own->work = calloc(1, sizeof *work);
    if (!work)
        return -ENOMEM;
    size_t T = train->replay.steps, terms = at_most(o->elbo_terms, T + 1), decodes = at_most(o->decodes, T);
    work->threads = pool_threads(train->pool);
    work->parts = (o->encoder_trajectories + GROUP - 1) / GROUP;
    work->stride = whole_lines(own->nets.count);
    work->gradients = aligned_alloc(64, work->parts * work->stride * sizeof *work->gradients);
    work->values = calloc(work->parts, sizeof *work->values);
    work->batches = calloc(work->threads, sizeof *work->batches);
    work->passes = calloc(work->threads, sizeof *work->passes);
    if (!work->gradients || !work->values || !work->batches || !work->passes)
        return -ENOMEM;
    for (unsigned t = 0; t < work->threads; t++)
        if (varibad_batch_init(&work->batches[t], &own->nets, T, GROUP, terms, decodes)
            || varibad_pass_init(&work->passes[t], &own->nets, T, GROUP, decodes))
            return -ENOMEM;
    return 0;
}

static void stop(struct train *train)
{
    struct varibad *own = train->inferring;
    if (!own)
        return;
    struct varibad_work *work = own->work;
    for (unsigned t = 0; work && t < work->threads; t++) {
        if (work->batches)
            varibad_batch_release(&work->batches[t]);
        if (work->passes)
            varibad_pass_release(&work->passes[t]);
    }
    if (work) {
        free(work->gradients);
        free(work->values);
        free(work->batches);
        free(work->passes);
        free(work);
    }
    trainee_release(&own->trainee);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        moments_release(&own->targets[kind]);
        free(own->log_sd[kind]);
    }
    free(own);
    train->inferring = NULL;
}

static size_t replay_slots_of(const struct options *options)
{
    return options->replay;
}

// One of the i-th of `parts` stretches of 0 .. count - 1; all, if there are as many stretches.
static uint32_t one_of_stretch(struct random_stream *stream, size_t i, size_t parts, size_t count)
{
    size_t first = i * count / parts, last = (i + 1) * count / parts;
    return (uint32_t)(first + random_below(stream, (uint32_t)(last - first)));
}

// Replayed meta-episode `slot` becomes trajectory b of a batch; which transitions are decoded is drawn.
static void fill_trajectory(struct train *train, struct varibad_batch *batch, size_t b, size_t slot,
                            struct random_stream *stream)
{
    const struct varibad *own = train->inferring;
    const struct replay *r = &train->replay;
    size_t obs = r->observation_dim, act = r->action_dim, inputs = history_inputs(train->world), n = r->count[slot];
    for (size_t t = 0; t < batch->T; t++) {
        float *in = batch->in + (t * batch->B + b) * inputs;
        size_t row = slot * r->steps + t;
        if (t < n)
            history_row(train, in, r->action + row * act, r->reward[row], r->next_observation + row * obs);
        else
            memset(in, 0, inputs * sizeof *in);
    }
    size_t decodes = at_most(batch->decodes_limit, n);
    batch->decodes[b] = (uint32_t)decodes;
    for (size_t d = 0; d < decodes; d++) {
        size_t row = slot * r->steps + one_of_stretch(stream, d, decodes, n);
        const float *s = r->observation + row * obs, *next = r->next_observation + row * obs;
        for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
            const struct net *net = &own->nets.decoder[kind];
            if (!net->layer_count)
                continue;
            size_t at = b * batch->decodes_limit + d, targets = net->sizes[3];
            basis_row(train, kind, batch->x[kind] + at * (net->sizes[0] - own->nets.latent), s, r->action + row * act,
                      next);
            for (size_t i = 0; i < targets; i++) {
                double y = kind == HEAD_REWARD ? (double)r->reward[row] : (double)next[i] - (double)s[i];
                batch->y[kind][at * targets + i] =
                    (float)((y - own->targets[kind].mean[i]) / moments_sd(&own->targets[kind], i));
            }
        }
    }
}

struct encoder_job {
    struct train *train;
    size_t update;
};

// Trajectories part GROUP .. of one update.
static void encoder_part(void *context, size_t part, unsigned thread)
{
    const struct encoder_job *job = context;
    struct train *train = job->train;
    const struct options *o = &train->options;
    struct varibad *own = train->inferring;
    struct varibad_work *work = own->work;
    struct varibad_batch *batch = &work->batches[thread];
    size_t left = o->encoder_trajectories - part * GROUP, L = own->nets.latent;
    batch->B = left < GROUP ? left : GROUP;
    struct random_stream stream = random_stream(o->seed, RANDOM_ENCODER, (uint32_t)train_iteration(train),
                                                (uint32_t)(job->update * work->parts + part));
    for (size_t b = 0; b < batch->B; b++) {
        size_t slot = 0, E = batch->terms_limit;
        // An empty slot (everything in it was void) has nothing to say; another is drawn.
        for (int tries = 0; tries < 100 && (tries == 0 || train->replay.count[slot] == 0); tries++)
            slot = random_below(&stream, (uint32_t)replay_slots(&train->replay));
        fill_trajectory(train, batch, b, slot, &stream);
        size_t states = train->replay.count[slot] + 1;
        batch->terms[b] = (uint32_t)at_most(E, states);
        for (size_t e = 0; e < batch->terms[b]; e++) {
            batch->term[b * E + e] = one_of_stretch(&stream, e, batch->terms[b], states);
            for (size_t i = 0; i < L; i++)
                batch->noise[(b * E + e) * L + i] = (float)random_normal(&stream);
        }
    }
    varibad_loss(&work->values[part], &own->nets, own->trainee.parameters, work->gradients + part * work->stride,
                 batch, o->kl_weight, 1 / (double)o->encoder_trajectories, &work->passes[thread]);
}

static int update(struct train *train, size_t number, double rate)
{
    struct varibad *own = train->inferring;
    struct varibad_work *work = own->work;
    struct encoder_job job = {train, number};
    pool_run(train->pool, encoder_part, &job, work->parts);
    own->value = (struct varibad_value){0};
    memset(own->trainee.gradient, 0, own->trainee.count * sizeof(float));
    for (size_t part = 0; part < work->parts; part++) {
        own->value.loss += work->values[part].loss;
        own->value.divergence += work->values[part].divergence;
        for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
            own->value.errors[kind] += work->values[part].errors[kind];
        for (size_t i = 0; i < own->trainee.count; i++)
            own->trainee.gradient[i] += work->gradients[part * work->stride + i];
    }
    double norm;
    return trainee_step(&own->trainee, rate, train->options.encoder_norm_limit, 1e-8, &norm);
}

static int is_frozen(const struct train *train)
{
    return train_progress(train) >= train->options.freeze;
}

static double encoder_rate(const struct train *train)
{
    return train->options.encoder_rate * (1 - train_progress(train) / train->options.freeze);
}

static int learn(struct train *train, char *why, size_t why_size)
{
    struct varibad *own = train->inferring;
    const struct options *o = &train->options;
    // In the end the decoders' noise is that of the newest.
    rollout_store(&train->rollout, &train->replay);
    if (is_frozen(train))
        return 0;
    train_add_moments(train, &own->targets[HEAD_REWARD],
                      own->nets.decoder[HEAD_TRANSITION].layer_count ? &own->targets[HEAD_TRANSITION] : NULL);
    history_normalise(train, &own->targets[HEAD_REWARD]);
    size_t updates = o->encoder_updates + (train_iteration(train) == 0 ? o->encoder_warmup : 0);
    for (size_t i = 0; i < updates; i++)
        if (update(train, i, encoder_rate(train)))
            return train_not_finite(train, "encoder", why, why_size);
    train_tell(train, "encoder/bound", -own->value.loss);
    train_tell(train, "encoder/divergence", own->value.divergence);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (own->nets.decoder[kind].layer_count)
            train_tell(train, kind == HEAD_REWARD ? "decoder/reward" : "decoder/transition", own->value.errors[kind]);
    train_say(train, ", error %.3f", own->value.errors[o->decode_reward ? HEAD_REWARD : HEAD_TRANSITION]);
    return 0;
}

static void shape(struct train *train, struct model_shape *shape, int last)
{
    (void)last;
    const struct varibad *own = train->inferring;
    shape->kind = MODEL_VARIBAD;
    shape->encoder.embedding = own->nets.sequence.gru.inputs;
    shape->encoder.width = own->nets.sequence.gru.hidden;
    shape->encoder.latent = own->nets.latent;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        for (size_t l = 0; l < 2 && own->nets.decoder[kind].layer_count; l++)
            shape->decoders[kind].hidden[l] = own->nets.decoder[kind].sizes[l + 1];
}

static void fill(struct train *train, struct model *model, int last)
{
    (void)last;
    const struct varibad *own = train->inferring;
    const float *parameters = own->trainee.parameters;
    struct encoder *encoder = &model->encoder;
    fill_sequence(encoder, &own->nets.sequence, parameters);
    fill_network(&encoder->head, &own->nets.head, parameters + own->nets.head_at);
    encoder->reward_mean = (float)own->targets[HEAD_REWARD].mean[0];
    encoder->reward_scale = (float)moments_sd(&own->targets[HEAD_REWARD], 0);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        struct decoder *decoder = &model->decoders[kind];
        if (!own->nets.decoder[kind].layer_count)
            continue;
        fill_network(&decoder->network, &own->nets.decoder[kind], parameters + own->nets.decoder_at[kind]);
        for (size_t i = 0; i < decoder->targets; i++) {
            decoder->target_mean[i] = own->targets[kind].mean[i];
            decoder->target_scale[i] = moments_sd(&own->targets[kind], i);
            decoder->log_sd[i] = own->log_sd[kind][i];
        }
    }
}

static void state(struct train *train, struct train_list *list)
{
    struct varibad *own = train->inferring;
    list_trainee(list, "encoder", &own->trainee);
    list_moments(list, "reward.target", &own->targets[HEAD_REWARD]);
    list_moments(list, "change.target", &own->targets[HEAD_TRANSITION]);
}

const struct inference inference_varibad = {
    .replay_slots = replay_slots_of, .start = start, .ready = ready, .stop = stop, .shape = shape, .fill = fill,
    .learn = learn, .finish = varibad_fit_noise, .state = state,
};
