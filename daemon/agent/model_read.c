// Reading a model: first its shape is derived from metadata and the tensors' shapes, then exactly the tensors that a model
// of this shape has are demanded.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/policy/refuse.h"
#include "daemon/policy/safetensors.h"
#include "model_words.h"
#include "tensors.h"

// What reading carries along.
struct reader {
    const struct safetensors *file;
    char *why;
    size_t why_size;
};

#define REFUSE(reader, ...) refuse((reader)->why, (reader)->why_size, -EINVAL, __VA_ARGS__)

// Dimension `dim` of a tensor that must be there with that many dimensions.
static int read_dim(struct reader *reader, size_t *value, const char *name, size_t dim_count, size_t dim)
{
    const struct tensor *tensor = safetensors_find(reader->file, name);
    if (tensor == NULL)
        return REFUSE(reader, "tensor \"%s\" is missing", name);
    if (tensor->dim_count != dim_count)
        return REFUSE(reader, "tensor \"%s\" has %zu dimensions, not %zu", name, tensor->dim_count, dim_count);
    *value = tensor->dims[dim];
    return 0;
}

// Widths of the two hidden layers. The chain of shapes is checked here, before anything of that size is allocated,
// so that a small file cannot ask for much memory.
static int read_hidden(struct reader *reader, size_t hidden[2], const char *prefix)
{
    size_t above = 0;
    for (unsigned i = 0; i < 3; i++) {
        char name[40];
        size_t inputs = 0, outputs = 0;
        snprintf(name, sizeof name, "%s.%u.weight", prefix, i);
        int error = read_dim(reader, &inputs, name, 2, 0);
        if (error == 0)
            error = read_dim(reader, &outputs, name, 2, 1);
        if (error)
            return error;
        if (inputs == 0 || outputs == 0 || (i > 0 && inputs != above))
            return REFUSE(reader, "tensor \"%s\" is %zu by %zu: it does not follow the layer before", name, inputs,
                          outputs);
        if (i < 2)
            hidden[i] = outputs;
        above = outputs;
    }
    return 0;
}

// A metadata value; `fallback` when it is absent, which is refused when that is NULL.
static const char *read_text(struct reader *reader, const char *prefix, const char *key, const char *fallback)
{
    char name[48];
    snprintf(name, sizeof name, "%s%s", prefix, key);
    const char *value = safetensors_metadata(reader->file, name);
    if (value == NULL && fallback == NULL)
        REFUSE(reader, "metadata \"%s\" is missing", name);
    return value ? value : fallback;
}

// 0 or 1.
static int read_flag(struct reader *reader, int *flag, const char *prefix, const char *key, const char *fallback)
{
    const char *value = read_text(reader, prefix, key, fallback);
    if (value == NULL)
        return -EINVAL;
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
        return REFUSE(reader, "metadata \"%s%s\" is \"%.32s\", not \"0\" or \"1\"", prefix, key, value);
    *flag = value[0] == '1';
    return 0;
}

// "mean sd noise count", each at most once.
static int read_parts(struct reader *reader, unsigned *parts, const char *prefix)
{
    const char *value = read_text(reader, prefix, "parts", NULL);
    if (value == NULL)
        return -EINVAL;
    for (const char *word = value; *word;) {
        size_t length = strcspn(word, " "), i = 0;
        while (i < PARTS && !(strlen(part_names[i].name) == length && strncmp(part_names[i].name, word, length) == 0))
            i++;
        if (i == PARTS || (*parts & part_names[i].part))
            return REFUSE(reader, "metadata \"%sparts\" is \"%.64s\", not some of \"mean sd noise count\"",
                          prefix, value);
        *parts |= part_names[i].part;
        word += length + (word[length] == ' ');
    }
    return 0;
}

