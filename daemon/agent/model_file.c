// A model as a safetensors file. The shapes of the tensors are the architecture; metadata holds only what shapes
// cannot say. Here are files and writing; model_read.c reads what is in one.

#include "model.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/policy/refuse.h"
#include "daemon/policy/safetensors.h"
#include "daemon/policy/whole_file.h"
#include "model_words.h"
#include "tensors.h"

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
    struct model *model;
    error = model_read(&model, file, why, why_size);
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

int model_load(struct model **model, const char *path, char *why, size_t why_size)
{
    uint8_t *bytes;
    size_t size;
    int error = whole_file_read(&bytes, &size, path, why, why_size);
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
