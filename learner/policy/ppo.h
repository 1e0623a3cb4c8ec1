#pragma once
// Proximal policy optimisation (Schulman et al. 2017) with generalised advantages (Schulman et al. 2016). The action
// is drawn from a diagonal Gaussian whose sd does not depend on the state; or, where it is a choice, from the softmax
// of the actor's outputs, and is then written as a 1 among zeros.
//
// Actor and critic share no parameter and are clipped by themselves, so each is trained over all epochs without
// waiting for the other: two threads take one each, and one thread takes both with the same bits. The critic is not
// served; it may see the true task.
//
// N rows of experience, B rows of a minibatch, A action dimensions.

#include "learner/nets/net.h"

struct random_stream;

struct ppo_settings {
    size_t epochs, minibatch;
    double clip;              // of the probability ratio
    double value_clip;        // of the value's move away from its old one; 0: none
    double entropy;           // bonus
    double norm_limit;        // of a gradient
    double epsilon;           // Adam's
    double sd_low;            // exploration never falls below
    double divergence_limit;  // an actor that moved further (nats) leaves out the remaining epochs; 0: none
};

// The actor's arena: network | log sd (A), of choices none.
struct actor {
    struct net net;
    int discrete;
    size_t log_sd_at;
    struct trainee trainee;
};

struct critic {
    struct net net;           // one output
    struct trainee trainee;
};

enum { PPO_HIDDEN_LAYERS = 2, PPO_ACTIONS_LIMIT = 256 };

int actor_init(struct actor *actor, size_t inputs, const size_t hidden[PPO_HIDDEN_LAYERS], size_t actions,
               int discrete);
void actor_start(struct actor *actor, double sd, struct random_stream *stream);
void actor_release(struct actor *actor);
int critic_init(struct critic *critic, size_t inputs, const size_t hidden[PPO_HIDDEN_LAYERS]);
void critic_start(struct critic *critic, struct random_stream *stream);
void critic_release(struct critic *critic);

// What one iteration collected. Inputs are normalised; the actor reads the first columns of them, the critic all.
struct experience {
    size_t rows;               // N
    const real *input;         // (N, input_stride)
    size_t input_stride;
    const real *action;        // as drawn, before any clipping            (N, A)
    const real *log_density;   // of the action, by the policy that drew it (N)
    const real *advantage;     // (N)
    const real *value;         // by the critic before the update          (N)
    const real *target;        // advantage + value, before normalisation  (N)
};

// Means over the last epoch.
struct ppo_report {
    double actor_loss, entropy, divergence, clipped, actor_norm;
    double critic_loss, critic_norm;
    size_t epochs;             // that the actor made
};

// Per-thread working memory of one net's update.
struct ppo_scratch;
struct ppo_scratch *ppo_scratch_new(const struct net *net, size_t minibatch, size_t rows);  // NULL: no memory
void ppo_scratch_free(struct ppo_scratch *scratch);

// All epochs. -EDOM: a gradient is not finite; the parameters are those before it.
int actor_update(struct actor *actor, const struct experience *experience, const struct ppo_settings *settings,
                 double rate, struct random_stream *stream, struct ppo_scratch *scratch, struct ppo_report *report);
int critic_update(struct critic *critic, const struct experience *experience, const struct ppo_settings *settings,
                  double rate, struct random_stream *stream, struct ppo_scratch *scratch, struct ppo_report *report);

// What an epoch of the actor added up over its batches becomes means; whether it moved too far for another.
int actor_epoch_ends(struct ppo_report *report, const struct ppo_settings *settings, size_t batches);

// One minibatch of the experience's rows `index` (B): the loss and its gradient in trainee.gradient.
double actor_loss(struct actor *actor, const struct experience *experience, const uint32_t *index, size_t B,
                  const struct ppo_settings *settings, struct ppo_scratch *scratch, struct ppo_report *report);
double critic_loss(struct critic *critic, const struct experience *experience, const uint32_t *index, size_t B,
                   const struct ppo_settings *settings, struct ppo_scratch *scratch);

// After actor_loss of B rows: the loss' gradient by what the actor read of each, (B, inputs).
void actor_dinput(const struct actor *actor, real *dinput, size_t B, const struct ppo_scratch *scratch);
// Exploration is brought back to at least `low`.
void actor_hold_sd(struct actor *actor, double low);
void shuffle_rows(uint32_t *order, size_t count, struct random_stream *stream);

// values (rows), for input (rows, stride); in pieces that fit the scratch.
void critic_values(const struct critic *critic, real *values, const real *input, size_t stride, size_t rows,
                   struct ppo_scratch *scratch);

double gaussian_log_density(const real *action, const real *mean, const real *log_sd, size_t A);

// Of choices: probability (A) is the softmax of score (A); the log probability of the choice `action` (A, one 1).
double choice_probabilities(double *probability, const real *score, size_t A);  // returns ln sum exp
double choice_log_density(const real *action, const real *score, size_t A);

// How a row of a trajectory ends.
enum row_end {
    ROW_GOES_ON,   // the next row follows from it
    ROW_STOPPED,   // by the time limit: what would have come is worth value_after
    ROW_FAILED,    // by the world: nothing comes
    ROW_VOID,      // nothing happened (the simulation diverged): not to be learnt from
};

// Advantages and targets of one trajectory, backwards:
//     delta_t = r_t + discount V_t+1 - V_t,   advantage_t = delta_t + discount trace advantage_t+1
// reward, value, value_after, end (T); value_after is read where end is ROW_STOPPED.
void advantages(real *advantage, real *target, const real *reward, const real *value, const real *value_after,
                const uint8_t *end, size_t T, double discount, double trace);
// To mean 0 and sd 1.
void standardise(real *x, size_t count);
