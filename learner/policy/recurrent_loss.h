#pragma once
// PPO's loss where the actor reads the states of a recurrent encoder, and its gradient for both.
//
// C rows of a chunk, B chunks, H hidden, O what the actor reads besides the state

#include "learner/nets/sequence.h"
#include "ppo.h"

// Chunks of experience side by side: row (k, b) is the k-th of chunk b.
struct recurrent_batch {
    size_t C, B;
    real *in;               // the encoder's, of each row's transition         (C, B, inputs)
    uint8_t *mode;          // enum gru_mode of that step                      (C, B)
    real *first;            // state before the first row                      (B, H)
    real *input;            // the actor's: O numbers given, H filled in here  (C, B, O + H)
    real *action, *log_density, *advantage;  // (C, B, ...)
    uint32_t *index;        // the rows that are there                         (rows)
    size_t rows;
};

struct recurrent_pass {
    struct sequence_pass sequence;
    struct ppo_scratch *ppo;
    real *dinput;           // (rows, O + H)
};

// For batches of up to C and B.
int recurrent_pass_init(struct recurrent_pass *pass, const struct sequence *sequence, const struct net *actor, size_t C,
                        size_t B);  // -ENOMEM
void recurrent_pass_release(struct recurrent_pass *pass);

// As actor_loss; the gradients go to actor->trainee.gradient and encoder->gradient.
double recurrent_loss(struct actor *actor, const struct sequence *sequence, struct trainee *encoder,
                      struct recurrent_batch *batch, const struct ppo_settings *settings, struct recurrent_pass *pass,
                      struct ppo_report *report);
