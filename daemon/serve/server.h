#pragma once
// The protocol of the daemon, without a socket: bytes in, bytes out, time as an argument.
//
//     connection = server_connect(server, &peer, now)
//     each turn of the loop:
//         for each connection with bytes:  server_input() ... server_received(server, connection, size, now)
//         server_turn(server, now)                     the batch: one feature pass, one policy pass
//         while ((connection = server_next_output(server)))  send what it holds, then server_sent()
//
// Requests other than Step and Act are answered when they are read; Steps and Acts wait for the end of the turn
// and are answered together. Replies of one connection come in the order of its requests, except that Steps to
// different models may overtake each other, and that what waits for the disk or for a session to come is overtaken by
// what needs neither.
//
// One thread. After a connection and its sessions are set up, a step allocates nothing.

#include "connection.h"
#include "house.h"
#include "metrics.h"
#include "served.h"
#include "session.h"

#define SERVER_NAME "beliefd " BELIEFD_VERSION

struct connection_list {
    struct connection *first, *last;
};

struct server {
    struct house *house;
    size_t index;                       // among the house's servers
    struct limits limits;
    uint64_t (*clock_us)(void);         // for the stage times in replies only
    struct serving serving;             // models
    enum wire_durability durability;
    struct store_queue *queue;          // into the experience log; NULL: there is none
    uint64_t position, wanted;          // of the last record put into it; up to which it was asked to hurry
    struct frame_buffer deferred;       // replies that wait for it (durable.c)
    struct session_table sessions;
    struct arrivals *arrivals;          // sessions on their way (arrival.c)
    struct ticket *tickets;             // requests that wait for something slow (ticket.h)
    struct awaited *awaited;            // of them, those for a model (request_learn.c)
    struct feed *feeds;                 // of connections that ask for experience (experience.c)
    struct guest *guests;               // identities that have a rate (permission.h)
    struct metrics metrics;
    struct connection *first;           // all connections
    size_t connection_count;            // those within the limit
    size_t over_limit_count;
    struct connection_list lists[LIST_COUNT];
    uint64_t turn;
    int draining;
    size_t output_base, output_limit;   // of a connection's buffer
    size_t welcome_bound, error_bound;  // bytes of the largest frame of these kinds
    size_t action_bound, opened_bound, belief_bound;
    struct wire_arena arena;            // of the message being decoded
    struct wire_arena encode_arena;     // of the reply being encoded
    struct seen_range *ranges;          // for trying an Observe (gaps + 1 + OBSERVE_LIMIT)
    enum wire_status *statuses;         // (OBSERVE_LIMIT)
};

// One of the house's servers, 0 to house->options.servers - 1. The house outlives it. -ENOMEM with a sentence.
int server_new(struct server **server, struct house *house, size_t index, char *why, size_t why_size);
void server_free(struct server *server);

// What other loops and the experience log sent. To be called when the house's wake asks for it.
void server_take_mail(struct server *server, uint64_t now_us);

// A new connection. When all places are taken it is told so and closed. NULL: no memory, or far too many.
struct connection *server_connect(struct server *server, const struct peer *peer, uint64_t now_us);
// The peer is gone. What it had asked before is still done; its sessions wait for the next Open.
void server_disconnect(struct server *server, struct connection *connection, uint64_t now_us);

// Where the next bytes go, and how many fit (never 0). NULL: no memory.
uint8_t *server_input(struct connection *connection, size_t *room);
void server_received(struct server *server, struct connection *connection, size_t size, uint64_t now_us);

// The peer will send no more: what it asked is answered, then the connection closes.
void server_ended(struct server *server, struct connection *connection, uint64_t now_us);

// The end of a turn. Requests may be left for the next one, which then should not wait for bytes.
void server_turn(struct server *server, uint64_t now_us);
// Are there replies that wait for the disk?
static inline int server_is_waiting(const struct server *s) { return frame_buffer_size(&s->deferred) > 0; }
static inline int server_has_backlog(const struct server *s) { return s->lists[LIST_BACKLOG].first != NULL; }

// The connections that have something to send or are to be closed, each once per turn; NULL: no more. A CLOSING
// one without output, and a DROPPED one, is the caller's to disconnect.
struct connection *server_next_output(struct server *server);
// The first `size` bytes of connection->out were taken.
void server_sent(struct server *server, struct connection *connection, size_t size, uint64_t now_us);
// The socket takes no more: hands over what is held, to be sent in the background, and blocks the
// connection until server_unblock. -ENOMEM.
int server_block(struct server *server, struct connection *connection, struct frame_buffer *held, uint64_t now_us);
void server_unblock(struct server *server, struct connection *connection, uint64_t now_us);

// Now and then: idle connections and sessions, slow readers, states into the log.
void server_tick(struct server *server, uint64_t now_us);

// From now on nobody may open a session; all that is in memory goes into the log.
void server_drain(struct server *server);
// Takes leave of all connections.
void server_farewell(struct server *server, uint64_t now_us);

// For the files of this folder.
// May a door take another request from it now? If not, it is taken up again by the door's `take` when it may.
int server_may_take(struct server *server, struct connection *connection);
// One of its requests that waited (for the disk, for a session) does not wait any more.
void server_waited(struct server *server, struct connection *connection, uint64_t now_us);
// States of sessions into the log: of all that have anything new, or (`due`) of those whose last is old, no more than
// `limit`. Returns how many.
size_t server_snapshot(struct server *server, int due, size_t limit);
// The session is about to leave this server's memory: who holds it by handle finds it again by its name.
void server_let_go(struct session *session);
void server_list_add(struct server *server, enum connection_list_kind kind, struct connection *connection);
// One reply, through the connection's door.
void server_reply(struct server *server, struct connection *connection, const struct wire_envelope *reply);
