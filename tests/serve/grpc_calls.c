// What a good gRPC client sees: the same beliefs as over frames, errors with codes, deadlines, streams, drain.
#include "grpc_peer.h"

#include "daemon/serve/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

#define BELIEF "/belief.v1.Belief/"

static struct grpc_peer *far;   // the client
static uint64_t epoch;          // of its session "arm"

static void set_up_grpc(void)
{
    set_up();
    restart(&grpc_limits);
    far = grpc_connect(server, 65535);
    epoch = grpc_open(far, "arm");
}

static void tear_down_grpc(void)
{
    grpc_free(far);
    tear_down();
}

static struct wire_action act(uint64_t seq)
{
    const struct wire_envelope request = grpc_act(&robot, "arm", epoch, seq);
    return grpc_answered(grpc_call(far, BELIEF "Act", &request, NULL), WIRE_ACTION).action;
}

static struct wire_action step(uint64_t seq, enum wire_status status)
{
    const struct wire_envelope request = grpc_step(&robot, "arm", epoch, seq);
    struct wire_action action = grpc_answered(grpc_call(far, BELIEF "Step", &request, NULL), WIRE_ACTION).action;
    ck_assert_int_eq(action.status, status);
    ck_assert_uint_eq(action.seq, seq);
    return action;
}

START_TEST(a_life_over_grpc_is_a_life_over_frames)
{
    act(1);
    for (uint64_t seq = 2; seq <= STEPS; seq++) {
        expect_observed(&robot, seq, seq);
        struct wire_action told = step(seq, WIRE_STATUS_ABSORBED);
        check_digest(told.digest);
        check_action(told, 0);
    }
    // A retry is told the same.
    struct wire_action again = step(STEPS, WIRE_STATUS_DUPLICATE);
    check_digest(again.digest);
    check_action(again, 0);
}
END_TEST

START_TEST(bytes_cut_anywhere_give_the_same_belief)
{
    for (size_t cut = 1; cut < 40; cut += cut < 5 ? 1 : 11) {
        far->cut = cut;
        act(1 + 100 * cut);
        step(2 + 100 * cut, WIRE_STATUS_ABSORBED);
        expect_observed(&robot, 2 + 100 * cut, 2 + 100 * cut);
    }
    far->cut = 0;
    struct wire_envelope look = {.kind = WIRE_GET_BELIEF, .get_belief = {.session = "arm", .epoch = epoch}};
    check_digest(grpc_answered(grpc_call(far, BELIEF "GetBelief", &look, NULL), WIRE_BELIEF).belief.digest);
}
END_TEST

START_TEST(a_stream_of_steps_is_answered_one_by_one_in_order)
{
    enum { COUNT = 200 };
    struct grpc_heard *call = grpc_begin(far, BELIEF "Steps", NULL);
    struct wire_envelope answer;
    act(1);
    for (uint64_t seq = 2; seq <= COUNT; seq++) {
        const struct wire_envelope request = grpc_step(&robot, "arm", epoch, seq);
        grpc_say_message(call, &request);
        if (seq % 7 == 0)
            grpc_pump(far);  // several at once, then again
    }
    grpc_pump(far);
    ck_assert_int_eq(call->closed, 0);
    grpc_say_end(call);
    grpc_pump(far);
    ck_assert_int_eq(call->grpc_status, 0);
    ck_assert_int_eq(call->closed, 1);
    for (uint64_t seq = 2; seq <= COUNT; seq++) {
        ck_assert_int_eq(grpc_answer(call, WIRE_ACTION, &answer), 1);
        ck_assert_uint_eq(answer.action.seq, seq);
        ck_assert_int_eq(answer.action.status, WIRE_STATUS_ABSORBED);
    }
    ck_assert_uint_eq(call->read, call->size);
    expect_observed(&robot, 2, COUNT);
    check_digest(answer.action.digest);
}
END_TEST

