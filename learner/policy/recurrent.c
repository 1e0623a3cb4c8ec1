// PPO through time: chunks of the rollout, and the epochs over them.

#include "recurrent.h"

#include "daemon/base/random.h"
#include "learner/inference/varibad.h"
#include "on_policy.h"
#include "recurrent_loss.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct recurrent_scratch {
    size_t C;                   // rows of a chunk; the last of an environment may be shorter
    size_t B;                   // chunks of a minibatch
    size_t each;                // chunks of an environment
    uint32_t *order;            // of the chunks in this epoch
    struct recurrent_batch batch;
    struct recurrent_pass pass;
};

struct recurrent_scratch *recurrent_new(struct train *train)
{
    const struct options *o = &train->options;
    const struct rollout *r = &train->rollout;
    const struct on_policy *acting = train->acting;
    struct recurrent_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->C = o->chunk < r->T ? o->chunk : r->T;
    s->each = (r->T + s->C - 1) / s->C;
    size_t count = r->N * s->each;
    s->B = o->chunks < count ? o->chunks : count;
    struct sequence sequence;
    sequence_init(&sequence, history_inputs(train->world), o->embedding, o->gru);
    size_t rows = s->C * s->B, act = train->world->action_dim;
    struct recurrent_batch *batch = &s->batch;
    s->order = calloc(count, sizeof *s->order);
    batch->in = calloc(rows * history_inputs(train->world), sizeof(real));
    batch->mode = calloc(rows, 1);
    batch->first = calloc(s->B * o->gru, sizeof(real));
    batch->input = calloc(rows * train->input_dim, sizeof(real));
    batch->action = calloc(rows * (act + 2), sizeof(real));
    batch->index = calloc(rows, sizeof *batch->index);
    if (!s->order || !batch->in || !batch->mode || !batch->first || !batch->input || !batch->action || !batch->index
        || recurrent_pass_init(&s->pass, &sequence, &acting->actor.net, s->C, s->B)) {
        recurrent_free(s);
        return NULL;
    }
    batch->log_density = batch->action + rows * act;
    batch->advantage = batch->log_density + rows;
    return s;
}

void recurrent_free(struct recurrent_scratch *s)
{
    if (!s)
        return;
    free(s->order);
    free(s->batch.in);
    free(s->batch.mode);
    free(s->batch.first);
    free(s->batch.input);
    free(s->batch.action);
    free(s->batch.index);
    recurrent_pass_release(&s->pass);
    free(s);
}

// One row of the rollout becomes row (k, b) of the batch.
static void fill_row(struct recurrent_batch *batch, const struct train *train, const struct experience *experience,
                     size_t row, size_t k, size_t b)
{
    const struct rollout *r = &train->rollout;
    size_t obs = train->world->observation_dim, act = train->world->action_dim, at = k * batch->B + b;
    history_row(train, batch->in + at * history_inputs(train->world), r->met + row * act, r->reward[row],
                r->next_observation + row * obs);
    batch->mode[at] = (uint8_t)((r->begins[row] ? GRU_BEGINS : 0) | (r->end[row] == ROW_VOID ? GRU_HOLDS : 0));
    memcpy(batch->input + at * train->input_dim, experience->input + row * experience->input_stride,
           obs * sizeof(real));
    memcpy(batch->action + at * act, experience->action + row * act, act * sizeof(real));
    batch->log_density[at] = experience->log_density[row];
    batch->advantage[at] = experience->advantage[row];
    batch->index[batch->rows++] = (uint32_t)at;
}

static void fill_batch(struct recurrent_scratch *s, const struct train *train, const struct experience *experience,
                       const uint32_t *chunks, size_t B)
{
    const struct rollout *r = &train->rollout;
    struct recurrent_batch *batch = &s->batch;
    size_t obs = train->world->observation_dim, inputs = history_inputs(train->world), H = train->input_dim - obs;
    batch->C = s->C;
    batch->B = B;
    batch->rows = 0;
    for (size_t b = 0; b < B; b++) {
        size_t begin = chunks[b] % s->each * s->C, first = chunks[b] / s->each * r->T + begin;
        memcpy(batch->first + b * H, r->input + first * r->input_dim + obs, H * sizeof(real));
        for (size_t k = 0; k < s->C; k++)
            if (begin + k < r->T)
                fill_row(batch, train, experience, first + k, k, b);
            else {
                memset(batch->in + (k * B + b) * inputs, 0, inputs * sizeof(real));
                batch->mode[k * B + b] = GRU_HOLDS;
            }
    }
}

int recurrent_update(struct recurrent_scratch *s, struct train *train, const struct sequence *sequence,
                     struct trainee *encoder, struct actor *actor, const struct experience *experience,
                     const struct ppo_settings *settings, double rate, struct random_stream *stream,
                     struct ppo_report *report)
{
    size_t count = train->rollout.N * s->each;  // online, fewer environments than at the start may have come
    for (size_t i = 0; i < count; i++)
        s->order[i] = (uint32_t)i;
    report->epochs = 0;
    for (size_t epoch = 0; epoch < settings->epochs; epoch++) {
        shuffle_rows(s->order, count, stream);
        report->actor_loss = report->entropy = report->divergence = report->clipped = report->actor_norm = 0;
        size_t batches = 0;
        for (size_t first = 0; first < count; first += s->B, batches++) {
            fill_batch(s, train, experience, s->order + first, count - first < s->B ? count - first : s->B);
            recurrent_loss(actor, sequence, encoder, &s->batch, settings, &s->pass, report);
            double norm;
            if (!isfinite(gradient_norm(encoder->gradient, encoder->count))
                || trainee_step(&actor->trainee, rate, settings->norm_limit, settings->epsilon, &norm))
                return -EDOM;
            report->actor_norm += norm;
            actor_hold_sd(actor, settings->sd_low);
            trainee_step(encoder, rate, settings->norm_limit, settings->epsilon, &norm);
        }
        if (actor_epoch_ends(report, settings, batches))
            break;
    }
    return 0;
}
