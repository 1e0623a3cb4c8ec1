#pragma once
// A session as a SessionState message, and back: for Save, Restore, hand-over, and the experience log, where the last
// state and the transitions since make the session again. An exact belief is a set, so nothing here depends on the order
// in which things were written or come back; a recurrent one took its writer's transitions by ascending numbers, and
// that is how the log tells them.

#include "server.h"

#include "daemon/store/store.h"

enum { SESSION_STATE_VERSION = 1 };

// What a session looks like now. It points into the session and into its served model's scratch: good until either is
// used again.
struct portrait {
    struct wire_session_state state;
    struct wire_writer_state *writers;
    struct wire_bytes sums[AGENT_PARTS];
    uint8_t digest[WIRE_DIGEST_SIZE];
};
int portrait_init(struct portrait *portrait, const struct session *session);  // -ENOMEM
void portrait_release(struct portrait *portrait);

// Why a state was not taken.
struct state_fault {
    enum wire_error_code code;  // INVALID, UNKNOWN_MODEL, WRONG_MODEL, LIMIT
    char field[64];             // "state.observation"
    char message[160];
    uint64_t limit;
};
// A session made of a state, every field checked; in no table yet. NULL: *fault tells. A state of our own log may
// have more writers and gaps than the limits allow now (is_ours).
struct session *session_from_state(struct server *server, const struct wire_session_state *state, int is_ours,
                                   struct state_fault *fault);

// ---- Coming back from the log: recall, then replay every page of transitions, then ready. ----------------------------

// A session of the log, made of its row and its last state (bytes as store_put_state got them; NULL: none); in no table
// yet. served: its model. NULL with a sentence: damaged, no memory.
struct session *session_recall(struct server *server, const struct store_session *row, const uint8_t *state,
                               size_t state_size, struct served *served, char *why, size_t why_size);
// Transitions are wanted after this (writer, seq): moves it past what the session has seen. Begin with (0, 0).
void session_replay_skip(const struct session *session, uint32_t *writer, uint64_t *seq);
// Takes what it has not seen yet: those absorbed into the task that runs go into the belief. -EUCLEAN with a sentence:
// not what was written; -ENOMEM.
int session_replay(struct server *server, struct session *session, const struct store_transition *rows, size_t count,
                   char *why, size_t why_size);
// The writer, made if need be, with room for another number. NULL: no memory.
struct writer *session_writer_with_room(struct session *session, uint32_t id);
// All came; it may be put into the table.
void session_replay_end(struct session *session);
