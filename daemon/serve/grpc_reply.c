// Calls on their way out: messages as nghttp2 asks for them, then trailers with a status. The contract is in grpc.h.
#include "grpc.h"

#include "door.h"
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STATIC_HEADER(name, value)                                                                          \
    {(uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1,                             \
     NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}

enum { TRAILERS_LIMIT = 6, DETAIL_LIMIT = 1400 };

// ---- Trailers --------------------------------------------------------------------------------------------------------

struct trailers {
    nghttp2_nv list[TRAILERS_LIMIT];
    size_t count;
    char message[GRPC_CONTENT_LIMIT], details[GRPC_CONTENT_LIMIT];
};

static nghttp2_nv status_header(enum grpc_code code)
{
    static const char *const numbers[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14",
                                          "15", "16"};
    nghttp2_nv header = STATIC_HEADER("grpc-status", "0");
    header.value = (uint8_t *)numbers[code];
    header.valuelen = strlen(numbers[code]);
    return header;
}

// What is said once and never again has no place in the compression's table.
static nghttp2_nv text_header(const char *name, const char *value, size_t size)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), size,
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX};
}

static size_t encode_details(struct server *server, char *out, size_t room, const struct grpc_call *call)
{
    uint8_t error[DETAIL_LIMIT], status[DETAIL_LIMIT];
    struct wire_envelope envelope = {.kind = WIRE_ERROR, .error = call->error};
    wire_arena_reset(&server->encode_arena);
    long size = wire_encode(error, sizeof error, &envelope, &server->encode_arena);
    if (size < 0 || (size_t)size > sizeof error)
        return 0;
    size_t written = rpc_encode_status(status, sizeof status, (int32_t)call->code, call->message,
                                       wire_body(error, (size_t)size));
    return written <= sizeof status ? grpc_base64_encode(out, room, status, written) : 0;
}

static void add_status(struct server *server, struct trailers *trailers, const struct grpc_call *call)
{
    trailers->list[trailers->count++] = status_header(call->code);
    if (call->code == GRPC_OK)
        return;
    size_t size = grpc_percent_encode(trailers->message, sizeof trailers->message, call->message);
    trailers->list[trailers->count++] = text_header("grpc-message", trailers->message, size);
    size = encode_details(server, trailers->details, sizeof trailers->details, call);
    if (size)
        trailers->list[trailers->count++] = text_header("grpc-status-details-bin", trailers->details, size);
}

// ---- Data ------------------------------------------------------------------------------------------------------------

static ssize_t read_replies(nghttp2_session *http2, int32_t stream, uint8_t *out, size_t room, uint32_t *flags,
                            nghttp2_data_source *source, void *context)
{
    struct grpc *grpc = context;
    struct grpc_call *call = source->ptr;
    size_t held = frame_buffer_size(&call->out), size = held < room ? held : room;
    memcpy(out, frame_buffer_data(&call->out), size);
    frame_buffer_consume(&call->out, size);
    grpc->held -= size;
    if (size > 0) {
        call->since_us = grpc->now_us;
        grpc->made_room = 1;
    }
    if (size == held && call->state == CALL_ENDED) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (!call->is_plain) {
            struct trailers trailers;
            trailers.count = 0;
            add_status(grpc->server, &trailers, call);
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (nghttp2_submit_trailer(http2, stream, trailers.list, trailers.count))
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
    } else if (size == 0) {
        return NGHTTP2_ERR_DEFERRED;
    } else if (call->state == CALL_OPEN) {
        grpc_call_look(grpc, call);  // it may ask again
    }
    return (ssize_t)size;
}

static void drop(struct grpc *grpc)
{
    connection_move(grpc->connection, CONNECTION_DROPPED, grpc->now_us);
}

// Headers with what is held behind them, or the news that there is more.
static void send_replies(struct grpc *grpc, struct grpc_call *call)
{
    static const nghttp2_nv headers[] = {
        STATIC_HEADER(":status", "200"), STATIC_HEADER("content-type", "application/grpc")};
    nghttp2_data_provider provider = {{.ptr = call}, read_replies};
    int error = call->headers_sent ? nghttp2_session_resume_data(grpc->http2, call->stream)
                                   : nghttp2_submit_response(grpc->http2, call->stream, headers, 2, &provider);
    call->headers_sent = 1;
    // There is nothing to resume while the last piece waits for a window.
    if (error && error != NGHTTP2_ERR_INVALID_ARGUMENT)
        drop(grpc);
    server_list_add(grpc->server, LIST_OUTPUT, grpc->connection);
}

// ---- Replies ---------------------------------------------------------------------------------------------------------

static uint8_t *reserve(struct grpc *grpc, struct grpc_call *call, size_t size)
{
    if (frame_buffer_size(&call->out) == 0)
        call->since_us = grpc->now_us;
    return frame_buffer_reserve(&call->out, size);
}

uint8_t *grpc_call_room(struct grpc *grpc, struct grpc_call *call, size_t size)
{
    uint8_t *room = reserve(grpc, call, GRPC_PREFIX + size);
    if (room)
        return room + GRPC_PREFIX;
    grpc_call_refuse(grpc, call, WIRE_LIMIT, "", 0, "no memory for the reply");
    return NULL;
}

static void write_prefix(uint8_t *out, size_t size)
{
    out[0] = 0;
    frame_write_header(out + 1, (uint32_t)size);
}

void grpc_call_push(struct grpc *grpc, struct grpc_call *call, size_t size)
{
    write_prefix(call->out.memory + call->out.end, size);
    frame_buffer_append(&call->out, GRPC_PREFIX + size);
    grpc->held += GRPC_PREFIX + size;
    send_replies(grpc, call);
}

