// The client's calls over a link that holds.
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

// Heap calls of this thread; the linker sends them here (--wrap).
static __thread size_t heap_calls;
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size) { heap_calls++; return __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { heap_calls++; return __real_calloc(count, size); }
void *__wrap_realloc(void *memory, size_t size) { heap_calls++; return __real_realloc(memory, size); }

START_TEST(a_step_tells_what_happened_and_returns_the_action_for_its_observation)
{
    begin(16, 2000);
    ck_assert_str_eq(bel_server(bel), "peer 1");
    ck_assert_uint_eq(bel_model_count(bel), 1);
    ck_assert_str_eq(bel_model_at(bel, 0)->world, "test");
    ck_assert_ptr_null(bel_model_at(bel, 1));
    ck_assert_uint_eq(bel_session_model(robot)->observation_dim, PEER_OBSERVATION);
    ck_assert_float_eq(bel_session_model(robot)->action_low[2], -1);
    ck_assert_ptr_null(bel_session_model(robot)->action_log_sd);
    ck_assert_int_eq(bel_session_resumed(robot), 0);

    float action[PEER_ACTION];
    struct bel_report report;
    ck_ok(act(action));
    for (int i = 0; i < 20; i++) {
        ck_ok(step(action, &report));
        ck_assert_int_eq(report.status, BEL_STATUS_ABSORBED);
        ck_assert_uint_eq(report.count, truth.count);
        ck_assert_uint_eq(report.seq, truth.seq);
        ck_assert_uint_eq(report.task, 1);
        ck_assert_double_eq(report.reward_p, 0.5);
        ck_assert_uint_eq(report.compute_us, 4);
        ck_assert_mem_eq(report.digest, &truth.digest, sizeof truth.digest);
        ck_assert(report.round_trip_us > 0 && report.round_trip_us < 2e6);
    }
    books_agree();
    finish();
}
END_TEST

START_TEST(replies_that_come_byte_by_byte_are_the_same_replies)
{
    begin(16, 5000);
    peer_dribble(peer, 1);
    float action[PEER_ACTION];
    ck_ok(act(action));
    for (int i = 0; i < 10; i++)
        ck_ok(step(action, NULL));
    books_agree();
    finish();
}
END_TEST

START_TEST(an_episode_ends_with_its_last_step_and_begins_with_an_act)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    struct bel_report report;
    ck_assert_int_eq(step(action, NULL), BEL_OUT_OF_STEP);
    ck_ok(act(action));
    ck_ok(bel_step_last(robot, NULL, 1, observation(2), &report));
    ck_assert_int_eq(report.status, BEL_STATUS_ABSORBED);
    ck_assert_int_eq(step(action, NULL), BEL_OUT_OF_STEP);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "bel_act"));
    truth.seq = 2;
    ck_ok(act(action));
    ck_ok(step(action, NULL));
    finish();
}
END_TEST

START_TEST(an_action_that_is_not_told_is_the_one_that_was_returned)
{
    begin(16, 2000);
    float action[PEER_ACTION], returned[PEER_ACTION];
    ck_ok(act(returned));
    ck_ok(bel_step(robot, NULL, 3, observation(2), action, NULL));
    ck_assert_uint_eq(peer_book(peer, "robot").digest, peer_term(2, returned, 3, observation(2)));
    finish();
}
END_TEST

START_TEST(many_sessions_step_in_one_write)
{
    enum { N = 64 };
    begin(N, 2000);
    struct bel_step steps[N];
    float actions[N][PEER_ACTION];
    act_many(steps, actions, N);
    size_t reads = peer_reads(peer);
    ck_ok(bel_step_many(bel, steps, N));
    ck_assert_uint_le(peer_reads(peer) - reads, 2);  // 2: the peer was reading while it was written
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(steps[i].result, 0);
        ck_assert_uint_eq(steps[i].report.count, 1);
        ck_assert_float_eq(actions[i][0], peer_action(2));
    }
    finish();
}
END_TEST

