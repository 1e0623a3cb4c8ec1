// The kinds: their names, what each must have and must not have, and the arrays of those that are not ours.

#include "model_kinds.h"

#include <errno.h>
#include <string.h>

#include "daemon/policy/refuse.h"
#include "tensors.h"

static const char *const names[MODEL_KIND_COUNT] = {"glibrl", "varibad", "rl2", "pearl", "oracle", "none"};

const char *model_kind_name(enum model_kind kind) { return names[kind]; }

int model_kind_find(const char *name)
{
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++)
        if (!strcmp(names[kind], name))
            return kind;
    return -EINVAL;
}

static int has_heads(const struct model_shape *shape)
{
    return shape->heads[HEAD_TRANSITION].features || shape->heads[HEAD_REWARD].features;
}

static int has_decoder(const struct model_shape *shape, enum head_kind kind)
{
    return shape->decoders[kind].hidden[0] || shape->decoders[kind].hidden[1];
}

enum model_kind model_kind_of(const struct model_shape *shape)
{
    if (shape->kind != MODEL_GLIBRL || has_heads(shape))
        return shape->kind;
    return shape->reads_task ? MODEL_ORACLE : MODEL_NONE;
}

static int check_range(size_t value, size_t limit, const char *what, const char *kind, char *why, size_t why_size)
{
    if (limit == 0 && value != 0)
        return refuse(why, why_size, -EINVAL, "a %s model has no %s", kind, what);
    if (limit != 0 && (value == 0 || value > limit))
        return refuse(why, why_size, -EINVAL, "the encoder's %s is %zu, not 1 to %zu", what, value, limit);
    return 0;
}

int model_kind_check(const struct model_shape *shape, char *why, size_t why_size)
{
    if ((unsigned)shape->kind >= MODEL_KIND_COUNT)
        return refuse(why, why_size, -EINVAL, "the model's kind is unknown");
    enum model_kind kind = model_kind_of(shape);
    const char *name = names[kind];
    int is_recurrent = kind == MODEL_VARIBAD || kind == MODEL_RL2, is_pearl = kind == MODEL_PEARL;
    if (kind != MODEL_GLIBRL && has_heads(shape))
        return refuse(why, why_size, -EINVAL, "a%s %s model has no %s head", kind == MODEL_ORACLE ? "n" : "", name,
                      head_name(shape->heads[HEAD_TRANSITION].features ? HEAD_TRANSITION : HEAD_REWARD));
    if ((kind == MODEL_ORACLE) != (shape->reads_task != 0))
        return refuse(why, why_size, -EINVAL, "only an oracle reads the task, and the model is of kind %s", name);
    for (enum head_kind head = 0; head < HEAD_COUNT; head++)
        if (kind != MODEL_VARIBAD && has_decoder(shape, head))
            return refuse(why, why_size, -EINVAL, "a %s model has no %s decoder", name, head_name(head));
    if (shape->discrete && shape->squash)
        return refuse(why, why_size, -EINVAL, "a policy is discrete or squashed, not both");
    if ((unsigned)shape->activation > ACTIVATION_RELU)
        return refuse(why, why_size, -EINVAL, "the policy's activation is unknown");
    int error = check_range(shape->encoder.embedding, is_recurrent ? NETWORK_WIDTH_LIMIT : 0, "embedding", name, why,
                            why_size);
    if (!error)
        error = check_range(shape->encoder.width, is_recurrent ? RECURRENT_WIDTH_LIMIT : 0, "recurrent state", name,
                            why, why_size);
    if (!error)
        error = check_range(shape->encoder.latent, is_pearl || kind == MODEL_VARIBAD ? FACTORS_LATENT_LIMIT : 0,
                            "latent", name, why, why_size);
    return error;
}

size_t model_kind_take_shape(struct model *model, const struct model_shape *shape)
{
    struct encoder *encoder = &model->encoder;
    model->kind = model_kind_of(shape);
    model->discrete = shape->discrete != 0;
    model->squash = shape->squash != 0;
    encoder->width = shape->encoder.width;
    encoder->latent = shape->encoder.latent;
    encoder->reward_scale = 1;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        model->decoders[kind].present = has_decoder(shape, kind);
        if (model->decoders[kind].present)
            model->decoders[kind].targets = kind == HEAD_REWARD ? 1 : shape->observation_dim;
    }
    switch (model->kind) {
    case MODEL_VARIBAD:
    case MODEL_PEARL:
        return 2 * encoder->latent;
    case MODEL_RL2:
        return encoder->width;
    case MODEL_ORACLE:
        return shape->task_dim;
    default:
        return 0;
    }
}

void model_kind_place(struct arena *arena, struct model *model)
{
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        struct decoder *decoder = &model->decoders[kind];
        decoder->target_mean = arena_take(arena, decoder->targets, sizeof(double));
        decoder->target_scale = arena_take(arena, decoder->targets, sizeof(double));
        decoder->log_sd = arena_take(arena, decoder->targets, sizeof(double));
        for (size_t i = 0; i < decoder->targets && decoder->target_scale; i++)
            decoder->target_scale[i] = 1;
    }
}

int model_network(struct network *network, size_t inputs, const size_t hidden[2], size_t outputs,
                  enum activation output, const char *name, char *why, size_t why_size)
{
    size_t sizes[] = {inputs, hidden[0], hidden[1], outputs};
    int error = network_init(network, sizes, 3, output);
    if (error == -EINVAL)
        return refuse(why, why_size, error, "the %s network's layers are %zu, %zu, %zu, %zu wide, not 1 to %d",
                      name, inputs, hidden[0], hidden[1], outputs, NETWORK_WIDTH_LIMIT);
    return error ? refuse(why, why_size, error, "no memory for the %s network", name) : 0;
}

static int recurrent_networks(struct model *model, size_t embedding, char *why, size_t why_size)
{
    struct encoder *encoder = &model->encoder;
    int error = network_init(&encoder->embedding, (size_t[]){encoder_inputs(model), embedding}, 1, ACTIVATION_RELU);
    if (!error)
        error = gru_init(&encoder->gru, embedding, encoder->width);
    if (!error && encoder->latent)
        error = network_init(&encoder->head, (size_t[]){encoder->width, 2 * encoder->latent}, 1, ACTIVATION_NONE);
    return error ? refuse(why, why_size, error, "no memory for the encoder") : 0;
}

int model_kind_networks(struct model *model, const struct model_shape *shape, char *why, size_t why_size)
{
    int error = 0;
    if (model_is_recurrent(model))
        error = recurrent_networks(model, shape->encoder.embedding, why, why_size);
    if (model->kind == MODEL_PEARL) {
        error = model_network(&model->encoder.factor, encoder_inputs(model), shape->encoder.hidden,
                              factors_targets(model->encoder.latent), ACTIVATION_NONE, "factor", why, why_size);
        model->encoder.factor.hidden = ACTIVATION_RELU;
    }
    for (enum head_kind kind = 0; kind < HEAD_COUNT && !error; kind++) {
        struct decoder *decoder = &model->decoders[kind];
        if (!decoder->present)
            continue;
        error = model_network(&decoder->network, decoder_inputs(model, kind), shape->decoders[kind].hidden,
                              decoder->targets, ACTIVATION_NONE, head_name(kind), why, why_size);
        decoder->network.hidden = ACTIVATION_RELU;
    }
    return error;
}

void model_kind_release(struct model *model)
{
    network_release(&model->encoder.embedding);
    gru_release(&model->encoder.gru);
    network_release(&model->encoder.head);
    network_release(&model->encoder.factor);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        network_release(&model->decoders[kind].network);
}
