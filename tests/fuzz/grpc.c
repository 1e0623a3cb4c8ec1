// A hostile gRPC client: its bytes come after a good preface into a connection of a server with a small model, in turns,
// while a good client steps beside it over frames. Whatever it sends, replies are HTTP/2 frames, buffers and calls
// stay within their limits, time ends what stalls, and the good client's belief is what it is without company. The
// first byte says how to cut the bytes into turns.
//
// Its corpus are sessions of tests/serve/grpc_*.c, as BELIEFD_GRPC_RECORD=DIRECTORY has them written.

#include "daemon/serve/grpc.h"
#include "daemon/serve/log.h"
#include "tests/agent/sample.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { OBS = 5, ACT = 2, TURNS = 8 };  // of sample_small

static const struct limits limits = {
    .connections = 2, .sessions = 8, .frame_bytes = 1 << 15, .in_flight = 4, .gaps = 3, .writers = 2,
    .connection_idle_us = 60000000, .session_idle_us = 1000, .slow_reader_us = 1000000, .handshake_us = 1000000,
    .deadline_us = 1000000, .keepalive_us = 1000000, .streams = 20, .header_bytes = 4096, .resets_per_second = 5,
    .pings_per_second = 5};

static void check(int fact)
{
    if (!fact)
        abort();
}

static uint64_t clock_us(void)
{
    return 1;
}

// One house for all runs; it outlives them.
static struct house *house_of_small_model(void)
{
    static struct house *house;
    char why[200];
    if (house)
        return house;
    log_set_level(LOG_ERROR);
    const struct house_options options = {.limits = limits, .servers = 1, .clock_us = clock_us};
    check(house_new(&house, &options, why, sizeof why) == 0);
    check(house_serve(house, sample_model(&sample_small, 1), NULL, 0, why, sizeof why) == 0);
    return house;
}

static void give(struct server *server, struct connection *connection, const uint8_t *bytes, size_t size, uint64_t now_us)
{
    while (size > 0 && connection_wants_input(connection)) {
        size_t room;
        uint8_t *to = server_input(connection, &room);
        check(to != NULL && room > 0);
        room = room < size ? room : size;
        memcpy(to, bytes, room);
        server_received(server, connection, room, now_us);
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
    give(server, connection, bytes, (size_t)size, 1);
}

// The frames that it has to say are whole, and none is larger than HTTP/2 has it by itself.
static void take_frames(struct server *server, struct connection *connection, uint64_t now_us)
{
    const struct frame_buffer *out = &connection->out;
    size_t size = frame_buffer_size(out), at = 0;
    const uint8_t *bytes = frame_buffer_data(out);
    check(size <= server->output_limit && frame_buffer_size(&connection->in) <= connection->in.limit);
    while (size - at >= 9) {
        size_t payload = (size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2];
        check(payload <= 16384 && 9 + payload <= size - at);
        at += 9 + payload;
    }
    check(at == size);
    const struct grpc *grpc = connection->door_state;
    check(!grpc || (grpc->call_count <= 2 * limits.streams && grpc->held <= 2 * server->output_limit));
    if (size > 0)
        server_sent(server, connection, size, now_us);
}

// The last thing it was told is a good Action.
static int take_action(struct server *server, struct connection *connection)
{
    static uint8_t memory[1 << 20];
    struct wire_arena arena;
    struct wire_envelope reply = {.kind = WIRE_NONE};
    struct frame_buffer view = connection->out;
    const uint8_t *body;
    size_t size;
    while (frame_next(&view, limits.frame_bytes, &body, &size) == 1) {
        wire_arena_init(&arena, memory, sizeof memory);
        check(wire_decode(&reply, body, size, &arena) == 0);
        view.start += FRAME_HEADER_SIZE + size;
    }
    if (connection_has_output(connection))
        server_sent(server, connection, frame_buffer_size(&connection->out), 1);
    return reply.kind == WIRE_ACTION && reply.action.status == WIRE_STATUS_ABSORBED;
}

static void turn(struct server *server, struct connection *bad, uint64_t now_us)
{
    do {
        server_turn(server, now_us);
        struct connection *next;
        while ((next = server_next_output(server)))
            if (next == bad)
                take_frames(server, bad, now_us);
    } while (server_has_backlog(server));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static struct digest undisturbed;
    if (size == 0)
        return 0;
    char why[200];
    struct server *server;
    check(server_new(&server, house_of_small_model(), 0, why, sizeof why) == 0);
    const struct peer anybody = {.text = "anybody", .identity = {.role = WIRE_ROLE_ROBOT}};
    struct connection *good = server_connect(server, &anybody, 1), *bad = server_connect(server, &anybody, 1);
    give_message(server, good, &(struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = "good"}});
    struct session *session = session_find(&server->sessions, "good");
    check(session != NULL);
    float observation[OBS] = {0}, action[ACT] = {0.5f, -0.5f};
    give_message(server, good, &(struct wire_envelope){
                                   .kind = WIRE_ACT, .act = {.handle = 1, .seq = 1, .observation = {observation, OBS}}});
    give(server, bad, (const uint8_t *)preface, sizeof preface - 1, 1);

    size_t at = 1, cut = bytes[0] * 4u + 1;
    int robbed = 0;  // the stranger opened or changed the good client's session, as anybody may who knows its name
    for (uint64_t seq = 2; seq < 2 + TURNS && !robbed; seq++) {
        observation[0] = (float)seq / 8;
        give_message(server, good,
                     &(struct wire_envelope){
                         .kind = WIRE_STEP,
                         .step = {.handle = 1, .seq = seq, .observation = {observation, OBS}, .reward = 0.5f,
                                  .action = {action, ACT}}});
        size_t now = seq == 1 + TURNS || size - at < cut ? size - at : cut;
        give(server, bad, bytes + at, now, 1);
        at += now;
        turn(server, bad, 1);
        robbed = session_find(&server->sessions, "good") != session || session->owner != good;
        check(take_action(server, good) || robbed);
    }
    struct digest digest = robbed ? undisturbed : agent_belief_digest(&session->belief);
    if (undisturbed.word[0] == 0)
        undisturbed = digest;
    check(digest_equal(digest, undisturbed));
    // Time passes: whatever has stalled ends, with everything it held.
    for (uint64_t second = 1; second < 8; second++) {
        server_tick(server, second * 1000000);
        turn(server, bad, second * 1000000);
        take_action(server, good);
    }
    const struct grpc *grpc = bad->door_state;
    for (const struct grpc_call *call = grpc ? grpc->calls : NULL; call; call = call->next)
        check(bad->state != CONNECTION_SERVING || (call->method && call->method->is_long));
    server_disconnect(server, bad, 1);
    server_disconnect(server, good, 1);
    server_free(server);
    return 0;
}
