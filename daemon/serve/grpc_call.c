// Calls on their way in; the contract is in grpc.h.
#include "grpc.h"

#include "door.h"
#include "house_internal.h"
#include "log.h"
#include "permission.h"
#include "requests.h"

#include <stdlib.h>
#include <string.h>

// ---- Life ------------------------------------------------------------------------------------------------------------

static struct grpc_call *call_new(const struct limits *limits)
{
    struct grpc_call *call = calloc(1, sizeof *call);
    if (call && !frame_buffer_init(&call->in, GRPC_CALL_BUFFER,
                                   GRPC_PREFIX + limits->frame_bytes + 2 * GRPC_STREAM_WINDOW) &&
        !frame_buffer_init(&call->out, GRPC_CALL_BUFFER, 2 * (GRPC_CALL_BUFFER + limits->frame_bytes)))
        return call;
    if (call)
        frame_buffer_release(&call->in);
    free(call);
    return NULL;
}

static void call_free(struct grpc_call *call)
{
    frame_buffer_release(&call->in);
    frame_buffer_release(&call->out);
    free(call);
}

struct grpc_call *grpc_call_open(struct grpc *grpc, int32_t stream)
{
    struct grpc_call *call = grpc->pool;
    if (call) {
        grpc->pool = call->next;
        grpc->pool_count--;
        struct frame_buffer in = call->in, out = call->out;
        memset(call, 0, offsetof(struct grpc_call, field));
        call->in = in;
        call->out = out;
    } else if (!(call = call_new(&grpc->server->limits))) {
        return NULL;
    }
    call->stream = stream;
    call->since_us = grpc->now_us;
    call->identity = grpc->identity;
    call->next = grpc->calls;
    if (grpc->calls)
        grpc->calls->previous = call;
    grpc->calls = call;
    grpc->call_count++;
    return call;
}

static void leave_ready(struct grpc *grpc, struct grpc_call *call)
{
    struct grpc_call *before = NULL;
    for (struct grpc_call *c = grpc->first_ready; c != call; c = c->next_ready)
        before = c;
    if (before)
        before->next_ready = call->next_ready;
    else
        grpc->first_ready = call->next_ready;
    if (grpc->last_ready == call)
        grpc->last_ready = before;
    call->next_ready = NULL;
}

static void enter_ready(struct grpc *grpc, struct grpc_call *call)
{
    if (grpc->last_ready)
        grpc->last_ready->next_ready = call;
    else
        grpc->first_ready = call;
    grpc->last_ready = call;
    if (!grpc->taking)
        server_list_add(grpc->server, LIST_BACKLOG, grpc->connection);
}

void grpc_call_move(struct grpc *grpc, struct grpc_call *call, enum grpc_call_state state)
{
    if (call->state == CALL_READY)
        leave_ready(grpc, call);
    call->state = state;
    if (state == CALL_READY)
        enter_ready(grpc, call);
}

void grpc_call_close(struct grpc *grpc, struct grpc_call *call)
{
    grpc_call_move(grpc, call, CALL_ENDED);
    if (grpc->large == call)
        grpc->large = NULL;
    grpc->held -= frame_buffer_size(&call->out);
    if (call->previous)
        call->previous->next = call->next;
    else
        grpc->calls = call->next;
    if (call->next)
        call->next->previous = call->previous;
    grpc->call_count--;
    if (grpc->pool_count == GRPC_POOL) {
        call_free(call);
    } else {
        frame_buffer_consume(&call->in, frame_buffer_size(&call->in));
        frame_buffer_consume(&call->out, frame_buffer_size(&call->out));
        frame_buffer_trim(&call->in);
        frame_buffer_trim(&call->out);
        call->next = grpc->pool;
        grpc->pool = call;
        grpc->pool_count++;
    }
}

static void free_list(struct grpc_call *call)
{
    while (call) {
        struct grpc_call *next = call->next;
        call_free(call);
        call = next;
    }
}

void grpc_calls_free(struct grpc *grpc)
{
    free_list(grpc->calls);
    free_list(grpc->pool);
    grpc->calls = grpc->pool = NULL;
}

struct grpc_call *grpc_call_of(struct grpc *grpc, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(grpc->http2, stream);
}

// ---- Metadata --------------------------------------------------------------------------------------------------------

// Whose token? 0: the call was refused.
static int identify(struct grpc *grpc, struct grpc_call *call)
{
    if (!*call->token)
        return 1;
    struct identity identity;
    int known = house_identify(grpc->server->house, call->token, &identity);
    if (known > 0)
        call->identity = identity;
    if (known < 0)
        grpc_call_refuse(grpc, call, WIRE_UNAUTHENTICATED, "authorization", 0, "nobody has this token");
    return known >= 0;
}

