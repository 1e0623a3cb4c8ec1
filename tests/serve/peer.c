#include "peer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/suite.h"

uint64_t peer_now_us = 1000000;

uint64_t peer_clock_us(void)
{
    return peer_now_us;
}

const struct limits peer_limits = {
    .connections = 100, .sessions = 100, .frame_bytes = 1 << 18, .in_flight = 16, .gaps = 8, .writers = 4,
    .connection_idle_us = 60000000, .session_idle_us = 300000000, .slow_reader_us = 10000000};

const struct peer peer_robot = {.text = "test", .identity = {.role = WIRE_ROLE_ROBOT}};

struct server *peer_server(struct model *const *models, size_t count, const struct limits *limits)
{
    const struct house_options options = {.limits = *limits, .servers = 1, .clock_us = peer_clock_us};
    struct house *house = NULL;
    struct server *server = NULL;
    char why[256] = "";
    int error = house_new(&house, &options, why, sizeof why);
    for (size_t i = 0; i < count && !error; i++)
        error = house_serve(house, models[i], NULL, 0, why, sizeof why);
    if (!error)
        error = server_new(&server, house, 0, why, sizeof why);
    ck_assert_msg(error == 0, "%s", why);
    return server;
}

void peer_server_free(struct server *server)
{
    struct house *house = server->house;
    server_free(server);
    house_free(house);
}

struct caller peer_connect(struct server *server)
{
    return peer_connect_as(server, &peer_robot);
}

struct caller peer_connect_as(struct server *server, const struct peer *who)
{
    struct caller peer = {.server = server, .bytes = malloc(PEER_BUFFER)};
    wire_arena_init(&peer.arena, malloc(PEER_BUFFER * 4), PEER_BUFFER * 4);
    peer.connection = server_connect(server, who, peer_now_us);
    ck_assert_ptr_nonnull(peer.connection);
    return peer;
}

void peer_free(struct caller *peer)
{
    if (peer->connection)
        server_disconnect(peer->server, peer->connection, peer_now_us);
    free(peer->bytes);
    free(peer->arena.memory);
    *peer = (struct caller){0};
}

void peer_bytes(struct caller *peer, const void *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t room;
        uint8_t *to = server_input(peer->connection, &room);
        ck_assert_ptr_nonnull(to);
        room = room < size - at ? room : size - at;
        memcpy(to, (const uint8_t *)bytes + at, room);
        server_received(peer->server, peer->connection, room, peer_now_us);
        at += room;
    }
}

void peer_send(struct caller *peer, struct wire_envelope request)
{
    uint8_t *bytes = malloc(PEER_BUFFER);
    request.request_id = ++peer->next_id;
    wire_arena_reset(&peer->arena);
    long size = wire_encode(bytes, PEER_BUFFER, &request, &peer->arena);
    ck_assert_int_gt(size, 0);
    ck_assert_int_le(size, PEER_BUFFER);
    peer_bytes(peer, bytes, (size_t)size);
    free(bytes);
}

void peer_turn(struct server *server, struct caller *const *peers, size_t count)
{
    do {
        server_turn(server, peer_now_us);
        while (server_next_output(server))
            ;  // peers look for themselves
        for (size_t i = 0; i < count; i++) {
            struct connection *connection = peers[i]->connection;
            size_t size = frame_buffer_size(&connection->out);
            ck_assert_uint_le(size, PEER_BUFFER - peers[i]->held);
            memcpy(peers[i]->bytes + peers[i]->held, frame_buffer_data(&connection->out), size);
            peers[i]->held += size;
            server_sent(server, connection, size, peer_now_us);
        }
    } while (server_has_backlog(server));
}

int peer_reply(struct caller *peer, struct wire_envelope *reply)
{
    const struct frame_buffer view = {.memory = peer->bytes, .end = peer->held, .capacity = PEER_BUFFER};
    const uint8_t *body;
    size_t size;
    int found = frame_next(&view, PEER_BUFFER, &body, &size);
    ck_assert_int_ge(found, 0);
    if (!found)
        return 0;
    wire_arena_reset(&peer->arena);
    ck_assert_int_eq(wire_decode(reply, body, size, &peer->arena), 0);
    peer->held -= FRAME_HEADER_SIZE + size;
    memmove(peer->bytes, body + size, peer->held);
    return 1;
}

struct wire_envelope peer_answer(struct caller *peer, enum wire_kind kind)
{
    struct wire_envelope reply;
    ck_assert(peer_reply(peer, &reply));
    ck_assert_int_eq(reply.kind, kind);
    return reply;
}

struct wire_envelope peer_ask(struct caller *peer, struct wire_envelope request)
{
    struct wire_envelope reply;
    peer_send(peer, request);
    peer_turn(peer->server, &peer, 1);
    int found = peer_reply(peer, &reply);
    // Replies may wait for the disk, requests for a session.
    for (int i = 0; !found && i < 100000 && peer->connection->deferred + peer->connection->parked > 0; i++) {
        usleep(100);
        server_take_mail(peer->server, peer_now_us);
        peer_turn(peer->server, &peer, 1);
        found = peer_reply(peer, &reply);
    }
    ck_assert_msg(found, "no reply to a request of kind %d", request.kind);
    ck_assert_uint_eq(reply.request_id, peer->next_id);
    return reply;
}

struct wire_error peer_refused(struct caller *peer, struct wire_envelope request, enum wire_error_code code,
                               const char *field)
{
    struct wire_envelope reply = peer_ask(peer, request);
    ck_assert_int_eq(reply.kind, WIRE_ERROR);
    ck_assert_msg(reply.error.code == code, "%s, not %s: %s", wire_error_name(reply.error.code),
                  wire_error_name(code), reply.error.message);
    ck_assert_str_eq(reply.error.field, field);
    ck_assert_str_ne(reply.error.message, "");
    return reply.error;
}

struct wire_opened peer_open(struct caller *peer, const char *session, const char *model)
{
    struct wire_envelope reply =
        peer_ask(peer, (struct wire_envelope){.kind = WIRE_OPEN, .open = {.session = session, .model = model}});
    ck_assert_int_eq(reply.kind, WIRE_OPENED);
    return reply.opened;
}

void robot_live(struct robot *robot, uint64_t seq)
{
    struct random_stream stream = random_stream(robot->seed, (uint32_t)seq, 1, 2);
    sample_transition(robot->model, &stream, robot->observation, robot->action, robot->next, &robot->reward);
    // The next observation of one transition is the observation of the following one.
    float ignored_action[16], ignored_next[64], ignored_reward;
    stream = random_stream(robot->seed, (uint32_t)seq + 1, 1, 2);
    memcpy(ignored_next, robot->next, sizeof ignored_next);
    sample_transition(robot->model, &stream, robot->next, ignored_action, ignored_next, &ignored_reward);
}

struct wire_envelope robot_act(struct robot *robot, uint32_t handle, uint64_t seq)
{
    robot_live(robot, seq);
    return (struct wire_envelope){
        .kind = WIRE_ACT,
        .act = {.handle = handle, .seq = seq, .observation = {robot->next, robot->model->observation_dim}}};
}

struct wire_envelope robot_step(struct robot *robot, uint32_t handle, uint64_t seq)
{
    robot_live(robot, seq);
    return (struct wire_envelope){
        .kind = WIRE_STEP,
        .step = {.handle = handle, .seq = seq, .observation = {robot->next, robot->model->observation_dim},
                 .reward = robot->reward, .action = {robot->action, robot->model->action_dim}}};
}
