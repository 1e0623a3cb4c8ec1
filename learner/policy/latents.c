// Contexts in, latents out, and the gradient back.

#include "latents.h"

#include "daemon/base/random.h"
#include "learner/inference/pearl.h"
#include "learner/nets/elementwise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct pearl_net *net_of(const struct train *train)
{
    return &((const struct pearl *)train->inferring)->net;
}

static size_t groups_of(size_t rows)
{
    return (rows + LATENTS_GROUP - 1) / LATENTS_GROUP;
}

struct latents *latents_new(const struct train *train, size_t shard_count, size_t rows)
{
    const struct world *world = train->world;
    size_t groups = groups_of(rows), steps = world->horizon * world->episodes;
    struct latents *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->context = train->options.context;
    l->shard_count = shard_count;
    l->shards = calloc(shard_count, sizeof *l->shards);
    l->draws = calloc(shard_count, sizeof *l->draws);
    l->order = calloc(shard_count, sizeof *l->order);
    int complete = l->shards && l->draws && l->order;
    for (size_t s = 0; s < shard_count && complete; s++) {
        l->shards[s] = pearl_shard_new(net_of(train), groups, groups * l->context);
        l->draws[s] = calloc(groups * net_of(train)->latent, sizeof **l->draws);
        l->order[s] = calloc(steps, sizeof **l->order);
        complete = l->shards[s] && l->draws[s] && l->order[s];
    }
    if (complete)
        return l;
    latents_free(l);
    return NULL;
}

void latents_free(struct latents *l)
{
    if (!l)
        return;
    for (size_t s = 0; s < l->shard_count; s++) {
        if (l->shards)
            pearl_shard_free(l->shards[s]);
        if (l->draws)
            free(l->draws[s]);
        if (l->order)
            free(l->order[s]);
    }
    free(l->shards);
    free(l->draws);
    free(l->order);
    free(l);
}

// A context: up to `context` transitions of a slot, of which each number is as likely, none twice. Returns how many.
static size_t draw_context(const struct train *train, const struct replay *r, float *in, size_t inputs, size_t slot,
                           size_t limit, uint32_t *order, struct random_stream *stream)
{
    size_t n = r->count[slot], most = n < limit ? n : limit, count = random_below(stream, (uint32_t)most + 1);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = 0; i < count; i++) {
        size_t j = i + random_below(stream, (uint32_t)(n - i)), row;
        uint32_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
        row = slot * r->steps + order[i];
        pearl_row(train, in + i * inputs, r->observation + row * r->observation_dim, r->action + row * r->action_dim,
                  r->reward[row], r->next_observation + row * r->observation_dim);
    }
    return count;
}

// The actor's row, of which the first obs columns are the critics' too, followed by the latent. The actor reads the same
// draw where it will be served the mean.
static void put_row(const struct train *train, float *input, float *judged, const float *observation,
                    const struct pearl_shard *shard, const float *latent, size_t group, float *raw)
{
    size_t obs = train->world->observation_dim, L = net_of(train)->latent;
    memcpy(raw, observation, obs * sizeof *raw);
    memcpy(raw + obs, latent, L * sizeof *raw);
    memcpy(raw + obs + L, shard->log_variance + group * L, L * sizeof *raw);
    train_policy_row(train, input, raw, NULL);
    memcpy(judged, input, obs * sizeof *judged);
    memcpy(judged + obs, latent, L * sizeof *judged);
}

void latents_gather(struct train *train, struct off_policy *own, size_t part, size_t first, size_t count,
                    struct random_stream *stream)
{
    struct latents *l = own->latents;
    struct pearl_shard *shard = l->shards[part];
    const struct replay *r = &own->replay;
    const struct pearl_net *net = net_of(train);
    size_t L = net->latent, inputs = net->net.sizes[0], rows = 0;
    shard->groups = groups_of(count);
    for (size_t g = 0; g < shard->groups; g++) {
        struct off_policy_place place = off_policy_draw(r, stream);
        shard->count[g] = (uint32_t)draw_context(train, r, shard->in + rows * inputs, inputs, place.slot, l->context,
                                                 l->order[part], stream);
        rows += shard->count[g];
        for (size_t b = g * LATENTS_GROUP; b < count && b < (g + 1) * LATENTS_GROUP; b++)
            own->places[first + b] =
                (struct off_policy_place){place.slot, random_below(stream, r->count[place.slot])};
    }
    for (size_t i = 0; i < shard->groups * L; i++)
        l->draws[part][i] = (float)random_normal(stream);
    pearl_infer(net, shard);

    size_t obs = r->observation_dim, width = own->sac.critic.sizes[0], input_dim = train->input_dim;
    float latent[FACTORS_LATENT_LIMIT];
    for (size_t b = 0; b < count; b++) {
        size_t g = b / LATENTS_GROUP, at = first + b;
        struct off_policy_place place = own->places[at];
        size_t row = place.slot * r->steps + place.step;
        for (size_t i = 0; i < L; i++) {
            float sd = (float)exp(0.5 * (double)shard->log_variance[g * L + i]);
            latent[i] = shard->mean[g * L + i] + sd * l->draws[part][g * L + i];
        }
        put_row(train, own->batch.input + at * input_dim, own->batch.judged + at * width, r->observation + row * obs,
                shard, latent, g, own->wide[part]);
        put_row(train, own->batch.next_input + at * input_dim, own->batch.next_judged + at * width,
                r->next_observation + row * obs, shard, latent, g, own->wide[part]);
        off_policy_outcome(train, own, at);
    }
}

void latents_backward(struct train *train, struct off_policy *own, size_t part, size_t count)
{
    struct latents *l = own->latents;
    struct pearl_shard *shard = l->shards[part];
    size_t L = net_of(train)->latent, obs = train->world->observation_dim, width = own->sac.critic.sizes[0];
    memset(shard->dmean, 0, shard->groups * L * sizeof(float));
    memset(shard->dlog_variance, 0, shard->groups * L * sizeof(float));
    for (size_t b = 0; b < count; b++)
        for (size_t i = 0; i < L; i++) {
            // z = mean + sd noise,  d sd / d log variance = sd / 2
            size_t at = b / LATENTS_GROUP * L + i;
            float dlatent = own->shards[part]->dcontext[b * width + obs + i];
            float sd = (float)exp(0.5 * (double)shard->log_variance[at]);
            shard->dmean[at] += dlatent;
            shard->dlog_variance[at] += dlatent * 0.5f * sd * l->draws[part][at];
        }
    own->shards[part]->divergence = pearl_divergence(net_of(train), shard, train->options.kl_weight);
    pearl_backward(net_of(train), shard);
}

int latents_step(struct train *train, struct off_policy *own)
{
    struct latents *l = own->latents;
    struct trainee *trainee = &((struct pearl *)train->inferring)->net.trainee;
    memcpy(trainee->gradient, l->shards[0]->gradient, trainee->count * sizeof(float));
    for (size_t s = 0; s < l->shard_count; s++) {
        if (s)
            add_to(trainee->gradient, l->shards[s]->gradient, trainee->count);
        l->divergence += own->shards[s]->divergence;
        l->contexts += l->shards[s]->groups;
    }
    double norm;
    return trainee_step(trainee, train->options.encoder_rate, train->options.encoder_norm_limit, 1e-8, &norm);
}
