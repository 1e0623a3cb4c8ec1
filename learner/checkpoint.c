// A checkpoint: the training's named arrays in a safetensors file, with the options that made them and a checksum.
//
// It is refused, with a sentence, if it is of another world or version, was made with other options, is damaged, or has
// a number that would be out of bounds. Nothing of the training changes then.

#include "train.h"

#include "daemon/base/fnv.h"
#include "daemon/policy/safetensors.h"
#include "daemon/policy/whole_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const FORMAT = "bel-learn checkpoint 2";

static size_t dtype_size(const char *dtype)
{
    return !strcmp(dtype + 1, "64") ? 8 : 4;
}

int checkpoint_save(struct train *train, const char *path, char *why, size_t why_size)
{
    struct safetensors_writer *writer = safetensors_writer_new();
    char *options = options_describe(&train->options);
    int error = writer && options ? 0 : -ENOMEM;
    uint64_t hash = FNV_START;  // of names and data; finds damage, not malice
    struct train_array array;
    for (size_t i = 0; !error && train_state(train, i, &array); i++) {
        size_t dims[] = {array.count};
        error = safetensors_add(writer, array.name, array.dtype, array.data, dims, 1);
        hash = fnv_add(hash, array.name, strlen(array.name));
        hash = fnv_add(hash, array.data, array.count * dtype_size(array.dtype));
    }
    char sum[24];
    snprintf(sum, sizeof sum, "%016llx", (unsigned long long)hash);
    if (!error)
        error = safetensors_describe(writer, "format", FORMAT);
    if (!error)
        error = safetensors_describe(writer, "options", options);
    if (!error)
        error = safetensors_describe(writer, "blas", openblas_get_corename());
    if (!error)
        error = safetensors_describe(writer, "checksum", sum);
    if (!error)
        error = safetensors_write(writer, path);
    if (error)
        snprintf(why, why_size, "cannot write the checkpoint %s: %s", path, strerror(-error));
    free(options);
    safetensors_writer_free(writer);
    return error;
}

// The first option that differs, as a sentence.
static int compare_options(const struct options *options, const char *path, const char *ours, const char *theirs,
                           char *why, size_t why_size)
{
    while (*ours || *theirs) {
        char a[200], b[200];
        snprintf(a, sizeof a, "%.*s", (int)strcspn(ours, "\n"), ours);
        snprintf(b, sizeof b, "%.*s", (int)strcspn(theirs, "\n"), theirs);
        if (!options_agree(options, a, b)) {
            snprintf(why, why_size, "the checkpoint %s was made with other options: %s there, %s now", path, b, a);
            return -EINVAL;
        }
        ours += strcspn(ours, "\n");
        theirs += strcspn(theirs, "\n");
        ours += *ours == '\n';
        theirs += *theirs == '\n';
    }
    return 0;
}

// Numbers that are indices or become whole numbers are within their bounds.
static int is_sound(const struct train *train, const struct train_array *array, const void *data)
{
    if (array->data == train->counters)
        for (size_t i = 0; i < COUNTERS; i++) {
            double value;
            memcpy(&value, (const char *)data + i * sizeof value, sizeof value);
            if (!(value >= 0 && value < 0x1p53))
                return 0;
        }
    for (size_t i = 0; array->most && i < array->count; i++) {
        uint32_t value;
        memcpy(&value, (const char *)data + i * sizeof value, sizeof value);
        if (value > array->most)
            return 0;
    }
    return 1;
}

// That every array is there, of the right size, and adds up to the checksum.
static int check(struct train *train, const char *path, const struct safetensors *file, char *why, size_t why_size)
{
    const char *format = safetensors_metadata(file, "format"), *theirs = safetensors_metadata(file, "options");
    const char *expected = safetensors_metadata(file, "checksum");
    if (!format || strcmp(format, FORMAT) || !theirs || !expected) {
        snprintf(why, why_size, "%s is not a checkpoint of this version of bel-learn (%s)", path, FORMAT);
        return -ENOTSUP;
    }
    char *ours = options_describe(&train->options);
    int error = ours ? compare_options(&train->options, path, ours, theirs, why, why_size) : -ENOMEM;
    free(ours);
    if (error)
        return error;
    uint64_t hash = FNV_START;
    struct train_array array;
    for (size_t i = 0; train_state(train, i, &array); i++) {
        const struct tensor *tensor = safetensors_find(file, array.name);
        if (!tensor || strcmp(tensor->dtype, array.dtype) || tensor->count != array.count) {
            snprintf(why, why_size, "the checkpoint %s lacks %s or has it in another size", path, array.name);
            return -EBADMSG;
        }
        if (!is_sound(train, &array, tensor->data)) {
            snprintf(why, why_size, "the checkpoint %s has a number in %s that is out of bounds", path, array.name);
            return -EBADMSG;
        }
        hash = fnv_add(hash, array.name, strlen(array.name));
        hash = fnv_add(hash, tensor->data, tensor->count * dtype_size(array.dtype));
    }
    char sum[24];
    snprintf(sum, sizeof sum, "%016llx", (unsigned long long)hash);
    if (strcmp(sum, expected)) {
        snprintf(why, why_size, "the checkpoint %s is damaged: its checksum is %s, not %s", path, sum, expected);
        return -EBADMSG;
    }
    return 0;
}

int checkpoint_load(struct train *train, const char *path, char *why, size_t why_size)
{
    uint8_t *bytes;
    size_t size;
    char reason[200];
    int error = whole_file_read(&bytes, &size, path, reason, sizeof reason);
    if (error) {
        snprintf(why, why_size, "the checkpoint %s: %s", path, reason);
        return error;
    }
    struct safetensors *file = NULL;
    error = safetensors_parse(&file, bytes, size, reason, sizeof reason);
    if (error)
        snprintf(why, why_size, "the checkpoint %s cannot be read: %s", path, reason);
    else
        error = check(train, path, file, why, why_size);
    struct train_array array;
    for (size_t i = 0; !error && train_state(train, i, &array); i++)
        memcpy(array.data, safetensors_find(file, array.name)->data, array.count * dtype_size(array.dtype));
    safetensors_free(file);
    free(bytes);
    return error;
}
