// Dense layers and tanh, in floats.

#include "set.h"

#include <math.h>

static float rational_tanh(float x)
{
    return (float)tanh((double)x);
}

void KERNEL(tanh)(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] = rational_tanh(x[i]);
}

void KERNEL(layer)(float *out, size_t out_stride, const float *in, size_t in_stride, const float *weight,
                   const float *bias, size_t batch, size_t inputs, size_t outputs, int with_tanh)
{
    size_t columns = kernel_padded(outputs);
    for (size_t b = 0; b < batch; b++) {
        float *y = out + b * out_stride;
        for (size_t o = 0; o < columns; o++)
            y[o] = bias[o];
        for (size_t i = 0; i < inputs; i++)
            for (size_t o = 0; o < columns; o++)
                y[o] = fmaf(in[b * in_stride + i], weight[i * columns + o], y[o]);
        if (with_tanh)
            KERNEL(tanh)(y, columns);
    }
}
