#pragma once
// One connected socket: moves bytes between libuv, TLS if the listener has it, and the protocol.

#include "server.h"
#include "tls.h"

#include <uv.h>

struct listener;
struct loop;

// A socket in libuv, of either kind.
union socket_handle {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
};

struct client {
    union socket_handle uv;
    struct loop *loop;
    struct connection *connection;  // NULL once closing
    struct tls *tls;                // NULL: bytes go as they are
    uv_timer_t decrypt_on;          // with TLS: bytes of the last turn were left over
    struct client *previous, *next; // all clients
    int handles;                    // of libuv, still open
    int is_remote;                  // over TCP: has to ask something soon
    int known;                      // with TLS: who is there has been looked up
    counter *counted;               // the gauge of connections that this one is in; NULL: not yet
    int reading;                    // uv_read_start is in force
    int writing;                    // `sending` is with libuv
    int ended;                      // the peer sends no more
    uint64_t since_us;              // when it connected
    uint64_t linger_until_us;       // said our last words; waiting for the peer to close. 0: not yet
    struct frame_buffer sending;
    uv_write_t write;
    uv_shutdown_t shutdown;
};

// Serves the connection fd, which it owns from now on, on this loop. loop->client_count has counted it already and
// counts it until it is closed.
void client_start(struct loop *loop, int fd, const struct listener *listener);
// Sends what the connection holds, and ends it when it is through.
void client_flush(struct client *client);
void client_close(struct client *client);
// Now and then: closes one that had time enough to read our last words, or to ask something.
void client_check(struct client *client, uint64_t now_us);
