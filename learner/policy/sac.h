#pragma once
// Soft actor-critic (Haarnoja et al. 2018a, 2018b): two critics with slowly following targets, an actor whose action
// is the tanh of a Gaussian with mean and sd from the state, and a temperature steered to a wanted entropy.
//
// Actions are in [-1, 1] here. A batch is cut into shards of rows; a shard computes losses and gradients by itself,
// and a step adds the shards' gradients up in order, so threads may share a batch and the bits do not tell.
//
// B rows of a batch, I actor inputs, C critic inputs without the action, A actions.

#include "learner/nets/net.h"

struct random_stream;

enum { SAC_HIDDEN_LAYERS = 2, SAC_CRITICS = 2, SAC_ACTIONS_LIMIT = 256 };

struct sac_settings {
    double discount;
    double follow;            // tau: share of a critic that its target takes over after each step
    double entropy;           // wanted, nats
    double norm_limit;        // of a gradient
    double epsilon;           // Adam's
};

struct sac {
    size_t actions;           // A
    struct net actor;         // I -> mean (A), raw log sd (A)
    struct net critic;        // C + A -> 1
    struct trainee acting, judging[SAC_CRITICS];
    struct trainee temperature;      // one number, ln alpha
    real *target[SAC_CRITICS];       // parameters of the slow critics
};

// -ENOMEM.
int sac_init(struct sac *sac, size_t inputs, size_t critic_inputs, size_t actions,
             const size_t hidden[SAC_HIDDEN_LAYERS]);
void sac_release(struct sac *sac);
// Uniform weights and biases within 1 / sqrt(inputs of the layer), targets equal to their critics, alpha = 1.
void sac_start(struct sac *sac, struct random_stream *stream);

// Replayed transitions.
struct sac_batch {
    size_t B;
    real *input, *next_input;     // the actor's                                    (B, I)
    real *judged, *next_judged;   // the critics': state and action; the columns of (B, C + A)
                                  // next_judged's actions are filled by the shards
    real *reward;                 // (B)
    real *goes_on;                // 0: the world ended the episode; else 1         (B)
};

// Working memory and results of one shard.
struct sac_shard {
    size_t limit;                 // most rows
    real *gradient[1 + SAC_CRITICS];  // actor, critics
    real *activations, *dactivations;     // of the actor                           (S, ...)
    real *values[SAC_CRITICS], *dvalues;  // activations of the critics             (S, ...)
    real *dinput;                 // of the critics' inputs                         (S, C + A)
    real *dcontext;               // sum over both critics of d loss / d judged, if asked for (S, C + A)
    real *judged;                 // state and the actor's action                   (S, C + A)
    real *noise;                  // (S, A)
    double *log_density;          // (S)
    double critic_loss, value;    // sums over rows
    double actor_loss, entropy;
    double divergence;            // of latents that the critics read, if there are any
};

// For shards of at most `rows` rows. NULL: no memory.
struct sac_shard *sac_shard_new(const struct sac *sac, size_t rows, int wants_context);
void sac_shard_free(struct sac_shard *shard);

// Rows first .. first + count - 1 of the batch: their part of
//     (1 / B) sum over rows and critics of (Q_k(s, a) - y)^2
//     y = r + discount goes_on (min_k Q'_k(s', a') - alpha ln pi(a'|s')),  a' ~ pi(.|s')
// and its gradients. noise (count, A) standard normal in shard->noise. next_actions go to the batch's next_judged.
void sac_critic_loss(const struct sac *sac, const struct sac_settings *settings, struct sac_batch *batch, size_t first,
                     size_t count, struct sac_shard *shard);
// The same rows' part of (1 / B) sum of alpha ln pi(a|s) - min_k Q_k(s, a),  a ~ pi(.|s), and the actor's gradient.
void sac_actor_loss(const struct sac *sac, const struct sac_batch *batch, size_t first, size_t count,
                    struct sac_shard *shard);

// One step downhill with the sum of the shards' gradients (critic k and its target; the actor; the temperature).
// -EDOM: a gradient is not finite, nothing changes.
int sac_critic_step(struct sac *sac, size_t k, struct sac_shard *const *shards, size_t count,
                    const struct sac_settings *settings, double rate);
int sac_actor_step(struct sac *sac, struct sac_shard *const *shards, size_t count, const struct sac_settings *settings,
                   double rate);
int sac_temperature_step(struct sac *sac, struct sac_shard *const *shards, size_t count, size_t B,
                         const struct sac_settings *settings, double rate);

double sac_alpha(const struct sac *sac);
// out (2 A): mean and raw log sd. action = tanh(mean + sd noise) (A); returns ln of its density.
double sac_draw(real *action, const real *out, const real *noise, size_t A);
