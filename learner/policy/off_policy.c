// SAC on what was replayed: shards of a batch side by side, then a step of each net.

#include "off_policy.h"

#include "algorithm.h"
#include "daemon/base/random.h"
#include "daemon/policy/safetensors.h"
#include "latents.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Enough for large products to be efficient, few enough that a batch of 256 keeps two threads busy.
enum { SHARD_ROWS = 128 };

static size_t slots_of(const struct train *train)
{
    size_t steps = train->world->horizon * train->world->episodes;
    uint64_t wanted = train->options.experience < train->options.frames ? train->options.experience
                                                                         : train->options.frames;
    return (size_t)(wanted + steps - 1) / steps + train->options.envs;
}

// What the critics read besides the action. PEARL's read a draw of the latent instead of what the policy is shown.
static size_t critic_inputs(const struct train *train)
{
    return train->options.kind == LEARN_PEARL ? train->world->observation_dim + train->options.latent
                                              : train->critic_dim;
}

static int start_nets(struct train *train, struct off_policy *own)
{
    const struct options *o = &train->options;
    size_t A = train->world->action_dim, hidden[] = {o->hidden, o->hidden};
    size_t sizes[] = {train->input_dim, o->hidden, o->hidden, 2 * A};
    int error = sac_init(&own->sac, train->input_dim, critic_inputs(train), A, hidden);
    if (!error)
        error = network_init(&own->exploring, sizes, 3, ACTIVATION_NONE);
    if (error)
        return error;
    own->exploring.hidden = ACTIVATION_RELU;
    struct random_stream stream = random_stream(o->seed, RANDOM_PARAMETERS, 0, 0);
    sac_start(&own->sac, &stream);
    own->settings = (struct sac_settings){
        .discount = o->discount, .follow = o->follow, .entropy = -(double)A, .norm_limit = o->norm_limit,
        .epsilon = o->epsilon,
    };
    return 0;
}

static int start_batch(struct train *train, struct off_policy *own)
{
    size_t B = train->options.minibatch, inputs = train->input_dim, width = own->sac.critic.sizes[0];
    int is_pearl = train->options.kind == LEARN_PEARL;
    own->rows = B < SHARD_ROWS ? B : SHARD_ROWS;
    own->shard_count = (B + own->rows - 1) / own->rows;
    own->shards = calloc(own->shard_count, sizeof *own->shards);
    own->wide = calloc(own->shard_count, sizeof *own->wide);
    own->places = calloc(B, sizeof *own->places);
    own->batch = (struct sac_batch){
        .B = B, .input = calloc(B * inputs, sizeof(float)), .next_input = calloc(B * inputs, sizeof(float)),
        .judged = calloc(B * width, sizeof(float)), .next_judged = calloc(B * width, sizeof(float)),
        .reward = calloc(B, sizeof(float)), .goes_on = calloc(B, sizeof(float)),
    };
    const struct sac_batch *b = &own->batch;
    if (!own->shards || !own->wide || !own->places || !b->input || !b->next_input || !b->judged || !b->next_judged
        || !b->reward || !b->goes_on)
        return -ENOMEM;
    for (size_t s = 0; s < own->shard_count; s++) {
        own->shards[s] = sac_shard_new(&own->sac, own->rows, is_pearl);
        own->wide[s] = calloc(train->input_dim, sizeof(float));
        if (!own->shards[s] || !own->wide[s])
            return -ENOMEM;
    }
    return is_pearl && !(own->latents = latents_new(train, own->shard_count, own->rows)) ? -ENOMEM : 0;
}

static int start(struct train *train, char *why, size_t why_size)
{
    const struct world *world = train->world;
    size_t slots = slots_of(train), steps = world->horizon * world->episodes;
    double bytes = (double)slots * (double)steps * (double)(2 * world->observation_dim + world->action_dim + 2) * 4;
    if (bytes > SAFETENSORS_FILE_LIMIT) {
        snprintf(why, why_size, "%zu transitions of %s are %.0f MB, and a checkpoint holds no more than %d: "
                 "a smaller --experience", slots * steps, world->name, bytes * 1e-6, SAFETENSORS_FILE_LIMIT / 1000000);
        return -EINVAL;
    }
    struct off_policy *own = train->acting = calloc(1, sizeof *own);
    int error = own ? start_nets(train, own) : -ENOMEM;
    if (!error)
        error = start_batch(train, own);
    if (!error)
        error = replay_init(&own->replay, slots, steps, world->observation_dim, world->action_dim);
    if (error)
        return error;
    own->task = calloc(slots * world->task_dim + 1, sizeof *own->task);
    own->failed = calloc(slots * steps, sizeof *own->failed);
    return own->task && own->failed ? 0 : -ENOMEM;
}

