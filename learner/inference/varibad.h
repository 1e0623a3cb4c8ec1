#pragma once
// VariBAD in training (Zintgraf et al. 2020): a recurrent encoder and its decoders, learnt from replayed
// meta-episodes. The policy reads (mu, logvar) as any other input; its loss does not reach the encoder.

#include "inference.h"
#include "varibad_loss.h"

struct varibad_work;

struct varibad {
    struct varibad_nets nets;
    struct trainee trainee;
    struct moments targets[HEAD_COUNT];   // of what decoders predict; the reward's also scale the encoder's input
    double *log_sd[HEAD_COUNT];           // of the decoders' noise, of standardised targets, found at the end (targets)
    struct varibad_value value;           // of this iteration's last update
    struct varibad_work *work;
};

// history.c: what an encoder reads of a transition, [s', a, r]; the normalisers are the training's model's.
size_t history_inputs(const struct world *world);
void history_row(const struct train *train, float *out, const float *action, float reward,
                 const float *next_observation);
// Those normalisers, from the moments. The reward's are those of `rewards`.
void history_normalise(struct train *train, const struct moments *rewards);

// varibad_noise.c: the noise of each decoder with which the newest replayed meta-episodes are most likely.
int varibad_fit_noise(struct train *train, char *why, size_t why_size);
