#pragma once
// All arrays of a model as one list: what is checked, what is written to the file, what is read back. A new array
// of struct model is added here and nowhere else.

#include "model.h"

enum { TENSORS_LIMIT = 48 };  // 43 of a glibrl model with everything, fewer of the others

enum tensor_rule { RULE_FINITE, RULE_POSITIVE };

struct model_tensor {
    char name[40];
    int wide;                 // doubles, else floats
    size_t dim_count, dims[2];
    size_t stride;            // numbers from one row to the next; in the file rows are dense
    void *data;               // the model's
    enum tensor_rule rule;
};

// Fills the list in its fixed order; returns how many.
size_t model_tensors(struct model_tensor list[TENSORS_LIMIT], const struct model *model);

static inline size_t model_tensor_count(const struct model_tensor *t)
{
    return t->dims[0] * (t->dim_count == 2 ? t->dims[1] : 1);
}

// Number i, counted in the file's dense order, of a float or double array.
static inline size_t model_tensor_place(const struct model_tensor *t, size_t i)
{
    return t->dim_count == 2 ? i / t->dims[1] * t->stride + i % t->dims[1] : i;
}

static inline double model_tensor_value(const struct model_tensor *t, size_t i)
{
    size_t place = model_tensor_place(t, i);
    return t->wide ? ((const double *)t->data)[place] : (double)((const float *)t->data)[place];
}

static inline const char *head_name(enum head_kind kind)
{
    return kind == HEAD_REWARD ? "reward" : "transition";
}
