// The gRPC door: when bytes come, when they go, time, drain. The contracts are in door.h and grpc.h.
#include "grpc.h"

#include "batch.h"
#include "door.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_LIMIT = 9 + 16384 };  // the largest that nghttp2 makes

static struct grpc *grpc_new(struct server *server, struct connection *connection, uint64_t now_us)
{
    struct grpc *grpc = calloc(1, sizeof *grpc);
    if (!grpc)
        return NULL;
    *grpc = (struct grpc){
        .server = server, .connection = connection, .identity = connection->identity, .now_us = now_us, .born_us = now_us,
        .heard_us = now_us, .patience_us = now_us, .patience = 10.0 * (double)server->limits.pings_per_second};
    grpc_order_init(&grpc->order);
    connection->door_state = grpc;
    return grpc_http2_open(grpc) ? NULL : grpc;
}

static void door_close(struct connection *connection)
{
    struct grpc *grpc = connection->door_state;
    if (!grpc)
        return;
    nghttp2_session_del(grpc->http2);
    grpc_calls_free(grpc);
    free(grpc);
    connection->door_state = NULL;
}

static void drop(struct grpc *grpc, const char *why)
{
    log_event(LOG_WARNING, "dropped", LOG_TEXT("peer", grpc->connection->peer), LOG_TEXT("why", why));
    connection_move(grpc->connection, CONNECTION_DROPPED, grpc->now_us);
    server_list_add(grpc->server, LIST_OUTPUT, grpc->connection);
}

// ---- In --------------------------------------------------------------------------------------------------------------

static void read_frames(struct grpc *grpc)
{
    struct frame_buffer *in = &grpc->connection->in;
    size_t all = frame_buffer_size(in), size = all;
    if (size == 0)
        return;
    grpc->heard_us = grpc->now_us;
    uint32_t disorder = grpc_order_check(&grpc->order, frame_buffer_data(in), &size);
    ssize_t used = nghttp2_session_mem_recv(grpc->http2, frame_buffer_data(in), size);
    if (used == NGHTTP2_ERR_NOMEM || used == NGHTTP2_ERR_CALLBACK_FAILURE) {
        drop(grpc, nghttp2_strerror((int)used));
    } else if (used < 0) {
        log_event(LOG_WARNING, "bad_http2", LOG_TEXT("peer", grpc->connection->peer),
                  LOG_TEXT("why", nghttp2_strerror((int)used)));
        nghttp2_session_terminate_session(grpc->http2, used == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM
                                                                                   : NGHTTP2_PROTOCOL_ERROR);
    } else if (disorder) {
        nghttp2_session_terminate_session(grpc->http2, disorder);
    }
    frame_buffer_consume(in, all);
}

static void door_take(struct server *server, struct connection *connection, uint64_t now_us)
{
    struct grpc *grpc = connection->door_state;
    if (!grpc && !(grpc = grpc_new(server, connection, now_us))) {
        connection_move(connection, CONNECTION_DROPPED, now_us);
        server_list_add(server, LIST_OUTPUT, connection);
        return;
    }
    grpc->now_us = now_us;
    grpc->taking = 1;
    grpc->made_room = 0;
    if (connection->state == CONNECTION_SERVING)
        read_frames(grpc);
    while (connection->state == CONNECTION_SERVING && grpc->first_ready && server_may_take(server, connection) &&
           grpc_take_ready(grpc))
        ;
    grpc->taking = 0;
    server_list_add(server, LIST_OUTPUT, connection);
}

// ---- Out -------------------------------------------------------------------------------------------------------------

static void say_goodbye(struct grpc *grpc, const struct wire_error *error)
{
    int is_mistake = error->code == WIRE_LIMIT || error->code == WIRE_RATE;
    grpc_http2_goaway(grpc, is_mistake ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_NO_ERROR, error->message);
    server_list_add(grpc->server, LIST_OUTPUT, grpc->connection);
}

static void door_reply(struct server *server, struct connection *connection, const struct wire_envelope *reply)
{
    (void)server;
    struct grpc *grpc = connection->door_state;
    if (!grpc)
        return;
    if (reply->request_id == 0) {
        say_goodbye(grpc, &reply->error);
        return;
    }
    struct grpc_call *call = grpc_call_of(grpc, (int32_t)reply->request_id);
    if (!call || call->state != CALL_ASKED)
        return;  // cancelled, or its time was up
    if (reply->kind == WIRE_ERROR)
        grpc_call_fail(grpc, call, &reply->error);
    else
        grpc_call_reply(grpc, call, reply);
}

