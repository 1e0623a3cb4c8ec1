// What a step means: the action that answers it, the numbers that order it, and what it refuses.
#include "daemon/serve/house_internal.h"
#include "fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/suite.h"

// Beliefs and actions are those of the agent's functions, bit for bit.
START_TEST(a_step_is_answered_with_the_policys_action)
{
    struct wire_action told = ask_act(1);
    ck_assert_int_eq(told.status, WIRE_STATUS_NONE);
    check_action(told, 0);
    for (uint64_t seq = 2; seq <= STEPS; seq++) {
        told = ask_step(seq, WIRE_STATUS_ABSORBED);
        expect_observed(&robot, seq, seq);
        ck_assert_uint_eq(told.seq, seq);
        ck_assert_uint_eq(told.count, seq - 1);
        check_action(told, 0);
        check_digest(told.digest);
        // 1: a head that the model does not ask for surprise.
        const double judged[] = {[HEAD_TRANSITION] = told.transition_p, [HEAD_REWARD] = told.reward_p};
        for (int h = 0; h < HEAD_COUNT; h++)
            ck_assert_msg(model->heads[h].judged ? judged[h] > 0 && judged[h] < 1 : judged[h] == 1, "%g",
                          judged[h]);
    }
}
END_TEST

START_TEST(an_action_that_is_not_reported_is_the_one_that_was_told)
{
    uint32_t one = peer_open(&peer, "one", "").handle, two = peer_open(&peer, "two", "").handle;
    float told[16];
    peer_ask(&peer, robot_act(&robot, one, 1));
    struct wire_envelope reply = peer_ask(&peer, robot_act(&robot, two, 1));
    uint8_t digest[WIRE_DIGEST_SIZE];
    for (uint64_t seq = 2; seq < STEPS; seq++) {
        memcpy(told, reply.action.action.values, model->action_dim * sizeof(float));
        struct wire_envelope step = robot_step(&robot, one, seq);
        step.step.action = (struct wire_floats){told, model->action_dim};
        memcpy(digest, peer_ask(&peer, step).action.digest.bytes, sizeof digest);
        step.step.handle = two;
        step.step.action.count = 0;
        reply = peer_ask(&peer, step);
        ck_assert_mem_eq(reply.action.digest.bytes, digest, sizeof digest);
    }
}
END_TEST

START_TEST(more_sessions_than_a_batch_holds_are_all_answered)
{
    enum { SESSIONS = 150 };
    struct limits limits = peer_limits;
    limits.sessions = SESSIONS + 1;  // and the fixture's
    limits.in_flight = SESSIONS;
    restart(&limits);
    uint32_t handles[SESSIONS];
    for (int i = 0; i < SESSIONS; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        handles[i] = peer_open(&peer, name, i % 3 ? "" : "other").handle;
    }
    for (int i = 0; i < SESSIONS; i++)
        peer_send(&peer, robot_act(&robot, handles[i], 1));
    peer_turn(server, (struct caller *[]){&peer}, 1);
    struct wire_envelope reply;
    int answered = 0;
    while (peer_reply(&peer, &reply)) {
        ck_assert_int_eq(reply.kind, WIRE_ACTION);
        answered++;
    }
    ck_assert_int_eq(answered, SESSIONS);
}
END_TEST

START_TEST(clients_in_one_batch_get_the_bits_that_each_gets_alone)
{
    enum { PEERS = 9 };
    struct caller peers[PEERS], *all[PEERS];
    struct robot robots[PEERS];
    uint32_t handles[PEERS];
    float actions[PEERS][STEPS][16];
    uint8_t digests[PEERS][WIRE_DIGEST_SIZE];
    for (size_t p = 0; p < PEERS; p++) {
        char name[8];
        snprintf(name, sizeof name, "s%zu", p);
        peers[p] = peer_connect(server);
        all[p] = &peers[p];
        robots[p] = robot_of(100 + p);
        handles[p] = peer_open(&peers[p], name, "").handle;
    }
    for (uint64_t seq = 1; seq < STEPS; seq++) {
        for (size_t p = 0; p < PEERS; p++)
            peer_send(&peers[p], seq == 1 ? robot_act(&robots[p], handles[p], 1)
                                          : robot_step(&robots[p], handles[p], seq));
        ck_assert_uint_eq(house_model(server, "")->waiting_count, PEERS);
        peer_turn(server, all, PEERS);
        for (size_t p = 0; p < PEERS; p++) {
            struct wire_action told = peer_answer(&peers[p], WIRE_ACTION).action;
            memcpy(actions[p][seq], told.action.values, model->action_dim * sizeof(float));
            memcpy(digests[p], told.digest.bytes, WIRE_DIGEST_SIZE);
        }
    }
    for (size_t p = 0; p < PEERS; p++)
        peer_free(&peers[p]);
    for (size_t p = 0; p < PEERS; p++) {
        restart(&peer_limits);
        robot = robot_of(100 + p);
        for (uint64_t seq = 1; seq < STEPS; seq++) {
            struct wire_action told = seq == 1 ? ask_act(1) : ask_step(seq, WIRE_STATUS_ABSORBED);
            ck_assert_mem_eq(told.action.values, actions[p][seq], model->action_dim * sizeof(float));
            if (seq + 1 == STEPS)
                ck_assert_mem_eq(told.digest.bytes, digests[p], WIRE_DIGEST_SIZE);
        }
    }
}
END_TEST

