// How clients of bel-bench peers talk gRPC: one HTTP/2 connection each, calls of belief.v1.Belief/Step.
#include "load.h"

#include "proto/wire.h"
#include "shape.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE = 1024, GRPC_PREFIX = 5 };

struct grpc_client {
    nghttp2_session *session;
    uint8_t message[MESSAGE];   // the request, with its prefix
    size_t size, sent;
    int done, ok;               // the call is over; with status 0
};

static ssize_t read_message(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room, uint32_t *flags,
                            nghttp2_data_source *source, void *context)
{
    (void)session, (void)stream, (void)context;
    struct grpc_client *client = source->ptr;
    size_t size = client->size - client->sent < room ? client->size - client->sent : room;
    memcpy(out, client->message + client->sent, size);
    client->sent += size;
    if (client->sent == client->size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *context)
{
    (void)session, (void)frame, (void)flags;
    struct grpc_client *client = context;
    if (name_size == 11 && memcmp(name, "grpc-status", 11) == 0)
        client->ok = value_size == 1 && value[0] == '0';
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *context)
{
    (void)session, (void)stream, (void)error;
    ((struct grpc_client *)context)->done = 1;
    return 0;
}

static void flush(struct load_connection *connection)
{
    struct grpc_client *client = connection->state;
    const uint8_t *bytes;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(client->session, &bytes)) > 0) {
        uint8_t *room = frame_buffer_reserve(&connection->out, (size_t)size);
        if (!room)
            load_die("a request does not fit");
        memcpy(room, bytes, (size_t)size);
        frame_buffer_append(&connection->out, (size_t)size);
    }
}

static void begin_grpc(struct load_connection *connection)
{
    struct grpc_client *client = calloc(1, sizeof *client);
    nghttp2_session_callbacks *callbacks;
    if (!client || nghttp2_session_callbacks_new(&callbacks))
        load_die("no memory");
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    if (nghttp2_session_client_new(&client->session, callbacks, client) ||
        nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, NULL, 0))
        load_die("no memory");
    nghttp2_session_callbacks_del(callbacks);
    connection->state = client;
}

#define HEADER(name, value) \
    {(uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1, sizeof(value) - 1, 0}

static void ask_grpc(struct load_connection *connection)
{
    static const float executed[SHAPE_ACTION] = {0.1f, -0.2f, 0.3f, -0.4f, 0.5f, -0.6f};
    static const nghttp2_nv headers[] = {
        HEADER(":method", "POST"), HEADER(":scheme", "http"), HEADER(":path", "/belief.v1.Belief/Step"),
        HEADER(":authority", "localhost"), HEADER("te", "trailers"), HEADER("content-type", "application/grpc")};
    static uint8_t arena_memory[1 << 14];
    struct grpc_client *client = connection->state;
    struct wire_arena arena;
    wire_arena_init(&arena, arena_memory, sizeof arena_memory);
    uint8_t frame[MESSAGE];
    char name[32];
    connection->seq++;
    snprintf(name, sizeof name, "bench-%d", (int)connection->session);
    const struct wire_envelope request = {
        .kind = WIRE_STEP,
        .step = {.session = name, .epoch = 1, .seq = connection->seq, .task = 1,
                 .observation = {load_observation(connection->seq), load_dim()},
                 .reward = load_reward(connection->seq), .action = {executed, SHAPE_ACTION}}};
    long size = wire_encode(frame, sizeof frame, &request, &arena);
    struct wire_bytes body = size > 0 ? wire_body(frame, (size_t)size) : (struct wire_bytes){0};
    if (!body.size || GRPC_PREFIX + body.size > MESSAGE)
        load_die("a request does not fit");
    client->message[0] = 0;
    frame_write_header(client->message + 1, (uint32_t)body.size);
    memcpy(client->message + GRPC_PREFIX, body.bytes, body.size);
    client->size = GRPC_PREFIX + body.size;
    client->sent = 0;
    client->done = client->ok = 0;
    const nghttp2_data_provider data = {{.ptr = client}, read_message};
    if (nghttp2_submit_request(client->session, NULL, headers, sizeof headers / sizeof *headers, &data, NULL) < 0)
        load_die("no call");
    flush(connection);
}

static int take_grpc(struct load_connection *connection)
{
    struct grpc_client *client = connection->state;
    size_t size = frame_buffer_size(&connection->in);
    if (nghttp2_session_mem_recv(client->session, frame_buffer_data(&connection->in), size) != (ssize_t)size)
        load_die("the gRPC server does not speak HTTP/2");
    frame_buffer_consume(&connection->in, size);
    flush(connection);
    if (!client->done)
        return 0;
    if (!client->ok)
        load_die("the gRPC server refuses a call");
    client->done = 0;
    return 1;
}

static void end_grpc(struct load_connection *connection)
{
    struct grpc_client *client = connection->state;
    nghttp2_session_del(client->session);
    free(client);
}

const struct load_wire wire_grpc = {"the gRPC server", begin_grpc, ask_grpc, take_grpc, end_grpc};
