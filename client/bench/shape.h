#pragma once
// The three sizes of robots that figures are given for, as models with random weights: what they compute is
// nonsense, what it costs is not. Features of both heads and the policy have two hidden layers; the policy sees
// the variances of both heads' weights and the mean and noise of the reward's.
//
//            observation   D    features   policy
//      s         20        16     2x64      2x64
//      m         39        32     2x64      2x128
//      l         39        64     2x128     2x256      6 actions

#include "daemon/agent/agent.h"

enum { SHAPE_ACTION = 6 };

// letter: 's', 'm' or 'l'; else NULL. Also NULL with a sentence when something fails. model_free it.
struct model *shape_model(char letter, char *why, size_t why_size);