static void stop(struct train *train)
{
    struct off_policy *own = train->acting;
    if (!own)
        return;
    sac_release(&own->sac);
    network_release(&own->exploring);
    replay_release(&own->replay);
    contexts_release(&own->contexts);
    latents_free(own->latents);
    for (size_t s = 0; s < own->shard_count; s++) {
        if (own->shards)
            sac_shard_free(own->shards[s]);
        if (own->wide)
            free(own->wide[s]);
    }
    void *const arrays[] = {own->task, own->failed, own->shards, own->wide, own->places, own->batch.input,
                            own->batch.next_input, own->batch.judged, own->batch.next_judged, own->batch.reward,
                            own->batch.goes_on, own};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    train->acting = NULL;
}

static void shape(const struct train *train, struct model_shape *shape)
{
    shape->hidden[0] = shape->hidden[1] = train->options.hidden;
    shape->activation = ACTIVATION_RELU;
    shape->squash = 1;
}

// The served policy is the actor without its sd.
static void fill(struct train *train, struct model *model)
{
    struct off_policy *own = train->acting;
    if (!own)
        return;
    const struct net *net = &own->sac.actor;
    const real *parameters = own->sac.acting.parameters;
    fill_network(&own->exploring, net, parameters);
    for (size_t l = 0; l < net->layer_count; l++) {
        const struct layer *from = &own->exploring.layers[l];
        struct layer *to = &model->policy.layers[l];
        size_t stride = kernel_padded(from->outputs), to_stride = kernel_padded(to->outputs);
        for (size_t i = 0; i < to->inputs; i++)
            memcpy(to->weight + i * to_stride, from->weight + i * stride, to->outputs * sizeof(float));
        memcpy(to->bias, from->bias, to->outputs * sizeof(float));
    }
    train->rollout.exploring = &own->exploring;
    train->rollout.latents = own->latents ? train->options.latent : 0;
    train->rollout.uniform = train_frames(train) < train->options.random_start;
}

// As rollout_store, with what only SAC asks for. A meta-episode that began in the middle of a rollout has a slot of
// its own.
static void store(struct train *train, struct off_policy *own)
{
    const struct rollout *r = &train->rollout;
    size_t task = train->world->task_dim, steps = own->replay.steps, at = (size_t)(own->replay.added % own->replay.slots);
    uint64_t before = own->replay.added;
    rollout_store(r, &own->replay);
    size_t t = 0;
    for (size_t row = 0; row < r->N * r->T; row++) {
        if (r->begins[row]) {
            at = (size_t)(before++ % own->replay.slots);
            contexts_touch(&own->contexts, at);
            memcpy(own->task + at * task, r->task + row * task, task * sizeof(float));
            t = 0;
        }
        if (r->end[row] != ROW_VOID)
            own->failed[at * steps + t++] = r->end[row] == ROW_FAILED;
    }
}

// Adds the rollout to the replay and brings all contexts up to date. -EDOM: a belief is damaged.
static int take_in(struct train *train)
{
    struct off_policy *own = train->acting;
    store(train, own);
    if (own->latents)
        return 0;
    long done = contexts_refresh(&own->contexts, train->model, &own->replay, train->pool);
    if (done < 0)
        return (int)done;
    train_tell(train, "contexts/made", (double)done);
    return 0;
}

void off_policy_input(const struct train *train, float *raw, struct off_policy_place place, int after)
{
    const struct off_policy *own = train->acting;
    const struct replay *r = &own->replay;
    size_t obs = r->observation_dim, row = place.slot * r->steps + place.step;
    const float *observation = (after ? r->next_observation : r->observation) + row * obs;
    memcpy(raw, observation, obs * sizeof *raw);
    if (own->contexts.width)
        memcpy(raw + obs, contexts_row(&own->contexts, place.slot, place.step + (after ? 1 : 0)),
               own->contexts.width * sizeof *raw);
    else if (train->input_dim > obs)
        memcpy(raw + obs, own->task + place.slot * train->world->task_dim, (train->input_dim - obs) * sizeof *raw);
}

