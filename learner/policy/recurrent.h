#pragma once
// PPO through time: the same objective, minibatches and report as actor_update (ppo.h), but the actor's loss reaches
// the recurrent encoder whose states the actor reads. An environment's rows are cut into chunks; each begins with the
// state that the rollout had there, and gradients stay within it (truncated back-propagation through time).

#include "learner/nets/sequence.h"
#include "learner/train.h"
#include "ppo.h"

struct recurrent_scratch;

// After the rollout stands. NULL: no memory.
struct recurrent_scratch *recurrent_new(struct train *train);
void recurrent_free(struct recurrent_scratch *scratch);

// All epochs of one iteration, on train's rollout and the same rows as experience. 0, or -EDOM: a gradient is not
// finite; the parameters are then those before it.
int recurrent_update(struct recurrent_scratch *scratch, struct train *train, const struct sequence *sequence,
                     struct trainee *encoder, struct actor *actor, const struct experience *experience,
                     const struct ppo_settings *settings, double rate, struct random_stream *stream,
                     struct ppo_report *report);
