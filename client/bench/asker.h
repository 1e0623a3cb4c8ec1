#pragma once
// A bare client of one session: it writes a request and reads the reply, the same few lines for every server, so
// that what is measured is the server. A server that refuses ends the program: its figure would be worth nothing.

#include "call.h"

#include "proto/wire.h"

enum { ASKER_FRAME = 4096 };

struct asker {
    const char *server;       // for sentences
    int fd;
    uint64_t seq, id;         // of its last request
    enum wire_kind kind;      // the same
    struct frame_buffer in;
    struct bench_call *call;  // NULL: frames
    char session[64];
};

// Connects to a Unix socket, opens a session and gives it its first observation.
void asker_join(struct asker *asker, const char *server, const char *path, int is_grpc);
void asker_leave(struct asker *asker);

// OPEN, ACT, STEP or PING (durable). One round trip, microseconds from the write until the reply is whole; over gRPC that
// is when its last trailer was taken apart.
double asker_ask(struct asker *asker, enum wire_kind kind);

// The same in pieces, for who has many of them: sends the next request; reads what came, and whether that was the reply.
void asker_send(struct asker *asker, enum wire_kind kind);
int asker_receive(struct asker *asker);
