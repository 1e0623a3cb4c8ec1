#pragma once
// The messages of belief.proto as plain C, for both ends of the wire.
//
// Meaning of each field: belief/v1/belief.proto and docs/wire.md. Here are only the shapes. The folder proto/ is
// the only one that sees the generated code; what protobuf needs while it decodes comes from the caller's
// arena, so that nothing is allocated on the heap. Values are not judged here (a NaN passes); their meaning is
// checked by who knows the session.

#include <stddef.h>
#include <stdint.h>

enum { WIRE_PROTOCOL = 1, WIRE_SESSION_LIMIT = 64, WIRE_DIGEST_SIZE = 16 };

// Field numbers of Envelope.body.
enum wire_kind {
    WIRE_NONE = 0,          // no body, or one that this version does not know
    WIRE_HELLO = 2,
    WIRE_OPEN,
    WIRE_STEP,
    WIRE_OBSERVE,
    WIRE_ACT,
    WIRE_RESET,
    WIRE_GET_BELIEF,
    WIRE_CLOSE,
    WIRE_PING,
    WIRE_SAVE,
    WIRE_RESTORE,
    WIRE_GET_MODEL,
    WIRE_EXPERIENCE,          // this and the next are of learners
    WIRE_PUBLISH_MODEL,
    WIRE_LIST_SESSIONS = 16,  // from here to WIRE_GET_METRICS: on the control socket only
    WIRE_LIST_MODELS,
    WIRE_LOAD_MODEL,
    WIRE_UNLOAD_MODEL,
    WIRE_ALIAS_MODEL,
    WIRE_RELOAD,
    WIRE_REBUILD,
    WIRE_SNAPSHOT,
    WIRE_HAND_OVER,
    WIRE_DRAIN,
    WIRE_GET_METRICS,
    WIRE_ERROR = 32,
    WIRE_WELCOME,
    WIRE_OPENED,
    WIRE_ACTION,
    WIRE_OBSERVED,
    WIRE_DONE,
    WIRE_BELIEF,
    WIRE_SESSION_STATE,
    WIRE_SESSION_LIST,
    WIRE_MODEL_LIST,
    WIRE_METRICS,
    WIRE_EXPERIENCED,
};

// A status or code that this version does not know keeps its number.
enum wire_status {
    WIRE_STATUS_NONE,
    WIRE_STATUS_ABSORBED,
    WIRE_STATUS_DUPLICATE,
    WIRE_STATUS_NOT_FINITE,
    WIRE_STATUS_OUT_OF_RANGE,
    WIRE_STATUS_OTHER_TASK,
    WIRE_STATUS_UNDURABLE,
    WIRE_STATUS_OUT_OF_ORDER,
    WIRE_STATUS_COUNT
};

enum wire_durability { WIRE_DURABILITY_OFF, WIRE_DURABILITY_INTERVAL, WIRE_DURABILITY_ALWAYS };
enum wire_role { WIRE_ROLE_NONE, WIRE_ROLE_ROBOT, WIRE_ROLE_LEARNER, WIRE_ROLE_OBSERVER, WIRE_ROLE_ADMIN };

enum wire_error_code {
    WIRE_UNKNOWN,
    WIRE_BAD_FRAME,
    WIRE_TOO_LARGE,
    WIRE_UNSUPPORTED,
    WIRE_INVALID,
    WIRE_UNKNOWN_SESSION,
    WIRE_UNKNOWN_MODEL,
    WIRE_FENCED,
    WIRE_OUT_OF_STEP,
    WIRE_LIMIT,
    WIRE_DRAINING,
    WIRE_INTERNAL,
    WIRE_IDLE,
    WIRE_PERMISSION,
    WIRE_UNAUTHENTICATED,
    WIRE_MOVED,
    WIRE_UNDURABLE,
    WIRE_DEADLINE,
    WIRE_BUSY,
    WIRE_WRONG_MODEL,
    WIRE_RATE,
};

enum wire_scope { WIRE_EPISODE, WIRE_TASK };

struct wire_floats {
    const float *values;
    size_t count;
};

struct wire_doubles {
    const double *values;
    size_t count;
};

struct wire_bytes {
    const uint8_t *bytes;
    size_t size;
};

// Strings end with 0 and are never NULL after decoding; for encoding NULL is the empty string.
// A digest is WIRE_DIGEST_SIZE bytes (or none): the two words of a struct digest, little-endian.

struct wire_hello {
    const char *client, *token;
};

struct wire_model {
    const char *name, *world, *digest;
    uint32_t observation_dim, action_dim, task_dim;
    struct wire_floats action_low, action_high, action_log_sd;
    uint32_t transition_features, reward_features;
    const char *provenance;
    uint64_t revision;
    const char *kind;
    int discrete;
};

