// Networks as the step path runs them: one kernel call a layer, activations ping-pong between two halves of
// the scratch. All weights of a network are one block.

#include "network.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Weights and biases of a layer. Rows are padded to lanes, so every part starts on a full vector.
static size_t layer_floats(size_t inputs, size_t outputs)
{
    return (inputs + 1) * kernel_padded(outputs);
}

int network_init(struct network *network, const size_t *sizes, size_t layer_count, enum activation output)
{
    if (layer_count == 0 || layer_count > NETWORK_LAYERS_LIMIT)
        return -EINVAL;
    for (size_t i = 0; i <= layer_count; i++)
        if (sizes[i] == 0 || sizes[i] > NETWORK_WIDTH_LIMIT)
            return -EINVAL;

    size_t floats = 0;
    for (size_t i = 0; i < layer_count; i++)
        floats += layer_floats(sizes[i], sizes[i + 1]);
    float *memory = aligned_alloc(KERNEL_ALIGNMENT, floats * sizeof *memory);
    if (memory == NULL)
        return -ENOMEM;
    memset(memory, 0, floats * sizeof *memory);

    *network = (struct network){
        .layer_count = layer_count, .hidden = ACTIVATION_TANH, .output = output, .memory = memory};
    for (size_t i = 0; i < layer_count; i++) {
        struct layer *layer = &network->layers[i];
        layer->inputs = sizes[i];
        layer->outputs = sizes[i + 1];
        layer->weight = memory;
        layer->bias = memory + layer->inputs * kernel_padded(layer->outputs);
        memory += layer_floats(layer->inputs, layer->outputs);
    }
    return 0;
}

void network_release(struct network *network)
{
    free(network->memory);
    *network = (struct network){0};
}

// The widest row between two layers, padded.
static size_t widest(const struct network *network)
{
    size_t width = 0;
    for (size_t i = 0; i + 1 < network->layer_count; i++)
        if (kernel_padded(network->layers[i].outputs) > width)
            width = kernel_padded(network->layers[i].outputs);
    return width;
}

size_t network_scratch(const struct network *network, size_t batch)
{
    return 2 * batch * widest(network);
}

void network_forward(const struct network *network, const struct kernels *kernels, float *out, size_t out_stride,
                     const float *in, size_t in_stride, size_t batch, float *scratch)
{
    assert(out_stride >= kernel_padded(network_outputs(network)));
    float *next = scratch, *other = scratch + batch * widest(network);
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct layer *layer = &network->layers[i];
        int last = i + 1 == network->layer_count;
        float *to = last ? out : next;
        size_t stride = last ? out_stride : kernel_padded(layer->outputs);
        // h = activation(W' h + b)
        kernels->layer(to, stride, in, in_stride, layer->weight, layer->bias, batch, layer->inputs, layer->outputs,
                       last ? network->output : network->hidden);
        in = to;
        in_stride = stride;
        next = other;
        other = to;
    }
}
