#pragma once
// A gRPC client inside the test: nghttp2 on one side, a connection of a server without sockets on the other. Beside
// what a good client does it can send any bytes, keep its windows shut and end where it likes.

#include "fixture.h"

#include <nghttp2/nghttp2.h>

enum { GRPC_CALLS = 600, GRPC_HEARD = 1 << 18 };

struct grpc_heard {                   // of one call
    int32_t stream;
    int http_status, grpc_status;     // -1: not told
    int closed;
    uint32_t reset;                   // error code of the RST_STREAM, or of the close
    int was_reset;
    char message[512], details[2048], type[64], encodings[64];
    uint8_t *body;                    // DATA, prefixes and all
    size_t size, read;                // read: by grpc_answer
    uint8_t *sending;                 // what is to go
    size_t to_send, sent;
    int ends;
    struct grpc_peer *peer;
};

struct grpc_peer {
    struct caller caller;
    nghttp2_session *http2;
    struct grpc_heard *calls;
    size_t call_count;
    int goaways, pings, acknowledged_pings, gone;  // gone: the connection was closed by the server
    uint32_t goaway_code;
    char goaway_message[128];
    int is_raw;                       // frames are made by hand; nghttp2 is out of it
    uint8_t *raw;
    size_t raw_size;
    int raw_headers, raw_resets;      // frames heard since then
    size_t cut;                       // bytes at a time to the server; 0: all at once
    uint8_t *record;                  // all that was sent to the server; written to files on request
    size_t recorded;
    struct wire_arena arena;
};

extern const struct limits grpc_limits;   // peer_limits, and those of gRPC

// A connection with its preface and SETTINGS on the way. window: of streams, what the server may send (65535 as a rule).
struct grpc_peer *grpc_connect(struct server *server, uint32_t window);
void grpc_free(struct grpc_peer *peer);

// Moves bytes and ends turns until nothing moves.
void grpc_pump(struct grpc_peer *peer);
// Bytes to the server, not from nghttp2.
void grpc_bytes(struct grpc_peer *peer, const void *bytes, size_t size);
// A frame made by hand.
void grpc_frame(struct grpc_peer *peer, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t size);

struct grpc_field { const char *name, *value; };
// Begins a POST to a path with the usual metadata and `more` (ends with a NULL name; may be NULL). Fields of `more` take the
// place of usual ones of the same name; an empty value leaves one out.
struct grpc_heard *grpc_begin(struct grpc_peer *peer, const char *path, const struct grpc_field *more);
void grpc_say(struct grpc_heard *call, const void *bytes, size_t size);   // raw
void grpc_say_message(struct grpc_heard *call, const struct wire_envelope *message);
void grpc_say_end(struct grpc_heard *call);
void grpc_cancel(struct grpc_heard *call, uint32_t code);

// A whole unary call: begun, said, ended and pumped.
struct grpc_heard *grpc_call(struct grpc_peer *peer, const char *path, const struct wire_envelope *message,
                             const struct grpc_field *more);
// The next message of its body. 0: there is none (yet).
int grpc_answer(struct grpc_heard *call, enum wire_kind kind, struct wire_envelope *answer);
// The call was answered with OK and one message of that kind.
struct wire_envelope grpc_answered(struct grpc_heard *call, enum wire_kind kind);
// The call has that status, and an Error with that code and field in its details.
struct wire_error grpc_failed(struct grpc_heard *call, int grpc_status, enum wire_error_code code, const char *field);

// The robot's requests, naming the session.
struct wire_envelope grpc_act(struct robot *robot, const char *session, uint64_t epoch, uint64_t seq);
struct wire_envelope grpc_step(struct robot *robot, const char *session, uint64_t epoch, uint64_t seq);
// Opens a session. Its epoch.
uint64_t grpc_open(struct grpc_peer *peer, const char *session);
