#ifndef BEL_H
#define BEL_H
// libbelief: the client of beliefd.
//
// A session is one robot (or simulator) with one belief about its task. The loop of a robot is
//
//     bel_connect, bel_open
//     bel_act                     the first observation of an episode -> an action
//     bel_step, bel_step, ...     what happened -> the next action
//     bel_step_last               the end of the episode
//
// Calls block, at most until their deadline. Arrays belong to the caller and are read or written during the
// call only; their lengths are those of the session's model. A step allocates nothing while the daemon's disk
// keeps up.
//
// Losing the link. A call that finds the link broken connects again by itself and opens its sessions again
// under the same names. A session keeps what it told until the daemon has it on disk, and sends again what the
// daemon lacks: after a broken link what had no answer, after a crash of the daemon what its disk had not got
// yet, when its log was full what it could not take. The daemon counts a transition once, however often it is
// sent, so nothing is lost and nothing doubled. A reply that comes too late is never taken for the reply to a
// later request. When the daemon has lost a session's belief all the same (it keeps no log, or not this
// session), calls fail with BEL_LOST; they never go on with an empty belief as if nothing had happened.
//
// A session that was moved to another daemon is followed there.
//
// Threads: a connection and its sessions belong to one thread at a time. Different connections are independent.
// Signals: an interrupted call goes on waiting. No signal is raised by a closed link.

#include <stddef.h>
#include <stdint.h>
#include <errno.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BEL_EXPORT __attribute__((visibility("default")))
#else
#define BEL_EXPORT
#endif

struct bel;          // a connection
struct bel_session;  // a session on it

// Results: 0, or one of these (negative errno values). bel_error has the sentence.
enum bel_result {
    BEL_TIMEOUT = -ETIMEDOUT,        // no answer within the deadline
    BEL_DISCONNECTED = -ENOTCONN,    // no link, and none could be made within the deadline
    BEL_INVALID = -EINVAL,           // a value; the sentence names the field
    BEL_UNKNOWN_MODEL = -ENOENT,     // the daemon serves no model of that name
    BEL_FENCED = -ESTALE,            // somebody else has opened or continued this session; it is theirs now
    BEL_LOST = -EIDRM,               // the daemon no longer has this session's belief; close it and open it anew
    BEL_OUT_OF_STEP = -EILSEQ,       // there is no observation that a step could follow; begin with bel_act
    BEL_LIMIT = -ENOBUFS,            // a limit of the daemon or of this library; the sentence names it
    BEL_DRAINING = -ESHUTDOWN,       // the daemon is stopping and none took its place within the deadline
    BEL_UNSUPPORTED = -ENOTSUP,      // the daemon or the model cannot do this
    BEL_PROTOCOL = -EPROTO,          // the peer does not speak belief.v1, or spoke it wrongly
    BEL_INTERNAL = -EIO,             // an error inside the daemon
    BEL_NO_MEMORY = -ENOMEM,
    BEL_DENIED = -EACCES,            // who we are may not do this, or is not known, or TLS does not trust one end
    BEL_UNDURABLE = -ENOSPC,         // the daemon's experience log cannot take it now
    BEL_BUSY = -EBUSY,               // the session is on its way between daemons, and did not arrive in time
    BEL_RATE = -EAGAIN,              // more requests than our identity may send
    BEL_MOVED = -EREMOTE,            // the session is at another daemon and is not followed there
};

// A short name, "BEL_TIMEOUT"; of anything else "unknown".
BEL_EXPORT const char *bel_result_name(int result);

// ---- Connection ---------------------------------------------------------------------------------------------

struct bel_options {
    const char *client;     // name and version for the daemon's log; NULL: "libbelief 0.1.0"
    uint32_t deadline_ms;   // of each call; 0: BEL_DEADLINE_MS
    size_t kept_limit;      // steps kept of a session until the daemon has them on disk; 0: BEL_KEPT_LIMIT
    int no_follow;          // a session that was moved to another daemon gives BEL_MOVED
    const char *token;      // who we are, or NULL; token_file: a file with it, read anew for each link
    const char *token_file;
    // For tls: addresses. Files in PEM, read anew for each link; each may be NULL.
    const char *ca_file;      // who may have signed the daemon's certificate; NULL: whom this system trusts
    const char *certificate;  // who we are, with its chain, and its key: both or none
    const char *key;
    const char *server_name;  // that the daemon's certificate must have; NULL: the host of the address
};