static int read_head_shape(struct reader *reader, struct model_shape *shape, enum head_kind kind, int *judged)
{
    char prefix[16], name[40];
    snprintf(prefix, sizeof prefix, "%s.", head_name(kind));
    snprintf(name, sizeof name, "%sprior.precision", prefix);
    if (safetensors_find(reader->file, name) == NULL)
        return 0;
    int error = read_dim(reader, &shape->heads[kind].features, name, 2, 0);
    if (error)
        return error;

    const char *text = read_text(reader, prefix, "representation", NULL);
    if (text == NULL)
        return -EINVAL;
    unsigned representation = 0;
    while (representation < KINDS && strcmp(kind_names[representation], text) != 0)
        representation++;
    if (representation == KINDS)
        return REFUSE(reader, "metadata \"%srepresentation\" is \"%.32s\", not none, weight, function, natural or "
                      "principal", prefix, text);
    shape->heads[kind].kind = (enum representation_kind)representation;
    if (representation != REPRESENTATION_NONE)
        error = read_parts(reader, &shape->heads[kind].parts, prefix);
    if (error == 0 && representation == REPRESENTATION_FUNCTION) {
        snprintf(name, sizeof name, "%sprobes", prefix);
        error = read_dim(reader, &shape->heads[kind].probe_count, name, 2, 0);
    }
    if (error == 0 && representation == REPRESENTATION_PRINCIPAL) {
        snprintf(name, sizeof name, "%scomponents", prefix);
        error = read_dim(reader, &shape->heads[kind].component_count, name, 2, 1);
    }
    if (error == 0)
        error = read_flag(reader, judged, prefix, "judged", kind == HEAD_REWARD ? "1" : "0");
    snprintf(name, sizeof name, "%sbasis", prefix);
    return error ? error : read_hidden(reader, shape->heads[kind].hidden, name);
}

// 0 to MODEL_TASK_LIMIT.
static int read_task_dim(struct reader *reader, size_t *task_dim)
{
    const char *text = read_text(reader, "", "task_dim", NULL);
    if (text == NULL)
        return -EINVAL;
    size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 3 || text[digits] != 0 || (digits > 1 && text[0] == '0')
        || strtoul(text, NULL, 10) > MODEL_TASK_LIMIT)
        return REFUSE(reader, "metadata \"task_dim\" is \"%.32s\", not 0 to %d", text, MODEL_TASK_LIMIT);
    *task_dim = strtoul(text, NULL, 10);
    return 0;
}

// Kind and policy. Files from before there were kinds tell theirs by what is in them.
static int read_kind(struct reader *reader, struct model_shape *shape)
{
    const char *name = read_text(reader, "", "kind", "");
    int kind = *name ? model_kind_find(name) : MODEL_GLIBRL;
    if (kind < 0)
        return REFUSE(reader, "metadata \"kind\" is \"%.32s\", not glibrl, varibad, rl2, pearl, oracle or none", name);
    shape->kind = (enum model_kind)kind;
    const char *activation = read_text(reader, "policy.", "activation", activation_names[0]);
    if (strcmp(activation, activation_names[0]) != 0 && strcmp(activation, activation_names[1]) != 0)
        return REFUSE(reader, "metadata \"policy.activation\" is \"%.32s\", not tanh or relu", activation);
    shape->activation = strcmp(activation, activation_names[0]) == 0 ? ACTIVATION_TANH : ACTIVATION_RELU;
    int error = read_flag(reader, &shape->discrete, "policy.", "discrete", "0");
    return error ? error : read_flag(reader, &shape->squash, "policy.", "squash", "0");
}

// Widths of a layer that must be there, of inputs and outputs that are not zero.
static int read_layer(struct reader *reader, size_t *inputs, size_t *outputs, const char *name)
{
    int error = read_dim(reader, inputs, name, 2, 0);
    if (error == 0)
        error = read_dim(reader, outputs, name, 2, 1);
    if (error == 0 && (*inputs == 0 || *outputs == 0))
        error = REFUSE(reader, "tensor \"%s\" is %zu by %zu", name, *inputs, *outputs);
    return error;
}

