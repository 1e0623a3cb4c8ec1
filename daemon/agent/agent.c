// A step: what the networks see, what the belief takes in, what the policy is shown, what it answers.
//
// A scratch has the rows of one pass for each network, one posterior for each head, and an empty belief for those
// who act on the prior. Rows of a batch never meet: whatever is computed for an item is the same alone.

#include "agent_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "daemon/base/random.h"

enum { DRAWS_LIMIT = 256 };

static void place_head(struct arena *arena, struct head_scratch *scratch, const struct head *head)
{
    // The constant follows the network's outputs, whose kernel writes whole lanes.
    scratch->feature_stride = kernel_padded(head->features);
    scratch->features = arena_take(arena, AGENT_BATCH_LIMIT * scratch->feature_stride, sizeof(float));
    scratch->z_stride = kernel_padded(head->features + head->targets);
    scratch->z = arena_take(arena, AGENT_BATCH_LIMIT * scratch->z_stride, sizeof(int32_t));
    scratch->targets = arena_take(arena, head->targets, sizeof(double));
    size_t rows = head->representation.probe_count + 1;
    void *memory = arena_take(arena, posterior_size(head->prior, rows), 1);
    if (memory)
        posterior_init(&scratch->posterior, head->prior, rows, memory);
    memory = arena_take(arena, posterior_group_size(head->prior, rows), 1);
    if (memory)
        posterior_group_init(&scratch->group, head->prior, rows, memory);
    scratch->shown = arena_take(arena, AGENT_BATCH_LIMIT, sizeof *scratch->shown);
}

static void place(struct arena *arena, struct agent_scratch *scratch, const struct model *model)
{
    size_t hidden = network_scratch(&model->policy, AGENT_BATCH_LIMIT);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (model->heads[kind].present) {
            place_head(arena, &scratch->heads[kind], &model->heads[kind]);
            size_t floats = network_scratch(&model->heads[kind].basis, AGENT_BATCH_LIMIT);
            hidden = floats > hidden ? floats : hidden;
        }
    size_t floats = encoder_hidden(model);
    hidden = floats > hidden ? floats : hidden;
    scratch->hidden = arena_take(arena, hidden, sizeof(float));
    scratch->input_stride = kernel_padded(head_inputs(model, HEAD_REWARD) + 1);
    scratch->inputs = arena_take(arena, AGENT_BATCH_LIMIT * scratch->input_stride, sizeof(float));
    scratch->policy_stride = kernel_padded(model->input_dim);
    scratch->policy_inputs = arena_take(arena, AGENT_BATCH_LIMIT * scratch->policy_stride, sizeof(float));
    scratch->raw = arena_take(arena, AGENT_BATCH_LIMIT * scratch->policy_stride, sizeof(float));
    scratch->action_stride = kernel_padded(model->action_dim);
    scratch->actions = arena_take(arena, AGENT_BATCH_LIMIT * scratch->action_stride, sizeof(float));
    scratch->draw = arena_take(arena, model->heads[HEAD_REWARD].features, sizeof(double));
    encoder_place(arena, &scratch->encoder, model);
    void *memory = arena_take(arena, agent_belief_size(model), 1);
    if (memory)
        agent_belief_init(&scratch->prior, model, memory);
}

struct agent_scratch *agent_scratch_new(const struct model *model)
{
    struct agent_scratch *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL)
        return NULL;
    place(&scratch->arena, scratch, model);
    if (!arena_allocate(&scratch->arena)) {
        free(scratch);
        return NULL;
    }
    place(&scratch->arena, scratch, model);
    scratch->kernels = kernels_best();
    return scratch;
}

void agent_scratch_free(struct agent_scratch *scratch)
{
    if (scratch == NULL)
        return;
    free(scratch->arena.base);
    free(scratch);
}

// Index of the first number that is not finite, or the count. The common answer comes from one vectorised pass:
// a float is not finite when its exponent's bits are all ones.
static size_t first_not_finite(const float *x, size_t count)
{
    uint32_t any = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        any |= (bits & 0x7f800000) == 0x7f800000;
    }
    if (!any)
        return count;
    size_t i = 0;
    while (isfinite(x[i]))
        i++;
    return i;
}

