#include "sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const struct model_shape sample_small = {
    .name = "small", .world = "point", .observation_dim = 5, .action_dim = 2, .task_dim = 2,
    .heads[HEAD_TRANSITION] = {.features = 6, .hidden = {7, 9}, .kind = REPRESENTATION_WEIGHT,
                               .parts = REPRESENT_MEAN | REPRESENT_SD | REPRESENT_NOISE},
    .heads[HEAD_REWARD] = {.features = 4, .hidden = {8, 5}, .kind = REPRESENTATION_FUNCTION,
                           .parts = REPRESENT_MEAN | REPRESENT_SD | REPRESENT_NOISE, .probe_count = 3},
    .hidden = {10, 11}, .landmark_count = 6,
};

struct model_shape sample_oracle(void)
{
    struct model_shape shape = sample_small;
    shape.reads_task = 1;
    for (int h = 0; h < HEAD_COUNT; h++)
        shape.heads[h].features = 0;
    shape.landmark_count = 0;
    return shape;
}

struct model_shape sample_principal(void)
{
    struct model_shape shape = sample_small;
    shape.heads[HEAD_TRANSITION].kind = REPRESENTATION_PRINCIPAL;
    shape.heads[HEAD_TRANSITION].parts = REPRESENT_MEAN | REPRESENT_NOISE;
    shape.heads[HEAD_TRANSITION].component_count = 9;
    return shape;
}

struct model_shape sample_kind(enum model_kind kind)
{
    struct model_shape shape = kind == MODEL_GLIBRL ? sample_small : sample_oracle();
    shape.kind = kind;
    shape.reads_task = kind == MODEL_ORACLE;
    if (kind == MODEL_VARIBAD || kind == MODEL_RL2) {
        shape.encoder.embedding = 6;
        shape.encoder.width = 19;
    }
    if (kind == MODEL_VARIBAD || kind == MODEL_PEARL)
        shape.encoder.latent = 3;
    if (kind == MODEL_PEARL) {
        shape.encoder.hidden[0] = 13, shape.encoder.hidden[1] = 9;
        shape.activation = ACTIVATION_RELU;
        shape.squash = 1;
    }
    for (int h = 0; h < HEAD_COUNT && kind == MODEL_VARIBAD; h++)
        shape.decoders[h].hidden[0] = 8, shape.decoders[h].hidden[1] = 5;
    return shape;
}

struct model_shape sample_bench(int which)
{
    static const char *const names[] = {"S", "M", "L"};
    static const size_t observation[] = {20, 39, 39}, features[] = {16, 32, 64};
    static const size_t basis[] = {64, 64, 128}, policy[] = {64, 128, 256};
    size_t D = features[which], basis_width = basis[which], policy_width = policy[which];
    return (struct model_shape){
        .name = names[which], .world = "bench", .observation_dim = observation[which], .action_dim = 6,
        .heads[HEAD_TRANSITION] = {.features = D, .hidden = {basis_width, basis_width},
                                   .kind = REPRESENTATION_WEIGHT, .parts = REPRESENT_SD},
        .heads[HEAD_REWARD] = {.features = D, .hidden = {basis_width, basis_width}, .kind = REPRESENTATION_WEIGHT,
                               .parts = REPRESENT_MEAN | REPRESENT_SD},
        .hidden = {policy_width, policy_width},
    };
}

static void fill_network(struct network *network, struct random_stream *stream)
{
    for (size_t l = 0; l < network->layer_count; l++) {
        struct layer *layer = &network->layers[l];
        for (size_t i = 0; i < layer->inputs; i++)
            for (size_t o = 0; o < layer->outputs; o++)
                layer->weight[i * kernel_padded(layer->outputs) + o] =
                    (float)(random_normal(stream) / sqrt((double)layer->inputs));
        for (size_t o = 0; o < layer->outputs; o++)
            layer->bias[o] = (float)(0.3 * random_normal(stream));
    }
}