// Each width is bounded by what is in the file, so that a small one cannot ask for much memory.
static int read_encoder_shape(struct reader *reader, struct model_shape *shape)
{
    size_t inputs = 0, outputs = 0;
    int error = 0;
    if (shape->kind == MODEL_VARIBAD || shape->kind == MODEL_RL2) {
        error = read_layer(reader, &inputs, &shape->encoder.embedding, "encoder.embedding.0.weight");
        if (error == 0)
            error = read_layer(reader, &inputs, &outputs, "encoder.gru.input.0.weight");
        if (error == 0 && inputs != shape->encoder.embedding)
            error = REFUSE(reader, "tensor \"encoder.gru.input.0.weight\" does not follow the embedding");
        if (error == 0)
            error = read_layer(reader, &shape->encoder.width, &outputs, "encoder.gru.state.0.weight");
    }
    if (error == 0 && shape->kind == MODEL_VARIBAD)
        error = read_layer(reader, &inputs, &shape->encoder.latent, "encoder.head.0.weight");
    if (error == 0 && shape->kind == MODEL_PEARL)
        error = read_hidden(reader, shape->encoder.hidden, "encoder.factor");
    if (error == 0 && shape->kind == MODEL_PEARL)
        error = read_layer(reader, &inputs, &shape->encoder.latent, "encoder.factor.2.weight");
    if (error == 0 && shape->encoder.latent % 2)
        return REFUSE(reader, "the encoder has %zu outputs, an odd number", shape->encoder.latent);
    shape->encoder.latent /= 2;
    for (enum head_kind kind = 0; kind < HEAD_COUNT && error == 0; kind++) {
        char prefix[24], name[40];
        snprintf(prefix, sizeof prefix, "decoder.%s", head_name(kind));
        snprintf(name, sizeof name, "%s.0.weight", prefix);
        if (safetensors_find(reader->file, name))
            error = read_hidden(reader, shape->decoders[kind].hidden, prefix);
    }
    return error;
}

static int read_shape(struct reader *reader, struct model_shape *shape, int judged[HEAD_COUNT])
{
    const char *format = read_text(reader, "", "format", NULL);
    const char *version = format ? read_text(reader, "", "version", NULL) : NULL;
    if (version == NULL)
        return -EINVAL;
    if (strcmp(format, file_format) != 0)
        return REFUSE(reader, "the format is \"%.32s\", not \"%s\"", format, file_format);
    if (strcmp(version, file_version) != 0)
        return REFUSE(reader, "the format has version \"%.32s\"; this program knows version \"%s\"", version,
                      file_version);
    shape->name = read_text(reader, "", "name", NULL);
    shape->world = shape->name ? read_text(reader, "", "world", "") : NULL;
    if (shape->name == NULL)
        return -EINVAL;
    int error = read_task_dim(reader, &shape->task_dim);
    if (error == 0)
        error = read_flag(reader, &shape->reads_task, "", "reads_task", "0");
    if (error == 0)
        error = read_kind(reader, shape);
    if (error == 0)
        error = read_dim(reader, &shape->observation_dim, "observation.mean", 1, 0);
    if (error == 0)
        error = read_dim(reader, &shape->action_dim, "action.low", 1, 0);
    if (error == 0)
        error = read_hidden(reader, shape->hidden, "policy");
    for (enum head_kind kind = 0; kind < HEAD_COUNT && error == 0; kind++)
        error = read_head_shape(reader, shape, kind, &judged[kind]);
    if (error == 0)
        error = read_encoder_shape(reader, shape);
    if (error == 0 && safetensors_find(reader->file, "landmarks.features"))
        error = read_dim(reader, &shape->landmark_count, "landmarks.features", 2, 0);
    return error;
}

