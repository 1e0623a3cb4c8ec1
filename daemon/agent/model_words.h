#pragma once
// Private to this folder: the words of a model file, for who reads it (model_read.c) and who writes it (model_file.c).

#include "model.h"

#include <string.h>

struct safetensors;

// A model of what the container holds. A negative errno with a sentence.
int model_read(struct model **model, const struct safetensors *file, char *why, size_t why_size);

static const char *const file_format = "beliefd model", *const file_version = "1";

static const char *const kind_names[] = {"none", "weight", "function", "natural", "principal"};

static const char *const activation_names[] = {"tanh", "relu"};

static const struct {
    const char *name;
    unsigned part;
} part_names[] = {
    {"mean", REPRESENT_MEAN}, {"sd", REPRESENT_SD}, {"noise", REPRESENT_NOISE}, {"count", REPRESENT_COUNT}};
enum { KINDS = sizeof kind_names / sizeof *kind_names, PARTS = sizeof part_names / sizeof *part_names };

// Between the file's dense rows and the model's padded ones.
static inline void copy_rows(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride, size_t rows,
                      size_t size)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(to + i * to_stride, from + i * from_stride, size);
}
