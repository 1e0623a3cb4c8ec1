#pragma once
// The gRPC door from inside. nghttp2 speaks HTTP/2 and knows no socket either; above it is what gRPC adds: calls.
//
//     grpc.c             the door: when bytes come, when they go, time, drain
//     grpc_http2.c       nghttp2's callbacks: frames and metadata become calls
//     grpc_call.c        a call on its way in: messages in any cut, one at a time to their handler
//     grpc_reply.c       ... and out: messages, then trailers with a status
//     grpc_method.c, grpc_text.c, grpc_health.c, grpc_reflection.c
//
// Memory. A stream may send STREAM_WINDOW bytes that nobody has taken; only one call of a connection at a time may send a
// message larger than that. Replies that the peer does not take stay in their calls, counted in `held`; beyond the
// server's output_limit no request is taken, though bytes are still read, for they may open windows. A call that stalls
// ends by its deadline or as a slow reader.

#include "grpc_method.h"
#include "grpc_order.h"
#include "grpc_text.h"
#include "server.h"

#include "proto/rpc.h"

#include <nghttp2/nghttp2.h>

enum {
    GRPC_PREFIX = 5,                      // bytes before a message: compressed flag, length
    GRPC_STREAM_WINDOW = 16 * 1024,       // a Step is less than 1 KB
    GRPC_CONNECTION_WINDOW = 1 << 20,
    GRPC_CALL_BUFFER = 1024,              // bytes that a call holds each way without allocating
    GRPC_POOL = 32,                       // calls that are kept for the next ones
    GRPC_REPLIES_AHEAD = 16 * 1024,       // bytes of a stream's replies that wait while it may still ask
    GRPC_TOKEN_LIMIT = 512,
    GRPC_TRACE_LIMIT = 64,
};

// Moved by grpc_call_move alone.
enum grpc_call_state {
    CALL_HEADERS,   // its metadata comes
    CALL_OPEN,      // its message comes
    CALL_READY,     // a whole message waits until it is taken
    CALL_ASKED,     // taken; the answer is under way
    CALL_ENDED,     // its status is said; nothing more is taken
};

// What metadata told of a call, until it is complete.
enum grpc_fault { FAULT_NONE, FAULT_METADATA, FAULT_TIMEOUT, FAULT_ENCODING, FAULT_SIZE };

struct grpc_call {
    struct grpc_call *previous, *next;    // the connection's calls; in the pool only next
    struct grpc_call *next_ready;
    int32_t stream;
    enum grpc_call_state state;
    const struct grpc_method *method;     // NULL: no such path
    uint64_t since_us;                    // when it began; of an ended one, when its replies last moved
    uint64_t deadline_us;                 // 0: none
    struct identity identity;             // who calls
    struct frame_buffer in, out;          // messages with their prefixes
    size_t messages;                      // taken so far
    int remote_closed, headers_sent;
    int wide;                             // its window was made larger, for a message that needs it

    size_t header_bytes;                  // as HTTP/2 counts them
    enum grpc_fault fault;
    int is_post, is_grpc, has_timeout;
    uint64_t timeout_us;
    char token[GRPC_TOKEN_LIMIT + 1];     // bearer; empty: none
    char trace[GRPC_TRACE_LIMIT + 1];     // traceparent, for the log

    int is_plain;                         // answered as HTTP, for it is not gRPC
    uint32_t told;                        // Watch: what it was told last, enum rpc_health
    enum grpc_code code;                  // ended: how, and
    struct wire_error error;              // why, with copies of its texts:
    char field[64], message[256], address[160];
};

struct grpc {
    struct server *server;
    struct connection *connection;
    nghttp2_session *http2;
    struct grpc_order order;
    struct identity identity;             // the connection's, for calls without a token
    uint64_t now_us, born_us;
    uint64_t heard_us;                    // when bytes came last
    uint64_t ping_us;                     // when our PING went that is not answered; 0: none
    struct grpc_call *calls, *pool;
    size_t call_count, pool_count;
    struct grpc_call *first_ready, *last_ready;
    struct grpc_call *large;              // the one that may send more than STREAM_WINDOW
    size_t held;                          // bytes of replies in calls
    double patience;                      // with frames that are no work; below 0 the connection ends
    uint64_t patience_us;                 // when it was filled last
    uint64_t updates;                     // WINDOW_UPDATEs that answer DATA which was sent
    int greeted;                          // the peer's SETTINGS came
    int taking;                           // in door_take, which will look at the ready ones
    int made_room;                        // replies left since
    int draining;
};

// ---- grpc_http2.c ----------------------------------------------------------------------------------------------------

int grpc_http2_open(struct grpc *grpc);   // -ENOMEM
// GOAWAY with a sentence; what was taken is still answered.
void grpc_http2_goaway(struct grpc *grpc, uint32_t http2_code, const char *message);
// A frame that is no work. Too many, and the connection ends (ENHANCE_YOUR_CALM).
void grpc_spend_patience(struct grpc *grpc);
void grpc_earn_patience(struct grpc *grpc, double frames);

// ---- grpc_call.c -----------------------------------------------------------------------------------------------------

struct grpc_call *grpc_call_open(struct grpc *grpc, int32_t stream);  // NULL: no memory
void grpc_call_close(struct grpc *grpc, struct grpc_call *call);      // the stream is gone
void grpc_calls_free(struct grpc *grpc);
struct grpc_call *grpc_call_of(struct grpc *grpc, int32_t stream);    // NULL: gone
void grpc_call_move(struct grpc *grpc, struct grpc_call *call, enum grpc_call_state state);
// Its metadata is complete: may it be?
void grpc_call_begin(struct grpc *grpc, struct grpc_call *call);
void grpc_call_receive(struct grpc *grpc, struct grpc_call *call, const uint8_t *bytes, size_t size);
// Something changed: is a message whole that can be taken, has it ended?
void grpc_call_look(struct grpc *grpc, struct grpc_call *call);
// Takes the first message that is ready. 0: there is no room for its reply yet.
int grpc_take_ready(struct grpc *grpc);

// ---- grpc_reply.c ----------------------------------------------------------------------------------------------------

// A reply that waits to be sent. A call whose method is unary is ended by it.
void grpc_call_reply(struct grpc *grpc, struct grpc_call *call, const struct wire_envelope *reply);
// Room for one message of at most `size` bytes, to be sent by grpc_call_push with its true size. NULL: no memory; the
// call failed.
uint8_t *grpc_call_room(struct grpc *grpc, struct grpc_call *call, size_t size);
void grpc_call_push(struct grpc *grpc, struct grpc_call *call, size_t size);
void grpc_call_end(struct grpc *grpc, struct grpc_call *call);        // with status OK, after its replies
void grpc_call_fail(struct grpc *grpc, struct grpc_call *call, const struct wire_error *error);
__attribute__((format(printf, 6, 7)))
void grpc_call_refuse(struct grpc *grpc, struct grpc_call *call, enum wire_error_code code, const char *field,
                      uint64_t limit, const char *format, ...);
// An answer to who does not speak gRPC, with a sentence for people.
void grpc_call_answer_plainly(struct grpc *grpc, struct grpc_call *call, const char *status, const char *text);
// A frame of it that ends the stream went out.
void grpc_call_said_all(struct grpc *grpc, struct grpc_call *call);

// ---- grpc_health.c ---------------------------------------------------------------------------------------------------

// Tells those who watch, if something changed.
void grpc_health_tell(struct grpc *grpc);