struct wire_welcome {
    const char *server;
    uint32_t protocol;
    const struct wire_model *models;
    size_t model_count;
    uint32_t max_frame_bytes, max_in_flight;
    const char *identity;
    enum wire_role role;
    enum wire_durability durability;
};

struct wire_open {
    const char *session, *model;
    int hold_prior;
    uint64_t epoch;                  // 0: whatever it is
    uint64_t opener;
    int explore;
    struct wire_floats told_task;    // count 0: none
};

struct wire_opened {
    uint32_t handle;
    uint64_t epoch;
    int resumed;
    uint32_t task;
    uint64_t seq, count;
    struct wire_bytes digest;
    const struct wire_model *model;  // NULL: absent
    uint64_t durable_seq;
    enum wire_durability durability;
};

struct wire_step {
    uint32_t handle;
    uint64_t seq;
    uint32_t task;
    struct wire_floats observation;
    float reward;
    struct wire_floats action;       // count 0: what the last reply told
    int last;
    const char *session;
    uint64_t epoch;
};

struct wire_act {
    uint32_t handle;
    uint64_t seq;
    struct wire_floats observation;
    const char *session;
    uint64_t epoch;
};

struct wire_action {
    uint64_t seq;
    struct wire_floats action;
    enum wire_status status;
    uint64_t count;
    struct wire_bytes digest;
    uint32_t task;
    double reward_p, transition_p;
    uint32_t queue_us, compute_us;
    uint64_t durable_seq;
};

struct wire_transition {
    uint64_t seq;
    struct wire_floats observation, action;
    float reward;
    struct wire_floats next_observation;
    int first, last;                 // from here: in Experienced only
    uint32_t task;
    enum wire_status status;
};

struct wire_observe {
    uint32_t handle, writer, task;
    const struct wire_transition *transitions;
    size_t transition_count;
    const char *session;
    uint64_t epoch;
};

struct wire_observed {
    const enum wire_status *status;
    size_t status_count;
    uint64_t count;
    struct wire_bytes digest;
};

struct wire_reset {
    uint32_t handle;
    enum wire_scope scope;
    uint32_t task;
    const char *session;
    uint64_t epoch;
    struct wire_floats told_task;    // count 0: none
};

struct wire_done {
    uint32_t task;
    uint64_t count;
    struct wire_bytes digest;
};

struct wire_get_belief {
    uint32_t handle;
    int sums, weights, estimate;
    const char *session;
    uint64_t epoch;
};

struct wire_head {
    const char *name;
    uint32_t features, targets;
    double log_evidence;
    struct wire_doubles mean, variance, noise;
    struct wire_bytes sums;
};

struct wire_belief {
    uint64_t count;
    struct wire_bytes digest;
    uint32_t task;
    const struct wire_head *heads;
    size_t head_count;
    struct wire_doubles estimate_mean, estimate_sd;
};

struct wire_close {
    uint32_t handle;
    int forget;
    const char *session;
    uint64_t epoch;
    int finish;
};

struct wire_error {
    enum wire_error_code code;
    const char *field, *message;
    uint64_t limit;
    const char *address;             // WIRE_MOVED
};

struct wire_ping {
    int durable;
};

struct wire_save {
    const char *session;
};

struct wire_seen {
    const uint64_t *numbers;         // first, last, first, last, ...
    size_t count;                    // of numbers
};

struct wire_writer_state {
    uint32_t writer;
    struct wire_seen seen;
};

struct wire_session_state {
    uint32_t version;
    const char *session, *identity, *model, *model_digest;
    uint64_t epoch;
    uint32_t task;
    uint64_t seq, last_transition;
    int standing, hold_prior;
    struct wire_floats observation, action;
    const struct wire_writer_state *writers;
    size_t writer_count;
    const struct wire_bytes *sums;   // one for each head
    size_t sums_count;
    uint64_t count;
    struct wire_bytes digest;
    uint64_t duplicates, refused;
    uint64_t opener;
    uint32_t hand_overs;
    struct wire_floats told_task;
};

struct wire_restore {
    const struct wire_session_state *state;  // NULL: absent
};

enum wire_place { WIRE_LIVE, WIRE_IDLE_PLACE, WIRE_SPILLED, WIRE_MOVED_PLACE };

struct wire_session_info {
    const char *session, *model, *model_digest, *identity;
    enum wire_place place;
    uint64_t epoch;
    uint32_t task;
    uint64_t seq, count;
    struct wire_bytes digest;
    uint64_t durable_seq, duplicates, gaps, refused, silent_ms;
    const char *peer;
    double last_reward_p;
    const char *kind;
    uint32_t loop;
    struct wire_floats told_task;
};

struct wire_list_sessions {
    const char *after;
    uint32_t limit;
    const char *session;
};

struct wire_session_list {
    const struct wire_session_info *sessions;
    size_t session_count;
    int more;
};

