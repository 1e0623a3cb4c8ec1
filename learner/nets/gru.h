#pragma once
// A layer of gated recurrent units for training: several sequences at once, forward and back through time. The gates
// are torch.nn.GRU's (Cho et al. 2014, with the reset after the product):
//
//     r = sigmoid(x Wr + br + h Ur + cr)      z = sigmoid(x Wz + bz + h Uz + cz)
//     n = tanh(x Wn + bn + r (h Un + cn))     h' = (1 - z) n + z h
//
// All inputs of all steps go through one large product; what is left of a step is one product of the states of all
// sequences. Arrays are (step, sequence, ...), so the rows of one step stand together. Nothing allocates.
//
// T steps, B sequences, X inputs, H hidden

#include "real.h"

#include <stdint.h>

struct random_stream;

struct gru_layer {
    size_t inputs, hidden;
    // Offsets in the arena; the columns of each are those of r, then z, then n.
    size_t input_weight_at;  // W (X, 3H)
    size_t input_bias_at;    // b (3H)
    size_t state_weight_at;  // U (H, 3H)
    size_t state_bias_at;    // c (3H)
    size_t count;            // parameters
};

void gru_layer_init(struct gru_layer *gru, size_t inputs, size_t hidden);
// Orthogonal weights (each side's as one matrix), zero biases.
void gru_layer_start(const struct gru_layer *gru, real *parameters, struct random_stream *stream);

// What happens to a sequence's state at a step, if it does not simply go on.
enum gru_mode {
    GRU_BEGINS = 1,  // the state before this step is zero, whatever came before
    GRU_HOLDS = 2,   // the step is left out: the state stays
};

// A pass over up to T steps of up to B sequences: working memory, of which states and their gradients are the caller's
// to read and write.
struct gru_pass {
    size_t T, B;             // of this pass
    real *states;            // before each step, and after the last          (T + 1, B, H)
    real *dstates;           // in: the loss' gradient by each of them         (T + 1, B, H)
    real *gates;             // r, z, n of each step                           (T, B, 3H)
    real *carried;           // h Un + cn                                      (T, B, H)
    real *dinputs, *dcarry;  // gradients before the gates: of x's side, of h's (T, B, 3H)
    real *dstate;            // on its way back                                (B, H)
    real *product;           // of one step                                    (B, 3H)
    real *transposed;        // U' (3H, H)
    real *zero;              // a bias                                         (3H)
    real *memory;
};

int gru_pass_init(struct gru_pass *pass, const struct gru_layer *gru, size_t T, size_t B);  // -ENOMEM
void gru_pass_release(struct gru_pass *pass);

// in (T, B, X); mode (T, B) of enum gru_mode, or NULL: all go on; first (B, H): states before the first step, or NULL:
// zero. Fills states.
void gru_layer_forward(const struct gru_layer *gru, const real *parameters, struct gru_pass *pass, const real *in,
                       const uint8_t *mode, const real *first, size_t T, size_t B);

// After gru_layer_forward with the same in and mode, and dstates filled. gradient (count) is overwritten; din (T, B, X) or
// NULL. No gradient goes to `first`.
void gru_layer_backward(const struct gru_layer *gru, const real *parameters, real *gradient, struct gru_pass *pass,
                        const real *in, const uint8_t *mode, real *din);