START_TEST(many_sessions_step_though_few_may_be_in_flight)
{
    enum { N = 50 };
    begin(7, 2000);
    struct bel_step steps[N];
    float actions[N][PEER_ACTION];
    act_many(steps, actions, N);
    for (int t = 0; t < 3; t++)
        ck_ok(bel_step_many(bel, steps, N));
    for (int i = 0; i < N; i++)
        ck_assert_uint_eq(steps[i].report.count, 3);
    finish();
}
END_TEST

START_TEST(a_session_twice_in_one_call_is_refused_and_the_others_step)
{
    begin(16, 2000);
    float action[PEER_ACTION], a[PEER_ACTION], b[PEER_ACTION];
    ck_ok(act(action));
    struct bel_step steps[2] = {
        {.session = robot, .observation = observation(2), .action = a},
        {.session = robot, .observation = observation(2), .action = b},
    };
    ck_assert_int_eq(bel_step_many(bel, steps, 2), BEL_INVALID);
    ck_assert_int_eq(steps[0].result, 0);
    ck_assert_int_eq(steps[1].result, BEL_INVALID);
    ck_assert_uint_eq(peer_book(peer, "robot").count, 1);
    finish();
}
END_TEST

START_TEST(a_step_does_not_touch_the_heap)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    ck_ok(act(action));
    ck_ok(step(action, NULL));
    size_t before = heap_calls;
    int failed = 0;
    for (uint64_t i = 0; i < 100; i++)
        failed |= bel_step(robot, NULL, 1, observation(i), action, NULL);
    size_t calls = heap_calls - before;
    ck_assert_int_eq(failed, 0);
    ck_assert_uint_eq(calls, 0);
    finish();
}
END_TEST

START_TEST(belief_observe_and_resets_come_through)
{
    begin(16, 2000);
    float action[PEER_ACTION] = {0};
    struct bel_transition transitions[3];
    enum bel_status status[3];
    struct bel_report report;
    for (int i = 0; i < 3; i++)
        transitions[i] = (struct bel_transition){
            .seq = (uint64_t)i + 1, .observation = observation(5), .action = action, .reward = 2,
            .next_observation = observation(5)};
    ck_ok(bel_observe(robot, 1, transitions, 3, status, &report));
    ck_assert_int_eq(status[2], BEL_STATUS_ABSORBED);
    ck_assert_uint_eq(report.count, 3);

    double mean[PEER_FEATURES], variance[PEER_FEATURES], noise, estimate[PEER_TASK], spread[PEER_TASK];
    uint8_t sums[3];
    struct bel_belief belief = {
        .estimate_mean = estimate, .estimate_sd = spread,
        .heads[BEL_REWARD] = {.mean = mean, .variance = variance, .noise = &noise, .sums = sums, .sums_room = 3}};
    ck_ok(bel_get_belief(robot, &belief));
    ck_assert_uint_eq(belief.count, 3);
    ck_assert_int_eq(belief.heads[BEL_TRANSITION].present, 0);
    ck_assert_int_eq(belief.heads[BEL_REWARD].present, 1);
    ck_assert_uint_eq(belief.heads[BEL_REWARD].features, PEER_FEATURES);
    ck_assert_double_eq(belief.heads[BEL_REWARD].log_evidence, -12.5);
    ck_assert_double_eq(mean[3], 4);
    ck_assert_double_eq(variance[0], 4);
    ck_assert_double_eq(noise, 0.5);
    ck_assert_double_eq(estimate[1], -0.5);
    ck_assert_double_eq(spread[0], 0.125);
    ck_assert_uint_eq(belief.heads[BEL_REWARD].sums_size, 3);
    ck_assert_uint_eq(sums[2], 9);
    belief.heads[BEL_REWARD].sums_room = 2;
    ck_assert_int_eq(bel_get_belief(robot, &belief), BEL_LIMIT);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "sums_room"));

    ck_ok(bel_reset_episode(robot));
    ck_assert_uint_eq(bel_session_count(robot), 3);
    ck_ok(bel_reset_task(robot));
    ck_assert_uint_eq(bel_session_task(robot), 2);
    ck_assert_uint_eq(bel_session_count(robot), 0);
    ck_ok(bel_ping(bel));
    ck_ok(bel_close(robot, 1));
    ck_assert_uint_eq(peer_book(peer, "robot").opens, 0);
    finish();
}
END_TEST