int agent_check_observation(const struct model *model, const float *observation, size_t *where)
{
    *where = first_not_finite(observation, model->observation_dim);
    return *where < model->observation_dim ? -EDOM : 0;
}

static inline float clip(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

// out = clip((x - mean) / scale)
static void normalise(float *out, const float *x, const float *mean, const float *scale, float limit, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = clip((x[i] - mean[i]) / scale[i], -limit, limit);
}

// False when something is not finite; the item then says where, counted within [s, a, s', r].
static int check_item(const struct model *model, struct observation_item *item)
{
    size_t obs = model->observation_dim, act = model->action_dim;
    size_t where = first_not_finite(item->observation, obs);
    if (where == obs)
        where += first_not_finite(item->action, act);
    if (where == obs + act)
        where += first_not_finite(item->next_observation, obs);
    if (where == 2 * obs + act)
        where += isfinite(item->reward) ? 1 : 0;
    if (where == 2 * obs + act + 1)
        return 1;
    item->status = OBSERVE_NOT_FINITE;
    item->where_head = OBSERVE_WHERE_ITEM;
    item->where = where;
    return 0;
}

float *agent_put_observation(float *row, const struct model *model, const float *observation)
{
    normalise(row, observation, model->observation_mean, model->observation_scale, model->observation_clip,
              model->observation_dim);
    return row + model->observation_dim;
}

// [low, high] -> [-1, 1]
float *agent_put_action(float *row, const struct model *model, const float *action)
{
    for (size_t i = 0; i < model->action_dim; i++) {
        float low = model->action_low[i], high = model->action_high[i];
        row[i] = 2 * ((clip(action[i], low, high) - low) / (high - low)) - 1;
    }
    return row + model->action_dim;
}

float *agent_put_input(float *row, const struct model *model, const float *raw)
{
    normalise(row, raw, model->input_mean, model->input_scale, model->input_clip, model->input_dim);
    return row + model->input_dim;
}

// What the networks see: [s, a, s'] of a basis, [s', a, r] of a recurrent encoder, [s, a, r, s'] of pearl's.
static void fill_inputs(float *row, const struct model *model, const struct observation_item *item)
{
    const struct encoder *encoder = &model->encoder;
    int is_recurrent = model_is_recurrent(model);
    row = agent_put_observation(row, model, is_recurrent ? item->next_observation : item->observation);
    row = agent_put_action(row, model, item->action);
    if (model->kind == MODEL_PEARL || is_recurrent)
        *row++ = (item->reward - encoder->reward_mean) / encoder->reward_scale;
    if (!is_recurrent)
        agent_put_observation(row, model, item->next_observation);
}

// y in standard deviations.
static void fill_targets(double *restrict y, const struct head *head, enum head_kind kind,
                         const struct observation_item *item)
{
    if (kind == HEAD_REWARD) {
        y[0] = ((double)item->reward - head->target_mean[0]) / head->target_scale[0];
        return;
    }
    const float *before = item->observation, *after = item->next_observation;
    const double *mean = head->target_mean, *scale = head->target_scale;
    for (size_t i = 0; i < head->targets; i++)
        y[i] = ((double)after[i] - (double)before[i] - mean[i]) / scale[i];
}

// z of one item for all heads, or of none.
static void round_item(const struct model *model, struct agent_scratch *scratch, struct observation_item *item,
                       size_t b)
{
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        const struct head *head = &model->heads[kind];
        struct head_scratch *own = &scratch->heads[kind];
        if (!head->present)
            continue;
        float *phi = own->features + b * own->feature_stride;
        phi[head->features - 1] = 1;
        fill_targets(own->targets, head, kind, item);
        item->z[kind] = own->z + b * own->z_stride;
        int error = belief_round(item->z[kind], &item->where, phi, head->features, own->targets, head->targets);
        if (error) {
            item->status = error == -ERANGE ? OBSERVE_OUT_OF_RANGE : OBSERVE_NOT_FINITE;
            item->where_head = (int)kind;
            item->z[HEAD_TRANSITION] = item->z[HEAD_REWARD] = NULL;
            return;
        }
    }
}