enum {
    BEL_DEADLINE_MS = 1000,
    BEL_KEPT_LIMIT = 4096,    // eight seconds of a robot at 500 Hz
};

// address: "unix:PATH", "tcp:HOST:PORT" ("tcp:[::1]:7400" for IPv6) or "tls:HOST:PORT". The link is tried once;
// a daemon that is not there is told at once. options may be NULL. Looking up a host's name is not bounded by
// the deadline; numbers need no lookup. On failure *bel is NULL and `why` (if not NULL) has the sentence.
// BEL_DISCONNECTED, BEL_TIMEOUT, BEL_INVALID (address, a file), BEL_DENIED, BEL_PROTOCOL, BEL_NO_MEMORY.
BEL_EXPORT int bel_connect(struct bel **bel, const char *address, const struct bel_options *options, char *why,
                           size_t why_size);

// Drops the link and frees the connection and its sessions, with what they kept: bel_sync before, if it
// matters. The daemon keeps the sessions, so that they can be opened again. NULL is fine.
BEL_EXPORT void bel_disconnect(struct bel *bel);

// Deadline of the calls from now on, in milliseconds, at least 1. A control loop sets its period here.
BEL_EXPORT void bel_set_deadline(struct bel *bel, uint32_t deadline_ms);
BEL_EXPORT void bel_set_deadline_us(struct bel *bel, uint32_t deadline_us);

// Why the last call that failed did so: one sentence, with the session, the field and the limit where there are
// such. Valid until the next call.
BEL_EXPORT const char *bel_error(const struct bel *bel);

struct bel_model {
    const char *name;
    const char *world;              // task family, "half-cheetah-vel"
    const char *digest;             // SHA-256 of the model file, hexadecimal
    uint32_t observation_dim, action_dim, task_dim;
    const float *action_low, *action_high;  // bounds of an action                        (action_dim)
    const float *action_log_sd;     // exploration noise of training, log sd; or NULL     (action_dim)
    uint32_t transition_features;   // D of the transition head; 0: no such head
    uint32_t reward_features;       // D of the reward head; 0: no such head
    const char *provenance;         // JSON: how it was trained, how well it does
    uint64_t revision;              // raised by its learner with each one that it publishes; 0: none
    const char *kind;               // how it infers the task: "glibrl", "varibad", "rl2", "pearl", "none"; "oracle": it is told the
                                    // task; "" if not told
    int discrete;                   // an action is one-hot: a choice of action_dim
};

// The daemon as it was at the last (re)connect. Models stay valid until the next one: copy what must last.
BEL_EXPORT const char *bel_server(const struct bel *bel);             // "beliefd 0.1.0"
BEL_EXPORT size_t bel_model_count(const struct bel *bel);
BEL_EXPORT const struct bel_model *bel_model_at(const struct bel *bel, size_t i);  // NULL past the end

// One empty round trip.
BEL_EXPORT int bel_ping(struct bel *bel);

// Everything that the sessions told is on the daemon's disk when it returns 0 (with a daemon that keeps no log:
// is in its memory). BEL_UNDURABLE: its log takes nothing now; it stays kept.
BEL_EXPORT int bel_sync(struct bel *bel);

struct bel_counters {
    uint64_t reconnects;     // links made after the first
    uint64_t resent;         // requests sent again
    uint64_t late_replies;   // thrown away
    uint64_t timeouts;       // calls that failed with BEL_TIMEOUT
    uint64_t moves;          // sessions followed to another daemon
    uint64_t refused;        // steps that no belief takes: not finite, out of range, of another task
    // Now, over all sessions:
    uint64_t kept;           // transitions that the daemon may not have on disk yet
    uint64_t kept_undurable; // of them those that its log could not take so far
};
BEL_EXPORT struct bel_counters bel_counters(const struct bel *bel);