START_TEST(a_refusal_names_session_field_and_limit_and_changes_nothing)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    ck_ok(act(action));
    peer_play(peer, PEER_REFUSE);
    ck_assert_int_eq(step(action, NULL), BEL_INVALID);
    ck_assert_str_eq(bel_error(bel), "robot: INVALID (observation): so it is, limit 77");
    ck_ok(step(action, NULL));
    books_agree();
    finish();
}
END_TEST

START_TEST(addresses_and_ids_that_cannot_be_are_told)
{
    static const struct { const char *address; int result; const char *word; } bad[] = {
        {"/run/socket", BEL_INVALID, "unix:PATH"}, {"unix:", BEL_INVALID, "unix:PATH"},
        {"tcp:host", BEL_INVALID, "tcp:HOST:PORT"}, {"tcp:host:", BEL_INVALID, "tcp:HOST:PORT"},
        {"tcp::7", BEL_INVALID, "tcp:HOST:PORT"}, {"", BEL_INVALID, "address"},
        {"unix:/nonexistent/socket", BEL_DISCONNECTED, "No such file"},
        {"tcp:127.0.0.1:1", BEL_DISCONNECTED, "refused"}, {"tcp:[::1]:1", BEL_DISCONNECTED, "[::1]:1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char why[256] = "";
        struct bel *none = (struct bel *)&none;
        int result = bel_connect(&none, bad[i].address, NULL, why, sizeof why);
        ck_assert_msg(result == bad[i].result, "%s: %s: %s", bad[i].address, bel_result_name(result), why);
        ck_assert_msg(strstr(why, bad[i].word) != NULL, "%s: %s", bad[i].address, why);
        ck_assert_ptr_null(none);
    }
    begin(16, 2000);
    struct bel_session *other = (struct bel_session *)&other;
    char long_id[66] = {0};
    memset(long_id, 'x', sizeof long_id - 1);
    ck_assert_int_eq(bel_open(bel, &(struct bel_open){.id = long_id}, &other), BEL_INVALID);
    ck_assert_int_eq(bel_open(bel, &(struct bel_open){.id = ""}, &other), BEL_INVALID);
    ck_assert_int_eq(bel_open(bel, &(struct bel_open){.id = "robot"}, &other), BEL_INVALID);
    ck_assert_ptr_null(other);
    bel_disconnect(NULL);
    ck_assert_int_eq(bel_close(NULL, 1), 0);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("calls");
    SUITE_TEST(suite, a_step_tells_what_happened_and_returns_the_action_for_its_observation);
    SUITE_TEST(suite, replies_that_come_byte_by_byte_are_the_same_replies);
    SUITE_TEST(suite, an_episode_ends_with_its_last_step_and_begins_with_an_act);
    SUITE_TEST(suite, an_action_that_is_not_told_is_the_one_that_was_returned);
    SUITE_TEST(suite, many_sessions_step_in_one_write);
    SUITE_TEST(suite, many_sessions_step_though_few_may_be_in_flight);
    SUITE_TEST(suite, a_session_twice_in_one_call_is_refused_and_the_others_step);
    SUITE_TEST(suite, a_step_does_not_touch_the_heap);
    SUITE_TEST(suite, belief_observe_and_resets_come_through);
    SUITE_TEST(suite, a_refusal_names_session_field_and_limit_and_changes_nothing);
    SUITE_TEST(suite, addresses_and_ids_that_cannot_be_are_told);
    return suite_finish(suite);
}
