// The echo server; the contract is in echo.h.
#include "echo.h"

#include "proto/frame.h"
#include "proto/wire.h"
#include "shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

enum { BUFFER = 64 << 10, BACKLOG = 1024, READY_FD = 3 };

struct guest {
    uv_pipe_t pipe;
    struct frame_buffer in;
    uint8_t out[BUFFER];
};

static uint8_t arena_memory[BUFFER];

static void on_closed(uv_handle_t *handle)
{
    struct guest *guest = handle->data;
    frame_buffer_release(&guest->in);
    free(guest);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct guest *guest = handle->data;
    uint8_t *room = frame_buffer_reserve(&guest->in, 1);
    *buffer = uv_buf_init((char *)room, room ? (unsigned)(guest->in.capacity - guest->in.end) : 0);
}

// The reply to a request, as long as the daemon's.
static struct wire_envelope reply_to(const struct wire_envelope *request)
{
    static const float action[SHAPE_ACTION] = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f};
    static const uint8_t digest[WIRE_DIGEST_SIZE] = {1};
    static const struct wire_model model = {.name = "echo"};
    if (request->kind == WIRE_OPEN)
        return (struct wire_envelope){
            .request_id = request->request_id, .kind = WIRE_OPENED,
            .opened = {.handle = 1, .task = 1, .model = &model}};
    return (struct wire_envelope){
        .request_id = request->request_id, .kind = WIRE_ACTION,
        .action = {.seq = request->step.seq, .action = {action, SHAPE_ACTION}, .status = WIRE_STATUS_ABSORBED,
                   .count = request->step.seq, .digest = {digest, sizeof digest}, .task = 1, .reward_p = 0.5,
                   .transition_p = 0.5, .queue_us = 1, .compute_us = 3}};
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    (void)buffer;
    struct guest *guest = stream->data;
    if (got < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    frame_buffer_append(&guest->in, (size_t)got);
    const uint8_t *body;
    size_t size, written = 0;
    while (frame_next(&guest->in, BUFFER, &body, &size) == 1) {
        struct wire_arena arena;
        struct wire_envelope request, reply;
        wire_arena_init(&arena, arena_memory, sizeof arena_memory);
        if (wire_decode(&request, body, size, &arena))
            break;
        reply = reply_to(&request);
        written += (size_t)wire_encode(guest->out + written, BUFFER - written, &reply, &arena);
        frame_buffer_consume(&guest->in, FRAME_HEADER_SIZE + size);
    }
    uv_buf_t out = uv_buf_init((char *)guest->out, (unsigned)written);
    if (written && uv_try_write(stream, &out, 1) != (int)written)
        uv_close((uv_handle_t *)stream, on_closed);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct guest *guest = status ? NULL : calloc(1, sizeof *guest);
    if (!guest || frame_buffer_init(&guest->in, BUFFER, BUFFER)) {
        free(guest);
        return;
    }
    uv_pipe_init(server->loop, &guest->pipe, 0);
    guest->pipe.data = guest;
    uv_stream_t *stream = (uv_stream_t *)&guest->pipe;
    if (uv_accept(server, stream) || uv_read_start(stream, on_alloc, on_read))
        uv_close((uv_handle_t *)stream, on_closed);
}

int bench_echo_server(int argc, char **argv)
{
    uv_pipe_t server;
    uv_loop_t *loop = uv_default_loop();
    if (argc != 2) {
        fprintf(stderr, "bel-bench echo-server PATH\n");
        return 2;
    }
    uv_pipe_init(loop, &server, 0);
    int error = uv_pipe_bind(&server, argv[1]);
    if (!error)
        error = uv_listen((uv_stream_t *)&server, BACKLOG, on_connection);
    if (!error && write(READY_FD, "READY\n", 6) != 6)
        error = UV_EPIPE;
    if (error) {
        fprintf(stderr, "bel-bench echo-server: %s: %s\n", argv[1], uv_strerror(error));
        return 1;
    }
    close(READY_FD);
    return uv_run(loop, UV_RUN_DEFAULT);
}
