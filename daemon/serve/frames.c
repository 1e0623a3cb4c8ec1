// The frame door: each frame is one Envelope; the contracts are in door.h and proto/frame.h. Before a request is
// taken its reply has room behind those that are under way, so that a client which does not read is not read from
// either, and no reply is ever lost.
#include "door.h"

#include "batch.h"
#include "log.h"
#include "permission.h"
#include "requests.h"

#include <errno.h>

// Steps and Acts: their room is there without allocating, unless nothing at all is under way.
static int has_room(const struct server *server, struct connection *connection, const struct wire_envelope *message)
{
    size_t bound = request_reply_bound(server, message);
    int control = message->kind == WIRE_STEP || message->kind == WIRE_ACT;
    size_t under_way = frame_buffer_size(&connection->out) + connection->promised;
    if (control && under_way > 0)
        return frame_buffer_room(&connection->out) >= connection->promised + bound;
    return frame_buffer_reserve(&connection->out, connection->promised + bound) != NULL;
}

// 0: there is no room for its reply yet; nothing was done.
static int take_body(struct server *server, struct connection *connection, const uint8_t *body, size_t size,
                     uint64_t now_us)
{
    struct wire_envelope message;
    wire_arena_reset(&server->arena);
    int error = wire_decode(&message, body, size, &server->arena);
    if (error) {
        log_event(LOG_WARNING, "bad_frame", LOG_TEXT("peer", connection->peer), LOG_NUMBER("bytes", size));
        return request_farewell(server, connection, WIRE_BAD_FRAME, 0, now_us,
                                error == -ENOMEM ? "a frame with more parts than it may have"
                                                 : "these bytes are not an Envelope");
    }
    // Replies in the order of the requests: what is answered at once waits for the batch before it.
    if (message.kind != WIRE_STEP && message.kind != WIRE_ACT && connection->waiting > 0)
        batch_run_all(server);
    if (!has_room(server, connection, &message))
        return 0;
    request_take_message(server, connection, &message, 0, now_us);
    return 1;
}

static int refuse_size(struct server *server, struct connection *connection, size_t size, uint64_t now_us)
{
    size_t limit = permission_bytes(&connection->identity, &server->limits);
    int taken = request_farewell(server, connection, WIRE_TOO_LARGE, limit, now_us, "a frame of %zu bytes; no more than %zu%s",
                                 size, limit,
                                 connection->identity.role == WIRE_ROLE_NONE ? " before a Hello with a token" : "");
    if (taken)
        log_event(LOG_WARNING, "too_large", LOG_TEXT("peer", connection->peer), LOG_NUMBER("bytes", size));
    return taken;
}

// The requests that are whole, until there are none, or no room for a reply, or others should have a turn.
static void frames_take(struct server *server, struct connection *connection, uint64_t now_us)
{
    while (connection->state == CONNECTION_SERVING && connection->ending != CONNECTION_LEAVING) {
        const uint8_t *body;
        size_t size;
        int found = frame_next(&connection->in, permission_bytes(&connection->identity, &server->limits), &body,
                               &size);
        if (found == 0)
            break;
        if (found > 0 && !server_may_take(server, connection))
            break;
        int taken = found < 0 ? refuse_size(server, connection, size, now_us)
                              : take_body(server, connection, body, size, now_us);
        if (!taken) {
            connection_move(connection, CONNECTION_BLOCKED, now_us);
            server_list_add(server, LIST_OUTPUT, connection);
        } else if (connection->state == CONNECTION_SERVING) {
            frame_buffer_consume(&connection->in, FRAME_HEADER_SIZE + size);
            connection->taken++;
            connection->heard_us = now_us;
        }
    }
}

static void frames_reply(struct server *server, struct connection *connection, const struct wire_envelope *reply)
{
    size_t room = connection->out.capacity - connection->out.end;
    uint8_t *out = connection->out.memory + connection->out.end;
    wire_arena_reset(&server->encode_arena);
    long size = wire_encode(out, room, reply, &server->encode_arena);
    if (size > (long)room) {
        // Room enough was reserved, but not in one piece.
        out = frame_buffer_reserve(&connection->out, (size_t)size);
        size = out ? wire_encode(out, (size_t)size, reply, &server->encode_arena) : -ENOMEM;
    }
    if (size < 0) {
        log_event(LOG_ERROR, "reply_lost", LOG_TEXT("peer", connection->peer), LOG_NUMBER("kind", reply->kind));
        connection_move(connection, CONNECTION_DROPPED, connection->state_since_us);
    } else {
        frame_buffer_append(&connection->out, (size_t)size);
    }
    server_list_add(server, LIST_OUTPUT, connection);
}

const struct door frame_door = {.name = "frames", .has_handles = 1, .take = frames_take, .reply = frames_reply};
