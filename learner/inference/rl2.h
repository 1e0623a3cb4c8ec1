#pragma once
// RL2 in training (Duan et al. 2016; Wang et al. 2016): the state of a recurrent network is the policy's input, and the
// policy's loss trains both.

#include "inference.h"
#include "learner/policy/recurrent.h"

struct rl2 {
    struct sequence sequence;
    struct trainee trainee;
    struct moments reward;             // scale the encoder's input
    struct recurrent_scratch *recurrent;
};
