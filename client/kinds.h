#pragma once
// What programs ask of a model's kind.

#include "bel.h"

#include <string.h>

// Must be told the task when a session is opened (bel_open.task).
static inline int kind_is_told(const struct bel_model *model) { return strcmp(model->kind, "oracle") == 0; }

// Has a belief that counts what it absorbed.
static inline int kind_believes(const struct bel_model *model)
{
    return !kind_is_told(model) && strcmp(model->kind, "none") != 0;
}
