#pragma once
// Small pieces that graphs of an agent are built of. A value is its name: a plain one ("reward.mean") where a reader may
// want to look, else one that counts up. All have two dimensions; a robot is one row.

#include "daemon/agent/model.h"
#include "graph.h"

// Most names that build_head_shown writes.
enum { HEAD_PARTS_LIMIT = 8 };

struct builder {
    struct graph *graph;
    const struct model *model;
    unsigned numbers;            // names given
};

struct name {
    char text[48];
};

struct name build_number(struct builder *b);
struct name build_named(const char *prefix, const char *what);
struct name build_one_float(struct builder *b, float value);
struct name build_one_double(struct builder *b, double value);
struct name build_floats(struct builder *b, const float *values, size_t count);
struct name build_doubles(struct builder *b, const double *values, size_t rows, size_t columns);
struct name build_two(struct builder *b, const char *operation, const char *left, const char *right);
struct name build_one(struct builder *b, const char *operation, const char *value);
struct name build_cast(struct builder *b, const char *value, enum graph_type type);
struct name build_between(struct builder *b, const char *value, const char *low, const char *high);
// clip((x - mean) / scale)
struct name build_normalised(struct builder *b, const char *value, const float *mean, const float *scale, float clip,
                              size_t count);
struct name build_joined(struct builder *b, const char *const *values);
struct name build_network(struct builder *b, const struct network *network, const char *value, const char *prefix);
// To the nearest multiple of 2^-24, as sums are kept.
struct name build_rounded(struct builder *b, const char *value);
// As one row of floats.
struct name build_flat(struct builder *b, const char *value);

// head_graph.c: a Bayesian linear head. Its belief as inputs that default to the prior; what it shows the policy, as
// names in parts, returns how many; what a transition (input: the basis', value: the target) makes of it.
int build_head_belief(struct builder *b, const struct head *head, const char *prefix);  // 0 or a negative errno
size_t build_head_shown(struct builder *b, const struct head *head, const char *prefix, struct name *parts);
void build_head_update(struct builder *b, const struct head *head, const char *prefix, const char *input,
                       const char *value);

// encoder_graph.c: a recurrent state or a product of factors, likewise; input: the encoder's.
void build_encoder_belief(struct builder *b);
struct name build_encoder_shown(struct builder *b);
void build_encoder_update(struct builder *b, const char *input);