START_TEST(an_error_ends_a_stream_after_what_went_before)
{
    act(1);
    struct grpc_heard *call = grpc_begin(far, BELIEF "Steps", NULL);
    struct wire_envelope answer, request = grpc_step(&robot, "arm", epoch, 2);
    grpc_say_message(call, &request);
    request = grpc_step(&robot, "arm", epoch, 9);
    grpc_say_message(call, &request);
    request = grpc_step(&robot, "arm", epoch, 3);
    grpc_say_message(call, &request);
    grpc_pump(far);
    ck_assert_int_eq(grpc_answer(call, WIRE_ACTION, &answer), 1);
    ck_assert_uint_eq(answer.action.seq, 2);
    ck_assert_uint_eq(call->read, call->size);
    grpc_failed(call, 9, WIRE_OUT_OF_STEP, "seq");
    // The client need not go on: the stream is reset without an error.
    ck_assert_int_eq(call->closed, 1);
    ck_assert_int_eq(call->was_reset, 1);
    ck_assert_uint_eq(call->reset, NGHTTP2_NO_ERROR);
    step(3, WIRE_STATUS_ABSORBED);
}
END_TEST

START_TEST(calls_at_once_share_a_batch_and_keep_their_answers)
{
    enum { COUNT = 40 };
    struct grpc_heard *calls[COUNT];
    struct robot robots[COUNT];
    char name[16];
    uint64_t epochs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "s%d", i);
        epochs[i] = grpc_open(far, name);
        robots[i] = robot_of(100 + (uint64_t)i);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "s%d", i);
        const struct wire_envelope request = grpc_act(&robots[i], name, epochs[i], 5 + (uint64_t)i);
        calls[i] = grpc_begin(far, BELIEF "Act", NULL);
        grpc_say_message(calls[i], &request);
        grpc_say_end(calls[i]);
    }
    grpc_pump(far);
    for (int i = 0; i < COUNT; i++) {
        struct wire_action told = grpc_answered(calls[i], WIRE_ACTION).action;
        ck_assert_uint_eq(told.seq, 5 + (uint64_t)i);
        robot = robots[i];
        check_action(told, 0);
    }
}
END_TEST

static struct grpc_heard *refused_step(const char *session, uint64_t of_epoch, uint64_t seq, const struct grpc_field *more)
{
    const struct wire_envelope request = grpc_step(&robot, session, of_epoch, seq);
    return grpc_call(far, BELIEF "Step", &request, more);
}

START_TEST(every_error_has_its_code_and_its_details)
{
    act(1);
    grpc_failed(refused_step("nobody", 1, 2, NULL), 5, WIRE_UNKNOWN_SESSION, "session");
    grpc_failed(refused_step("arm", epoch + 1, 2, NULL), 10, WIRE_FENCED, "epoch");
    grpc_failed(refused_step("arm", epoch, 7, NULL), 9, WIRE_OUT_OF_STEP, "seq");
    struct wire_envelope request = grpc_step(&robot, "arm", epoch, 2);
    request.step.observation.count--;
    struct wire_error error = grpc_failed(grpc_call(far, BELIEF "Step", &request, NULL), 3, WIRE_INVALID, "observation");
    ck_assert_uint_eq(error.limit, model->observation_dim);
    const struct wire_envelope open = {.kind = WIRE_OPEN, .open = {.session = "x", .model = "no such"}};
    grpc_failed(grpc_call(far, BELIEF "Open", &open, NULL), 5, WIRE_UNKNOWN_MODEL, "model");
    const struct wire_envelope list = {.kind = WIRE_LIST_SESSIONS};
    grpc_failed(grpc_call(far, "/belief.v1.Control/ListSessions", &list, NULL), 7, WIRE_PERMISSION, "");
    grpc_failed(grpc_call(far, BELIEF "Nothing", &ping, NULL), 12, WIRE_UNSUPPORTED, "path");
    step(2, WIRE_STATUS_ABSORBED);
}
END_TEST

START_TEST(a_second_open_fences_the_first)
{
    act(1);
    uint64_t newer = grpc_open(far, "arm");
    ck_assert_uint_eq(newer, epoch + 1);
    grpc_failed(refused_step("arm", epoch, 2, NULL), 10, WIRE_FENCED, "epoch");
    epoch = newer;
    step(2, WIRE_STATUS_ABSORBED);
}
END_TEST

START_TEST(who_does_not_speak_grpc_is_told_so_in_http)
{
    static const struct { struct grpc_field more[2]; int status; } cases[] = {
        {{{":method", "GET"}}, 405}, {{{"content-type", "text/html"}}, 415}, {{{"content-type", ""}}, 415},
        {{{"content-type", "application/grpcx"}}, 415}, {{{"content-type", "application/grpc+json"}}, 415}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grpc_heard *call = grpc_call(far, BELIEF "Ping", &ping, cases[i].more);
        ck_assert_int_eq(call->http_status, cases[i].status);
        ck_assert_int_eq(call->grpc_status, -1);
        ck_assert_int_eq(call->closed, 1);
        ck_assert(call->size > 10 && !memcmp(call->body, "This is beliefd", 15));
    }
    static const char *const good[] = {"application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8",
                                       "application/grpc+proto; x=y"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct grpc_field more[] = {{"content-type", good[i]}, {0}};
        grpc_answered(grpc_call(far, BELIEF "Ping", &ping, more), WIRE_DONE);
    }
}
END_TEST

