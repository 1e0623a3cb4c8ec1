// nghttp2's callbacks: frames and metadata become calls; the contract is in grpc.h.
#include "grpc.h"

#include "log.h"

#include <errno.h>
#include <string.h>

// ---- Patience --------------------------------------------------------------------------------------------------------

static double patience_limit(const struct grpc *grpc)
{
    return 10.0 * (double)grpc->server->limits.pings_per_second;
}

void grpc_earn_patience(struct grpc *grpc, double frames)
{
    grpc->patience += frames;
    if (grpc->patience > patience_limit(grpc))
        grpc->patience = patience_limit(grpc);
}

void grpc_spend_patience(struct grpc *grpc)
{
    grpc_earn_patience(grpc, (double)(grpc->now_us - grpc->patience_us) * 1e-6 *
                                 (double)grpc->server->limits.pings_per_second);
    grpc->patience_us = grpc->now_us;
    grpc->patience -= 1;
    if (grpc->patience >= 0 || grpc->draining)
        return;
    grpc->draining = 1;
    log_event(LOG_WARNING, "flood", LOG_TEXT("peer", grpc->connection->peer));
    nghttp2_session_terminate_session(grpc->http2, NGHTTP2_ENHANCE_YOUR_CALM);
}

// ---- Metadata --------------------------------------------------------------------------------------------------------

static int is(const char *wanted, const uint8_t *text, size_t size)
{
    return strlen(wanted) == size && !memcmp(wanted, text, size);
}

static int starts_with(const char *wanted, const uint8_t *text, size_t size)
{
    return size >= strlen(wanted) && !memcmp(wanted, text, strlen(wanted));
}

static int is_grpc_type(const uint8_t *value, size_t size)
{
    static const char type[] = "application/grpc";
    if (!starts_with(type, value, size))
        return 0;
    value += sizeof type - 1;
    size -= sizeof type - 1;
    if (starts_with("+proto", value, size)) {
        value += 6;
        size -= 6;
    }
    return size == 0 || *value == ';';
}

static int copy_text(char *out, size_t room, const uint8_t *value, size_t size)
{
    if (size >= room)
        return -EMSGSIZE;
    memcpy(out, value, size);
    out[size] = 0;
    return 0;
}

static void read_metadata(struct grpc_call *call, const uint8_t *name, size_t name_size, const uint8_t *value, size_t size)
{
    static const char bearer[] = "bearer ";
    if (is(":path", name, name_size)) {
        call->method = grpc_method_of((const char *)value, size);
    } else if (is(":method", name, name_size)) {
        call->is_post = is("POST", value, size);
    } else if (is("content-type", name, name_size)) {
        call->is_grpc = is_grpc_type(value, size);
    } else if (is("grpc-timeout", name, name_size)) {
        call->has_timeout = 1;
        if (grpc_timeout_parse((const char *)value, size, &call->timeout_us))
            call->fault = FAULT_TIMEOUT;
    } else if (is("grpc-encoding", name, name_size)) {
        if (!is("identity", value, size))
            call->fault = FAULT_ENCODING;
    } else if (is("authorization", name, name_size)) {
        if (size > sizeof bearer - 1 && !strncasecmp((const char *)value, bearer, sizeof bearer - 1) &&
            copy_text(call->token, sizeof call->token, value + sizeof bearer - 1, size - (sizeof bearer - 1)))
            call->fault = FAULT_METADATA;
    } else if (is("traceparent", name, name_size)) {
        copy_text(call->trace, sizeof call->trace, value, size);  // another's version may be longer
    }
}

static struct grpc_call *call_in_headers(nghttp2_session *http2, const nghttp2_frame *frame)
{
    struct grpc_call *call = nghttp2_session_get_stream_user_data(http2, frame->hd.stream_id);
    return call && call->state == CALL_HEADERS ? call : NULL;
}

static int on_header(nghttp2_session *http2, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t size, uint8_t flags, void *context)
{
    (void)flags;
    const struct grpc *grpc = context;
    struct grpc_call *call = call_in_headers(http2, frame);
    if (!call)
        return 0;  // a trailer
    call->header_bytes += name_size + size + 32;
    if (call->header_bytes > grpc->server->limits.header_bytes)
        call->fault = FAULT_SIZE;
    else if (!grpc_is_printable(value, size))
        call->fault = FAULT_METADATA;
    else
        read_metadata(call, name, name_size, value, size);
    return 0;
}

static int on_invalid_header(nghttp2_session *http2, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                             const uint8_t *value, size_t size, uint8_t flags, void *context)
{
    (void)name, (void)name_size, (void)value, (void)size, (void)flags, (void)context;
    struct grpc_call *call = call_in_headers(http2, frame);
    if (call)
        call->fault = FAULT_METADATA;
    return 0;
}

