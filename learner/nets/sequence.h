#pragma once
// What VariBAD and RL2 read a history with: one dense layer with rectifiers on each transition, then gated recurrent
// units. State k is what the first k transitions leave; state 0 is zero.
//
// T steps, B sequences, X inputs, E embedding, H hidden

#include "gru.h"
#include "net.h"

struct sequence {
    struct net embedding;  // (X, E)
    struct gru_layer gru;        // (E, H)
    size_t gru_at;         // arena: embedding | gru
    size_t count;
};

void sequence_init(struct sequence *sequence, size_t inputs, size_t embedding, size_t hidden);
void sequence_start(const struct sequence *sequence, real *parameters, struct random_stream *stream);

struct sequence_pass {
    struct gru_pass gru;                // states (T + 1, B, H) and their gradients
    real *embedded, *dembedded;         // (T, B, E)
};

int sequence_pass_init(struct sequence_pass *pass, const struct sequence *sequence, size_t T, size_t B);  // -ENOMEM
void sequence_pass_release(struct sequence_pass *pass);

// As gru_layer_forward and gru_layer_backward; in (T, B, X).
void sequence_forward(const struct sequence *sequence, const real *parameters, struct sequence_pass *pass,
                      const real *in, const uint8_t *mode, const real *first, size_t T, size_t B);
void sequence_backward(const struct sequence *sequence, const real *parameters, real *gradient,
                       struct sequence_pass *pass, const real *in, const uint8_t *mode);