struct wire_load_model {
    struct wire_bytes file;
};

struct wire_unload_model {
    const char *model;
};

struct wire_alias {
    const char *alias, *model;
};

struct wire_use {
    const char *digest;
    uint64_t sessions;
    int serving;
};

struct wire_model_list {
    const struct wire_model *models;
    size_t model_count;
    const struct wire_alias *aliases;
    size_t alias_count;
    const struct wire_use *uses;
    size_t use_count;
    const char *const *refused;
    size_t refused_count;
};

struct wire_rebuild {
    const char *session;
};

enum wire_phase { WIRE_FREEZE, WIRE_CONFIRM, WIRE_THAW };

struct wire_hand_over {
    const char *session;
    enum wire_phase phase;
    const char *to;
};

struct wire_get_model {
    const char *model;
    uint32_t wait_ms;
    uint64_t unlike;
};

struct wire_experience {
    const char *model, *learner;
    int follow;
    uint64_t after, seq;
    int newest;
    uint32_t wait_ms;
    uint64_t forget;
};

struct wire_experienced {
    uint64_t number;
    const char *session, *model_digest;
    uint64_t count;
    struct wire_bytes digest;
    const struct wire_transition *transitions;
    size_t transition_count;
    int more;
};

struct wire_publish_model {
    struct wire_bytes file;
    const char *alias, *learner;
};

struct wire_metrics {
    const char *text;
};

struct wire_envelope {
    uint64_t request_id;
    enum wire_kind kind;
    union {
        struct wire_hello hello;
        struct wire_open open;
        struct wire_step step;
        struct wire_observe observe;
        struct wire_act act;
        struct wire_reset reset;
        struct wire_get_belief get_belief;
        struct wire_close close;
        struct wire_ping ping;
        struct wire_save save;
        struct wire_restore restore;
        struct wire_list_sessions list_sessions;
        struct wire_load_model load_model;
        struct wire_unload_model unload_model;
        struct wire_alias alias_model;
        struct wire_rebuild rebuild;
        struct wire_hand_over hand_over;
        struct wire_error error;
        struct wire_welcome welcome;
        struct wire_opened opened;
        struct wire_action action;
        struct wire_observed observed;
        struct wire_done done;
        struct wire_belief belief;
        struct wire_session_state session_state;
        struct wire_session_list session_list;
        struct wire_model_list model_list;
        struct wire_metrics metrics;
        struct wire_get_model get_model;
        struct wire_experience experience;
        struct wire_experienced experienced;
        struct wire_publish_model publish_model;
    };
};

// Memory for one message at a time; what was decoded lives until the arena is reset. `memory` is the caller's.
struct wire_arena {
    uint8_t *memory;
    size_t size, used;
};

static inline void wire_arena_init(struct wire_arena *arena, void *memory, size_t size)
{
    *arena = (struct wire_arena){memory, size, 0};
}
static inline void wire_arena_reset(struct wire_arena *arena) { arena->used = 0; }

// Arena bytes that are enough to decode or encode a message of `size` bytes with vectors of numbers and at most
// `parts` parts (transitions, models, heads, writers, sums, sessions, aliases, uses; 100 statuses or numbers of a
// seen set count as one).
size_t wire_arena_bound(size_t size, size_t parts);

// Decodes the body of one frame (without its length). Everything pointed to lives in the arena.
// -EBADMSG: not an Envelope; -ENOMEM: the arena is too small. Then *envelope is not to be read.
int wire_decode(struct wire_envelope *envelope, const uint8_t *bytes, size_t size, struct wire_arena *arena);

// Writes one whole frame, its length first. Returns the frame's size in bytes; if that is more than `room`, then
// nothing was written (so room 0 measures). -ENOMEM: the arena is too small (only messages with lists of parts use it:
// Observe, Observed, Welcome, Belief, SessionState, Restore, SessionList, ModelList, Experienced); -EMSGSIZE: more than a length can tell; -EINVAL: no such kind.
long wire_encode(uint8_t *out, size_t room, const struct wire_envelope *envelope, struct wire_arena *arena);

// One message without its Envelope, as gRPC carries it and the experience log keeps it. kind: what it is.
// request_id stays as it was. Errors as of wire_decode; -EINVAL: no such kind.
int wire_decode_body(struct wire_envelope *envelope, enum wire_kind kind, const uint8_t *bytes, size_t size,
                     struct wire_arena *arena);
// The message within a whole frame that wire_encode wrote: where it starts, and its size.
struct wire_bytes wire_body(const uint8_t *frame, size_t size);

const char *wire_status_name(enum wire_status status);        // "absorbed"; else "unknown"
const char *wire_error_name(enum wire_error_code code);       // "OUT_OF_STEP"; else "UNKNOWN"