// ---- Sessions -----------------------------------------------------------------------------------------------

struct bel_open {
    const char *id;        // 1 to 64 of [A-Za-z0-9._:-], chosen by the caller; names the belief at the daemon
    const char *model;     // NULL: the daemon's first
    int hold_prior;        // the policy reads the prior for ever; the belief is kept all the same
    int explore;           // actions come as the policy means them, not clipped to the bounds: draw around them, do what
                           // was drawn within the bounds, and tell with the next step what was drawn
    const float *task;     // the task itself, for a model of kind "oracle", which needs it; others take none: NULL
    size_t task_dim;       // how many numbers that is, if there is a task
};

// Opens or resumes a session. Opening one that is open elsewhere takes it over: the other gets BEL_FENCED.
// Allocates the session. BEL_INVALID (id), BEL_UNKNOWN_MODEL, BEL_LIMIT, and as for every call BEL_TIMEOUT,
// BEL_DISCONNECTED, BEL_DRAINING, BEL_PROTOCOL.
BEL_EXPORT int bel_open(struct bel *bel, const struct bel_open *open, struct bel_session **session);

// The same for many in one round trip, all on one connection: 0 and sessions (count), or the first failure and none.
BEL_EXPORT int bel_open_many(struct bel *bel, const struct bel_open *opens, struct bel_session **sessions, size_t count);

// Frees the session in any case. What the daemon has not got yet is sent before, what is not on its disk is waited for,
// and the result tells whether it is there. forget: the daemon drops it with its belief instead, and the result tells whether it knows. NULL
// is fine.
BEL_EXPORT int bel_close(struct bel_session *session, int forget);

// The session explored and is over: its transitions are on the daemon's disk when it returns 0, and learners may have
// them. Frees the session in any case.
BEL_EXPORT int bel_finish(struct bel_session *session);
// The same for many sessions of one connection in one round trip; the first failure. Frees them all.
BEL_EXPORT int bel_finish_many(struct bel *bel, struct bel_session *const *sessions, size_t count);

BEL_EXPORT const char *bel_session_id(const struct bel_session *session);
BEL_EXPORT const struct bel_model *bel_session_model(const struct bel_session *session);  // lives as the session
BEL_EXPORT int bel_session_resumed(const struct bel_session *session);     // it was there already when opened
BEL_EXPORT uint64_t bel_session_count(const struct bel_session *session);  // transitions in the belief, last known
BEL_EXPORT uint32_t bel_session_task(const struct bel_session *session);   // number of the current task, from 1

// ---- Acting -------------------------------------------------------------------------------------------------

// What became of a transition. Whatever it is, the action answers the newest observation.
enum bel_status {
    BEL_STATUS_NONE,          // there was no transition
    BEL_STATUS_ABSORBED,
    BEL_STATUS_DUPLICATE,     // it was there already (sent again after a reconnect); counted once
    BEL_STATUS_NOT_FINITE,    // not absorbed: an input is NaN or infinite
    BEL_STATUS_OUT_OF_RANGE,  // not absorbed: more than 32 standard deviations from what the model has seen
    BEL_STATUS_OTHER_TASK,    // not absorbed: of a task that was reset since
    BEL_STATUS_UNDURABLE,     // not absorbed: the daemon's log cannot take it now. A step is kept and sent again;
                              // what was observed, send again yourself
    BEL_STATUS_OUT_OF_ORDER,  // not absorbed: the belief of such a model (VariBAD, RL2) depends on order, and has come
                              // further; or the transition is another writer's. It is in the daemon's log
};
BEL_EXPORT const char *bel_status_name(enum bel_status status);  // "absorbed"

struct bel_report {
    enum bel_status status;
    uint32_t task;            // number of the task
    uint64_t seq;             // number of the observation that this answers
    uint64_t count;           // transitions in the belief
    uint8_t digest[16];       // of the belief; equal beliefs, equal digests
    double reward_p;          // probability, under the belief before, of a reward at least as surprising; 1: not
                              // judged, as after the last step of an episode
    double transition_p;      // the same for the observation
    uint32_t queue_us;        // in the daemon, from read to the start of its batch (microseconds)
    uint32_t compute_us;      // computing the batch it was in
    double round_trip_us;     // from the start of the call until this answer was here
    uint64_t durable_seq;     // steps up to this number are on the daemon's disk; 0: none, or no log
};

