#pragma once
// Private to this folder: what model kinds other than ours have in a model, for model.c.

#include "arena.h"
#include "model.h"

// The kind that a shape means.
enum model_kind model_kind_of(const struct model_shape *shape);

// -EINVAL with a sentence: something does not fit the kind.
int model_kind_check(const struct model_shape *shape, char *why, size_t why_size);
// Encoder, decoders: what a shape tells, their arrays, their networks. Returns the policy's inputs besides the
// observation (of kinds without heads).
size_t model_kind_take_shape(struct model *model, const struct model_shape *shape);
void model_kind_place(struct arena *arena, struct model *model);
int model_kind_networks(struct model *model, const struct model_shape *shape, char *why, size_t why_size);
void model_kind_release(struct model *model);

// Three layers, as all our networks but the encoders' single ones. -EINVAL, -ENOMEM with a sentence.
int model_network(struct network *network, size_t inputs, const size_t hidden[2], size_t outputs,
                  enum activation output, const char *name, char *why, size_t why_size);
