// A small gRPC client; the contract is in call.h.
#include "call.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 5, MESSAGE_LIMIT = 4096 };

struct bench_call {
    nghttp2_session *http2;
    uint8_t request[MESSAGE_LIMIT], reply[MESSAGE_LIMIT];
    size_t request_size, sent, reply_size;
    int is_over, status;
    char why[256];
};

static ssize_t read_request(nghttp2_session *http2, int32_t stream, uint8_t *out, size_t room, uint32_t *flags,
                            nghttp2_data_source *source, void *context)
{
    (void)http2, (void)stream, (void)source;
    struct bench_call *call = context;
    size_t left = call->request_size - call->sent, size = left < room ? left : room;
    memcpy(out, call->request + call->sent, size);
    call->sent += size;
    if (call->sent == call->request_size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

static int on_header(nghttp2_session *http2, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t size, uint8_t flags, void *context)
{
    (void)http2, (void)frame, (void)flags;
    struct bench_call *call = context;
    if (name_size == 11 && !memcmp(name, "grpc-status", 11))
        call->status = atoi((const char *)value);
    else if (name_size == 12 && !memcmp(name, "grpc-message", 12))
        snprintf(call->why, sizeof call->why, "%.*s", (int)size, (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *http2, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t size, void *context)
{
    (void)http2, (void)flags, (void)stream;
    struct bench_call *call = context;
    if (size > sizeof call->reply - call->reply_size)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(call->reply + call->reply_size, bytes, size);
    call->reply_size += size;
    return 0;
}

static int on_close(nghttp2_session *http2, int32_t stream, uint32_t error, void *context)
{
    (void)http2, (void)stream, (void)error;
    ((struct bench_call *)context)->is_over = 1;
    return 0;
}

struct bench_call *bench_call_new(void)
{
    struct bench_call *call = calloc(1, sizeof *call);
    nghttp2_session_callbacks *callbacks = NULL;
    if (!call || nghttp2_session_callbacks_new(&callbacks)) {
        free(call);
        return NULL;
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    int error = nghttp2_session_client_new(&call->http2, callbacks, call) ||
                nghttp2_submit_settings(call->http2, NGHTTP2_FLAG_NONE, NULL, 0);
    nghttp2_session_callbacks_del(callbacks);
    if (error) {
        bench_call_free(call);
        return NULL;
    }
    return call;
}

void bench_call_free(struct bench_call *call)
{
    if (!call)
        return;
    nghttp2_session_del(call->http2);
    free(call);
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

size_t bench_call_ask(struct bench_call *call, const char *method, struct wire_bytes message, uint8_t *out, size_t room)
{
    char path[64];
    snprintf(path, sizeof path, "/belief.v1.Belief/%s", method);
    const nghttp2_nv headers[] = {
        header(":method", "POST"), header(":scheme", "http"), header(":path", path), header(":authority", "localhost"),
        header("te", "trailers"), header("content-type", "application/grpc")};
    const nghttp2_data_provider provider = {.read_callback = read_request};
    const uint8_t *bytes;
    size_t written = 0;
    ssize_t size;
    if (PREFIX + message.size > sizeof call->request)
        return 0;
    call->request[0] = 0;
    frame_write_header(call->request + 1, (uint32_t)message.size);
    memcpy(call->request + PREFIX, message.bytes, message.size);
    call->request_size = PREFIX + message.size;
    call->sent = call->reply_size = 0;
    call->is_over = 0;
    call->status = -1;
    if (nghttp2_submit_request(call->http2, NULL, headers, sizeof headers / sizeof *headers, &provider, NULL) < 0)
        return 0;
    while ((size = nghttp2_session_mem_send(call->http2, &bytes)) > 0) {
        if ((size_t)size > room - written)
            return 0;
        memcpy(out + written, bytes, (size_t)size);
        written += (size_t)size;
    }
    return written;
}

int bench_call_take(struct bench_call *call, struct frame_buffer *in, struct wire_bytes *reply)
{
    size_t size = frame_buffer_size(in);
    if (nghttp2_session_mem_recv(call->http2, frame_buffer_data(in), size) != (ssize_t)size) {
        snprintf(call->why, sizeof call->why, "it does not speak HTTP/2");
        return -1;
    }
    frame_buffer_consume(in, size);
    if (!call->is_over)
        return 0;
    if (call->status != 0 || call->reply_size < PREFIX)
        return -1;
    *reply = (struct wire_bytes){call->reply + PREFIX, call->reply_size - PREFIX};
    return 1;
}

const char *bench_call_why(const struct bench_call *call)
{
    return call->why;
}
