// What a connection may do to the daemon and to others: bytes in any pieces, nonsense, silence, too much, the end.
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

START_TEST(hello_tells_what_is_served)
{
    struct wire_envelope reply =
        peer_ask(&peer, (struct wire_envelope){.kind = WIRE_HELLO, .hello = {.client = "test \n\" 1"}});
    ck_assert_int_eq(reply.kind, WIRE_WELCOME);
    ck_assert_str_eq(reply.welcome.server, SERVER_NAME);
    ck_assert_uint_eq(reply.welcome.protocol, WIRE_PROTOCOL);
    ck_assert_uint_eq(reply.welcome.model_count, 2);
    ck_assert_str_eq(reply.welcome.models[1].name, "other");
    ck_assert_uint_eq(reply.welcome.models[0].observation_dim, model->observation_dim);
    ck_assert_uint_eq(reply.welcome.models[0].transition_features, model->heads[HEAD_TRANSITION].features);
    ck_assert_uint_eq(reply.welcome.models[0].action_low.count, model->action_dim);
    ck_assert_uint_eq(reply.welcome.max_frame_bytes, peer_limits.frame_bytes);
    ck_assert_uint_eq(reply.welcome.max_in_flight, peer_limits.in_flight);
}
END_TEST

// All requests of a scenario with good and bad ones, as bytes.
static size_t scenario(uint8_t *bytes, size_t room)
{
    static const float wrong[] = {1, 2};
    struct wire_envelope requests[64];
    float numbers[64][2][64];
    size_t count = 0, used = 0;
    requests[count++] = (struct wire_envelope){.kind = WIRE_HELLO};
    requests[count++] = opening("a", "", 0);
    requests[count++] = opening("b", "small", 1);
    requests[count++] = robot_act(&robot, 1, 1);
    memcpy(numbers[count - 1][0], robot.next, sizeof robot.next);
    requests[count - 1].act.observation.values = numbers[count - 1][0];
    for (uint64_t seq = 2; seq < 40; seq++) {
        requests[count] = robot_step(&robot, 1, seq);
        memcpy(numbers[count][0], robot.next, sizeof robot.next);
        memcpy(numbers[count][1], robot.action, sizeof robot.action);
        requests[count].step.observation.values = numbers[count][0];
        requests[count].step.action.values = numbers[count][1];
        count++;
        if (seq % 7 == 0)
            requests[count++] = ping;
        if (seq % 11 == 0)
            requests[count++] = (struct wire_envelope){.kind = WIRE_ACT, .act = {.handle = 2, .seq = 1, .observation = {wrong, 2}}};
    }
    requests[count++] = get_belief(1);
    requests[count++] = reset(1, WIRE_TASK, 1);
    requests[count++] = closing(2, 1);
    requests[count++] = (struct wire_envelope){.kind = WIRE_NONE};
    struct wire_arena arena;
    wire_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        requests[i].request_id = i + 1;
        long size = wire_encode(bytes + used, room - used, &requests[i], &arena);
        ck_assert_int_gt(size, 0);
        used += (size_t)size;
        ck_assert_uint_le(used, room);
    }
    return used;
}

START_TEST(bytes_cut_anywhere_give_the_same_replies)
{
    enum { ROOM = 1 << 16 };
    uint8_t *bytes = malloc(ROOM), *replies = malloc(PEER_BUFFER);
    size_t total = scenario(bytes, ROOM), replies_size = 0;
    struct random_stream stream = random_stream(1, 1, 1, 1);
    for (int trial = 0; trial < 12; trial++) {
        restart(&peer_limits);
        peer_free(&peer);  // numbers of sessions begin anew on each connection
        peer = peer_connect(server);
        for (size_t at = 0, cut; at < total; at += cut) {
            cut = trial == 0 ? total : trial == 1 ? 1 : 1 + random_below(&stream, 300);
            cut = cut < total - at ? cut : total - at;
            peer_bytes(&peer, bytes + at, cut);
            peer_turn(server, (struct caller *[]){&peer}, 1);
        }
        if (trial == 0) {
            replies_size = peer.held;
            memcpy(replies, peer.bytes, replies_size);
            ck_assert_uint_gt(replies_size, 40 * 100);
        }
        ck_assert_uint_eq(peer.held, replies_size);
        ck_assert_mem_eq(peer.bytes, replies, replies_size);
    }
    free(bytes);
    free(replies);
}
END_TEST