START_TEST(pipelined_steps_of_a_session_keep_their_order)
{
    expect_observed(&robot, 2, STEPS);
    peer_send(&peer, robot_act(&robot, handle, 1));
    for (uint64_t seq = 2; seq <= STEPS; seq++)
        peer_send(&peer, robot_step(&robot, handle, seq));
    peer_turn(server, (struct caller *[]){&peer}, 1);
    for (uint64_t seq = 1; seq <= STEPS; seq++) {
        struct wire_action told = peer_answer(&peer, WIRE_ACTION).action;
        ck_assert_uint_eq(told.seq, seq);
        if (seq == STEPS)
            check_digest(told.digest);
    }
}
END_TEST

START_TEST(a_repeated_step_changes_nothing_and_gets_the_same_answer)
{
    ask_act(1);
    for (uint64_t seq = 2; seq <= STEPS; seq++) {
        float action[16];
        uint8_t digest[WIRE_DIGEST_SIZE];
        struct wire_action first = ask_step(seq, WIRE_STATUS_ABSORBED);
        memcpy(action, first.action.values, model->action_dim * sizeof(float));
        memcpy(digest, first.digest.bytes, sizeof digest);
        for (int again = 0; again < 3; again++) {
            struct wire_action repeat = ask_step(seq, WIRE_STATUS_DUPLICATE);
            ck_assert_uint_eq(repeat.seq, seq);
            ck_assert_uint_eq(repeat.count, first.count);
            ck_assert_mem_eq(repeat.action.values, action, model->action_dim * sizeof(float));
            ck_assert_mem_eq(repeat.digest.bytes, digest, sizeof digest);
            ck_assert(repeat.reward_p == first.reward_p && repeat.transition_p == first.transition_p);
        }
        // An older one is known too, but its action is history.
        if (seq > 2) {
            struct wire_action old = ask_step(seq - 1, WIRE_STATUS_DUPLICATE);
            ck_assert_uint_eq(old.action.count, 0);
            ck_assert_uint_eq(old.count, first.count);
        }
    }
}
END_TEST

START_TEST(a_step_that_does_not_follow_is_refused)
{
    peer_refused(&peer, robot_step(&robot, handle, 1), WIRE_OUT_OF_STEP, "seq");
    ask_act(5);
    peer_refused(&peer, robot_step(&robot, handle, 5), WIRE_OUT_OF_STEP, "seq");
    peer_refused(&peer, robot_step(&robot, handle, 7), WIRE_OUT_OF_STEP, "seq");
    peer_refused(&peer, robot_step(&robot, handle, 0), WIRE_INVALID, "seq");
    ask_step(6, WIRE_STATUS_ABSORBED);
    peer_refused(&peer, robot_act(&robot, handle, 6), WIRE_OUT_OF_STEP, "seq");
    ask_act(7);
    // An Act may be repeated, and may go back as far as no transition is passed.
    ask_act(9);
    ask_act(8);
    ask_step(9, WIRE_STATUS_ABSORBED);
    struct wire_envelope last = robot_step(&robot, handle, 10);
    last.step.last = 1;
    struct wire_envelope reply = peer_ask(&peer, last);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_ABSORBED);
    ck_assert_uint_eq(reply.action.action.count, 0);
    ck_assert(!model->heads[HEAD_REWARD].judged || reply.action.reward_p < 1);
    reply = peer_ask(&peer, last);
    ck_assert_int_eq(reply.action.status, WIRE_STATUS_DUPLICATE);
    peer_refused(&peer, robot_step(&robot, handle, 11), WIRE_OUT_OF_STEP, "seq");
    ask_act(11);
}
END_TEST

