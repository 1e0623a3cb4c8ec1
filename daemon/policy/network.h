#pragma once
// A feed-forward network for serving: dense layers, tanh or relu between them, and after the last what is asked.
//
// Batch-invariant and width-invariant: an answer has the same bits alone or in any place of a batch, with
// every instruction set, so who else is connected never changes an answer. Immutable once filled; the
// learner fills one from its own parameters each iteration.

#include "daemon/linalg/kernels.h"

enum { NETWORK_LAYERS_LIMIT = 6, NETWORK_WIDTH_LIMIT = 4096 };

struct layer {
    size_t inputs, outputs;
    float *weight;  // (inputs, kernel_padded(outputs)), zero in the padding
    float *bias;    // (kernel_padded(outputs)), zero in the padding
};

struct network {
    size_t layer_count;
    enum activation hidden;  // between the layers; network_init: tanh
    enum activation output;  // after the last
    struct layer layers[NETWORK_LAYERS_LIMIT];
    float *memory;         // behind all weights
};

// sizes (layer_count + 1): inputs, hidden..., outputs. Weights start at zero. -EINVAL: a size; -ENOMEM.
int network_init(struct network *network, const size_t *sizes, size_t layer_count, enum activation output);
void network_release(struct network *network);

static inline size_t network_inputs(const struct network *n) { return n->layers[0].inputs; }
static inline size_t network_outputs(const struct network *n) { return n->layers[n->layer_count - 1].outputs; }

// Floats of scratch that a pass over `batch` rows needs.
size_t network_scratch(const struct network *network, size_t batch);

// out (batch, out_stride), out_stride >= kernel_padded(outputs); in (batch, in_stride). No allocation.
void network_forward(const struct network *network, const struct kernels *kernels, float *out, size_t out_stride,
                     const float *in, size_t in_stride, size_t batch, float *scratch);