static int has_fault(struct grpc *grpc, struct grpc_call *call)
{
    size_t limit = grpc->server->limits.header_bytes;
    switch (call->fault) {
    case FAULT_NONE:
        return 0;
    case FAULT_SIZE:
        grpc_call_refuse(grpc, call, WIRE_LIMIT, "metadata", limit, "%zu bytes of metadata; no more than %zu",
                         call->header_bytes, limit);
        return 1;
    case FAULT_METADATA:
        grpc_call_refuse(grpc, call, WIRE_INVALID, "metadata", 0, "a value is not printable ASCII, or too long");
        return 1;
    case FAULT_TIMEOUT:
        grpc_call_refuse(grpc, call, WIRE_INVALID, "grpc-timeout", 0, "not 1 to 8 digits and one of H M S m u n");
        return 1;
    case FAULT_ENCODING:
        grpc_call_refuse(grpc, call, WIRE_UNSUPPORTED, "grpc-encoding", 0, "messages are not compressed here");
        return 1;
    }
    return 1;
}

void grpc_call_begin(struct grpc *grpc, struct grpc_call *call)
{
    uint64_t ceiling_us = grpc->server->limits.deadline_us;
    grpc_call_move(grpc, call, CALL_OPEN);
    if (!call->is_post || !call->is_grpc) {
        call->is_plain = 1;  // answered when it has said all
        return;
    }
    if (has_fault(grpc, call))
        return;
    if (!call->method) {
        grpc_call_refuse(grpc, call, WIRE_UNSUPPORTED, "path", 0, "there is no such method");
        return;
    }
    if (!identify(grpc, call))
        return;
    if (call->identity.role == WIRE_ROLE_NONE && !call->method->answer && call->method->kind != WIRE_HELLO) {
        grpc_call_refuse(grpc, call, WIRE_UNAUTHENTICATED, "", 0, "say who you are, with a token in the metadata");
        return;
    }
    if (call->has_timeout)
        call->deadline_us = grpc->now_us + call->timeout_us;
    if (!call->method->is_long && ceiling_us && (!call->has_timeout || call->timeout_us > ceiling_us))
        call->deadline_us = grpc->now_us + ceiling_us;
}

// ---- Messages --------------------------------------------------------------------------------------------------------

// The first message held. 1: whole; 0: not yet, or the call was refused.
static int next_message(struct grpc *grpc, struct grpc_call *call, size_t *size)
{
    const uint8_t *bytes = frame_buffer_data(&call->in);
    size_t held = frame_buffer_size(&call->in), limit = permission_bytes(&call->identity, &grpc->server->limits);
    *size = 0;
    if (held < GRPC_PREFIX)
        return 0;
    *size = (size_t)bytes[1] << 24 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 8 | bytes[4];
    if (bytes[0])
        grpc_call_refuse(grpc, call, WIRE_UNSUPPORTED, "", 0, "a compressed message, without having said how");
    else if (*size > limit)
        grpc_call_refuse(grpc, call, WIRE_TOO_LARGE, "", limit, "a message of %zu bytes; no more than %zu", *size, limit);
    else
        return held >= GRPC_PREFIX + *size;
    return 0;
}

static void give_back_window(struct grpc *grpc, struct grpc_call *call, size_t size)
{
    if (!call->remote_closed)
        nghttp2_session_consume_stream(grpc->http2, call->stream, size);
}

static void make_narrow(struct grpc *grpc, struct grpc_call *call)
{
    if (!call->wide)
        return;
    call->wide = 0;
    if (!call->remote_closed)
        nghttp2_session_set_local_window_size(grpc->http2, NGHTTP2_FLAG_NONE, call->stream, GRPC_STREAM_WINDOW);
}

// A message that does not fit into the window of its stream gets a larger one, one call after the other.
static void let_large_one_through(struct grpc *grpc)
{
    for (struct grpc_call *call = grpc->calls; call && !grpc->large; call = call->next) {
        size_t size;
        if (call->state != CALL_OPEN || call->remote_closed || frame_buffer_size(&call->in) < GRPC_PREFIX ||
            next_message(grpc, call, &size) || GRPC_PREFIX + size <= GRPC_STREAM_WINDOW || call->state != CALL_OPEN)
            continue;
        grpc->large = call;
        call->wide = 1;
        nghttp2_session_set_local_window_size(grpc->http2, NGHTTP2_FLAG_NONE, call->stream,
                                              (int32_t)(GRPC_PREFIX + size + GRPC_STREAM_WINDOW));
    }
}

void grpc_call_receive(struct grpc *grpc, struct grpc_call *call, const uint8_t *bytes, size_t size)
{
    int is_dropped = call->state == CALL_ENDED || call->is_plain;
    uint8_t *room = is_dropped ? NULL : frame_buffer_reserve(&call->in, size);
    if (room) {
        memcpy(room, bytes, size);
        frame_buffer_append(&call->in, size);
        grpc_call_look(grpc, call);
        return;
    }
    give_back_window(grpc, call, size);
    if (!is_dropped)
        grpc_call_refuse(grpc, call, WIRE_LIMIT, "", 0, "no memory for this message");
}