START_TEST(messages_that_are_not_one_message_are_refused)
{
    static const uint8_t compressed[] = {1, 0, 0, 0, 0}, two[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, cut[] = {0, 0, 0, 0, 9, 1},
                         large[] = {0, 0x7f, 0xff, 0xff, 0xff}, garbage[] = {0, 0, 0, 0, 3, 0xff, 0xff, 0xff};
    static const struct { const uint8_t *bytes; size_t size; int status; enum wire_error_code code; } cases[] = {
        {compressed, sizeof compressed, 12, WIRE_UNSUPPORTED}, {two, sizeof two, 3, WIRE_INVALID},
        {cut, sizeof cut, 3, WIRE_INVALID}, {large, sizeof large, 8, WIRE_TOO_LARGE},
        {garbage, sizeof garbage, 3, WIRE_BAD_FRAME}, {garbage, 0, 3, WIRE_INVALID}, {garbage, 3, 3, WIRE_INVALID}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grpc_heard *call = grpc_begin(far, BELIEF "Step", NULL);
        grpc_say(call, cases[i].bytes, cases[i].size);
        grpc_say_end(call);
        grpc_pump(far);
        struct wire_error error = grpc_failed(call, cases[i].status, cases[i].code, "");
        if (cases[i].code == WIRE_TOO_LARGE)
            ck_assert_uint_eq(error.limit, grpc_limits.frame_bytes);
    }
    const struct grpc_field gzip[] = {{"grpc-encoding", "gzip"}, {0}}, identity[] = {{"grpc-encoding", "identity"}, {0}};
    struct grpc_heard *call = grpc_call(far, BELIEF "Ping", &ping, gzip);
    grpc_failed(call, 12, WIRE_UNSUPPORTED, "grpc-encoding");
    ck_assert_str_eq(call->encodings, "identity");
    grpc_answered(grpc_call(far, BELIEF "Ping", &ping, identity), WIRE_DONE);
}
END_TEST

START_TEST(a_deadline_that_passed_before_leaves_everything_as_it_was)
{
    const struct grpc_field second[] = {{"grpc-timeout", "1S"}, {0}}, bad[] = {{"grpc-timeout", "soon"}, {0}};
    act(1);
    grpc_failed(refused_step("arm", epoch, 2, bad), 3, WIRE_INVALID, "grpc-timeout");
    // Half the request, then nothing until its time is up.
    struct grpc_heard *call = grpc_begin(far, BELIEF "Step", second);
    grpc_pump(far);
    peer_now_us += 999999;
    server_tick(server, peer_now_us);
    grpc_pump(far);
    ck_assert_int_eq(call->grpc_status, -1);
    peer_now_us += 1;
    server_tick(server, peer_now_us);
    grpc_pump(far);
    grpc_failed(call, 4, WIRE_DEADLINE, "");
    // One that was over when its last byte came.
    call = grpc_begin(far, BELIEF "Step", second);
    grpc_pump(far);
    peer_now_us += 2000000;
    const struct wire_envelope request = grpc_step(&robot, "arm", epoch, 2);
    grpc_say_message(call, &request);
    grpc_say_end(call);
    grpc_pump(far);
    grpc_failed(call, 4, WIRE_DEADLINE, "");
    grpc_failed(refused_step("arm", epoch, 3, NULL), 9, WIRE_OUT_OF_STEP, "seq");
    step(2, WIRE_STATUS_ABSORBED);
}
END_TEST

START_TEST(a_call_without_a_deadline_has_the_ceiling)
{
    const struct grpc_field long_one[] = {{"grpc-timeout", "99H"}, {0}};
    struct grpc_heard *without = grpc_begin(far, BELIEF "Step", NULL), *with = grpc_begin(far, BELIEF "Act", long_one);
    grpc_pump(far);
    peer_now_us += grpc_limits.deadline_us;
    server_tick(server, peer_now_us);
    grpc_pump(far);
    grpc_failed(without, 4, WIRE_DEADLINE, "");
    grpc_failed(with, 4, WIRE_DEADLINE, "");
}
END_TEST

START_TEST(a_stream_lasts_as_long_as_it_was_asked_for)
{
    const struct grpc_field minute[] = {{"grpc-timeout", "1M"}, {0}};
    struct grpc_heard *with = grpc_begin(far, BELIEF "Steps", minute), *without = grpc_begin(far, BELIEF "Steps", NULL);
    for (int i = 0; i < 12; i++) {
        grpc_pump(far);
        ck_assert_int_eq(with->grpc_status, -1);
        peer_now_us += 5000000;
        server_tick(server, peer_now_us);
        nghttp2_submit_ping(far->http2, 0, NULL);
    }
    grpc_pump(far);
    grpc_failed(with, 4, WIRE_DEADLINE, "");
    ck_assert_int_eq(without->grpc_status, -1);
    ck_assert_int_eq(far->gone, 0);
}
END_TEST

START_TEST(a_cancelled_step_is_absorbed_and_answered_to_nobody)
{
    act(1);
    struct grpc_heard *call = grpc_begin(far, BELIEF "Step", NULL);
    const struct wire_envelope request = grpc_step(&robot, "arm", epoch, 2);
    const uint8_t *bytes;
    ssize_t size;
    grpc_say_message(call, &request);
    grpc_say_end(call);
    // It is with the batch, which has not run, when the client loses interest.
    while ((size = nghttp2_session_mem_send(far->http2, &bytes)) > 0)
        grpc_bytes(far, bytes, (size_t)size);
    grpc_cancel(call, NGHTTP2_CANCEL);
    grpc_pump(far);
    ck_assert_int_eq(call->grpc_status, -1);
    ck_assert_uint_eq(call->size, 0);
    expect_observed(&robot, 2, 2);
    check_digest(step(2, WIRE_STATUS_DUPLICATE).digest);
}
END_TEST

static struct wire_envelope many_transitions(size_t count, uint32_t writer, struct robot *whose)
{
    static struct wire_transition list[1024];
    static float observations[1024][64], actions[1024][16], next[1024][64];
    for (size_t i = 0; i < count; i++) {
        robot_live(whose, i + 1);
        memcpy(observations[i], whose->observation, sizeof observations[i]);
        memcpy(actions[i], whose->action, sizeof actions[i]);
        memcpy(next[i], whose->next, sizeof next[i]);
        list[i] = (struct wire_transition){
            .seq = i + 1, .observation = {observations[i], model->observation_dim},
            .action = {actions[i], model->action_dim}, .reward = whose->reward,
            .next_observation = {next[i], model->observation_dim}};
    }
    return (struct wire_envelope){
        .kind = WIRE_OBSERVE,
        .observe = {.session = "arm", .epoch = epoch, .writer = writer, .task = 1, .transitions = list,
                    .transition_count = count}};
}

START_TEST(messages_larger_than_a_window_pass_one_after_the_other)
{
    enum { COUNT = 3 };
    struct grpc_heard *calls[COUNT];
    struct wire_envelope request = many_transitions(1000, 1, &robot);
    for (int i = 0; i < COUNT; i++) {
        request.observe.writer = 1;  // the same again: absorbed once
        calls[i] = grpc_begin(far, BELIEF "Observe", NULL);
        grpc_say_message(calls[i], &request);
        grpc_say_end(calls[i]);
        ck_assert_uint_gt(calls[i]->to_send, 3 * 16384);
    }
    grpc_pump(far);
    int absorbed = 0;
    for (int i = 0; i < COUNT; i++) {
        struct wire_observed told = grpc_answered(calls[i], WIRE_OBSERVED).observed;
        ck_assert_uint_eq(told.status_count, 1000);
        absorbed += told.status[0] == WIRE_STATUS_ABSORBED;
        ck_assert_uint_eq(told.count, 1000);
    }
    ck_assert_int_eq(absorbed, 1);
}
END_TEST

START_TEST(draining_answers_what_was_asked_and_ends_streams)
{
    struct wire_envelope answer;
    act(1);
    struct grpc_heard *steps = grpc_begin(far, BELIEF "Steps", NULL),
                      *watch = grpc_begin(far, "/grpc.health.v1.Health/Watch", NULL);
    grpc_say(watch, "\0\0\0\0\0", 5);
    grpc_say_end(watch);
    grpc_pump(far);
    ck_assert_int_eq(grpc_answer(watch, WIRE_NONE, NULL), 1);
    ck_assert_mem_eq(watch->body, "\0\0\0\0\2\10\1", 7);  // SERVING
    server_drain(server);
    // Asked before the end: taken with the last turn.
    const struct wire_envelope open = {.kind = WIRE_OPEN, .open = {.session = "new"}};
    grpc_failed(grpc_call(far, BELIEF "Open", &open, NULL), 14, WIRE_DRAINING, "");
    const struct wire_envelope request = grpc_step(&robot, "arm", epoch, 2);
    struct grpc_heard *call = grpc_begin(far, BELIEF "Step", NULL);
    grpc_say_message(call, &request);
    grpc_say_end(call);
    const uint8_t *bytes;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(far->http2, &bytes)) > 0)
        grpc_bytes(far, bytes, (size_t)size);
    server_farewell(server, peer_now_us);
    grpc_pump(far);
    answer = grpc_answered(call, WIRE_ACTION);
    ck_assert_int_eq(answer.action.status, WIRE_STATUS_ABSORBED);
    grpc_failed(steps, 14, WIRE_DRAINING, "");
    ck_assert_int_eq(grpc_answer(watch, WIRE_NONE, NULL), 1);
    ck_assert_mem_eq(watch->body + 7, "\0\0\0\0\2\10\2", 7);  // NOT_SERVING
    grpc_failed(watch, 14, WIRE_DRAINING, "");
    ck_assert_int_eq(far->goaways, 1);
    ck_assert_uint_eq(far->goaway_code, NGHTTP2_NO_ERROR);
    ck_assert_int_eq(far->gone, 1);
    ck_assert_int_eq(far->caller.connection->state, CONNECTION_CLOSING);
}
END_TEST

