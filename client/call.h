#pragma once
// A call: requests that leave together, and their replies, over links that may break meanwhile.
//
// A reply is taken only if it carries an id of the round that is being waited for; every other one belongs to a
// request whose caller has gone, and is of use only for what it says about what is kept (kept.h). A round that
// loses its link is asked again on the next link, with new ids, after its sessions have been opened again.
// Sessions may be at different daemons (host.h); then each of these has its rounds in turn.

#include "bel.h"
#include "host.h"
#include "kept.h"
#include "proto/wire.h"

struct call_model {
    struct bel_model model;
    void *memory;                 // behind its strings and arrays
};

struct bel {
    struct host *hosts;           // list; the first is the home
    char *client, *token, *token_file;
    struct tls_options tls;       // its strings are the connection's
    size_t kept_limit;
    int follow;
    uint64_t links;               // made so far, to all hosts
    int64_t deadline_ns;          // of a call
    struct wire_arena arena;      // for one message at a time
    char server[64];
    struct call_model *models;
    size_t model_count;
    struct call_model wanted;     // of the last bel_get_model
    struct bel_session *sessions; // list
    struct bel_counters counters;
    char why[512];                // first failure of the current call
};

// Where a session stands with the daemon.
enum session_state {
    SESSION_LIVE,    // open, or adrift and to be opened again by the next call that needs it
    SESSION_LOST,    // the daemon has no longer what it held
    SESSION_FENCED,  // somebody else has it
    SESSION_LEAVING, // being forgotten
};

struct bel_session {
    struct bel *bel;
    struct host *host;
    struct bel_session *next;
    char id[WIRE_SESSION_LIMIT + 1];
    struct call_model model;
    int hold_prior, explore;
    struct wire_floats told_task; // as opened, for as long as the daemon has no session of it; on the heap
    int known;                    // was opened at least once, so that there is a history to compare with
    int resumed;                  // was there already when it was opened first
    size_t in_call;               // entry of the current call that it is, plus 1; 0: of none
    enum session_state state;
    uint64_t generation;          // link that handle belongs to; 0: none
    int turned_back;              // the current call's step came out of step, and the session was opened again
    int stale;                    // a kept request was turned away: open again and see what is missing
    uint32_t handle;
    uint64_t epoch;               // as last told; 0: not opened yet
    uint64_t opener;              // random, not 0: the daemon knows by it that an Open without an answer was ours
    uint64_t opening;             // link that an Open is on its way on; 0: none
    uint32_t task;
    uint64_t seq;                 // of the last observation that was sent or kept
    uint64_t count;               // transitions in the belief, as last told
    int following;                // a step can follow observation seq
    uint64_t sent;                // link that the current call's request was sent on; 0: none yet
    int told;                     // the daemon dealt with the current call's step, though without an action
    int has_action;
    float *action;                // last one returned                                     (action_dim)
    struct kept_ring kept;
    int64_t owed_at;              // when owed transitions are worth another try
    int asked_twice;              // whether they are on disk, in this call
};

enum { CALL_PENDING = 1 };        // a result that is not there yet

struct call {
    struct bel *bel;
    size_t count;
    void *context;
    int64_t started;              // set by call_run
    int64_t deadline;             // 0: set by call_run
    unsigned rounds;
    int turned_away;              // the daemon asks for patience: BEL_BUSY or BEL_RATE
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
void call_models_release(struct call_model *models, size_t count);  // and frees the list

// ---- Sessions within a call -----------------------------------------------------------------------------------

// What an Opened says about a session, the first time and after every reconnect. Returns the result; in_flight:
// a step after observation seq may have been sent already.
int session_opened(struct bel_session *session, const struct wire_opened *opened, int in_flight);
// The daemon knows no such session: BEL_LOST, or CALL_PENDING when there was nothing to lose.
int session_unknown(struct bel_session *session);
// It is at another daemon now. CALL_PENDING, or BEL_MOVED, BEL_NO_MEMORY.
int session_moved(struct bel_session *session, const char *address);

// Why a session cannot take part in a call, or CALL_PENDING.
int session_usable(const struct bel_session *session);

// The daemon does not know the session's handle (any more).
void session_adrift(struct bel_session *session);

// The current call's observation and step: kept from now on. status: what the daemon said became of it; -1: no
// answer.
void session_keep(struct bel_session *session, struct kept entry, int status);
// What an Action says about what is kept.
void session_told(struct bel_session *session, const struct wire_action *action);
// What an Observed says about the belief.
void session_observed(struct bel_session *session, const struct wire_observed *observed);
// The session's part of the belief is on disk up to here.
void session_durable(struct bel_session *session, uint64_t seq);

// Sends what is kept and this link has not carried yet, as far as may be in flight. *all: nothing is left that
// the session's next request must follow.
int session_put_kept(struct bel_session *session, int *all);
// The reply to a request of session_put_kept.
void session_take_kept(struct bel_session *session, const struct asked *asked, const struct wire_envelope *reply);