// I + a little of something symmetric and positive.
static void fill_positive(double *matrix, size_t n, struct random_stream *stream, double size)
{
    double *v = malloc(n * sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = random_normal(stream) / sqrt((double)n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            matrix[i * n + j] = size * ((i == j) + v[i] * v[j]);
    free(v);
}

// Rows of features that could be: within (-1, 1), the last one 1.
static void fill_features(double *rows, size_t count, size_t D, struct random_stream *stream)
{
    for (size_t i = 0; i < count * D; i++)
        rows[i] = (i + 1) % D == 0 ? 1 : random_between(stream, -0.9, 0.9);
}

static void fill_head(struct head *head, struct random_stream *stream)
{
    fill_network(&head->basis, stream);
    for (size_t i = 0; i < head->targets; i++) {
        head->target_mean[i] = 0.1 * random_normal(stream);
        head->target_scale[i] = random_between(stream, 0.5, 2);
    }
    fill_positive(head->precision, head->features, stream, 0.5);
    fill_positive(head->scale, head->targets, stream, 0.05);
    for (size_t i = 0; i < head->features * head->targets; i++)
        head->mean[i] = 0.1 * random_normal(stream);
    head->degrees = (double)head->targets + 3.5;
    fill_features(head->probes, head->representation.probe_count, head->features, stream);
    size_t components = head->representation.component_count;
    for (size_t i = 0; components && i < head->features * head->targets; i++)
        for (size_t k = 0; k < components; k++)
            head->components[i * kernel_padded(components) + k] = 0.2 * random_normal(stream);
}

static void fill_encoder(struct model *model, struct random_stream *stream)
{
    struct encoder *encoder = &model->encoder;
    struct network *networks[] = {&encoder->embedding, &encoder->gru.input, &encoder->gru.state, &encoder->head,
                                  &encoder->factor};
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        fill_network(networks[i], stream);
    encoder->reward_mean = 0.25f;
    encoder->reward_scale = 1.5f;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        struct decoder *decoder = &model->decoders[kind];
        fill_network(&decoder->network, stream);
        for (size_t i = 0; i < decoder->targets; i++) {
            decoder->target_mean[i] = 0.1 * random_normal(stream);
            decoder->target_scale[i] = random_between(stream, 0.5, 2);
            decoder->log_sd[i] = random_between(stream, -2, 0);
        }
    }
}

struct model *sample_model(const struct model_shape *shape, uint64_t seed)
{
    struct model *model;
    char why[256];
    if (model_new(&model, shape, why, sizeof why)) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    struct random_stream stream = random_stream(seed, 0, 0, 0);
    for (size_t i = 0; i < model->observation_dim; i++) {
        model->observation_mean[i] = (float)(0.2 * random_normal(&stream));
        model->observation_scale[i] = (float)random_between(&stream, 0.5, 2);
    }
    model->observation_clip = 5;
    for (size_t i = 0; i < model->action_dim && model->discrete; i++)
        model->action_high[i] = 1;
    for (size_t i = 0; i < model->action_dim && !model->discrete; i++) {
        model->action_low[i] = (float)random_between(&stream, -2, -0.5);
        model->action_high[i] = (float)random_between(&stream, 0.5, 2);
        model->action_log_sd[i] = -0.5f;
    }
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (model->heads[kind].present)
            fill_head(&model->heads[kind], &stream);
    if (model->kind != MODEL_GLIBRL)
        fill_encoder(model, &stream);
    for (size_t i = 0; i < model->input_dim; i++) {
        model->input_mean[i] = (float)(0.2 * random_normal(&stream));
        model->input_scale[i] = (float)random_between(&stream, 0.5, 2);
    }
    model->input_clip = 8;
    fill_network(&model->policy, &stream);
    if (model->landmark_count)
        fill_features(model->landmark_features, model->landmark_count, model->heads[HEAD_REWARD].features,
                      &stream);
    for (size_t i = 0; i < model->landmark_count * model->task_dim; i++)
        model->landmark_tasks[i] = random_between(&stream, -1, 1);
    if (model_finish(model, why, sizeof why)) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    return model;
}

void sample_transition(const struct model *model, struct random_stream *stream, float *observation, float *action,
                       float *next_observation, float *reward)
{
    for (size_t i = 0; i < model->observation_dim; i++) {
        observation[i] = (float)random_normal(stream);
        next_observation[i] = observation[i] + (float)(0.3 * random_normal(stream));
    }
    for (size_t i = 0; i < model->action_dim; i++)
        action[i] = (float)random_normal(stream);
    *reward = (float)random_normal(stream);
}

struct observation_item *sample_items(const struct model *model, size_t count, uint64_t seed, float **block)
{
    size_t obs = model->observation_dim, act = model->action_dim, row = 2 * obs + act;
    struct observation_item *items = calloc(count, sizeof *items);
    *block = malloc(count * row * sizeof **block);
    struct random_stream stream = random_stream(seed, 1, 0, 0);
    for (size_t i = 0; i < count; i++) {
        float *place = *block + i * row;
        sample_transition(model, &stream, place, place + obs, place + obs + act, &items[i].reward);
        items[i].observation = place;
        items[i].action = place + obs;
        items[i].next_observation = place + obs + act;
    }
    return items;
}

struct agent_belief sample_belief(const struct model *model, void **memory)
{
    struct agent_belief belief;
    size_t size = agent_belief_size(model);
    *memory = aligned_alloc(KERNEL_ALIGNMENT, (size + KERNEL_ALIGNMENT) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT);
    agent_belief_init(&belief, model, *memory);
    return belief;
}