START_TEST(who_is_silent_is_asked_and_then_given_up)
{
    struct grpc_heard *call = grpc_begin(far, BELIEF "Steps", NULL);
    grpc_pump(far);
    for (int i = 0; i < 10; i++) {
        peer_now_us += grpc_limits.keepalive_us;
        server_tick(server, peer_now_us);
        grpc_pump(far);  // its nghttp2 answers
        ck_assert_int_eq(far->pings, i + 1);
        ck_assert_int_eq(far->gone, 0);
    }
    ck_assert_int_eq(call->closed, 0);
    peer_now_us += grpc_limits.keepalive_us;
    server_tick(server, peer_now_us);
    peer_now_us += grpc_limits.keepalive_us;
    server_tick(server, peer_now_us);
    ck_assert_int_eq(far->caller.connection->state, CONNECTION_DROPPED);
}
END_TEST

START_TEST(an_idle_connection_is_told_so)
{
    for (uint64_t t = 0; t < 10; t++) {
        peer_now_us += grpc_limits.connection_idle_us / 10;
        nghttp2_submit_ping(far->http2, 0, NULL);
        grpc_pump(far);
        ck_assert_int_eq(far->gone, 0);
        server_tick(server, peer_now_us);
    }
    grpc_pump(far);
    ck_assert_int_eq(far->acknowledged_pings, 10);
    ck_assert_int_eq(far->goaways, 1);
    ck_assert_uint_eq(far->goaway_code, NGHTTP2_NO_ERROR);
    ck_assert_int_eq(far->gone, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("grpc_calls");
    SUITE_TEST_WITH(suite, a_life_over_grpc_is_a_life_over_frames, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, bytes_cut_anywhere_give_the_same_belief, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, a_stream_of_steps_is_answered_one_by_one_in_order, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, an_error_ends_a_stream_after_what_went_before, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, calls_at_once_share_a_batch_and_keep_their_answers, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, every_error_has_its_code_and_its_details, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, a_second_open_fences_the_first, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, who_does_not_speak_grpc_is_told_so_in_http, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, messages_that_are_not_one_message_are_refused, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, a_deadline_that_passed_before_leaves_everything_as_it_was, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, a_call_without_a_deadline_has_the_ceiling, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, a_stream_lasts_as_long_as_it_was_asked_for, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, a_cancelled_step_is_absorbed_and_answered_to_nobody, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, messages_larger_than_a_window_pass_one_after_the_other, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, draining_answers_what_was_asked_and_ends_streams, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, who_is_silent_is_asked_and_then_given_up, set_up_grpc, tear_down_grpc);
    SUITE_TEST_WITH(suite, an_idle_connection_is_told_so, set_up_grpc, tear_down_grpc);
    return suite_finish(suite);
}
