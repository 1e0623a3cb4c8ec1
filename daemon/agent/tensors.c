// The list itself. Names are the file's; docs/model.md describes each.

#include "tensors.h"

#include <assert.h>
#include <stdio.h>

struct list {
    struct model_tensor *tensors;
    size_t count;
};

static struct model_tensor *append(struct list *list, const char *prefix, const char *name, int wide,
                                   const void *data, enum tensor_rule rule)
{
    assert(list->count < TENSORS_LIMIT);
    struct model_tensor *tensor = &list->tensors[list->count++];
    *tensor = (struct model_tensor){.wide = wide, .data = (void *)data, .rule = rule};
    snprintf(tensor->name, sizeof tensor->name, "%s%s", prefix, name);
    return tensor;
}

static void vector(struct list *list, const char *prefix, const char *name, int wide, const void *data,
                   size_t count, enum tensor_rule rule)
{
    struct model_tensor *tensor = append(list, prefix, name, wide, data, rule);
    tensor->dim_count = 1;
    tensor->dims[0] = count;
}

static void matrix(struct list *list, const char *prefix, const char *name, int wide, const void *data,
                   size_t rows, size_t columns, size_t stride)
{
    struct model_tensor *tensor = append(list, prefix, name, wide, data, RULE_FINITE);
    tensor->dim_count = 2;
    tensor->dims[0] = rows;
    tensor->dims[1] = columns;
    tensor->stride = stride;
}

static void network(struct list *list, const char *prefix, const struct network *network)
{
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        char name[24];
        snprintf(name, sizeof name, "%u.weight", (unsigned)i);
        matrix(list, prefix, name, 0, layer->weight, layer->inputs, layer->outputs, kernel_padded(layer->outputs));
        snprintf(name, sizeof name, "%u.bias", (unsigned)i);
        vector(list, prefix, name, 0, layer->bias, layer->outputs, RULE_FINITE);
    }
}

static void head(struct list *list, const struct head *head, enum head_kind kind)
{
    char prefix[16], basis[24];
    snprintf(prefix, sizeof prefix, "%s.", head_name(kind));
    snprintf(basis, sizeof basis, "%s.basis.", head_name(kind));
    size_t D = head->features, d = head->targets;
    network(list, basis, &head->basis);
    vector(list, prefix, "target.mean", 1, head->target_mean, d, RULE_FINITE);
    vector(list, prefix, "target.scale", 1, head->target_scale, d, RULE_POSITIVE);
    matrix(list, prefix, "prior.precision", 1, head->precision, D, D, D);
    matrix(list, prefix, "prior.mean", 1, head->mean, D, d, d);
    matrix(list, prefix, "prior.scale", 1, head->scale, d, d, d);
    vector(list, prefix, "prior.degrees", 1, &head->degrees, 1, RULE_POSITIVE);
    if (head->representation.probe_count)
        matrix(list, prefix, "probes", 1, head->probes, head->representation.probe_count, D, D);
    size_t components = head->representation.component_count;
    if (components)
        matrix(list, prefix, "components", 1, head->components, D * d, components, kernel_padded(components));
}

static void encoder(struct list *list, const struct model *model)
{
    const struct encoder *encoder = &model->encoder;
    vector(list, "encoder.", "reward.mean", 0, &encoder->reward_mean, 1, RULE_FINITE);
    vector(list, "encoder.", "reward.scale", 0, &encoder->reward_scale, 1, RULE_POSITIVE);
    network(list, "encoder.embedding.", &encoder->embedding);
    network(list, "encoder.gru.input.", &encoder->gru.input);
    network(list, "encoder.gru.state.", &encoder->gru.state);
    network(list, "encoder.head.", &encoder->head);
    network(list, "encoder.factor.", &encoder->factor);
}

static void decoder(struct list *list, const struct decoder *decoder, enum head_kind kind)
{
    char prefix[24];
    snprintf(prefix, sizeof prefix, "decoder.%s.", head_name(kind));
    network(list, prefix, &decoder->network);
    vector(list, prefix, "target.mean", 1, decoder->target_mean, decoder->targets, RULE_FINITE);
    vector(list, prefix, "target.scale", 1, decoder->target_scale, decoder->targets, RULE_POSITIVE);
    vector(list, prefix, "log_sd", 1, decoder->log_sd, decoder->targets, RULE_FINITE);
}

size_t model_tensors(struct model_tensor tensors[TENSORS_LIMIT], const struct model *model)
{
    struct list list = {.tensors = tensors};
    vector(&list, "observation.", "mean", 0, model->observation_mean, model->observation_dim, RULE_FINITE);
    vector(&list, "observation.", "scale", 0, model->observation_scale, model->observation_dim, RULE_POSITIVE);
    vector(&list, "observation.", "clip", 0, &model->observation_clip, 1, RULE_POSITIVE);
    vector(&list, "action.", "low", 0, model->action_low, model->action_dim, RULE_FINITE);
    vector(&list, "action.", "high", 0, model->action_high, model->action_dim, RULE_FINITE);
    vector(&list, "action.", "log_sd", 0, model->action_log_sd, model->action_dim, RULE_FINITE);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (model->heads[kind].present)
            head(&list, &model->heads[kind], kind);
    if (model->encoder.width || model->encoder.latent)
        encoder(&list, model);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (model->decoders[kind].present)
            decoder(&list, &model->decoders[kind], kind);
    vector(&list, "policy.", "input.mean", 0, model->input_mean, model->input_dim, RULE_FINITE);
    vector(&list, "policy.", "input.scale", 0, model->input_scale, model->input_dim, RULE_POSITIVE);
    vector(&list, "policy.", "input.clip", 0, &model->input_clip, 1, RULE_POSITIVE);
    network(&list, "policy.", &model->policy);
    if (model->landmark_count) {
        size_t D = model->heads[HEAD_REWARD].features;
        matrix(&list, "landmarks.", "features", 1, model->landmark_features, model->landmark_count, D, D);
        matrix(&list, "landmarks.", "tasks", 1, model->landmark_tasks, model->landmark_count, model->task_dim,
               model->task_dim);
    }
    return list.count;
}
