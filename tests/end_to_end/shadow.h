#pragma once
// What a session must hold and answer: the same model, belief and functions as the daemon's, kept in the test.
//
// Nothing of the daemon above daemon/agent is used, so what agrees with a shadow went through sockets, frames,
// batches with strangers, retries and resumed sessions without losing a bit.

#include "client/bel.h"
#include "daemon/agent/agent.h"

enum { SHADOW_DIM_LIMIT = 8, SHADOW_WRITERS = 4, SHADOW_SEQ_LIMIT = 2048 };

struct shadow {
    const struct model *model;
    struct agent_scratch *scratch;
    int hold_prior;
    struct agent_belief belief;
    void *memory;                  // behind the belief
    uint32_t task;                 // from 1
    float told_task[SHADOW_DIM_LIMIT];  // of an oracle
    uint64_t seq;                  // number of the transition that comes, for a model whose belief depends on it
    int standing;                  // a step can follow
    float observation[SHADOW_DIM_LIMIT], action[SHADOW_DIM_LIMIT];
    uint8_t seen[SHADOW_WRITERS][SHADOW_SEQ_LIMIT];  // numbers of transitions taken; [0] is not used
};

// The model is the caller's.
void shadow_init(struct shadow *shadow, const struct model *model, int hold_prior);
void shadow_release(struct shadow *shadow);
void shadow_new_task(struct shadow *shadow);

// What the daemon is about to do; shadow->action is then what it must answer, and the result what it must report
// (status, task, count, digest, probabilities).
struct bel_report shadow_act(struct shadow *shadow, const float *observation);
struct bel_report shadow_step(struct shadow *shadow, const float *executed, float reward, const float *observation,
                              int last);
struct bel_report shadow_observe(struct shadow *shadow, uint32_t writer, const struct bel_transition *transitions,
                                 size_t count, enum bel_status *status);

// Fails the test unless the report is the expected one. repeated: the request may have been sent twice, so that
// it may have been a duplicate to the daemon.
void shadow_check(const struct bel_report *report, const struct bel_report *expected, int repeated,
                  const char *what);
