// An embedding and gated recurrent units, forward and back through time.

#include "sequence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sequence_init(struct sequence *s, size_t inputs, size_t embedding, size_t hidden)
{
    net_init(&s->embedding, (size_t[]){inputs, embedding}, 1, 1);
    s->embedding.relu = 1;
    gru_layer_init(&s->gru, embedding, hidden);
    s->gru_at = whole_lines(s->embedding.count);
    s->count = s->gru_at + s->gru.count;
}

void sequence_start(const struct sequence *s, real *parameters, struct random_stream *stream)
{
    memset(parameters, 0, s->count * sizeof *parameters);
    net_orthogonal(&s->embedding, parameters, sqrt(2), sqrt(2), stream);
    gru_layer_start(&s->gru, parameters + s->gru_at, stream);
}

int sequence_pass_init(struct sequence_pass *pass, const struct sequence *s, size_t T, size_t B)
{
    size_t count = whole_lines(T * B * s->gru.inputs);
    *pass = (struct sequence_pass){.embedded = aligned_alloc(64, 2 * count * sizeof(real))};
    if (!pass->embedded || gru_pass_init(&pass->gru, &s->gru, T, B)) {
        sequence_pass_release(pass);
        return -ENOMEM;
    }
    pass->dembedded = pass->embedded + count;
    return 0;
}

void sequence_pass_release(struct sequence_pass *pass)
{
    gru_pass_release(&pass->gru);
    free(pass->embedded);
    *pass = (struct sequence_pass){0};
}

void sequence_forward(const struct sequence *s, const real *parameters, struct sequence_pass *pass, const real *in,
                      const uint8_t *mode, const real *first, size_t T, size_t B)
{
    net_forward(&s->embedding, parameters, pass->embedded, in, T * B);
    gru_layer_forward(&s->gru, parameters + s->gru_at, &pass->gru, pass->embedded, mode, first, T, B);
}

void sequence_backward(const struct sequence *s, const real *parameters, real *gradient, struct sequence_pass *pass,
                       const real *in, const uint8_t *mode)
{
    memset(gradient + s->embedding.count, 0, (s->gru_at - s->embedding.count) * sizeof *gradient);
    gru_layer_backward(&s->gru, parameters + s->gru_at, gradient + s->gru_at, &pass->gru, pass->embedded, mode,
                       pass->dembedded);
    net_backward(&s->embedding, parameters, gradient, pass->embedded, pass->dembedded, in, pass->gru.T * pass->gru.B);
}
