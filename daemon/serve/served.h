#pragma once
// A model in service on one server: the shared model, the scratch of its passes, the requests that wait for its next
// pass, and what a look into a belief needs. And the list of those that a server has: the models of the catalogue, and
// older ones as long as sessions have them. One thread.

#include "catalogue.h"

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
};

struct served {
    struct served *next;           // of the server
    struct shared_model *shared;
    const struct model *model;     // the shared one's
    struct wire_model info;        // what clients are told
    size_t action_bound;           // bytes of the largest answer to a Step
    size_t belief_bound;           // of the largest Belief frame
    size_t sessions;               // of this server that have it, or are about to
    int offered;                   // it is in the catalogue
    struct agent_scratch *scratch;

    size_t waiting_count;
    struct waiting_request waiting[AGENT_BATCH_LIMIT];
    struct observation_item observations[AGENT_BATCH_LIMIT];
    struct action_item actions[AGENT_BATCH_LIMIT];

    struct inspection heads[HEAD_COUNT];
    uint8_t *sums[AGENT_PARTS];    // room for a belief's encodings; NULL: it has no such part
    size_t sums_size[AGENT_PARTS];
    double latent_mean[FACTORS_LATENT_LIMIT], latent_variance[FACTORS_LATENT_LIMIT];
    double estimate_mean[MODEL_TASK_LIMIT], estimate_sd[MODEL_TASK_LIMIT];
};

// Takes a reference of its own. Any thread, until it is in a list. NULL: no memory.
struct served *served_new(struct shared_model *shared);
void served_free(struct served *served);

// Passes over an empty belief, alone and in a full batch, so that no client meets cold code or cold pages.
// -EDOM: the model cannot act; -ENOMEM.
int served_warm_up(struct served *served);

// A session of this server has it now, or no longer.
static inline void served_gain_session(struct served *served)
{
    served->sessions++;
    atomic_fetch_add(&served->shared->sessions, 1);
}
static inline void served_lose_session(struct served *served)
{
    served->sessions--;
    atomic_fetch_sub(&served->shared->sessions, 1);
}

// The models of one server.
struct serving {
    struct catalogue *catalogue;
    struct served *first;
};

int serving_init(struct serving *serving, struct catalogue *catalogue);  // takes a reference. -ENOMEM
void serving_release(struct serving *serving);
// Another catalogue. Older models stay as long as sessions have them. fresh: a list (by next) of served made for it,
// warm; those are used where needed, the others freed. -ENOMEM only if one is missing in it; then nothing has changed.
int serving_change(struct serving *serving, struct catalogue *catalogue, struct served *fresh);
// By name or alias, "" the default; NULL: not in the catalogue.
struct served *serving_named(const struct serving *serving, const char *name);
struct served *serving_with_digest(const struct serving *serving, const char *digest);  // NULL: not in the list
// That of a shared model, put into the list if need be. NULL: no memory.
struct served *serving_of(struct serving *serving, struct shared_model *shared);
void serving_add(struct serving *serving, struct served *served);  // to the list; owned by it
// Frees what is neither in the catalogue nor had by a session.
void serving_sweep(struct serving *serving);
