#pragma once
// A connection as the protocol sees it: who is there, bytes that came, replies that wait to be sent, handles of
// sessions. It knows no socket.

#include "identity.h"
#include "limits.h"

#include "proto/frame.h"
#include "proto/wire.h"

struct door;
struct session;

// Who connected, as the listener found out.
struct peer {
    const char *text;              // for the log: "unix:4711", "127.0.0.1:5000"
    struct identity identity;      // ROLE_NONE: has yet to say who it is (Hello.token, or metadata)
    int is_control;                // came over the control socket: an operator
};

// Moved by connection_move alone.
enum connection_state {
    CONNECTION_SERVING,  // requests are taken and answered
    CONNECTION_BLOCKED,  // its replies are not being taken; no request is taken until they are
    CONNECTION_CLOSING,  // last words go out; what comes in is dropped
    CONNECTION_DROPPED,  // to be closed at once, with nothing more to say
};

enum slot_state {
    SLOT_FREE,
    SLOT_HELD,    // the session is here and this connection's
    SLOT_AWAY,    // it left this server's memory (another loop, the disk) and comes back when it is asked for
    SLOT_FENCED,
};

// A handle is generation << 16 | index + 1, so that a stale one never names a later session.
struct slot {
    enum slot_state state;
    uint32_t handle;
    struct session *session;  // while held
    char name[WIRE_SESSION_LIMIT + 1];  // of the session, while away
    uint64_t epoch;                     // the same
};

// CONNECTION_ENDED: the peer sends no more. CONNECTION_LEAVING: we take leave of it.
enum connection_ending { CONNECTION_ENDED = 1, CONNECTION_LEAVING };

enum connection_list_kind { LIST_OUTPUT, LIST_BACKLOG, LIST_COUNT };

struct connection {
    enum connection_state state;
    uint64_t state_since_us;
    uint64_t heard_us;             // when its last whole request was taken
    char peer[64];                 // for the log
    struct identity identity;      // who sends; a door that learns it with each request sets it before it is taken
    int is_control;
    const struct door *door;       // NULL: its first bytes will tell
    void *door_state;              // the door's own
    int door_holds_output;         // it has more to send than `out` holds
    struct frame_buffer in, out;
    size_t promised;               // bytes of `out` that replies which are under way will take
    size_t waiting;                // its requests in the waiting batches
    size_t deferred;               // its replies that wait for the disk
    size_t parked;                 // its requests that wait for a session to come
    int ending;                    // when none of these is left: CONNECTION_ENDED, CONNECTION_LEAVING
    size_t taken;                  // requests taken in turn number taken_turn
    uint64_t taken_turn;
    struct slot *slots;
    size_t slot_count;
    struct connection *previous, *next;        // all connections
    struct connection *list_next[LIST_COUNT];  // those with output, those with requests left over
    int listed[LIST_COUNT];
    int held_back;                 // has requests left over, and as many that wait as it may
    int over_limit;                // came when all places were taken; only told so
    void *owner;                   // whoever moves the bytes
};

struct connection *connection_new(const struct limits *limits, size_t output_base, size_t output_limit,
                                  const struct peer *peer, uint64_t now_us);
void connection_free(struct connection *connection);
void connection_move(struct connection *connection, enum connection_state state, uint64_t now_us);

// A slot for a session, or NULL: `limit` are held, or no memory.
struct slot *connection_take_slot(struct connection *connection, size_t limit);
struct slot *connection_slot(struct connection *connection, uint32_t handle);  // NULL: never given, or closed
void slot_release(struct slot *slot);

static inline int connection_has_output(const struct connection *c) { return frame_buffer_size(&c->out) > 0; }
// Should bytes be read from it?
static inline int connection_wants_input(const struct connection *c)
{
    return c->state == CONNECTION_CLOSING ||
           (c->state == CONNECTION_SERVING && !c->listed[LIST_BACKLOG] && !c->held_back);
}