// The tensor as the model needs it; NULL with a sentence.
static const struct tensor *find_like(struct reader *reader, const struct model_tensor *wanted)
{
    const struct tensor *tensor = safetensors_find(reader->file, wanted->name);
    if (tensor == NULL) {
        REFUSE(reader, "tensor \"%s\" is missing", wanted->name);
        return NULL;
    }
    const char *dtype = wanted->wide ? "F64" : "F32";
    if (strcmp(tensor->dtype, dtype) != 0) {
        REFUSE(reader, "tensor \"%s\" holds %s, not %s", wanted->name, tensor->dtype, dtype);
        return NULL;
    }
    int same = tensor->dim_count == wanted->dim_count;
    for (size_t i = 0; i < wanted->dim_count && same; i++)
        same = tensor->dims[i] == wanted->dims[i];
    if (!same) {
        REFUSE(reader, "tensor \"%s\" has %zu numbers in %zu dimensions, which is not the model's %zu by %zu",
               wanted->name, tensor->count, tensor->dim_count, wanted->dims[0],
               wanted->dim_count == 2 ? wanted->dims[1] : 1);
        return NULL;
    }
    return tensor;
}

static int read_tensors(struct reader *reader, struct model *model)
{
    struct model_tensor list[TENSORS_LIMIT];
    size_t count = model_tensors(list, model);
    for (size_t t = 0; t < count; t++) {
        const struct tensor *tensor = find_like(reader, &list[t]);
        if (tensor == NULL)
            return -EINVAL;
        size_t item = list[t].wide ? sizeof(double) : sizeof(float);
        if (list[t].dim_count == 1)
            memcpy(list[t].data, tensor->data, list[t].dims[0] * item);
        else
            copy_rows(list[t].data, list[t].stride * item, tensor->data, list[t].dims[1] * item, list[t].dims[0],
                      list[t].dims[1] * item);
    }

    const struct tensor *tensor;
    for (size_t i = 0; (tensor = safetensors_at(reader->file, i)); i++) {
        size_t t = 0;
        while (t < count && strcmp(list[t].name, tensor->name) != 0)
            t++;
        if (t == count)
            return REFUSE(reader, "tensor \"%.64s\" is not part of such a model", tensor->name);
    }
    return 0;
}

static int read_revision(struct reader *reader, uint64_t *revision)
{
    const char *text = read_text(reader, "", "revision", "0");
    size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 18 || text[digits] != 0)
        return REFUSE(reader, "metadata \"revision\" is \"%.32s\", not a number of at most 18 digits", text);
    *revision = strtoull(text, NULL, 10);
    return 0;
}

// What is in the file is of the kind that it names, if it names one.
static int check_kind(struct reader *reader, const struct model *model)
{
    const char *named = read_text(reader, "", "kind", ""), *name = model_kind_name(model->kind);
    return *named && strcmp(named, name) != 0
               ? REFUSE(reader, "what is in the file is of kind %s, not %s", name, named) : 0;
}

int model_read(struct model **result, const struct safetensors *file, char *why, size_t why_size)
{
    struct reader carried = {file, why, why_size}, *reader = &carried;
    struct model_shape shape = {0};
    int judged[HEAD_COUNT] = {0};
    int error = read_shape(reader, &shape, judged);
    if (error)
        return error;
    struct model *model;
    error = model_new(&model, &shape, reader->why, reader->why_size);
    if (error)
        return error;
    error = check_kind(reader, model);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        model->heads[kind].judged = judged[kind];
    if (error == 0)
        error = read_revision(reader, &model->revision);
    const char *provenance = safetensors_metadata(reader->file, "provenance");
    if (error == 0 && provenance && (model->provenance = strdup(provenance)) == NULL)
        error = refuse(reader->why, reader->why_size, -ENOMEM, "no memory for the provenance");
    if (error == 0)
        error = read_tensors(reader, model);
    if (error == 0)
        error = model_finish(model, reader->why, reader->why_size);
    if (error)
        model_free(model);
    else
        *result = model;
    return error;
}
