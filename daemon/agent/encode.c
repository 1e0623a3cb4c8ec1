// Encoders in a step: transitions into recurrent states or factors, and what of those the policy is shown. Rows of a
// batch never meet, so each is what it would be alone.

#include "agent_internal.h"

#include <errno.h>
#include <math.h>
#include <string.h>

size_t encoder_hidden(const struct model *model)
{
    if (model->kind == MODEL_PEARL)
        return network_scratch(&model->encoder.factor, AGENT_BATCH_LIMIT);
    return model_is_recurrent(model) ? gru_scratch(&model->encoder.gru, AGENT_BATCH_LIMIT) : 0;
}

void encoder_place(struct arena *arena, struct encoder_scratch *scratch, const struct model *model)
{
    const struct encoder *encoder = &model->encoder;
    size_t outputs = 2 * encoder->latent, room = outputs;
    if (model_is_recurrent(model)) {
        scratch->embedded_stride = kernel_padded(network_outputs(&encoder->embedding));
        scratch->embedded = arena_take(arena, AGENT_BATCH_LIMIT * scratch->embedded_stride, sizeof(float));
        scratch->state_stride = kernel_padded(encoder->width);
        scratch->before = arena_take(arena, AGENT_BATCH_LIMIT * scratch->state_stride, sizeof(float));
        scratch->after = arena_take(arena, AGENT_BATCH_LIMIT * scratch->state_stride, sizeof(float));
    } else if (model->kind == MODEL_PEARL) {
        scratch->z_stride = kernel_padded(FACTORS_FEATURES + factors_targets(encoder->latent));
        scratch->z = arena_take(arena, AGENT_BATCH_LIMIT * scratch->z_stride, sizeof(int32_t));
    }
    scratch->output_stride = kernel_padded(outputs);
    scratch->outputs = arena_take(arena, AGENT_BATCH_LIMIT * scratch->output_stride, sizeof(float));
    scratch->room = arena_take(arena, room, sizeof(double));
}

void encoder_round(const struct model *model, struct agent_scratch *scratch, struct observation_item *items,
                   size_t count)
{
    struct encoder_scratch *own = &scratch->encoder;
    network_forward(&model->encoder.factor, scratch->kernels, own->outputs, own->output_stride, scratch->inputs,
                    scratch->input_stride, count, scratch->hidden);
    for (size_t b = 0; b < count; b++) {
        if (items[b].status != OBSERVE_ABSORBED)
            continue;
        int32_t *z = own->z + b * own->z_stride;
        if (factors_round(z, &items[b].where, own->outputs + b * own->output_stride, model->encoder.latent, own->room,
                          scratch->kernels)) {
            items[b].status = OBSERVE_OUT_OF_RANGE;
            items[b].where_head = AGENT_FACTORS;
        } else {
            items[b].z[AGENT_FACTORS] = z;
        }
    }
}

// ---- Recurrent -------------------------------------------------------------------------------------------------------

// How many items from `first` on have beliefs of their own: those go through one pass.
static size_t wave(const struct observation_item *items, size_t first, size_t count)
{
    for (size_t end = first + 1; end < count; end++)
        for (size_t i = first; i < end; i++)
            if (items[i].belief == items[end].belief)
                return end - first;
    return count - first;
}

static int is_finite(const float *x, size_t count)
{
    int all = 1;
    for (size_t i = 0; i < count; i++)
        all &= fabsf(x[i]) <= 1;
    return all;
}

static void take(struct observation_item *item, float *before, const float *after)
{
    struct recurrent *belief = &item->belief->recurrent;
    uint64_t number = item->number ? item->number : belief->through + 1;
    if (item->status == OBSERVE_ABSORBED && number <= belief->through)
        item->status = OBSERVE_OUT_OF_ORDER;
    else if (item->status == OBSERVE_ABSORBED && !is_finite(after, belief->width))
        item->status = OBSERVE_OUT_OF_RANGE;
    if (item->status != OBSERVE_ABSORBED)
        return;
    item->before = *belief;
    item->before.state = before;
    recurrent_advance(belief, after, number);
}

void encoder_advance(const struct model *model, struct agent_scratch *scratch, struct observation_item *items,
                     size_t count)
{
    const struct encoder *encoder = &model->encoder;
    struct encoder_scratch *own = &scratch->encoder;
    network_forward(&encoder->embedding, scratch->kernels, own->embedded, own->embedded_stride, scratch->inputs,
                    scratch->input_stride, count, scratch->hidden);
    for (size_t first = 0, next; first < count; first = next) {
        size_t many = wave(items, first, count);
        float *before = own->before + first * own->state_stride, *after = own->after + first * own->state_stride;
        next = first + many;
        for (size_t b = 0; b < many; b++)
            memcpy(before + b * own->state_stride, items[first + b].belief->recurrent.state,
                   encoder->width * sizeof *before);
        gru_forward(&encoder->gru, scratch->kernels, after, own->state_stride, before, own->state_stride,
                    own->embedded + first * own->embedded_stride, own->embedded_stride, many, scratch->hidden);
        for (size_t b = 0; b < many; b++)
            take(&items[first + b], before + b * own->state_stride, after + b * own->state_stride);
    }
}

// ---- What the policy is shown ----------------------------------------------------------------------------------------

static const struct agent_belief *belief_of(const struct agent_scratch *scratch, const struct action_item *item)
{
    return item->belief ? item->belief : &scratch->prior;
}

void encoder_show(const struct model *model, struct agent_scratch *scratch, struct action_item *items, size_t count)
{
    const struct encoder *encoder = &model->encoder;
    struct encoder_scratch *own = &scratch->encoder;
    size_t obs = model->observation_dim;
    for (size_t b = 0; b < count; b++) {
        float *shown = agent_raw_row(scratch, &items[b], b) + obs;
        const struct agent_belief *belief = belief_of(scratch, &items[b]);
        if (model->kind == MODEL_PEARL)
            items[b].error = factors_posterior(shown, &belief->heads[AGENT_FACTORS], encoder->latent, own->room,
                                               scratch->kernels);
        else
            memcpy(model->kind == MODEL_RL2 ? shown : own->before + b * own->state_stride, belief->recurrent.state,
                   encoder->width * sizeof *shown);
    }
    if (model->kind != MODEL_VARIBAD)
        return;
    network_forward(&encoder->head, scratch->kernels, own->outputs, own->output_stride, own->before, own->state_stride,
                    count, scratch->hidden);
    for (size_t b = 0; b < count; b++)
        memcpy(agent_raw_row(scratch, &items[b], b) + obs, own->outputs + b * own->output_stride,
               2 * encoder->latent * sizeof *own->outputs);
}

int agent_latent(const struct model *model, struct agent_scratch *scratch, const struct agent_belief *belief,
                 double *mean, double *variance)
{
    struct encoder_scratch *own = &scratch->encoder;
    size_t L = model->encoder.latent;
    if (L == 0)
        return -ENOTSUP;
    belief = belief ? belief : &scratch->prior;
    if (model->kind == MODEL_PEARL) {
        int error = factors_posterior(own->outputs, &belief->heads[AGENT_FACTORS], L, own->room, scratch->kernels);
        if (error)
            return error;
    } else {
        memcpy(own->before, belief->recurrent.state, model->encoder.width * sizeof *own->before);
        network_forward(&model->encoder.head, scratch->kernels, own->outputs, own->output_stride, own->before,
                        own->state_stride, 1, scratch->hidden);
    }
    for (size_t i = 0; i < L; i++) {
        mean[i] = (double)own->outputs[i];
        variance[i] = exp((double)own->outputs[L + i]);
    }
    return 0;
}
