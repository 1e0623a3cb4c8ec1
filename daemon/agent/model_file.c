// A model as a safetensors file. The shapes of the tensors are the architecture; metadata holds only what shapes
// cannot say. Reading first derives the shape, then demands exactly the tensors that a model of this shape has.

#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/policy/refuse.h"
#include "daemon/policy/safetensors.h"
#include "tensors.h"

static const char *const file_format = "beliefd model", *const file_version = "1";

static const char *const kind_names[] = {"none", "weight", "function", "natural"};

static const char *const activation_names[] = {"tanh", "relu"};

static const struct {
    const char *name;
    unsigned part;
} part_names[] = {
    {"mean", REPRESENT_MEAN}, {"sd", REPRESENT_SD}, {"noise", REPRESENT_NOISE}, {"count", REPRESENT_COUNT}};
enum { KINDS = sizeof kind_names / sizeof *kind_names, PARTS = sizeof part_names / sizeof *part_names };

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
        return REFUSE(reader, "metadata \"%srepresentation\" is \"%.32s\", not none, weight, function or natural",
                      prefix, text);
    shape->heads[kind].kind = (enum representation_kind)representation;
    if (representation != REPRESENTATION_NONE)
        error = read_parts(reader, &shape->heads[kind].parts, prefix);
    if (error == 0 && representation == REPRESENTATION_FUNCTION) {
        snprintf(name, sizeof name, "%sprobes", prefix);
        error = read_dim(reader, &shape->heads[kind].probe_count, name, 2, 0);
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

// Between the file's dense rows and the model's padded ones.
static void copy_rows(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride, size_t rows,
                      size_t size)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(to + i * to_stride, from + i * from_stride, size);
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

static int read_model(struct reader *reader, struct model **result)
{
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

// SHA-256 in hexadecimal.
static int hash(char digest[65], const uint8_t *bytes, size_t size)
{
    unsigned char binary[EVP_MAX_MD_SIZE];
    unsigned length;
    if (EVP_Digest(bytes, size, binary, &length, EVP_sha256(), NULL) != 1 || length != 32)
        return -EIO;
    for (unsigned i = 0; i < 32; i++)
        sprintf(digest + 2 * i, "%02x", binary[i]);
    return 0;
}

int model_parse(struct model **result, const uint8_t *bytes, size_t size, char *why, size_t why_size)
{
    struct safetensors *file;
    int error = safetensors_parse(&file, bytes, size, why, why_size);
    if (error)
        return error;
    struct reader reader = {file, why, why_size};
    struct model *model;
    error = read_model(&reader, &model);
    safetensors_free(file);
    if (error)
        return error;
    error = hash(model->digest, bytes, size);
    if (error) {
        model_free(model);
        return refuse(why, why_size, error, "the file's SHA-256 could not be computed");
    }
    *result = model;
    return 0;
}

// The whole of an open file; the caller frees.
static int read_file(uint8_t **bytes, size_t *size, int fd, char *why, size_t why_size)
{
    struct stat status;
    if (fstat(fd, &status))
        return refuse(why, why_size, -errno, "the file cannot be read: %s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return refuse(why, why_size, -EINVAL, "it is not a regular file");
    if (status.st_size > SAFETENSORS_FILE_LIMIT)
        return refuse(why, why_size, -EFBIG, "the file has %lld bytes, more than %d", (long long)status.st_size,
                      SAFETENSORS_FILE_LIMIT);
    uint8_t *room = malloc((size_t)status.st_size + 1);
    if (room == NULL)
        return refuse(why, why_size, -ENOMEM, "no memory for the file");
    size_t done = 0;
    while (done < (size_t)status.st_size) {
        ssize_t some = read(fd, room + done, (size_t)status.st_size - done);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0) {
            int error = some < 0 ? -errno : -EIO;
            free(room);
            return refuse(why, why_size, error, "the file cannot be read: %s",
                          some < 0 ? strerror(-error) : "it became shorter");
        }
        done += (size_t)some;
    }
    *bytes = room;
    *size = done;
    return 0;
}

int model_load(struct model **model, const char *path, char *why, size_t why_size)
{
    // Not blocking: a named pipe without a writer is refused below instead of waited for.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        int error = -errno;
        return refuse(why, why_size, error, "the file cannot be opened: %s", strerror(-error));
    }
    uint8_t *bytes = NULL;
    size_t size = 0;
    int error = read_file(&bytes, &size, fd, why, why_size);
    close(fd);
    if (error)
        return error;
    error = model_parse(model, bytes, size, why, why_size);
    free(bytes);
    return error;
}

static int write_tensors(struct safetensors_writer *writer, const struct model *model)
{
    struct model_tensor list[TENSORS_LIMIT];
    size_t count = model_tensors(list, model);
    for (size_t t = 0; t < count; t++) {
        size_t item = list[t].wide ? sizeof(double) : sizeof(float);
        const char *dtype = list[t].wide ? "F64" : "F32";
        uint8_t *dense = NULL;
        if (list[t].dim_count == 2) {
            dense = malloc(list[t].dims[0] * list[t].dims[1] * item);
            if (dense == NULL)
                return -ENOMEM;
            copy_rows(dense, list[t].dims[1] * item, list[t].data, list[t].stride * item, list[t].dims[0],
                      list[t].dims[1] * item);
        }
        int error = safetensors_add(writer, list[t].name, dtype, dense ? dense : list[t].data, list[t].dims,
                                    list[t].dim_count);
        free(dense);
        if (error)
            return error;
    }
    return 0;
}

static int describe_head(struct safetensors_writer *writer, const struct head *head, enum head_kind kind)
{
    char key[40], parts[32] = "";
    snprintf(key, sizeof key, "%s.representation", head_name(kind));
    int error = safetensors_describe(writer, key, kind_names[head->representation.kind]);
    for (size_t i = 0; i < PARTS; i++)
        if (head->representation.parts & part_names[i].part) {
            strcat(parts, parts[0] ? " " : "");
            strcat(parts, part_names[i].name);
        }
    snprintf(key, sizeof key, "%s.parts", head_name(kind));
    if (error == 0 && parts[0])
        error = safetensors_describe(writer, key, parts);
    snprintf(key, sizeof key, "%s.judged", head_name(kind));
    return error ? error : safetensors_describe(writer, key, head->judged ? "1" : "0");
}

static int describe(struct safetensors_writer *writer, const struct model *model)
{
    char task_dim[24];
    snprintf(task_dim, sizeof task_dim, "%zu", model->task_dim);
    const char *pairs[][2] = {
        {"format", file_format}, {"version", file_version}, {"name", model->name}, {"world", model->world},
        {"task_dim", task_dim}, {"reads_task", model->reads_task ? "1" : "0"},
        {"kind", model_kind_name(model->kind)}, {"policy.discrete", model->discrete ? "1" : "0"},
        {"policy.squash", model->squash ? "1" : "0"},
        {"policy.activation", activation_names[model->policy.hidden == ACTIVATION_RELU]},
    };
    int error = 0;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && error == 0; i++)
        error = safetensors_describe(writer, pairs[i][0], pairs[i][1]);
    for (enum head_kind kind = 0; kind < HEAD_COUNT && error == 0; kind++)
        if (model->heads[kind].present)
            error = describe_head(writer, &model->heads[kind], kind);
    char revision[24];
    snprintf(revision, sizeof revision, "%llu", (unsigned long long)model->revision);
    if (error == 0 && model->revision)
        error = safetensors_describe(writer, "revision", revision);
    if (error == 0 && model->provenance)
        error = safetensors_describe(writer, "provenance", model->provenance);
    return error;
}

// Into the file, or (path NULL) into *bytes.
static int put(const struct model *model, const char *path, uint8_t **bytes, size_t *size)
{
    struct safetensors_writer *writer = safetensors_writer_new();
    if (writer == NULL)
        return -ENOMEM;
    int error = describe(writer, model);
    if (error == 0)
        error = write_tensors(writer, model);
    if (error == 0)
        error = path ? safetensors_write(writer, path) : safetensors_bytes(writer, bytes, size);
    safetensors_writer_free(writer);
    return error;
}

int model_save(const struct model *model, const char *path)
{
    return put(model, path, NULL, NULL);
}

int model_bytes(const struct model *model, uint8_t **bytes, size_t *size)
{
    return put(model, NULL, bytes, size);
}
