#pragma once
// The ways into the protocol. A connection begins behind no door; its first bytes tell which: "PRI " is HTTP/2 and so
// gRPC, anything else is frames (that would be a frame of 1.3 GB). Both carry the same messages to the same
// handlers. A door knows no socket either: bytes that came are in connection->in, bytes to send go to
// connection->out.
//
// The frame door is frames.c; the gRPC door is grpc*.c on nghttp2.

#include "connection.h"

#include "proto/wire.h"

struct server;

struct door {
    const char *name;  // "frames", "grpc"
    int has_handles;   // a session that was opened is held by its connection, by a handle; otherwise it is named
    // Bytes came, or there is room again, or another turn: takes what is whole from connection->in and gives it to
    // request_take_message(), each if server_may_take() says so.
    void (*take)(struct server *server, struct connection *connection, uint64_t now_us);
    // The answer to what was taken as reply->request_id, which the door chose. Always succeeds; a connection that cannot
    // take it is dropped. (Frames: encoded into connection->out.)
    void (*reply)(struct server *server, struct connection *connection, const struct wire_envelope *reply);
    // Before sending: moves what waits inside the door into connection->out. NULL: nothing ever waits.
    void (*flush)(struct server *server, struct connection *connection);
    // Now and then (as server_tick), and when the earliest deadline of `next_us` has come. NULL: nothing to do.
    void (*tick)(struct server *server, struct connection *connection, uint64_t now_us);
    // No more requests will be taken, answers to those taken still go out (gRPC: GOAWAY). NULL: nothing.
    void (*drain)(struct server *server, struct connection *connection);
    void (*close)(struct connection *connection);  // frees connection->door_state. NULL: nothing to free
};

// By the first bytes of a connection; NULL: more of them are needed.
const struct door *door_of(const uint8_t *bytes, size_t size);

extern const struct door frame_door, grpc_door;