void off_policy_outcome(const struct train *train, struct off_policy *own, size_t b)
{
    const struct replay *r = &own->replay;
    size_t A = r->action_dim, width = own->sac.critic.sizes[0];
    size_t row = own->places[b].slot * r->steps + own->places[b].step;
    float *action = own->batch.judged + (b + 1) * width - A;
    for (size_t i = 0; i < A; i++) {
        float low = train->model->action_low[i], high = train->model->action_high[i];
        action[i] = 2 * ((r->action[row * A + i] - low) / (high - low)) - 1;
    }
    own->batch.reward[b] = (float)((double)r->reward[row] * train->options.reward_scale);
    own->batch.goes_on[b] = own->failed[row] ? 0 : 1;
}

struct off_policy_place off_policy_draw(const struct replay *replay, struct random_stream *stream)
{
    struct off_policy_place place;
    do {
        place.slot = random_below(stream, (uint32_t)replay_slots(replay));
        place.step = random_below(stream, (uint32_t)replay->steps);
    } while (place.step >= replay->count[place.slot]);
    return place;
}

// Row b of the batch; raw is room for a policy's raw input.
static void gather(const struct train *train, struct off_policy *own, size_t b, float *raw)
{
    struct sac_batch *batch = &own->batch;
    struct off_policy_place place = own->places[b];
    size_t inputs = train->input_dim, width = own->sac.critic.sizes[0];
    const float *task = own->task + place.slot * train->world->task_dim;
    float *judged = batch->judged + b * width, *next = batch->next_judged + b * width;
    off_policy_input(train, raw, place, 0);
    train_policy_row(train, judged, raw, task);
    off_policy_input(train, raw, place, 1);
    train_policy_row(train, next, raw, task);
    memcpy(batch->input + b * inputs, judged, inputs * sizeof(float));
    memcpy(batch->next_input + b * inputs, next, inputs * sizeof(float));
    off_policy_outcome(train, own, b);
}

static struct random_stream stream_of(const struct train *train, size_t update, size_t part, enum random_purpose purpose)
{
    const struct off_policy *own = train->acting;
    return random_stream(train->options.seed, purpose, (uint32_t)train_iteration(train),
                         (uint32_t)(update * own->shard_count + part));
}

static void draw_noise(struct sac_shard *shard, size_t count, struct random_stream *stream)
{
    for (size_t i = 0; i < count; i++)
        shard->noise[i] = (float)random_normal(stream);
}

static size_t rows_of(const struct off_policy *own, size_t part)
{
    size_t left = own->batch.B - part * own->rows;
    return left < own->rows ? left : own->rows;
}

static void critic_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct train *train = context;
    struct off_policy *own = train->acting;
    size_t first = part * own->rows, count = rows_of(own, part);
    struct random_stream stream = stream_of(train, own->part_update, part, RANDOM_SAC);
    if (own->latents)
        latents_gather(train, own, part, first, count, &stream);
    for (size_t b = first; b < first + count && !own->latents; b++) {
        own->places[b] = off_policy_draw(&own->replay, &stream);
        gather(train, own, b, own->wide[part]);
    }
    draw_noise(own->shards[part], count * train->world->action_dim, &stream);
    sac_critic_loss(&own->sac, &own->settings, &own->batch, first, count, own->shards[part]);
    if (own->latents)
        latents_backward(train, own, part, count);
}

static void critic_step_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct train *train = context;
    struct off_policy *own = train->acting;
    own->errors[part] = sac_critic_step(&own->sac, part, own->shards, own->shard_count, &own->settings,
                                            train->options.critic_rate);
}

static void actor_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct train *train = context;
    struct off_policy *own = train->acting;
    size_t first = part * own->rows, count = rows_of(own, part);
    struct random_stream stream = stream_of(train, own->part_update, part, RANDOM_ACTOR);
    draw_noise(own->shards[part], count * train->world->action_dim, &stream);
    sac_actor_loss(&own->sac, &own->batch, first, count, own->shards[part]);
}

static int update_actor(struct train *train, struct off_policy *own, char *why, size_t why_size)
{
    const struct options *o = &train->options;
    pool_run(train->pool, actor_part, train, own->shard_count);
    if (sac_actor_step(&own->sac, own->shards, own->shard_count, &own->settings, o->rate))
        return train_not_finite(train, "actor", why, why_size);
    if (sac_temperature_step(&own->sac, own->shards, own->shard_count, own->batch.B, &own->settings, o->critic_rate))
        return train_not_finite(train, "temperature", why, why_size);
    for (size_t s = 0; s < own->shard_count; s++) {
        own->entropy += own->shards[s]->entropy;
        own->actor_loss += own->shards[s]->actor_loss;
    }
    return 0;
}

