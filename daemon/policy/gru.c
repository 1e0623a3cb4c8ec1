// The recurrence: two dense layers, then element by element. The contract is in gru.h.
//
// Only additions, multiplications and the kernels' tanh, each element by itself and without contraction, so the
// compiler may vectorise as it likes: the bits are the same.

#include "gru.h"

int gru_init(struct gru *gru, size_t inputs, size_t width)
{
    *gru = (struct gru){0};
    int error = network_init(&gru->input, (size_t[]){inputs, 3 * width}, 1, ACTIVATION_NONE);
    if (!error)
        error = network_init(&gru->state, (size_t[]){width, 3 * width}, 1, ACTIVATION_NONE);
    if (error)
        gru_release(gru);
    return error;
}

void gru_release(struct gru *gru)
{
    network_release(&gru->input);
    network_release(&gru->state);
}

static size_t gates_stride(const struct gru *gru) { return kernel_padded(3 * gru_width(gru)); }

size_t gru_scratch(const struct gru *gru, size_t batch) { return 2 * batch * gates_stride(gru); }

// One row. x (3 H): W x + b, becomes the gates; u (3 H): U h + c.
static void step(float *out, const float *h, float *restrict x, const float *restrict u, size_t H,
                 const struct kernels *kernels)
{
    for (size_t i = 0; i < 2 * H; i++)
        x[i] = 0.5f * (x[i] + u[i]);
    kernels->tanh(x, 2 * H);
    const float *r = x, *z = x + H;
    float *n = x + 2 * H;
    for (size_t i = 0; i < H; i++)
        n[i] += (0.5f + 0.5f * r[i]) * u[2 * H + i];
    kernels->tanh(n, H);
    for (size_t i = 0; i < H; i++) {
        float next = n[i] + (0.5f + 0.5f * z[i]) * (h[i] - n[i]);
        // Rounding may carry it an ulp beyond 1; the comparisons let a NaN through.
        next = next > 1 ? 1 : next;
        out[i] = next < -1 ? -1 : next;
    }
}

void gru_forward(const struct gru *gru, const struct kernels *kernels, float *out, size_t out_stride, const float *h,
                 size_t h_stride, const float *in, size_t in_stride, size_t batch, float *scratch)
{
    size_t stride = gates_stride(gru);
    float *x = scratch, *u = scratch + batch * stride;
    network_forward(&gru->input, kernels, x, stride, in, in_stride, batch, scratch);
    network_forward(&gru->state, kernels, u, stride, h, h_stride, batch, scratch);
    for (size_t b = 0; b < batch; b++)
        step(out + b * out_stride, h + b * h_stride, x + b * stride, u + b * stride, gru_width(gru), kernels);
}
