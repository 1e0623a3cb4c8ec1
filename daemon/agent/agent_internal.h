#pragma once
// Private to this folder: the scratch of a worker, and what encoders do in a step.

#include "agent.h"
#include "arena.h"

struct head_scratch {
    float *features;             // phi of each item                           (batch, feature_stride)
    size_t feature_stride;
    int32_t *z;                  // fixed point of each item                   (batch, z_stride)
    size_t z_stride;
    double *targets;             // y of one item                              (d)
    struct posterior posterior;
    struct posterior_group group;
    struct representation_item *shown;  // what the policy is shown of each item's belief   (batch)
};

struct encoder_scratch {
    float *embedded;             // x of each item                             (batch, embedded_stride)
    size_t embedded_stride;
    float *before, *after;       // recurrent states                           (batch, state_stride)
    size_t state_stride;
    float *outputs;              // of the head, or of the factor network      (batch, output_stride)
    size_t output_stride;
    int32_t *z;                  // factors in fixed point                     (batch, z_stride)
    size_t z_stride;
    double *room;                // (2 L)
};

struct agent_scratch {
    struct arena arena;
    const struct kernels *kernels;
    struct head_scratch heads[HEAD_COUNT];
    struct encoder_scratch encoder;
    struct agent_belief prior;   // empty for ever
    float *inputs;               // as the networks see them                   (batch, input_stride)
    size_t input_stride;
    float *hidden;               // between the layers of any network
    float *policy_inputs;        // normalised                                 (batch, policy_stride)
    size_t policy_stride;
    float *raw;                  // raw inputs                                 (batch, policy_stride)
    float *actions;              // policy outputs                             (batch, action_stride)
    size_t action_stride;
    double *draw;                // of the reward head's M, for landmarks      (D_R)
};

size_t encoder_hidden(const struct model *model);  // floats of scratch->hidden
void encoder_place(struct arena *arena, struct encoder_scratch *scratch, const struct model *model);

// pearl: scratch->inputs of items that are well become their z.
void encoder_round(const struct model *model, struct agent_scratch *scratch, struct observation_item *items,
                   size_t count);
// varibad, rl2: scratch->inputs of items that are well take their beliefs further, item by item.
void encoder_advance(const struct model *model, struct agent_scratch *scratch, struct observation_item *items,
                     size_t count);
// What the policy is shown of each item's belief, behind the observation of its raw row.
void encoder_show(const struct model *model, struct agent_scratch *scratch, struct action_item *items, size_t count);

// The policy's raw input row of item b.
float *agent_raw_row(const struct agent_scratch *scratch, const struct action_item *item, size_t b);