static void door_flush(struct server *server, struct connection *connection)
{
    struct grpc *grpc = connection->door_state;
    struct frame_buffer *out = &connection->out;
    if (!grpc || connection->state == CONNECTION_DROPPED)
        return;
    // One frame more always fits without allocating.
    while (frame_buffer_size(out) + FRAME_LIMIT <= server->output_base) {
        const uint8_t *bytes;
        ssize_t size = nghttp2_session_mem_send(grpc->http2, &bytes);
        if (size == 0)
            break;
        uint8_t *room = size < 0 ? NULL : frame_buffer_reserve(out, (size_t)size);
        if (!room) {
            drop(grpc, size < 0 ? nghttp2_strerror((int)size) : "no memory");
            return;
        }
        memcpy(room, bytes, (size_t)size);
        frame_buffer_append(out, (size_t)size);
    }
    connection->door_holds_output = nghttp2_session_want_write(grpc->http2);
    if (grpc->first_ready && grpc->made_room)
        server_list_add(server, LIST_BACKLOG, connection);
    if (!connection->door_holds_output && !nghttp2_session_want_read(grpc->http2))
        connection_move(connection, CONNECTION_CLOSING, grpc->now_us);
}

// ---- Time ------------------------------------------------------------------------------------------------------------

static void check_call(struct grpc *grpc, struct grpc_call *call)
{
    const struct limits *limits = &grpc->server->limits;
    uint64_t age_us = grpc->now_us - call->since_us;
    int stalls = frame_buffer_size(&call->out) > 0 && age_us >= limits->slow_reader_us;
    if (call->state == CALL_HEADERS && age_us >= limits->handshake_us) {
        log_event(LOG_WARNING, "slow_headers", LOG_TEXT("peer", grpc->connection->peer));
        nghttp2_session_terminate_session(grpc->http2, NGHTTP2_ENHANCE_YOUR_CALM);
    } else if (call->state != CALL_ENDED && call->deadline_us && call->deadline_us <= grpc->now_us && !call->is_plain) {
        int was_said = call->headers_sent;
        grpc_call_refuse(grpc, call, WIRE_DEADLINE, "", 0, "its time was up");
        if (was_said && nghttp2_session_get_stream_remote_window_size(grpc->http2, call->stream) <= 0)
            nghttp2_submit_rst_stream(grpc->http2, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
    } else if (stalls || ((call->state == CALL_ENDED || call->is_plain) && age_us >= limits->slow_reader_us)) {
        nghttp2_submit_rst_stream(grpc->http2, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
    }
}

static void keep_alive(struct grpc *grpc)
{
    const struct limits *limits = &grpc->server->limits;
    uint64_t silent_us = grpc->now_us - grpc->heard_us;
    if (!grpc->greeted && limits->handshake_us && grpc->now_us - grpc->born_us >= limits->handshake_us) {
        drop(grpc, "no HTTP/2 settings came");
    } else if (grpc->ping_us && silent_us > 0 && grpc->now_us - grpc->ping_us >= limits->keepalive_us) {
        drop(grpc, "it answers no PING");
    } else if (!grpc->ping_us && limits->keepalive_us && silent_us >= limits->keepalive_us) {
        grpc->ping_us = grpc->now_us;
        nghttp2_submit_ping(grpc->http2, NGHTTP2_FLAG_NONE, NULL);
    }
}

static void door_tick(struct server *server, struct connection *connection, uint64_t now_us)
{
    struct grpc *grpc = connection->door_state;
    if (!grpc || connection->state == CONNECTION_DROPPED)
        return;
    grpc->now_us = now_us;
    for (struct grpc_call *call = grpc->calls, *next; call; call = next) {
        next = call->next;
        check_call(grpc, call);
    }
    keep_alive(grpc);
    grpc_health_tell(grpc);
    // Who watches, or may step at any moment, is not idle as long as somebody is there.
    if (grpc->calls && connection->state == CONNECTION_SERVING)
        connection->heard_us = now_us;
    server_list_add(server, LIST_OUTPUT, connection);
}

static void door_drain(struct server *server, struct connection *connection)
{
    struct grpc *grpc = connection->door_state;
    if (!grpc) {
        connection_move(connection, CONNECTION_CLOSING, connection->state_since_us);
        server_list_add(server, LIST_OUTPUT, connection);
        return;
    }
    grpc_http2_goaway(grpc, NGHTTP2_NO_ERROR, "the daemon is stopping");
    grpc_health_tell(grpc);
    grpc->draining = 1;
    for (struct grpc_call *call = grpc->calls, *next; call; call = next) {
        next = call->next;
        if (call->told && call->state == CALL_ASKED)
            grpc_call_refuse(grpc, call, WIRE_DRAINING, "", 0, "the daemon is stopping");
        else
            grpc_call_look(grpc, call);
    }
    server_list_add(server, LIST_OUTPUT, connection);
}

const struct door grpc_door = {
    .name = "grpc", .take = door_take, .reply = door_reply, .flush = door_flush, .tick = door_tick, .drain = door_drain,
    .close = door_close};
