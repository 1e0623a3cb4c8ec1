#pragma once
// A gated recurrent unit for serving, with the same bits alone and in any batch, on every instruction set.
//
// Gates as torch.nn.GRU defines them (and PyTorch's, not Cho's, order of the reset gate):
//
//     r  = sigmoid(W_r x + b_r + U_r h + c_r)          z = sigmoid(W_z x + b_z + U_z h + c_z)
//     n  = tanh(W_n x + b_n + r (U_n h + c_n))          h' = (1 - z) n + z h,  computed as n + z (h - n)
//
// sigmoid(x) = (1 + tanh(x / 2)) / 2 with the kernels' tanh. |h'| <= 1 whenever |h| <= 1.

#include "network.h"

struct gru {
    struct network input;    // one layer: W and b of r, z, n side by side   (inputs -> 3 width)
    struct network state;    // one layer: U and c                           (width -> 3 width)
};

int gru_init(struct gru *gru, size_t inputs, size_t width);  // -EINVAL: a size; -ENOMEM
void gru_release(struct gru *gru);

static inline size_t gru_inputs(const struct gru *g) { return network_inputs(&g->input); }
static inline size_t gru_width(const struct gru *g) { return network_inputs(&g->state); }

size_t gru_scratch(const struct gru *gru, size_t batch);  // floats

// out (batch, out_stride) may be h (batch, h_stride); strides >= kernel_padded(width). in (batch, in_stride).
// What overflows on the way leaves something in its row that is not finite.
void gru_forward(const struct gru *gru, const struct kernels *kernels, float *out, size_t out_stride, const float *h,
                 size_t h_stride, const float *in, size_t in_stride, size_t batch, float *scratch);
