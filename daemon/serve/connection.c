// Connections without sockets; the contract is in connection.h.
#include "connection.h"

#include "door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct connection *connection_new(const struct limits *limits, size_t output_base, size_t output_limit,
                                  const struct peer *peer, uint64_t now_us)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    if (frame_buffer_init(&connection->in, INPUT_BASE, FRAME_HEADER_SIZE + limits->frame_bytes) ||
        frame_buffer_init(&connection->out, output_base, output_limit)) {
        connection_free(connection);
        return NULL;
    }
    snprintf(connection->peer, sizeof connection->peer, "%s", peer->text);
    connection->identity = peer->identity;
    connection->is_control = peer->is_control;
    connection->state_since_us = connection->heard_us = now_us;
    return connection;
}

void connection_free(struct connection *connection)
{
    if (!connection)
        return;
    if (connection->door && connection->door->close)
        connection->door->close(connection);
    frame_buffer_release(&connection->in);
    frame_buffer_release(&connection->out);
    free(connection->slots);
    free(connection);
}

void connection_move(struct connection *connection, enum connection_state state, uint64_t now_us)
{
    if (connection->state == state || connection->state == CONNECTION_DROPPED)
        return;
    if (connection->state == CONNECTION_CLOSING && state != CONNECTION_DROPPED)
        return;
    connection->state = state;
    connection->state_since_us = now_us;
    if (state == CONNECTION_CLOSING || state == CONNECTION_DROPPED)
        frame_buffer_consume(&connection->in, frame_buffer_size(&connection->in));
}

static struct slot *slot_in_state(struct connection *connection, enum slot_state state)
{
    for (size_t i = 0; i < connection->slot_count; i++)
        if (connection->slots[i].state == state)
            return &connection->slots[i];
    return NULL;
}

struct slot *connection_take_slot(struct connection *connection, size_t limit)
{
    if (limit > UINT16_MAX)
        limit = UINT16_MAX;
    struct slot *slot = slot_in_state(connection, SLOT_FREE);
    if (!slot && connection->slot_count < limit) {
        // Twice as many, numbered and free.
        size_t count = connection->slot_count ? 2 * connection->slot_count : 4;
        count = count < limit ? count : limit;
        struct slot *slots = realloc(connection->slots, count * sizeof *slots);
        if (!slots)
            return NULL;
        for (size_t i = connection->slot_count; i < count; i++)
            slots[i] = (struct slot){.handle = (uint32_t)i + 1};
        slot = &slots[connection->slot_count];
        connection->slots = slots;
        connection->slot_count = count;
    }
    if (!slot && (slot = slot_in_state(connection, SLOT_FENCED)))
        slot_release(slot);
    return slot;
}

struct slot *connection_slot(struct connection *connection, uint32_t handle)
{
    size_t index = (handle & UINT16_MAX) - 1u;
    if (index >= connection->slot_count || connection->slots[index].handle != handle ||
        connection->slots[index].state == SLOT_FREE)
        return NULL;
    return &connection->slots[index];
}

void slot_release(struct slot *slot)
{
    *slot = (struct slot){.state = SLOT_FREE, .handle = slot->handle + (1u << 16)};
}
