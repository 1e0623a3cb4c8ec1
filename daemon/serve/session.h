#pragma once
// A session: one robot's belief, where it is in its stream of observations, and what was seen of each writer. And
// the table in which sessions are found by the name that the client chose.
//
// A session belongs to at most one connection. Every Open raises its epoch and fences who held it before. It
// outlives its connection and waits for the next one.

#include "limits.h"
#include "seen.h"

#include "daemon/agent/agent.h"
#include "proto/wire.h"

struct connection;
struct served;

struct writer {
    uint32_t id;
    struct seen seen;
};

// The last Step's answer, kept so that a retry is told the same.
struct remembered {
    int valid;
    int has_action;
    int failed;                // it was an INTERNAL error
    enum wire_status status;
    uint64_t count;
    uint8_t digest[WIRE_DIGEST_SIZE];
    uint32_t task;
    double reward_p, transition_p;
};

// A transition or observation that waits for the batch.
enum waiting { WAITING_FOR_NOTHING, WAITING_STEP, WAITING_LAST_STEP, WAITING_ACT };

struct session {
    char name[WIRE_SESSION_LIMIT + 1];
    struct session *next_in_bucket;
    struct session *previous, *next;  // all sessions
    struct served *served;     // its model
    struct connection *owner;  // NULL: nobody
    uint32_t handle;           // on the owner's connection
    uint64_t epoch;
    uint64_t idle_since_us;    // when it lost its owner
    int hold_prior;

    struct agent_belief belief;
    uint32_t task;             // from 1
    uint64_t seq;              // of the last observation
    uint64_t last_transition;  // highest number among writer 0's transitions
    int standing;              // there is an observation that a Step can follow
    float *observation;        // number seq                                         (obs)
    float *action;             // what was answered to it                            (act)
    struct remembered last_step;

    enum waiting waiting;
    uint64_t new_seq;
    float *new_observation;    // (obs)
    float *executed;           // (act)
    float new_reward;

    struct writer *writers;    // [0] is writer 0, the Steps
    size_t writer_count;
    void *memory;              // behind the arrays
};

struct session_table {
    struct session **buckets;
    size_t bucket_count;       // a power of two
    struct session *first;
    size_t count;
};

int session_table_init(struct session_table *table, size_t limit);  // -ENOMEM
void session_table_release(struct session_table *table);            // frees the sessions too

int session_name_valid(const char *name);  // 1 to 64 of [A-Za-z0-9._:-]
struct session *session_find(const struct session_table *table, const char *name);
// A new one with an empty belief, task 1, epoch 0, no owner. NULL: no memory.
struct session *session_new(struct session_table *table, const char *name, struct served *served,
                            const struct limits *limits);
void session_free(struct session_table *table, struct session *session);

// The writer, made on first use. NULL with *error -ENOSPC (too many) or -ENOMEM.
struct writer *session_writer(struct session *session, uint32_t id, const struct limits *limits, int *error);

void digest_bytes(uint8_t out[WIRE_DIGEST_SIZE], struct digest digest);  // little-endian words
