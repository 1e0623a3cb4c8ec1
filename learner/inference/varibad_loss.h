#pragma once
// VariBAD's networks and the bound they climb (Zintgraf et al. 2020, equations 5 to 8): an encoder that reads the
// history of a task into q_t = N(mu_t, diag exp(logvar_t)) after each transition, and decoders that predict any
// transition of the meta-episode, past or future, from m ~ q_t. For each chosen t
//
//     -ELBO_t = sum over decoded i of |decoder(x_i, m) - y_i|^2 / targets  +  weight KL(q_t || q_t-1),   q_-1 = N(0, I)
//
// averaged over trajectories. q_0 is what the encoder says of no history at all. Unit-variance Gaussians stand behind
// the squares, as in the authors' program; the noise that fits is found afterwards.
//
// T steps, B trajectories, H hidden, L latent, P = 2 L

#include "learner/nets/sequence.h"

enum {
    VARIBAD_DECODERS = 2,  // by enum head_kind: of the transition, of the reward
    VARIBAD_LATENT_LIMIT = 64,
};

struct varibad_shape {
    size_t inputs, embedding, hidden, latent;
    struct {
        size_t inputs;     // without m; 0: no such decoder
        size_t targets, hidden[2];
    } decoder[VARIBAD_DECODERS];
};

// One arena: sequence | head | decoders.
struct varibad_nets {
    size_t latent;
    struct sequence sequence;
    struct net head;                           // (H, 2 L): mu, then logvar
    struct net decoder[VARIBAD_DECODERS];      // (L + inputs, ...), rectifiers between; layer_count 0: none
    size_t head_at, decoder_at[VARIBAD_DECODERS], count;
};

void varibad_nets_init(struct varibad_nets *nets, const struct varibad_shape *shape);
void varibad_nets_start(const struct varibad_nets *nets, real *parameters, struct random_stream *stream);

// Trajectories and what is asked about each.
struct varibad_batch {
    size_t T, B;
    size_t terms_limit, decodes_limit;       // strides below: E, D
    real *in;                                // encoder inputs, zero behind a trajectory's end  (T, B, inputs)
    uint32_t *terms, *decodes;               // how many of each                                (B)
    uint32_t *term;                          // which t, 0 .. length                            (B, E)
    real *noise;                             // of m at that t                                  (B, E, L)
    real *x[VARIBAD_DECODERS];               // decoder inputs behind m                         (B, D, inputs)
    real *y[VARIBAD_DECODERS];               // (B, D, targets)
    real *memory;
    uint32_t *indices;
};

int varibad_batch_init(struct varibad_batch *batch, const struct varibad_nets *nets, size_t T, size_t B, size_t terms,
                       size_t decodes);
void varibad_batch_release(struct varibad_batch *batch);

struct varibad_pass {
    struct sequence_pass sequence;
    real *posterior, *dposterior;            // (T + 1, B, 2 L)
    real *rows, *target, *activations, *dactivations, *dlatent, *gradient;
    size_t rows_limit;
    real *memory;
};

int varibad_pass_init(struct varibad_pass *pass, const struct varibad_nets *nets, size_t T, size_t B, size_t decodes);
void varibad_pass_release(struct varibad_pass *pass);

// Sums over the batch's trajectories, each times `share`.
struct varibad_value {
    double errors[VARIBAD_DECODERS];  // squared, of standardised targets, per decoded transition
    double divergence;                // KL, nats per term
    double loss;                      // what is lowered
};

// Posteriors of all T + 1 states of each trajectory, to pass->posterior.
void varibad_encode(const struct varibad_nets *nets, const real *parameters, struct varibad_pass *pass, const real *in,
                    size_t T, size_t B);
// gradient (count) is overwritten.
void varibad_loss(struct varibad_value *value, const struct varibad_nets *nets, const real *parameters, real *gradient,
                  const struct varibad_batch *batch, double kl_weight, double share, struct varibad_pass *pass);
