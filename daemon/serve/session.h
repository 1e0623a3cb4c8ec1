#pragma once
// A session: one robot's belief, where it is in its stream of observations, and what was seen of each writer. And
// the table in which sessions are found by the name that the client chose.
//
// A session is held by at most one connection, by handle, or by none and is then named with its epoch. Every Open raises
// the epoch and fences who had it before. It outlives its connection and waits for the next request.

#include "identity.h"
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

// What waits for the batch. REPEAT: the last Step again, whose answer is not known any more and is made afresh.
enum waiting { WAITING_FOR_NOTHING, WAITING_STEP, WAITING_LAST_STEP, WAITING_ACT, WAITING_REPEAT };

// Writer 0's transitions up to `seq` are on disk once the log is at `position`.
struct durable_mark {
    uint64_t seq, position;    // position 0: none
};

struct session {
    char name[WIRE_SESSION_LIMIT + 1];
    char identity[IDENTITY_NAME_LIMIT + 1];  // whose it is; empty: anybody's
    struct session *next_in_bucket;
    struct session *previous, *next;  // all sessions
    struct served *served;     // its model
    struct connection *owner;  // holds it by handle; NULL: nobody
    uint32_t handle;           // on the owner's connection
    uint64_t epoch;
    uint32_t hand_overs;       // since the last Open; each raised the epoch, and fenced nobody
    uint64_t opener;           // who opened it last, for an Open whose answer was lost
    uint64_t heard_us;         // its last request, or when its owner left
    int hold_prior, explore;   // as the last Open said
    float *told_task;          // the task that an oracle was told                   (session_told_dim)

    struct agent_belief belief;
    uint32_t task;             // from 1
    uint64_t seq;              // of the last observation
    uint64_t last_transition;  // highest number among writer 0's transitions
    int standing;              // there is an observation that a Step can follow
    int action_known;          // `action` is what was answered to it
    float *observation;        // number seq                                         (obs)
    float *action;             // what was answered to it                            (act)
    struct remembered last_step;
    uint64_t duplicates, refused;  // transitions, for the operator

    // The experience log. Positions are of the server's queue.
    uint64_t id;               // its number there; 0: nothing is logged
    int row_due;               // its row there could not be put yet
    uint64_t position;         // of the last record
    uint64_t state_position;   // of the last state; 0: none since it came here
    uint64_t state_age;        // transitions since then
    uint64_t durable_seq;
    struct durable_mark marks[2];  // older, newer
    uint64_t undurable_first, undurable_last;  // the lowest and highest number of writer 0 that the log could not take and
                               //   that did not come again; 0: none

    struct rebuild *rebuild;   // it is being made again with another model; NULL: no
    int leaving;               // for another server, as soon as all that it put is on disk
    uint64_t frozen_until_us;  // is being handed over; 0: no

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

// The same in parts: a session that is in no table yet, or no longer.
struct session *session_make(const char *name, struct served *served, const struct limits *limits);
void session_destroy(struct session *session);  // NULL is fine
void session_link(struct session_table *table, struct session *session);
void session_unlink(struct session_table *table, struct session *session);

// The writer, or NULL: nothing was seen of it.
struct writer *session_find_writer(const struct session *session, uint32_t id);
// The writer, made on first use (which moves the others). NULL with *error -ENOSPC (too many) or -ENOMEM.
struct writer *session_writer(struct session *session, uint32_t id, const struct limits *limits, int *error);

// Numbers that tell the session's model its task; 0: it is no oracle.
size_t session_told_dim(const struct session *session);
// Tells the task; checked before. None (count 0): it stays as it is.
void session_tell(struct session *session, struct wire_floats told_task);

// Holes between the numbers seen, of all writers.
uint64_t session_gaps(const struct session *session);

// The number of a transition that was taken, or refused for good: it will not be taken again. Always succeeds; the oldest
// hole is given up for it if need be.
void session_mark_seen(struct session *session, struct writer *writer, uint64_t seq);

void digest_bytes(uint8_t out[WIRE_DIGEST_SIZE], struct digest digest);  // little-endian words