void agent_features(const struct model *model, struct agent_scratch *scratch, struct observation_item *items,
                    size_t count)
{
    assert(count <= AGENT_BATCH_LIMIT);
    for (size_t b = 0; b < count; b++) {
        items[b].status = OBSERVE_ABSORBED;
        items[b].where_head = OBSERVE_WHERE_ITEM;
        items[b].where = 0;
        items[b].before.width = 0;
        if (check_item(model, &items[b]))
            fill_inputs(scratch->inputs + b * scratch->input_stride, model, &items[b]);
        else
            memset(scratch->inputs + b * scratch->input_stride, 0, scratch->input_stride * sizeof(float));
    }
    // The transition's [s, a] is the beginning of the reward's [s, a, s'].
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (model->heads[kind].present)
            network_forward(&model->heads[kind].basis, scratch->kernels, scratch->heads[kind].features,
                            scratch->heads[kind].feature_stride, scratch->inputs, scratch->input_stride, count,
                            scratch->hidden);
    for (size_t b = 0; b < count; b++) {
        items[b].z[HEAD_TRANSITION] = items[b].z[HEAD_REWARD] = NULL;
        if (items[b].status == OBSERVE_ABSORBED)
            round_item(model, scratch, &items[b], b);
    }
    if (model->kind == MODEL_PEARL)
        encoder_round(model, scratch, items, count);
}

void agent_observe(const struct model *model, struct agent_scratch *scratch, struct observation_item *items,
                   size_t count)
{
    agent_features(model, scratch, items, count);
    if (model_is_recurrent(model))
        encoder_advance(model, scratch, items, count);
    for (size_t b = 0; b < count; b++)
        for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
            if (items[b].z[kind])
                belief_add(&items[b].belief->heads[kind], items[b].z[kind]);
}

float *agent_raw_row(const struct agent_scratch *scratch, const struct action_item *item, size_t b)
{
    return item->input ? item->input : scratch->raw + b * scratch->policy_stride;
}

// The policies' raw input rows: observation, then what they are shown of the beliefs.
static void fill_raw(const struct model *model, struct agent_scratch *scratch, struct action_item *items, size_t count)
{
    for (size_t b = 0; b < count; b++) {
        float *raw = agent_raw_row(scratch, &items[b], b);
        memcpy(raw, items[b].observation, model->observation_dim * sizeof *raw);
        if (model->reads_task)
            memcpy(raw + model->observation_dim, items[b].task, model->task_dim * sizeof *raw);
        items[b].error = 0;
    }
    if (model_is_recurrent(model) || model->kind == MODEL_PEARL)
        encoder_show(model, scratch, items, count);
    size_t place = model->observation_dim;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        const struct head *head = &model->heads[kind];
        struct head_scratch *own = &scratch->heads[kind];
        for (size_t b = 0; b < count; b++)
            items[b].surprise[kind] = (struct predictive){.p_value = 1};
        if (!head->present)
            continue;
        for (size_t b = 0; b < count; b++) {
            const struct agent_belief *belief = items[b].belief;
            own->shown[b] = (struct representation_item){
                .out = agent_raw_row(scratch, &items[b], b) + place,
                .belief = &(belief ? belief : &scratch->prior)->heads[kind],
                .z = head->judged && items[b].z && belief ? items[b].z[kind] : NULL,
                .surprise = &items[b].surprise[kind],
            };
        }
        representation_write_many(&head->representation, &own->posterior, &own->group, head->prior, own->shown, count);
        for (size_t b = 0; b < count; b++)
            items[b].error = items[b].error ? items[b].error : own->shown[b].error;
        place += representation_count(&head->representation);
    }
}

// One-hot of the highest score, the first of equals.
static void choose(float *action, const float *scores, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (scores[i] > scores[best])
            best = i;
    for (size_t i = 0; i < count; i++)
        action[i] = i == best;
}