void grpc_call_reply(struct grpc *grpc, struct grpc_call *call, const struct wire_envelope *reply)
{
    struct wire_envelope bare = *reply;
    struct wire_arena *arena = &grpc->server->encode_arena;
    bare.request_id = 0;
    // A frame has a longer head than a message has: it is written where the message will be, then moved down.
    size_t room = call->out.capacity - call->out.end;
    uint8_t *out = reserve(grpc, call, 0);
    wire_arena_reset(arena);
    long size = wire_encode(out, room, &bare, arena);
    if (size > (long)room) {
        out = reserve(grpc, call, (size_t)size);
        wire_arena_reset(arena);
        size = out ? wire_encode(out, (size_t)size, &bare, arena) : -ENOMEM;
    }
    if (size < 0) {
        log_event(LOG_ERROR, "reply_lost", LOG_TEXT("peer", grpc->connection->peer), LOG_NUMBER("kind", reply->kind));
        grpc_call_refuse(grpc, call, WIRE_INTERNAL, "", 0, "the reply does not fit into memory");
        return;
    }
    struct wire_bytes body = wire_body(out, (size_t)size);
    memmove(out + GRPC_PREFIX, body.bytes, body.size);
    if (!call->method->is_stream) {
        call->code = GRPC_OK;
        grpc_call_move(grpc, call, CALL_ENDED);
    }
    grpc_call_push(grpc, call, body.size);
    if (call->method->is_stream) {
        grpc_call_move(grpc, call, CALL_OPEN);
        grpc_call_look(grpc, call);
    }
}

// ---- Ends ------------------------------------------------------------------------------------------------------------

// Only headers, which are trailers too; or trailers behind what was said before.
static void say_status(struct grpc *grpc, struct grpc_call *call)
{
    static const nghttp2_nv status = STATIC_HEADER(":status", "200"),
                            type = STATIC_HEADER("content-type", "application/grpc"),
                            encoding = STATIC_HEADER("grpc-accept-encoding", "identity");
    grpc_call_move(grpc, call, CALL_ENDED);
    call->since_us = grpc->now_us;
    frame_buffer_consume(&call->in, frame_buffer_size(&call->in));
    frame_buffer_trim(&call->in);
    if (call->headers_sent) {
        send_replies(grpc, call);
        return;
    }
    struct trailers trailers;
    trailers.list[0] = status;
    trailers.list[1] = type;
    trailers.count = 2;
    if (call->fault == FAULT_ENCODING)
        trailers.list[trailers.count++] = encoding;
    add_status(grpc->server, &trailers, call);
    call->headers_sent = 1;
    if (nghttp2_submit_response(grpc->http2, call->stream, trailers.list, trailers.count, NULL))
        drop(grpc);
    server_list_add(grpc->server, LIST_OUTPUT, grpc->connection);
}

void grpc_call_end(struct grpc *grpc, struct grpc_call *call)
{
    call->code = GRPC_OK;
    say_status(grpc, call);
}

void grpc_call_fail(struct grpc *grpc, struct grpc_call *call, const struct wire_error *error)
{
    if (call->state == CALL_ENDED)
        return;
    call->code = grpc_code_of(error->code);
    snprintf(call->field, sizeof call->field, "%s", error->field ? error->field : "");
    snprintf(call->message, sizeof call->message, "%s", error->message ? error->message : "");
    snprintf(call->address, sizeof call->address, "%s", error->address ? error->address : "");
    call->error = (struct wire_error){
        .code = error->code, .field = call->field, .message = call->message, .limit = error->limit,
        .address = call->address};
    log_event(LOG_DEBUG, "call_failed", LOG_TEXT("peer", grpc->connection->peer),
              LOG_TEXT("method", call->method ? call->method->path : ""),
              LOG_TEXT("code", wire_error_name(error->code)), LOG_TEXT("message", call->message),
              log_trace(call->trace));
    // Time is up: what the peer does not take it will not get.
    if (error->code == WIRE_DEADLINE && frame_buffer_size(&call->out) > 0) {
        grpc->held -= frame_buffer_size(&call->out);
        frame_buffer_consume(&call->out, frame_buffer_size(&call->out));
    }
    say_status(grpc, call);
}

void grpc_call_refuse(struct grpc *grpc, struct grpc_call *call, enum wire_error_code code, const char *field,
                      uint64_t limit, const char *format, ...)
{
    char message[sizeof call->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    grpc_call_fail(grpc, call, &(struct wire_error){.code = code, .field = field, .limit = limit, .message = message});
}

void grpc_call_answer_plainly(struct grpc *grpc, struct grpc_call *call, const char *status, const char *text)
{
    const nghttp2_nv headers[] = {text_header(":status", status, strlen(status)), STATIC_HEADER("allow", "POST"),
                                  STATIC_HEADER("content-type", "text/plain; charset=utf-8")};
    nghttp2_data_provider provider = {{.ptr = call}, read_replies};
    size_t size = strlen(text);
    uint8_t *room = reserve(grpc, call, size);
    grpc_call_move(grpc, call, CALL_ENDED);
    call->headers_sent = 1;
    if (room) {
        memcpy(room, text, size);
        frame_buffer_append(&call->out, size);
        grpc->held += size;
    }
    if (nghttp2_submit_response(grpc->http2, call->stream, headers, 3, &provider))
        drop(grpc);
    server_list_add(grpc->server, LIST_OUTPUT, grpc->connection);
}

void grpc_call_said_all(struct grpc *grpc, struct grpc_call *call)
{
    // Nobody reads on, so the peer need not send on.
    if (!call->remote_closed)
        nghttp2_submit_rst_stream(grpc->http2, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_NO_ERROR);
}