// The first observation (observation_dim) of an episode, or after a break: no transition. Writes action
// (action_dim). report may be NULL. BEL_TIMEOUT, BEL_DISCONNECTED: no action, but the observation is kept, and
// bel_step may go on from it. After any other failure begin again with bel_act.
BEL_EXPORT int bel_act(struct bel_session *session, const float *observation, float *action,
                       struct bel_report *report);

// One control step: `executed` was done after the last observation, gave `reward`, and led to `observation`.
// executed (action_dim) NULL means the last action that this session returned. next_action (action_dim) is
// written on success only. report may be NULL. One round trip; cost of the client's part about a microsecond.
//
// BEL_TIMEOUT, BEL_DISCONNECTED, BEL_DRAINING, BEL_BUSY, BEL_RATE, BEL_DENIED: no action, but the transition is
// kept (up to kept_limit) and reaches the belief with a later call. Do what your robot does without advice, and
// go on with bel_step; tell `executed` then. BEL_OUT_OF_STEP: no observation to follow; begin with bel_act (a
// transition that had one is kept all the same). BEL_INVALID: nothing happened. BEL_LIMIT, BEL_UNDURABLE:
// kept_limit is reached, this transition is not kept; begin with bel_act. BEL_LOST, BEL_FENCED.
BEL_EXPORT int bel_step(struct bel_session *session, const float *executed, float reward, const float *observation,
                        float *next_action, struct bel_report *report);

// The last step of an episode: no action wanted. Then bel_act begins the next.
BEL_EXPORT int bel_step_last(struct bel_session *session, const float *executed, float reward,
                             const float *observation, struct bel_report *report);

// One session's part in a call for many.
struct bel_step {
    struct bel_session *session;
    const float *observation;    // (observation_dim)
    const float *executed;       // (action_dim); NULL: the last action that this session returned
    float reward;
    int last;                    // end of the episode: no action wanted
    float *action;               // out (action_dim); unused if last
    struct bel_report report;    // out, on success
    int result;                  // out: of this one
};

// The same for many different sessions of one connection in one round trip: all requests leave together, in one
// write unless the daemon allows fewer in flight (max_in_flight). Returns 0, or the first result that is not;
// each entry has its own. act_many reads session and observation only.
BEL_EXPORT int bel_step_many(struct bel *bel, struct bel_step *steps, size_t count);
BEL_EXPORT int bel_act_many(struct bel *bel, struct bel_step *steps, size_t count);

// ---- Belief -------------------------------------------------------------------------------------------------

struct bel_transition {
    uint64_t seq;                  // unique for its writer, from 1; a repeat changes nothing
    const float *observation;      // s  (observation_dim)
    const float *action;           // a  (action_dim)
    float reward;
    const float *next_observation; // s' (observation_dim)
};

// Whole transitions of the current task, in any order, from any writer (1 and up are the caller's to give; 0 is
// the session's own steps). status (count) may be NULL; of `report` (or NULL) task, count, digest and
// round_trip_us are written. One round trip. BEL_LIMIT: more than a frame of the daemon holds.
BEL_EXPORT int bel_observe(struct bel_session *session, uint32_t writer, const struct bel_transition *transitions,
                           size_t count, enum bel_status *status, struct bel_report *report);

// The episode ends, the belief stays: a simulator that is put back to a start. Then bel_act.
BEL_EXPORT int bel_reset_episode(struct bel_session *session);
// Another task: the belief goes back to the prior.
BEL_EXPORT int bel_reset_task(struct bel_session *session);
// The same for a model of kind "oracle", which is told the task that begins (task_dim of its model).
BEL_EXPORT int bel_reset_task_to(struct bel_session *session, const float *task);

enum { BEL_TRANSITION, BEL_REWARD, BEL_HEADS };

