// A hostile client of the whole protocol: its bytes go into a connection of a server with two small models, in turns,
// while a good client steps beside it. Whatever it sends, replies are frames, buffers stay within their limits,
// and the good client's belief is what it is without company. The first byte says how to cut the bytes into turns, and
// of which kind the second model is.

#include "daemon/serve/door.h"
#include "daemon/serve/log.h"
#include "daemon/serve/server.h"
#include "tests/agent/sample.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { OBS = 5, ACT = 2 };  // of sample_small

static uint64_t clock_us(void)
{
    return 1;
}

static void check(int fact)
{
    if (!fact)
        abort();
}

// With our small model, and one of another kind that is named after it.
static struct house *house_of_small_models(const struct limits *limits, enum model_kind kind)
{
    static struct house *houses[MODEL_KIND_COUNT];
    char why[200];
    if (houses[kind])
        return houses[kind];
    const struct house_options options = {.limits = *limits, .servers = 1, .clock_us = clock_us};
    log_set_level(LOG_ERROR);
    check(house_new(&houses[kind], &options, why, sizeof why) == 0);
    check(house_serve(houses[kind], sample_model(&sample_small, 1), NULL, 0, why, sizeof why) == 0);
    struct model_shape shape = sample_kind(kind);
    shape.name = model_kind_name(kind);
    check(house_serve(houses[kind], sample_model(&shape, 1), NULL, 0, why, sizeof why) == 0);
    return houses[kind];
}

static void give(struct server *server, struct connection *connection, const uint8_t *bytes, size_t size)
{
    while (size > 0 && connection_wants_input(connection)) {
        size_t room;
        uint8_t *to = server_input(connection, &room);
        check(to != NULL && room > 0);
        room = room < size ? room : size;
        memcpy(to, bytes, room);
        server_received(server, connection, room, 1);
        bytes += room;
        size -= room;
    }
}

static void give_message(struct server *server, struct connection *connection, const struct wire_envelope *message)
{
    uint8_t bytes[512];
    struct wire_arena none = {0};
    long size = wire_encode(bytes, sizeof bytes, message, &none);
    check(size > 0 && size <= (long)sizeof bytes);
    give(server, connection, bytes, (size_t)size);
}

// Takes all that the connection has to say. 1: the last of it was a good Action.
static int take(struct server *server, struct connection *connection)
{
    static uint8_t memory[1 << 20];
    struct wire_arena arena;
    struct wire_envelope reply = {.kind = WIRE_NONE};
    check(frame_buffer_size(&connection->out) <= server->output_limit);
    check(frame_buffer_size(&connection->in) <= connection->in.limit);
    const uint8_t *body;
    size_t size, used = 0, total = frame_buffer_size(&connection->out);
    struct frame_buffer view = connection->out;
    if (connection->door && !connection->door->has_handles) {
        server_sent(server, connection, total, 1);  // gRPC, which has a target of its own
        return 0;
    }
    while (frame_next(&view, server->limits.frame_bytes, &body, &size) == 1) {
        wire_arena_init(&arena, memory, sizeof memory);
        check(wire_decode(&reply, body, size, &arena) == 0);
        check(reply.kind >= WIRE_ERROR);
        view.start += FRAME_HEADER_SIZE + size;
        used += FRAME_HEADER_SIZE + size;
    }
    check(used == total);
    if (total > 0)
        server_sent(server, connection, total, 1);
    return reply.kind == WIRE_ACTION && reply.action.status == WIRE_STATUS_ABSORBED;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct limits limits = {
        .connections = 2, .sessions = 4, .frame_bytes = 1 << 15, .in_flight = 4, .gaps = 3, .writers = 2,
        .connection_idle_us = 1000, .session_idle_us = 1000, .slow_reader_us = 1000};
    static struct digest undisturbed;
    if (size == 0)
        return 0;
    char why[200];
    struct server *server;
    check(server_new(&server, house_of_small_models(&limits, (enum model_kind)(bytes[0] % MODEL_KIND_COUNT)), 0, why, sizeof why) == 0);
    const struct peer anybody = {.text = "anybody", .identity = {.role = WIRE_ROLE_ROBOT}};
    struct connection *good = server_connect(server, &anybody, 1), *bad = server_connect(server, &anybody, 1);
    give_message(server, good, &(struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = "good"}});
    struct session *session = session_find(&server->sessions, "good");
    check(session != NULL);
    int robbed = 0;  // the stranger opened the good client's session, as anybody may who knows its name
    float observation[OBS] = {0}, action[ACT] = {0.5f, -0.5f};
    give_message(server, good, &(struct wire_envelope){.kind = WIRE_ACT, .act = {.handle = 1, .seq = 1, .observation = {observation, OBS}}});

    size_t at = 1, cut = bytes[0] * 4u + 1;
    for (uint64_t seq = 2; seq < 10; seq++) {
        observation[0] = (float)seq / 8;
        give_message(server, good, &(struct wire_envelope){
                                       .kind = WIRE_STEP,
                                       .step = {.handle = 1, .seq = seq, .observation = {observation, OBS}, .reward = 0.5f,
                                                .action = {action, ACT}}});
        size_t now = seq == 9 || size - at < cut ? size - at : cut;
        give(server, bad, bytes + at, now);
        at += now;
        do {
            server_turn(server, 1);
            while (server_next_output(server))
                ;
            take(server, bad);
        } while (server_has_backlog(server));
        robbed |= session_find(&server->sessions, "good") != session || session->owner != good;
        check(take(server, good) || robbed);
        if (robbed)
            break;
    }
    struct digest digest = robbed ? undisturbed : agent_belief_digest(&session->belief);
    if (undisturbed.word[0] == 0)
        undisturbed = digest;
    check(digest_equal(digest, undisturbed));
    server_disconnect(server, bad, 1);
    server_disconnect(server, good, 1);
    server_tick(server, 10000);
    check(server->sessions.count == 0);
    server_free(server);
    return 0;
}
