#pragma once
// A call: requests that leave together, and their replies, over a link that may break meanwhile.
//
// Request ids grow for ever. A reply is taken only if it carries an id of the round that is being waited for;
// every other id that was given out belongs to a request whose caller has gone, and its reply is thrown away. A
// round that loses its link is asked again on the next link, with new ids, after its sessions have been opened
// again.

#include "bel.h"
#include "link.h"
#include "proto/wire.h"

struct call_model {
    struct bel_model model;
    void *memory;                 // behind its strings and arrays
};

struct bel {
    char *address, *client;
    struct link link;
    uint64_t generation;          // number of the link, from 1; a session opened on an older one is adrift
    int greeted;                  // Hello was answered on this link
    uint64_t next_id;             // of the next request
    uint64_t link_id;             // smaller ids were not sent on this link
    uint64_t waiting;             // requests sent on this link that have no reply yet
    int64_t heard;                // when a frame last came, or waiting became 1
    int64_t deadline_ns;          // of a call
    struct wire_arena arena;      // for one message at a time
    char server[64];
    struct call_model *models;
    size_t model_count;
    uint32_t max_frame_bytes, max_in_flight;
    struct bel_session *sessions; // list
    struct bel_counters counters;
    char why[512];                // first failure of the current call
    char link_why[512];           // last failure of the link during it
};

// Where a session stands with the daemon.
enum session_state {
    SESSION_LIVE,    // open, or adrift and to be opened again by the next call that needs it
    SESSION_LOST,    // the daemon has no longer what it held
    SESSION_FENCED,  // somebody else has it
    SESSION_LEAVING, // being forgotten
};

// A step without an answer.
struct kept_step {
    uint64_t seq;
    uint64_t generation;          // link that it was sent on; 0: on none
    uint32_t task;
    int last;
    float reward;
    float *observation, *action;
};

struct bel_session {
    struct bel *bel;
    struct bel_session *next;
    char id[WIRE_SESSION_LIMIT + 1];
    struct call_model model;
    int hold_prior;
    int known;                    // was opened at least once, so that there is a history to compare with
    int resumed;                  // was there already when it was opened first
    size_t in_call;               // entry of the current call that it is, plus 1; 0: of none
    enum session_state state;
    uint64_t generation;          // link that handle belongs to; 0: none
    uint32_t handle;
    uint32_t task;
    uint64_t seq;                 // of the last observation that was sent or kept
    uint64_t count;               // transitions in the belief, as last told
    int following;                // a step can follow observation seq
    uint64_t sent;                // link that the current call's request was sent on; 0: none yet
    int has_action;
    float *action;                // last one returned                                     (action_dim)
    struct kept_step kept[BEL_UNANSWERED_LIMIT];  // oldest first, a ring
    size_t kept_first, kept_count;
    float *memory;                // behind action and kept
};

enum { CALL_PENDING = 1 };        // a result that is not there yet

struct call {
    struct bel *bel;
    size_t count;
    void *context;
    int64_t started, deadline;    // set by call_run
    unsigned rounds;
    struct bel_session *(*session)(struct call *call, size_t i);  // NULL: a request without session
    int *(*result)(struct call *call, size_t i);                  // CALL_PENDING until there is one
    void (*ask)(struct call *call, size_t i, struct wire_envelope *request);  // NULL: opening is all
    // The result of i, given its reply (never an Error).
    int (*take)(struct call *call, size_t i, const struct wire_envelope *reply);
};

// Runs until each entry that was CALL_PENDING has its result. `once`: does not try again when there is no link.
// Returns the first result that is not 0.
int call_run(struct call *call, int once);

// Writes the sentence, unless this call has one already. Returns result.
int call_fail(struct bel *bel, int result, const char *format, ...) __attribute__((format(printf, 3, 4)));

// The answer is of another kind than the question; session may be NULL.
int call_unexpected(struct bel *bel, const struct bel_session *session);

// A digest of a report; zeros if there is none.
void call_copy_digest(uint8_t *digest, struct wire_bytes from);

// -EPROTO: the dimensions make no sense; -ENOMEM.
int call_model_copy(struct call_model *to, const struct wire_model *from);
void call_model_release(struct call_model *model);

// What an Opened says about a session, the first time and after every reconnect. Returns the result; in_flight:
// a step after observation seq may have been sent already.
int session_opened(struct bel_session *session, const struct wire_opened *opened, int in_flight);

// Why a session cannot take part in a call, or CALL_PENDING.
int session_usable(const struct bel_session *session);

// The daemon does not know the session's handle (any more).
void session_adrift(struct bel_session *session);

// Steps without an answer: the i-th oldest; and dropping the oldest ones up to a number.
struct kept_step *session_kept(struct bel_session *session, size_t i);
void session_drop_kept(struct bel_session *session, uint64_t up_to);