// One bad field at a time; each is named, and none changes anything.
START_TEST(bad_numbers_are_named_and_change_nothing)
{
    expect_observed(&robot, 2, 2);
    ask_act(1);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct wire_envelope step = robot_step(&robot, handle, 2);
        robot.next[i] = bad[i];
        peer_refused(&peer, step, WIRE_INVALID, "observation");
        step = robot_step(&robot, handle, 2);
        robot.action[1] = bad[i];
        peer_refused(&peer, step, WIRE_INVALID, "action");
        step = robot_step(&robot, handle, 2);
        step.step.reward = bad[i];
        peer_refused(&peer, step, WIRE_INVALID, "reward");
        struct wire_envelope act = robot_act(&robot, handle, 3);
        robot.next[i] = bad[i];
        peer_refused(&peer, act, WIRE_INVALID, "observation");
    }
    struct wire_envelope step = robot_step(&robot, handle, 2);
    step.step.observation.count--;
    ck_assert_uint_eq(peer_refused(&peer, step, WIRE_INVALID, "observation").limit, model->observation_dim);
    step.step.observation.count = 0;
    peer_refused(&peer, step, WIRE_INVALID, "observation");
    step = robot_step(&robot, handle, 2);
    step.step.action.count++;
    peer_refused(&peer, step, WIRE_INVALID, "action");
    step = robot_step(&robot, handle, 2);
    step.step.task = 2;
    peer_refused(&peer, step, WIRE_INVALID, "task");
    struct wire_envelope act = robot_act(&robot, handle, 3);
    act.act.observation.count++;
    peer_refused(&peer, act, WIRE_INVALID, "observation");

    check_digest(ask_step(2, WIRE_STATUS_ABSORBED).digest);
}
END_TEST

START_TEST(held_to_the_prior_the_policy_ignores_the_belief)
{
    handle = peer_ask(&peer, opening("held", "", 1)).opened.handle;
    ask_act(1);
    for (uint64_t seq = 2; seq < STEPS; seq++) {
        struct wire_action told = ask_step(seq, WIRE_STATUS_ABSORBED);
        expect_observed(&robot, seq, seq);
        check_action(told, 1);
        check_digest(told.digest);
    }
}
END_TEST

// Allocations are counted by the linker's --wrap.
static size_t allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    allocations++;
    return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __real_aligned_alloc(alignment, size);
}

START_TEST(a_step_allocates_nothing)
{
    ask_act(1);
    uint8_t bytes[1024];
    struct wire_arena none = {0};
    for (uint64_t seq = 2; seq < 200; seq++) {
        struct wire_envelope request = robot_step(&robot, handle, seq);
        long size = wire_encode(bytes, sizeof bytes, &request, &none);
        size_t room, before = allocations;  // check's own assertions allocate, so none in between
        uint8_t *to = server_input(peer.connection, &room);
        memcpy(to, bytes, (size_t)size);
        server_received(server, peer.connection, (size_t)size, peer_now_us);
        server_turn(server, peer_now_us);
        size_t after = allocations;
        peer_turn(server, (struct caller *[]){&peer}, 1);
        ck_assert_uint_eq(after, before);
        ck_assert(peer_reply(&peer, &request));
        ck_assert_int_eq(request.action.status, WIRE_STATUS_ABSORBED);
    }
    ck_assert_uint_gt(allocations, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("steps");
    SUITE_TEST_WITH(suite, a_step_is_answered_with_the_policys_action, set_up, tear_down);
    SUITE_TEST_WITH(suite, an_action_that_is_not_reported_is_the_one_that_was_told, set_up, tear_down);
    SUITE_TEST_WITH(suite, more_sessions_than_a_batch_holds_are_all_answered, set_up, tear_down);
    SUITE_TEST_WITH(suite, clients_in_one_batch_get_the_bits_that_each_gets_alone, set_up, tear_down);
    SUITE_TEST_WITH(suite, pipelined_steps_of_a_session_keep_their_order, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_repeated_step_changes_nothing_and_gets_the_same_answer, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_step_that_does_not_follow_is_refused, set_up, tear_down);
    SUITE_TEST_WITH(suite, bad_numbers_are_named_and_change_nothing, set_up, tear_down);
    SUITE_TEST_WITH(suite, held_to_the_prior_the_policy_ignores_the_belief, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_step_allocates_nothing, set_up, tear_down);
    return suite_finish(suite);
}
