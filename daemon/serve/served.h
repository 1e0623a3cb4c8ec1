#pragma once
// A model in service: the immutable model, the scratch of its passes, the requests that wait for its next pass,
// and what a look into a belief needs. One thread.

#include "daemon/agent/agent.h"
#include "proto/wire.h"

struct connection;
struct session;

// A Step or Act that was read in this turn; its numbers wait in the session.
struct waiting_request {
    struct session *session;
    struct connection *connection;
    uint64_t request_id;
    uint64_t read_us;
};

// Memory for looking into one head's belief.
struct inspection {
    struct posterior posterior;
    void *memory;          // behind the posterior
    double *noise;         // (d)
    uint8_t *sums;
    size_t sums_size;
};

struct served {
    const struct model *model;
    struct wire_model info;        // what clients are told
    struct agent_scratch *scratch;
    size_t action_bound;           // bytes of the largest answer to a Step
    size_t belief_bound;           // of the largest Belief frame

    size_t waiting_count;
    struct waiting_request waiting[AGENT_BATCH_LIMIT];
    struct observation_item observations[AGENT_BATCH_LIMIT];
    struct action_item actions[AGENT_BATCH_LIMIT];

    struct inspection heads[HEAD_COUNT];
    double estimate_mean[MODEL_TASK_LIMIT], estimate_sd[MODEL_TASK_LIMIT];
};

int served_init(struct served *served, const struct model *model);  // -ENOMEM
void served_release(struct served *served);

// Passes over an empty belief, alone and in a full batch, so that no client meets cold code or cold pages.
// -EDOM: the model cannot act; -ENOMEM.
int served_warm_up(struct served *served);