START_TEST(a_body_that_is_not_known_is_told_so)
{
    static const uint8_t unknown[] = {0, 0, 0, 6, 0x08, 77, 0xa2, 0x06, 1, 0}, empty[] = {0, 0, 0, 0};
    peer_bytes(&peer, unknown, sizeof unknown);
    peer_bytes(&peer, empty, sizeof empty);
    peer_turn(server, (struct caller *[]){&peer}, 1);
    struct wire_envelope reply = peer_answer(&peer, WIRE_ERROR);
    ck_assert_int_eq(reply.error.code, WIRE_UNSUPPORTED);
    ck_assert_uint_eq(reply.request_id, 77);
    ck_assert_int_eq(peer_answer(&peer, WIRE_ERROR).error.code, WIRE_UNSUPPORTED);
    // Replies are not requests.
    peer_refused(&peer, (struct wire_envelope){.kind = WIRE_OPENED}, WIRE_UNSUPPORTED, "body");
    ck_assert_int_eq(peer_ask(&peer, ping).kind, WIRE_DONE);
}
END_TEST

// The fixture's client lives beside whatever `disturb` does between its steps, and never notices.
static void check_unharmed(void (*disturb)(struct caller *bad, uint64_t step))
{
    struct caller bad = {0};
    ask_act(1);
    for (uint64_t seq = 2; seq <= STEPS; seq++) {
        if (!bad.server)
            bad = peer_connect(server);
        disturb(&bad, seq);
        expect_observed(&robot, seq, seq);
        check_digest(ask_step(seq, WIRE_STATUS_ABSORBED).digest);
    }
    if (bad.server)
        peer_free(&bad);
}

// The bad peer's last words are `code`, then its connection is closing and deaf.
static void check_farewell(struct caller *bad, enum wire_error_code code)
{
    struct wire_envelope reply = {.kind = WIRE_NONE};
    peer_turn(server, &bad, 1);
    while (peer_reply(bad, &reply))
        ;
    ck_assert_int_eq(reply.kind, WIRE_ERROR);
    ck_assert_uint_eq(reply.request_id, 0);
    ck_assert_msg(reply.error.code == code, "%s", reply.error.message);
    ck_assert_int_eq(bad->connection->state, CONNECTION_CLOSING);
    peer_send(bad, ping);
    peer_turn(server, &bad, 1);
    ck_assert_int_eq(peer_reply(bad, &reply), 0);
    peer_free(bad);
}

