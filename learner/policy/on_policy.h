#pragma once
// PPO within a training: what it keeps from one iteration to the next.

#include "learner/train.h"
#include "ppo.h"

struct on_policy {
    struct actor actor;
    struct critic critic;
    size_t critic_dim;                 // the training's, and the clock if the critic is told
    double steering;                   // of the step size
    double returned[3];                // count, mean and squared deviations of the discounted return
    float *gain;                       // what each step taught, nats (rows); NULL: it is not paid for
    double *discounted;                // of each environment, for the reward's scale (envs)
    // Working memory.
    float *input;                      // normalised (rows, critic_dim)
    float *reward, *advantage, *target, *value, *value_after;  // (rows)
    float *final_input;                // normalised (finals, critic_dim)
    float *final_value;
    struct ppo_scratch *actor_scratch, *critic_scratch;
    struct ppo_report report;
};