struct bel_head_belief {
    int present;            // out: the model has this head
    uint32_t features;      // out: D
    uint32_t targets;       // out: d, observation_dim or 1
    double log_evidence;    // out: log probability of all targets so far, nats
    double *mean;           // posterior mean of the weights, or NULL: not wanted     (D, d) row-major
    double *variance;       // diagonal of Xi^-1, or NULL                             (D)
    double *noise;          // expected noise variance, or NULL                       (d)
    uint8_t *sums;          // the integer sums, encoded for storing or merging; or NULL
    size_t sums_room;       // bytes there
    size_t sums_size;       // out: bytes written; if larger than the room, the call fails with BEL_LIMIT
};

// What the belief holds. Arrays that are NULL are not asked for.
struct bel_belief {
    uint64_t count;         // out: transitions
    uint8_t digest[16];     // out
    uint32_t task;          // out
    double *estimate_mean;  // the task it believes in, or NULL       (task_dim)
    double *estimate_sd;    // its spread, or NULL                    (task_dim)
    struct bel_head_belief heads[BEL_HEADS];
};

// One round trip; an estimate costs the daemon some hundred microseconds. BEL_UNSUPPORTED: an estimate of a
// model without landmarks.
BEL_EXPORT int bel_get_belief(struct bel_session *session, struct bel_belief *belief);

// ---- Learning -----------------------------------------------------------------------------------------------

// Which model a name or an alias stands for (NULL: the daemon's first), without provenance. Waits up to wait_ms for one
// with another revision than `unlike`, and then tells what it is still. It lives until the next bel_get_model.
// BEL_UNKNOWN_MODEL: there was none all the time.
BEL_EXPORT int bel_get_model(struct bel *bel, const char *name, uint64_t unlike, uint32_t wait_ms,
                             const struct bel_model **model);

// A model file, served from now on in place of the one of its name; `alias` stands for it. All of it or, with a sentence,
// nothing. learner: who learns under this alias; while that connection lives, others get BEL_LIMIT. BEL_INVALID: the
// file, or the alias; BEL_UNSUPPORTED: the daemon has no place for model files.
BEL_EXPORT int bel_publish(struct bel *bel, const char *alias, const char *learner, const void *file, size_t size);

struct bel_explored {
    uint64_t seq;                  // of its session
    const float *observation, *action, *next_observation;  // action: as it was told, drawn
    float reward;
    int first, last;               // begins, ends an episode
    uint32_t task;
    enum bel_status status;        // what became of it
};

// Where a learner is: the next page is of the first session with a number above `number`, its transitions above `seq`.
struct bel_cursor {
    uint64_t number, seq;
};

struct bel_page {
    uint64_t number;               // of its session among those that were finished
    const char *session;           // its name
    const char *model_digest;
    uint64_t count;                // transitions in its belief at the end
    uint8_t digest[16];            // of the belief then
    const struct bel_explored *transitions;  // (transition_count) by seq
    size_t transition_count;
    size_t observation_dim, action_dim;
    int more;                      // of this session; otherwise these were the last
};

struct bel_experience {
    const char *model;             // name or alias; sessions of models of that name are told
    const char *learner;           // as in bel_publish
    struct bel_cursor cursor;      // moves on with each page
    uint32_t wait_ms;              // for the first page, 10,000 at most; the others are what is there
    uint64_t forget;               // sessions up to this number are needed no more: the daemon deletes them. 0: none
    size_t credits;                // pages at most, asked for in one go
    // Each page, in order; what it points to lives during the call. A result that is not 0 ends bel_experience with it.
    int (*take)(void *context, const struct bel_page *page);
    void *context;
};

// The next pages of experience; 0 also if there were none. The cursor counts what was taken, whatever the result is, so
// the next call goes on there: nothing is lost and nothing told twice. *taken: how many. BEL_LIMIT: somebody else learns
// this model; BEL_UNSUPPORTED: the daemon keeps no log.
BEL_EXPORT int bel_experience(struct bel *bel, struct bel_experience *experience, size_t *taken);

// The number of the session that was finished last.
BEL_EXPORT int bel_newest(struct bel *bel, const char *model, const char *learner, uint64_t *number);

#ifdef __cplusplus
}
#endif
#endif
