// Replies that wait for the disk; the contract is in durable.h.
#include "durable.h"

#include "house_internal.h"
#include "log.h"
#include "session_log.h"

#include <string.h>

// In server->deferred: this, then the frame, padded to RECORD_ALIGNMENT.
struct record {
    uint64_t position;
    struct connection *connection;  // NULL: it has ended
    uint64_t durable_seq;           // for an Action that goes out before its time
    uint64_t since_us;
    size_t frame_size;
};

enum { RECORD_ALIGNMENT = 16, FIRST_GUESS = 1024 };

static size_t record_size(size_t frame_size)
{
    return (sizeof(struct record) + frame_size + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
}

// Encoded behind the room for its record. 0: no memory.
static size_t encode(struct server *server, const struct wire_envelope *reply)
{
    size_t room = FIRST_GUESS;
    for (;;) {
        uint8_t *at = frame_buffer_reserve(&server->deferred, record_size(room));
        if (!at)
            return 0;
        wire_arena_reset(&server->encode_arena);
        long size = wire_encode(at + sizeof(struct record), room, reply, &server->encode_arena);
        if (size <= 0)
            return 0;
        if ((size_t)size <= room)
            return (size_t)size;
        room = (size_t)size;
    }
}

// The disk may get there while earlier replies still lie here.
static int may_go_out(const struct server *server, const struct connection *connection, uint64_t position)
{
    return !server->queue || (position <= store_durable(server->queue) && connection->deferred == 0);
}

void durable_reply(struct server *server, struct connection *connection, const struct wire_envelope *reply,
                   uint64_t position, uint64_t durable_seq, uint64_t now_us)
{
    if (may_go_out(server, connection, position)) {
        server_reply(server, connection, reply);
        return;
    }
    size_t frame_size = encode(server, reply);
    if (frame_size == 0) {
        log_event(LOG_ERROR, "reply_lost", LOG_TEXT("peer", connection->peer), LOG_NUMBER("kind", reply->kind));
        connection_move(connection, CONNECTION_DROPPED, now_us);
        server_list_add(server, LIST_OUTPUT, connection);
        return;
    }
    struct record *record = (struct record *)(server->deferred.memory + server->deferred.end);
    *record = (struct record){position, connection, durable_seq, now_us, frame_size};
    frame_buffer_append(&server->deferred, record_size(frame_size));
    connection->deferred++;
    connection->promised += frame_size;
}

void durable_reply_action(struct server *server, struct connection *connection, struct wire_envelope *reply,
                          struct session *session)
{
    uint64_t durable_seq = reply->action.durable_seq = session_durable_seq(server, session);
    if (server->durability != WIRE_DURABILITY_ALWAYS || may_go_out(server, connection, session->position)) {
        server_reply(server, connection, reply);
        return;
    }
    // When it goes out all of this is on disk.
    uint64_t undurable = session->undurable_first;
    reply->action.durable_seq = undurable != 0 ? undurable - 1 : session->last_transition;
    durable_reply(server, connection, reply, session->position, durable_seq, server->clock_us());
}

// The log is stuck, so the disk will not be there soon.
static void send_early(struct server *server, struct connection *connection, struct wire_envelope *reply,
                       uint64_t durable_seq)
{
    if (reply->kind == WIRE_ACTION) {
        reply->action.durable_seq = durable_seq;
    } else if (reply->kind != WIRE_OPENED) {
        *reply = (struct wire_envelope){.request_id = reply->request_id, .kind = WIRE_ERROR};
        reply->error = (struct wire_error){
            .code = WIRE_UNDURABLE, .message = "the experience log cannot take it now; ask again later"};
        count_add(&server->metrics.refusals[WIRE_UNDURABLE], 1);
    }
    server_reply(server, connection, reply);
}

static void release(struct server *server, const struct record *record, int early, uint64_t now_us)
{
    struct connection *connection = record->connection;
    struct wire_envelope reply;
    const uint8_t *frame = (const uint8_t *)(record + 1);
    connection->deferred--;
    connection->promised -= record->frame_size;
    wire_arena_reset(&server->arena);
    if (wire_decode(&reply, frame + FRAME_HEADER_SIZE, record->frame_size - FRAME_HEADER_SIZE, &server->arena)) {
        connection_move(connection, CONNECTION_DROPPED, now_us);
        server_list_add(server, LIST_OUTPUT, connection);
        return;
    }
    histogram_add(&server->metrics.durable_us, now_us - record->since_us);
    if (early)
        send_early(server, connection, &reply, record->durable_seq);
    else
        server_reply(server, connection, &reply);
    server_waited(server, connection, now_us);
}

void durable_release(struct server *server, uint64_t now_us)
{
    if (!server->queue || frame_buffer_size(&server->deferred) == 0)
        return;
    uint64_t durable = store_durable(server->queue);
    int early = store_stuck(house_store(server->house));
    while (frame_buffer_size(&server->deferred) > 0) {
        const struct record *record = (const struct record *)frame_buffer_data(&server->deferred);
        if (record->position > durable && !early)
            break;
        if (record->connection)
            release(server, record, record->position > durable, now_us);
        frame_buffer_consume(&server->deferred, record_size(record->frame_size));
    }
    if (frame_buffer_size(&server->deferred) == 0)
        frame_buffer_trim(&server->deferred);
    else if (server->wanted < server->position)
        store_want(server->queue, server->wanted = server->position);
}

void durable_drop(struct server *server, const struct connection *connection)
{
    if (connection->deferred == 0)
        return;
    const struct frame_buffer *records = &server->deferred;
    for (size_t at = records->start; at < records->end;) {
        struct record *record = (struct record *)(records->memory + at);
        if (record->connection == connection)
            record->connection = NULL;
        at += record_size(record->frame_size);
    }
}
