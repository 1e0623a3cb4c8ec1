// Gated recurrent units, forward and back through time.

#include "gru.h"

#include "daemon/linalg/kernels.h"
#include "each_machine.h"
#include "elementwise.h"
#include "net.h"
#include "learner/zeroes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void gru_layer_init(struct gru_layer *gru, size_t inputs, size_t hidden)
{
    size_t G = 3 * hidden;
    *gru = (struct gru_layer){.inputs = inputs, .hidden = hidden};
    gru->input_bias_at = inputs * G;
    gru->state_weight_at = gru->input_bias_at + G;
    gru->state_bias_at = gru->state_weight_at + hidden * G;
    gru->count = gru->state_bias_at + G;
}

void gru_layer_start(const struct gru_layer *gru, real *parameters, struct random_stream *stream)
{
    // A weight and the bias behind it are laid out as a net of one layer is.
    struct net side;
    net_init(&side, (size_t[]){gru->inputs, 3 * gru->hidden}, 1, 0);
    net_orthogonal(&side, parameters + gru->input_weight_at, 1, 1, stream);
    net_init(&side, (size_t[]){gru->hidden, 3 * gru->hidden}, 1, 0);
    net_orthogonal(&side, parameters + gru->state_weight_at, 1, 1, stream);
}

int gru_pass_init(struct gru_pass *pass, const struct gru_layer *gru, size_t T, size_t B)
{
    size_t H = gru->hidden, G = 3 * H;
    *pass = (struct gru_pass){.T = T, .B = B};
    const struct { real **at; size_t count; } parts[] = {
        {&pass->states, (T + 1) * B * H}, {&pass->dstates, (T + 1) * B * H}, {&pass->gates, T * B * G},
        {&pass->carried, T * B * H}, {&pass->dinputs, T * B * G}, {&pass->dcarry, T * B * G},
        {&pass->dstate, B * H}, {&pass->product, B * G}, {&pass->transposed, G * H}, {&pass->zero, G},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        count += whole_lines(parts[i].count);
    pass->memory = zeroes(count, sizeof(real));
    if (!pass->memory)
        return -ENOMEM;
    real *next = pass->memory;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        *parts[i].at = next;
        next += whole_lines(parts[i].count);
    }
    return 0;
}

void gru_pass_release(struct gru_pass *pass)
{
    free(pass->memory);
    *pass = (struct gru_pass){0};
}

// out (B, M) = bias + in (B, K) weight (K, M). For few rows the serving kernel is faster than a gemm, which would copy
// the weight into its own order at each step.
static void few_rows(real *out, const real *in, const real *weight, const real *bias, size_t B, size_t K, size_t M)
{
#ifndef REAL_DOUBLE
    if (M % KERNEL_LANES == 0) {
        kernels_best()->layer(out, M, in, K, weight, bias, B, K, M, 0);
        return;
    }
#endif
    for (size_t b = 0; b < B; b++)
        memcpy(out + b * M, bias, M * sizeof *out);
    REAL(gemm)(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)B, (int)M, (int)K, 1, in, (int)K, weight, (int)M, 1, out,
               (int)M);
}

// sigmoid(x) = (1 + tanh(x / 2)) / 2: the gates r and z of one row, before and after the tanh of all.
EACH_MACHINE static void halve_gates(real *restrict gates, const real *restrict product, size_t H)
{
    for (size_t i = 0; i < 2 * H; i++)
        gates[i] = (gates[i] + product[i]) * (real)0.5;
}

// After the tanh; n is made ready for its own.
EACH_MACHINE static void open_gates(real *restrict gates, real *restrict carried, const real *restrict product, size_t H)
{
    for (size_t i = 0; i < 2 * H; i++)
        gates[i] = (real)0.5 * gates[i] + (real)0.5;
    for (size_t i = 0; i < H; i++) {
        carried[i] = product[2 * H + i];
        gates[2 * H + i] += gates[i] * product[2 * H + i];
    }
}

// h' = n + z (h - n)
EACH_MACHINE static void next_state(real *restrict out, const real *restrict gates, const real *restrict state, size_t H)
{
    for (size_t i = 0; i < H; i++) {
        real n = gates[2 * H + i];
        out[i] = n + gates[H + i] * (state[i] - n);
    }
}