// part_update counts passes over shards: one for the critics, then as many for the actor as it waits for.
static int update(struct train *train, struct off_policy *own, char *why, size_t why_size)
{
    const struct options *o = &train->options;
    pool_run(train->pool, critic_part, train, own->shard_count);
    for (size_t s = 0; s < own->shard_count; s++) {
        own->critic_loss += own->shards[s]->critic_loss;
        own->value += own->shards[s]->value;
    }
    pool_run(train->pool, critic_step_part, train, SAC_CRITICS);
    for (size_t k = 0; k < SAC_CRITICS; k++)
        if (own->errors[k])
            return train_not_finite(train, "critic", why, why_size);
    if (own->latents && latents_step(train, own))
        return train_not_finite(train, "encoder", why, why_size);
    int error = 0;
    own->part_update++;
    if (++own->updates % o->policy_delay == 0)
        for (size_t i = 0; i < o->policy_delay && !error; i++, own->part_update++)
            error = update_actor(train, own, why, why_size);
    return error;
}

static void tell(struct train *train, const struct off_policy *own, size_t updates)
{
    double rows = (double)(updates * own->batch.B);
    if (updates == 0)
        return;
    train_tell(train, "value/loss", own->critic_loss / (rows * SAC_CRITICS));
    train_tell(train, "value/mean", own->value / rows);
    train_tell(train, "policy/entropy", own->entropy / rows);
    train_tell(train, "policy/loss", own->actor_loss / rows);
    train_tell(train, "policy/temperature", sac_alpha(&own->sac));
    train_tell(train, "policy/updates", (double)own->updates);
    if (own->latents)
        train_tell(train, "encoder/divergence", own->latents->divergence / (double)own->latents->contexts);
    train_say(train, ", Q %.2f, alpha %.3f", own->value / rows, sac_alpha(&own->sac));
}

static int learn(struct train *train, char *why, size_t why_size)
{
    struct off_policy *own = train->acting;
    const struct options *o = &train->options;
    if (!own->latents && !own->contexts.width
        && contexts_init(&own->contexts, &own->replay, train->model, pool_threads(train->pool)))
        return snprintf(why, why_size, "no memory for the contexts of %zu meta-episodes", own->replay.slots), -ENOMEM;
    int error = take_in(train);
    if (error)
        return snprintf(why, why_size, "a belief of a replayed context of %s is damaged", train->world->name), error;
    double after = (double)train_frames(train) + (double)train->rows - (double)o->random_start;
    uint64_t wanted = after > 0 ? (uint64_t)(after * o->update_ratio) : 0;
    size_t done = 0;
    own->part_update = 0;
    own->critic_loss = own->value = own->entropy = own->actor_loss = 0;
    if (own->latents)
        own->latents->divergence = 0, own->latents->contexts = 0;
    for (; own->updates < wanted && !error; done++)
        error = update(train, own, why, why_size);
    if (!error)
        tell(train, own, done);
    return error;
}

static void state(struct train *train, struct train_list *list)
{
    struct off_policy *own = train->acting;
    struct replay *r = &own->replay;
    size_t rows = r->slots * r->steps;
    list_trainee(list, "actor", &own->sac.acting);
    list_trainee(list, "critic.0", &own->sac.judging[0]);
    list_trainee(list, "critic.1", &own->sac.judging[1]);
    list_trainee(list, "temperature", &own->sac.temperature);
    list_array(list, "target.0", "F32", own->sac.target[0], own->sac.critic.count);
    list_array(list, "target.1", "F32", own->sac.target[1], own->sac.critic.count);
    list_array(list, "updates", "U64", &own->updates, 1);
    list_array(list, "experience.added", "U64", &r->added, 1);
    list_counts(list, "experience.count", r->count, r->slots, r->steps);
    list_array(list, "experience.observation", "F32", r->observation, rows * r->observation_dim);
    list_array(list, "experience.action", "F32", r->action, rows * r->action_dim);
    list_array(list, "experience.next", "F32", r->next_observation, rows * r->observation_dim);
    list_array(list, "experience.reward", "F32", r->reward, rows);
    list_counts(list, "experience.failed", own->failed, rows, 1);
    if (train->world->task_dim)
        list_array(list, "experience.task", "F32", own->task, r->slots * train->world->task_dim);
}

const struct algorithm algorithm_sac = {
    .start = start, .stop = stop, .shape = shape, .fill = fill, .learn = learn, .state = state,
};
