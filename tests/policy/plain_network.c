#include "plain_network.h"

#include <math.h>
#include <string.h>

void plain_network(double *out, const struct network *network, const double *in)
{
    double x[PLAIN_NETWORK_WIDTH], y[PLAIN_NETWORK_WIDTH];
    memcpy(x, in, network_inputs(network) * sizeof *x);
    for (size_t l = 0; l < network->layer_count; l++) {
        const struct layer *layer = &network->layers[l];
        for (size_t o = 0; o < layer->outputs; o++) {
            y[o] = (double)layer->bias[o];
            for (size_t i = 0; i < layer->inputs; i++)
                y[o] += x[i] * (double)layer->weight[i * kernel_padded(layer->outputs) + o];
            enum activation activation = l + 1 < network->layer_count ? network->hidden : network->output;
            if (activation == ACTIVATION_TANH)
                y[o] = tanh(y[o]);
            else if (activation == ACTIVATION_RELU)
                y[o] = fmax(y[o], 0);
        }
        memcpy(x, y, layer->outputs * sizeof *x);
    }
    memcpy(out, x, network_outputs(network) * sizeof *out);
}
