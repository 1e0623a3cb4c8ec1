#pragma once
// A feed-forward network for training: dense layers, tanh or rectifiers between them (and after the last, if asked), as
// a forward and a backward pass over whole batches.
//
// All parameters stand in one flat arena, and so do gradients and Adam's moments; a net holds offsets only. Thus to
// step, to save or to compare is one loop. Large products are OpenBLAS's. Nothing allocates.
//
// B batch

#include "real.h"

#include <stdint.h>

struct random_stream;

enum { NET_LAYERS_LIMIT = 4 };

struct net {
    size_t layer_count;
    size_t sizes[NET_LAYERS_LIMIT + 1];   // inputs, hidden..., outputs
    int tanh_output;                      // tanh (or what is there instead) after the last layer too
    int relu;                             // max(0, x) instead of tanh; set after net_init
    size_t weight_at[NET_LAYERS_LIMIT];   // offset of the weight (inputs, outputs), row-major
    size_t bias_at[NET_LAYERS_LIMIT];     // offset of the bias (outputs)
    size_t count;                         // parameters
};

void net_init(struct net *net, const size_t *sizes, size_t layer_count, int tanh_output);

// Orthogonal weights (Gram and Schmidt on normal draws) times a gain, zero biases.
void net_orthogonal(const struct net *net, real *parameters, double hidden_gain, double output_gain,
                    struct random_stream *stream);

// Reals that the outputs of all layers need for a batch of B; the backward pass needs as many again.
size_t net_activations(const struct net *net, size_t B);

// in (B, inputs). Fills activations and returns the last layer's, (B, outputs).
real *net_forward(const struct net *net, const real *parameters, real *activations, const real *in, size_t B);

// Where in dactivations the caller puts the gradient of the outputs before net_backward.
real *net_doutput(const struct net *net, real *dactivations, size_t B);

// gradient (count) is overwritten, or NULL: only what net_dinput needs is computed. dactivations are working memory
// behind net_doutput.
void net_backward(const struct net *net, const real *parameters, real *gradient, const real *activations,
                  real *dactivations, const real *in, size_t B);

// After net_backward: the gradient of the inputs, din (B, inputs).
void net_dinput(const struct net *net, const real *parameters, real *din, const real *dactivations, size_t B);

// Adam (Kingma and Ba 2015) on a flat arena.
struct adam {
    real *first, *second;  // moments (count)
    uint64_t steps;
};

// The serving kernels' tanh, of which a served network has the same bits.
void apply_tanh(real *x, size_t count);

// Euclidean norm, in double; not finite if any entry is not.
double gradient_norm(const real *gradient, size_t count);

// Parameters with all that belongs to their training, in one block.
struct trainee {
    size_t count;
    real *parameters, *gradient;  // (count)
    struct adam adam;
};

int trainee_init(struct trainee *trainee, size_t count);  // -ENOMEM
void trainee_release(struct trainee *trainee);
// One step downhill, the gradient scaled to `limit` if it is longer; its length before goes to *norm.
// -EDOM: it is not finite; nothing changes.
int trainee_step(struct trainee *trainee, double rate, double limit, double epsilon, double *norm);