static int on_begin_headers(nghttp2_session *http2, const nghttp2_frame *frame, void *context)
{
    struct grpc *grpc = context;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct grpc_call *call = grpc_call_open(grpc, frame->hd.stream_id);
    if (!call)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return nghttp2_session_set_stream_user_data(http2, frame->hd.stream_id, call);
}

// ---- Frames ----------------------------------------------------------------------------------------------------------

static void ended_by_peer(struct grpc *grpc, struct grpc_call *call)
{
    call->remote_closed = 1;
    grpc_call_look(grpc, call);
}

static int on_frame(nghttp2_session *http2, const nghttp2_frame *frame, void *context)
{
    struct grpc *grpc = context;
    struct grpc_call *call = NULL;
    int ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM, is_answer = frame->hd.flags & NGHTTP2_FLAG_ACK;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        call = grpc_call_of(grpc, frame->hd.stream_id);
        if (call && call->state == CALL_HEADERS) {
            call->remote_closed = ends != 0;
            grpc_call_begin(grpc, call);
        }
        if (call && ends)
            ended_by_peer(grpc, call);
        break;
    case NGHTTP2_DATA:
        call = grpc_call_of(grpc, frame->hd.stream_id);
        if (call && ends)
            ended_by_peer(grpc, call);
        else if (frame->hd.length == 0)
            grpc_spend_patience(grpc);
        break;
    case NGHTTP2_PING:
        if (is_answer)
            grpc->ping_us = 0;
        else
            grpc_spend_patience(grpc);
        break;
    case NGHTTP2_SETTINGS:
        if (!is_answer && grpc->greeted)
            grpc_spend_patience(grpc);
        if (!grpc->greeted)
            grpc->connection->heard_us = grpc->now_us;  // a channel may be open for a while before its first call
        grpc->greeted = 1;
        break;
    case NGHTTP2_WINDOW_UPDATE:
        if (grpc->updates > 0)
            grpc->updates--;
        else
            grpc_spend_patience(grpc);
        break;
    default:
        grpc_spend_patience(grpc);
    }
    (void)http2;
    return 0;
}

static int on_data(nghttp2_session *http2, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t size, void *context)
{
    (void)flags;
    struct grpc *grpc = context;
    struct grpc_call *call = grpc_call_of(grpc, stream);
    nghttp2_session_consume_connection(http2, size);
    if (call)
        grpc_call_receive(grpc, call, bytes, size);
    else
        nghttp2_session_consume_stream(http2, stream, size);
    return 0;
}

static int on_sent(nghttp2_session *http2, const nghttp2_frame *frame, void *context)
{
    (void)http2;
    struct grpc *grpc = context;
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    grpc->updates += frame->hd.type == NGHTTP2_DATA ? 4 : 0;
    struct grpc_call *call = frame->hd.flags & NGHTTP2_FLAG_END_STREAM ? grpc_call_of(grpc, frame->hd.stream_id) : NULL;
    if (call)
        grpc_call_said_all(grpc, call);
    return 0;
}

static int on_closed(nghttp2_session *http2, int32_t stream, uint32_t error, void *context)
{
    (void)error;
    struct grpc *grpc = context;
    struct grpc_call *call = grpc_call_of(grpc, stream);
    if (call) {
        nghttp2_session_set_stream_user_data(http2, stream, NULL);
        grpc_call_close(grpc, call);
    }
    return 0;
}

// ---- The session -----------------------------------------------------------------------------------------------------

static int open_with(struct grpc *grpc, nghttp2_session_callbacks *callbacks, nghttp2_option *options)
{
    const struct limits *limits = &grpc->server->limits;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)limits->streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->header_bytes}};
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_stream_reset_rate_limit(options, 10 * limits->resets_per_second, limits->resets_per_second);
    if (nghttp2_session_server_new2(&grpc->http2, callbacks, grpc, options))
        return -ENOMEM;
    return nghttp2_submit_settings(grpc->http2, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) ||
                   nghttp2_session_set_local_window_size(grpc->http2, NGHTTP2_FLAG_NONE, 0, GRPC_CONNECTION_WINDOW)
               ? -ENOMEM : 0;
}

int grpc_http2_open(struct grpc *grpc)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *options = NULL;
    int error = -ENOMEM;
    if (!nghttp2_session_callbacks_new(&callbacks) && !nghttp2_option_new(&options))
        error = open_with(grpc, callbacks, options);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    return error;
}

void grpc_http2_goaway(struct grpc *grpc, uint32_t http2_code, const char *message)
{
    nghttp2_submit_goaway(grpc->http2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(grpc->http2),
                          http2_code, (const uint8_t *)message, strlen(message));
}