static void send_garbage(struct caller *bad, uint64_t step)
{
    static const uint8_t greeting[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};  // of TLS, at a plain port
    static const uint8_t frame[] = {0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (step % 2)
        peer_bytes(bad, greeting, sizeof greeting);
    else
        peer_bytes(bad, frame, sizeof frame);
    check_farewell(bad, step % 2 ? WIRE_TOO_LARGE : WIRE_BAD_FRAME);
}

START_TEST(garbage_costs_its_sender_the_connection_and_nobody_else_anything)
{
    check_unharmed(send_garbage);
}
END_TEST

static void send_too_much(struct caller *bad, uint64_t step)
{
    uint8_t header[FRAME_HEADER_SIZE];
    frame_write_header(header, (uint32_t)(peer_limits.frame_bytes + step));
    peer_bytes(bad, header, sizeof header);
    check_farewell(bad, WIRE_TOO_LARGE);
}

START_TEST(a_frame_beyond_the_limit_is_refused_by_its_length)
{
    check_unharmed(send_too_much);
}
END_TEST

static void die_in_the_middle(struct caller *bad, uint64_t step)
{
    uint8_t bytes[1024];
    struct wire_envelope request = robot_act(&robot, peer_open(bad, "dying", "").handle, step);
    struct wire_arena arena = {0};
    long size = wire_encode(bytes, sizeof bytes, &request, &arena);
    peer_send(bad, request);
    peer_bytes(bad, bytes, (size_t)size * step / (STEPS + 1));
    peer_free(bad);
}

START_TEST(a_client_that_dies_in_a_message_leaves_no_trace)
{
    check_unharmed(die_in_the_middle);
    ck_assert_uint_eq(server->connection_count, 1);
}
END_TEST

// Asks without ever reading: the daemon holds a bounded number of replies and then stops listening to it.
static void never_read(struct caller *bad, uint64_t step)
{
    (void)step;
    for (int i = 0; i < 2000; i++) {
        if (!connection_wants_input(bad->connection))
            break;
        struct wire_envelope request = i % 5 ? ping : (struct wire_envelope){.kind = WIRE_HELLO};
        peer_send(bad, request);
        server_turn(server, peer_now_us);
    }
    ck_assert_int_eq(bad->connection->state, CONNECTION_BLOCKED);
    ck_assert_uint_le(frame_buffer_size(&bad->connection->out), server->output_limit);
    ck_assert_uint_le(frame_buffer_size(&bad->connection->in), bad->connection->in.limit);
}

START_TEST(a_client_that_never_reads_harms_itself_alone)
{
    struct limits limits = peer_limits;
    limits.frame_bytes = 8192;
    restart(&limits);
    check_unharmed(never_read);
    struct caller bad = peer_connect(server);
    never_read(&bad, 0);
    peer_now_us += limits.slow_reader_us - 1;
    server_tick(server, peer_now_us);
    ck_assert_int_eq(bad.connection->state, CONNECTION_BLOCKED);
    peer_now_us += 1;
    server_tick(server, peer_now_us);
    ck_assert_int_eq(bad.connection->state, CONNECTION_DROPPED);
    peer_free(&bad);
    ck_assert_uint_eq(server->connection_count, 1);
}
END_TEST

START_TEST(a_slow_reader_gets_every_reply_in_the_end)
{
    struct limits limits = peer_limits;
    limits.frame_bytes = 8192;
    restart(&limits);
    // More requests than the output can hold replies to; they stay in the input meanwhile.
    struct wire_envelope reply;
    uint64_t asked = 1, answered = 0;
    peer_send(&peer, robot_act(&robot, handle, 1));
    for (uint64_t seq = 2; connection_wants_input(peer.connection) || asked < 400; seq++) {
        if (!connection_wants_input(peer.connection) &&
            peer.connection->in.capacity - peer.connection->in.end < 200)
            break;
        peer_send(&peer, robot_step(&robot, handle, seq));
        asked++;
        server_turn(server, peer_now_us);
    }
    ck_assert_int_eq(peer.connection->state, CONNECTION_BLOCKED);
    peer_turn(server, (struct caller *[]){&peer}, 1);
    while (peer_reply(&peer, &reply)) {
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
        ck_assert_uint_eq(reply.action.seq, ++answered);
    }
    ck_assert_uint_eq(answered, asked);
    ck_assert_int_eq(peer.connection->state, CONNECTION_SERVING);
}
END_TEST

START_TEST(one_connection_too_many_is_told_so)
{
    struct limits limits = peer_limits;
    limits.connections = 2;
    restart(&limits);
    struct caller second = peer_connect(server), third = peer_connect(server);
    check_farewell(&third, WIRE_LIMIT);
    peer_free(&second);
    third = peer_connect(server);
    ck_assert_int_eq(peer_ask(&third, ping).kind, WIRE_DONE);
    ck_assert_int_eq(peer_ask(&peer, ping).kind, WIRE_DONE);
    peer_free(&third);
    peer_free(&peer);
    // Nor can a crowd of refused ones fill the memory.
    struct connection *last = NULL;
    int held = 0;
    while ((last = server_connect(server, &peer_robot, peer_now_us)))
        held++;
    ck_assert_int_lt(held, 100);
}
END_TEST

START_TEST(idle_connections_and_sessions_end)
{
    struct caller idle = peer_connect(server);
    peer_open(&idle, "left", "");
    for (int i = 0; i < 10; i++) {
        peer_now_us += peer_limits.connection_idle_us / 10;
        server_tick(server, peer_now_us);
        if (i < 9)
            ck_assert_int_eq(idle.connection->state, CONNECTION_SERVING);
        ck_assert_int_eq(peer_ask(&peer, ping).kind, WIRE_DONE);
        peer_bytes(&idle, &"\0\0\0\377xxxxxx"[i], 1);  // bytes that never become a request do not count
    }
    check_farewell(&idle, WIRE_IDLE);
    ck_assert_uint_eq(server->sessions.count, 2);
    peer_now_us += peer_limits.session_idle_us;
    ck_assert_int_eq(peer_ask(&peer, ping).kind, WIRE_DONE);
    server_tick(server, peer_now_us);
    ck_assert_uint_eq(server->sessions.count, 1);
    ck_assert_ptr_nonnull(session_find(&server->sessions, "robot"));
}
END_TEST

START_TEST(while_draining_steps_are_answered_and_opens_are_not)
{
    ask_act(1);
    server_drain(server);
    ask_step(2, WIRE_STATUS_ABSORBED);
    peer_refused(&peer, opening("new", "", 0), WIRE_DRAINING, "");
    peer_refused(&peer, opening("robot", "", 0), WIRE_DRAINING, "");
    // What was read before the end is answered before it.
    peer_send(&peer, robot_step(&robot, handle, 3));
    server_farewell(server, peer_now_us);
    peer_turn(server, (struct caller *[]){&peer}, 1);
    peer_answer(&peer, WIRE_ACTION);
    check_farewell(&peer, WIRE_DRAINING);
}
END_TEST

START_TEST(a_half_closed_client_gets_its_answers)
{
    peer_send(&peer, robot_act(&robot, handle, 1));
    server_ended(server, peer.connection, peer_now_us);
    peer_turn(server, (struct caller *[]){&peer}, 1);
    peer_answer(&peer, WIRE_ACTION);
    ck_assert_int_eq(peer.connection->state, CONNECTION_CLOSING);
}
END_TEST

START_TEST(a_server_refuses_models_it_cannot_serve)
{
    struct house *house;
    struct house_options options = {.limits = peer_limits, .servers = 1, .clock_us = peer_clock_us};
    char why[256] = "";
    options.limits.frame_bytes = 1000;
    ck_assert_int_eq(house_new(&house, &options, why, sizeof why), 0);
    ck_assert_int_eq(house_serve(house, sample_model(&sample_small, 1), NULL, 0, why, sizeof why), -EINVAL);
    ck_assert_msg(strstr(why, "frame_bytes") != NULL, "%s", why);
    house_free(house);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connections");
    SUITE_TEST_WITH(suite, hello_tells_what_is_served, set_up, tear_down);
    SUITE_TEST_WITH(suite, bytes_cut_anywhere_give_the_same_replies, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_body_that_is_not_known_is_told_so, set_up, tear_down);
    SUITE_TEST_WITH(suite, garbage_costs_its_sender_the_connection_and_nobody_else_anything, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_frame_beyond_the_limit_is_refused_by_its_length, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_client_that_dies_in_a_message_leaves_no_trace, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_client_that_never_reads_harms_itself_alone, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_slow_reader_gets_every_reply_in_the_end, set_up, tear_down);
    SUITE_TEST_WITH(suite, one_connection_too_many_is_told_so, set_up, tear_down);
    SUITE_TEST_WITH(suite, idle_connections_and_sessions_end, set_up, tear_down);
    SUITE_TEST_WITH(suite, while_draining_steps_are_answered_and_opens_are_not, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_half_closed_client_gets_its_answers, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_server_refuses_models_it_cannot_serve, set_up, tear_down);
    return suite_finish(suite);
}
