#pragma once
// A client inside the test: a server without sockets, connections to it, one message at a time. Requests are
// encoded and replies decoded as any client does it.

#include "daemon/serve/server.h"
#include "tests/agent/sample.h"

enum { PEER_BUFFER = 1 << 20 };

struct caller {
    struct server *server;
    struct connection *connection;
    uint64_t next_id;
    uint8_t *bytes;                  // replies received               (PEER_BUFFER)
    size_t held;
    struct wire_arena arena;         // of the reply that was decoded last
};

extern uint64_t peer_now_us;         // the time that all see
uint64_t peer_clock_us(void);

extern const struct limits peer_limits;  // generous
extern const struct peer peer_robot;     // connects as anybody does without identities

// In a house of its own, which owns the models from now on.
struct server *peer_server(struct model *const *models, size_t count, const struct limits *limits);
void peer_server_free(struct server *server);
struct caller peer_connect(struct server *server);  // as peer_robot
struct caller peer_connect_as(struct server *server, const struct peer *who);
void peer_free(struct caller *peer);   // and disconnects, if still connected

void peer_bytes(struct caller *peer, const void *bytes, size_t size);     // arrives; no turn yet
void peer_send(struct caller *peer, struct wire_envelope request);        // the same for a message, with the next id
// Ends turns until nothing is left over, and takes what each connection has to say (peers not in `peers` are not
// read from).
void peer_turn(struct server *server, struct caller *const *peers, size_t count);
int peer_reply(struct caller *peer, struct wire_envelope *reply);         // 1: the next one; 0: none
struct wire_envelope peer_answer(struct caller *peer, enum wire_kind kind);  // the next one; it must be of that kind
struct wire_envelope peer_ask(struct caller *peer, struct wire_envelope request);  // send, turn, the reply
struct wire_error peer_refused(struct caller *peer, struct wire_envelope request, enum wire_error_code code,
                               const char *field);

// Sessions of a sample model, and a robot with a reproducible life: what it sees depends on seed and seq alone.
struct wire_opened peer_open(struct caller *peer, const char *session, const char *model);
struct robot {
    const struct model *model;
    uint64_t seed;
    float observation[64], next[64], action[16], reward;
};
void robot_live(struct robot *robot, uint64_t seq);  // fills: the transition that leads to observation seq
struct wire_envelope robot_act(struct robot *robot, uint32_t handle, uint64_t seq);
struct wire_envelope robot_step(struct robot *robot, uint32_t handle, uint64_t seq);