void gru_layer_forward(const struct gru_layer *gru, const real *parameters, struct gru_pass *pass, const real *in,
                       const uint8_t *mode, const real *first, size_t T, size_t B)
{
    size_t X = gru->inputs, H = gru->hidden, G = 3 * H;
    pass->T = T;
    pass->B = B;
    for (size_t row = 0; row < T * B; row++)
        memcpy(pass->gates + row * G, parameters + gru->input_bias_at, G * sizeof(real));
    REAL(gemm)(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)(T * B), (int)G, (int)X, 1, in, (int)X,
               parameters + gru->input_weight_at, (int)G, 1, pass->gates, (int)G);
    if (first)
        memcpy(pass->states, first, B * H * sizeof(real));
    else
        memset(pass->states, 0, B * H * sizeof(real));

    for (size_t t = 0; t < T; t++) {
        real *state = pass->states + t * B * H, *next = state + B * H, *gates = pass->gates + t * B * G;
        for (size_t b = 0; mode && b < B; b++)
            if (mode[t * B + b] & GRU_BEGINS)
                memset(state + b * H, 0, H * sizeof(real));
        few_rows(pass->product, state, parameters + gru->state_weight_at, parameters + gru->state_bias_at, B, H, G);
        for (size_t b = 0; b < B; b++)
            halve_gates(gates + b * G, pass->product + b * G, H);
        for (size_t b = 0; b < B; b++) {
            apply_tanh(gates + b * G, 2 * H);
            open_gates(gates + b * G, pass->carried + (t * B + b) * H, pass->product + b * G, H);
            apply_tanh(gates + b * G + 2 * H, H);
            next_state(next + b * H, gates + b * G, state + b * H, H);
        }
        for (size_t b = 0; mode && b < B; b++)
            if (mode[t * B + b] & GRU_HOLDS)
                memcpy(next + b * H, state + b * H, H * sizeof(real));
    }
}

// One row of one step, upwards: dh' becomes dh but for what comes through U.
EACH_MACHINE static void gates_backward(real *restrict dstate, real *restrict dinputs, real *restrict dcarry,
                                        const real *restrict gates, const real *restrict carried,
                                        const real *restrict state, size_t H)
{
    for (size_t i = 0; i < H; i++) {
        real r = gates[i], z = gates[H + i], n = gates[2 * H + i], d = dstate[i];
        real dn = d * (1 - z) * (1 - n * n);
        real dr = dn * carried[i] * r * (1 - r);
        real dz = d * (state[i] - n) * z * (1 - z);
        dinputs[i] = dcarry[i] = dr;
        dinputs[H + i] = dcarry[H + i] = dz;
        dinputs[2 * H + i] = dn;
        dcarry[2 * H + i] = dn * r;
        dstate[i] = d * z;
    }
}

static void transpose(real *to, const real *from, size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            to[c * rows + r] = from[r * columns + c];
}

void gru_layer_backward(const struct gru_layer *gru, const real *parameters, real *gradient, struct gru_pass *pass,
                        const real *in, const uint8_t *mode, real *din)
{
    size_t T = pass->T, B = pass->B, X = gru->inputs, H = gru->hidden, G = 3 * H;
    transpose(pass->transposed, parameters + gru->state_weight_at, H, G);
    memcpy(pass->dstate, pass->dstates + T * B * H, B * H * sizeof(real));
    for (size_t t = T; t-- > 0;) {
        const real *state = pass->states + t * B * H;
        for (size_t b = 0; b < B; b++) {
            size_t row = t * B + b;
            if (mode && mode[row] & GRU_HOLDS) {
                memset(pass->dinputs + row * G, 0, G * sizeof(real));
                memset(pass->dcarry + row * G, 0, G * sizeof(real));
            } else
                gates_backward(pass->dstate + b * H, pass->dinputs + row * G, pass->dcarry + row * G,
                               pass->gates + row * G, pass->carried + row * H, state + b * H, H);
        }
        few_rows(pass->product, pass->dcarry + t * B * G, pass->transposed, pass->zero, B, G, H);
        add_to(pass->dstate, pass->product, B * H);
        add_to(pass->dstate, pass->dstates + t * B * H, B * H);
        for (size_t b = 0; mode && b < B; b++)
            if (mode[t * B + b] & GRU_BEGINS)
                memset(pass->dstate + b * H, 0, H * sizeof(real));
    }
    // dW = x' dinputs, dU = h' dcarry, biases their sums, dx = dinputs W'
    REAL(gemm)(CblasRowMajor, CblasTrans, CblasNoTrans, (int)X, (int)G, (int)(T * B), 1, in, (int)X, pass->dinputs,
               (int)G, 0, gradient + gru->input_weight_at, (int)G);
    REAL(gemm)(CblasRowMajor, CblasTrans, CblasNoTrans, (int)H, (int)G, (int)(T * B), 1, pass->states, (int)H,
               pass->dcarry, (int)G, 0, gradient + gru->state_weight_at, (int)G);
    sum_rows(gradient + gru->input_bias_at, pass->dinputs, T * B, G);
    sum_rows(gradient + gru->state_bias_at, pass->dcarry, T * B, G);
    if (din)
        REAL(gemm)(CblasRowMajor, CblasNoTrans, CblasTrans, (int)(T * B), (int)X, (int)G, 1, pass->dinputs, (int)G,
                   parameters + gru->input_weight_at, (int)G, 0, din, (int)X);
}
