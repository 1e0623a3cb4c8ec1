#pragma once
// Learning through a daemon: each iteration's model is published, robots anywhere explore with it, and what they
// experienced, taken from the daemon's log, fills the rollout as simulated steps would.
//
// Exact means exact: beliefs, policy inputs and log densities are made again from (s, a, r, s') with the very model
// that was served, and each session's digest must be the daemon's. With the same seed on both sides a training has the
// same bits as one that simulates by itself.

#include "learner/train.h"

#include <signal.h>

struct online;

// The training gathers from options->from, from now on. resumed: it comes from a checkpoint, so what was experienced since
// then is its own; otherwise it takes only what comes. stop: set by a signal. -EINVAL and others with a sentence.
int online_start(struct online **online, struct train *train, int resumed, const volatile sig_atomic_t *stop, char *why,
                 size_t why_size);
// The checkpoint holds what the training is now: what it has of experience is needed no more.
void online_saved(struct online *online);
// The last model, as it was trained (no landmarks; those are in the file). 0, or a negative errno with a sentence.
int online_finish(struct online *online, char *why, size_t why_size);
void online_stop(struct online *online);  // NULL is fine. Before train_free