// Within the bounds; a policy that overflowed has no opinion.
static int take_action(struct action_item *item, const struct model *model, const float *output)
{
    const float *low = model->action_low, *high = model->action_high;
    int error = item->error;
    if (error == 0 && first_not_finite(output, model->action_dim) < model->action_dim)
        error = -EDOM;
    if (item->output)
        memcpy(item->output, output, model->action_dim * sizeof *output);
    if (model->discrete && !error) {
        choose(item->action, output, model->action_dim);
        return 0;
    }
    for (size_t i = 0; i < model->action_dim; i++) {
        float mean = model->squash ? low[i] + 0.5f * (output[i] + 1) * (high[i] - low[i]) : output[i];
        item->action[i] = clip(error ? 0 : mean, low[i], high[i]);
    }
    return error;
}

void agent_inputs(const struct model *model, struct agent_scratch *scratch, struct action_item *items, size_t count)
{
    assert(count <= AGENT_BATCH_LIMIT);
    fill_raw(model, scratch, items, count);
}

void agent_act(const struct model *model, struct agent_scratch *scratch, struct action_item *items, size_t count)
{
    assert(count <= AGENT_BATCH_LIMIT);
    fill_raw(model, scratch, items, count);
    for (size_t b = 0; b < count; b++) {
        float *row = scratch->policy_inputs + b * scratch->policy_stride;
        if (items[b].error == 0)
            agent_put_input(row, model, agent_raw_row(scratch, &items[b], b));
        else
            memset(row, 0, model->input_dim * sizeof *row);
    }
    network_forward(&model->policy, scratch->kernels, scratch->actions, scratch->action_stride, scratch->policy_inputs,
                    scratch->policy_stride, count, scratch->hidden);
    for (size_t b = 0; b < count; b++)
        items[b].error = take_action(&items[b], model, scratch->actions + b * scratch->action_stride);
}

// The landmark whose reward this draw of M expects to be highest; the first of equals.
static size_t best_landmark(const struct model *model, const double *M)
{
    size_t D = model->heads[HEAD_REWARD].features, best = 0;
    double highest = -INFINITY;
    for (size_t l = 0; l < model->landmark_count; l++) {
        const double *phi = model->landmark_features + l * D;
        double reward = 0;
        for (size_t i = 0; i < D; i++)
            reward = fma(M[i], phi[i], reward);
        if (reward > highest) {
            highest = reward;
            best = l;
        }
    }
    return best;
}

int agent_estimate(const struct model *model, struct agent_scratch *scratch, const struct agent_belief *belief,
                   size_t draws, double *mean, double *sd)
{
    assert(draws > 0 && draws <= DRAWS_LIMIT);
    if (model->landmark_count == 0)
        return -ENOTSUP;
    const struct head *head = &model->heads[HEAD_REWARD];
    struct head_scratch *own = &scratch->heads[HEAD_REWARD];
    const struct belief *data = &(belief ? belief : &scratch->prior)->heads[HEAD_REWARD];
    int error = posterior_solve(&own->posterior, head->prior, data, POSTERIOR_MEAN | POSTERIOR_SCALE, NULL, 0);
    if (error)
        return error;

    // The belief's digest seeds the draws, so asking twice gives one answer. Mean and sum of squares by Welford.
    struct random_stream stream = random_stream(data->digest.word[0], (uint32_t)data->digest.word[1],
                                                (uint32_t)(data->digest.word[1] >> 32), 0);
    for (size_t j = 0; j < model->task_dim; j++)
        mean[j] = sd[j] = 0;
    for (size_t n = 1; n <= draws; n++) {
        posterior_sample(&own->posterior, &stream, scratch->draw, NULL);
        const double *task = model->landmark_tasks + best_landmark(model, scratch->draw) * model->task_dim;
        for (size_t j = 0; j < model->task_dim; j++) {
            double off = task[j] - mean[j];
            mean[j] += off / (double)n;
            sd[j] += off * (task[j] - mean[j]);
        }
    }
    for (size_t j = 0; j < model->task_dim; j++)
        sd[j] = draws > 1 ? sqrt(sd[j] / (double)(draws - 1)) : 0;
    return 0;
}