static void answer_plainly(struct grpc *grpc, struct grpc_call *call)
{
    if (!call->is_post)
        grpc_call_answer_plainly(grpc, call, "405", "This is beliefd, which speaks gRPC: POST /belief.v1.Belief/...\n");
    else
        grpc_call_answer_plainly(grpc, call, "415", "This is beliefd, which speaks gRPC: content-type: application/grpc\n");
}

void grpc_call_look(struct grpc *grpc, struct grpc_call *call)
{
    size_t size, held = frame_buffer_size(&call->in);
    if (call->state != CALL_OPEN || frame_buffer_size(&call->out) > GRPC_REPLIES_AHEAD)
        return;
    if (call->is_plain) {
        if (call->remote_closed)
            answer_plainly(grpc, call);
        return;
    }
    int whole = next_message(grpc, call, &size), is_stream = call->method && call->method->is_stream;
    if (call->state != CALL_OPEN)
        return;
    if (whole && !is_stream && (held > GRPC_PREFIX + size || call->messages > 0))
        grpc_call_refuse(grpc, call, WIRE_INVALID, "", 1, "more than one message");
    else if (whole && (is_stream || call->remote_closed))
        grpc_call_move(grpc, call, CALL_READY);
    else if (!whole && call->remote_closed && held > 0)
        grpc_call_refuse(grpc, call, WIRE_INVALID, "", 0, "the stream ends within a message");
    else if (!whole && call->remote_closed && !is_stream)
        grpc_call_refuse(grpc, call, WIRE_INVALID, "", 0, "the stream ends without a message");
    else if (!whole && call->remote_closed)
        grpc_call_end(grpc, call);
    else if (!whole && grpc->draining && call->method->is_long)
        grpc_call_refuse(grpc, call, WIRE_DRAINING, "", 0, "the daemon is stopping");
    else if (!whole && GRPC_PREFIX + size > GRPC_STREAM_WINDOW && !grpc->large)
        let_large_one_through(grpc);
}

// ---- Taking ----------------------------------------------------------------------------------------------------------

static int has_room(const struct grpc *grpc, const struct wire_envelope *message)
{
    size_t under_way = grpc->held + grpc->connection->promised;
    return under_way == 0 || under_way + request_reply_bound(grpc->server, message) <= grpc->server->output_limit;
}

// Its first message is another's now.
static void consume(struct grpc *grpc, struct grpc_call *call, size_t size)
{
    frame_buffer_consume(&call->in, GRPC_PREFIX + size);
    frame_buffer_trim(&call->in);
    give_back_window(grpc, call, GRPC_PREFIX + size);
    if (grpc->large == call) {
        make_narrow(grpc, call);
        grpc->large = NULL;
        let_large_one_through(grpc);
    }
    call->messages++;
    grpc_earn_patience(grpc, 4);
    grpc->connection->taken++;
    grpc->connection->heard_us = grpc->now_us;
}

static void ask_server(struct grpc *grpc, struct grpc_call *call, struct wire_envelope *message)
{
    uint64_t ceiling_us = grpc->server->limits.deadline_us, deadline_us = call->deadline_us;
    if (call->method->is_long && ceiling_us && (!deadline_us || deadline_us > grpc->now_us + ceiling_us))
        deadline_us = grpc->now_us + ceiling_us;
    message->request_id = (uint64_t)call->stream;
    grpc->connection->identity = call->identity;
    request_take_message(grpc->server, grpc->connection, message, deadline_us, grpc->now_us);
}

// A method of gRPC's own services: reads its message and answers at once, or leaves the call open.
static void answer_here(struct grpc *grpc, struct grpc_call *call, const uint8_t *body, size_t size)
{
    grpc_call_move(grpc, call, CALL_ASKED);
    call->method->answer(grpc, call, body, size);
    consume(grpc, call, size);
    if (call->state == CALL_ASKED && call->method->is_stream) {
        grpc_call_move(grpc, call, CALL_OPEN);
        grpc_call_look(grpc, call);
    }
}

int grpc_take_ready(struct grpc *grpc)
{
    struct grpc_call *call = grpc->first_ready;
    const uint8_t *body = frame_buffer_data(&call->in) + GRPC_PREFIX;
    struct wire_envelope message = {.kind = WIRE_PING};
    struct wire_arena *arena = &grpc->server->arena;
    size_t size;
    next_message(grpc, call, &size);
    wire_arena_reset(arena);
    if (!call->method->answer && wire_decode_body(&message, call->method->kind, body, size, arena)) {
        grpc_call_refuse(grpc, call, WIRE_BAD_FRAME, "", 0,
                         "these bytes are not such a message, or have more parts than it may have");
        return 1;
    }
    if (!has_room(grpc, &message))
        return 0;
    if (call->method->answer) {
        answer_here(grpc, call, body, size);
    } else {
        grpc_call_move(grpc, call, CALL_ASKED);
        consume(grpc, call, size);
        ask_server(grpc, call, &message);
    }
    return 1;
}
