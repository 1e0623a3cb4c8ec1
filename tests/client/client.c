// The client against a peer that is late, wrong, deaf or gone at the worst moment (peer.h).
#include "tests/support/suite.h"

#include "client/bel.h"
#include "peer.h"
#include "daemon/base/random.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static struct peer *peer;
static struct bel *bel;
static struct bel_session *robot;

// What the robot did so far, summed as the peer sums it.
static struct { uint64_t seq, count, digest; } truth;

static void begin(uint32_t max_in_flight, uint32_t deadline_ms)
{
    char why[256] = "";
    peer = peer_start(max_in_flight);
    struct bel_options options = {.deadline_ms = deadline_ms};
    ck_assert_msg(bel_connect(&bel, peer_address(peer), &options, why, sizeof why) == 0, "%s", why);
    ck_assert_msg(bel_open(bel, &(struct bel_open){.id = "robot"}, &robot) == 0, "%s", bel_error(bel));
    memset(&truth, 0, sizeof truth);
}

static void end(void)
{
    bel_disconnect(bel);
    peer_stop(peer);
}

static const float *observation(uint64_t seq)
{
    static float values[PEER_OBSERVATION];
    for (int i = 0; i < PEER_OBSERVATION; i++)
        values[i] = (float)seq + 0.25f * (float)i;
    return values;
}

static int act(float *action)
{
    truth.seq++;
    int result = bel_act(robot, observation(truth.seq), action, NULL);
    if (result == 0)
        ck_assert_float_eq(action[0], peer_action(truth.seq));
    return result;
}

// One step that is told in full; when an action comes back it must be the one for this very observation.
static int step(float *action, struct bel_report *report)
{
    float executed[PEER_ACTION] = {action[0], action[1], (float)truth.seq};
    uint64_t seq = truth.seq + 1;
    float reward = -0.5f * (float)seq;
    int result = bel_step(robot, executed, reward, observation(seq), action, report);
    if (result == 0)
        ck_assert_float_eq(action[0], peer_action(seq));
    if (result == 0 || result == BEL_TIMEOUT || result == BEL_DISCONNECTED || result == BEL_DRAINING ||
        result == BEL_PROTOCOL) {  // told or kept
        truth.seq = seq;
        truth.count++;
        truth.digest += peer_term(seq, executed, reward, observation(seq));
    }
    return result;
}

#define ck_ok(call)                                                                                       \
    do {                                                                                                  \
        int ok_result = (call);                                                                           \
        ck_assert_msg(ok_result == 0, "%s is %s: %s", #call, bel_result_name(ok_result), bel_error(bel)); \
    } while (0)

static void books_agree(void)
{
    struct peer_book book = peer_book(peer, "robot");
    ck_assert_uint_eq(book.count, truth.count);
    ck_assert_uint_eq(book.digest, truth.digest);
    ck_assert_uint_eq(bel_session_count(robot), truth.count);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// ---- When all is well -----------------------------------------------------------------------------------------

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
    end();
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
    end();
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
    end();
}
END_TEST

START_TEST(an_action_that_is_not_told_is_the_one_that_was_returned)
{
    begin(16, 2000);
    float action[PEER_ACTION], returned[PEER_ACTION];
    ck_ok(act(returned));
    ck_ok(bel_step(robot, NULL, 3, observation(2), action, NULL));
    ck_assert_uint_eq(peer_book(peer, "robot").digest, peer_term(2, returned, 3, observation(2)));
    end();
}
END_TEST

START_TEST(many_sessions_step_in_one_write)
{
    enum { N = 64 };
    begin(N, 2000);
    struct bel_step steps[N] = {0};
    float actions[N][PEER_ACTION];
    for (int i = 0; i < N; i++) {
        char id[32];
        snprintf(id, sizeof id, "robot-%d", i);
        ck_ok(bel_open(bel, &(struct bel_open){.id = id}, &steps[i].session));
        steps[i].observation = observation(1);
        steps[i].action = actions[i];
    }
    ck_ok(bel_act_many(bel, steps, N));
    size_t reads = peer_reads(peer);
    ck_ok(bel_step_many(bel, steps, N));
    ck_assert_uint_le(peer_reads(peer) - reads, 2);  // 2: the peer was reading while it was written
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(steps[i].result, 0);
        ck_assert_uint_eq(steps[i].report.count, 1);
        ck_assert_float_eq(actions[i][0], peer_action(2));
    }
    end();
}
END_TEST

START_TEST(many_sessions_step_though_few_may_be_in_flight)
{
    enum { N = 50 };
    begin(7, 2000);
    struct bel_step steps[N] = {0};
    float actions[N][PEER_ACTION];
    for (int i = 0; i < N; i++) {
        char id[32];
        snprintf(id, sizeof id, "robot-%d", i);
        ck_ok(bel_open(bel, &(struct bel_open){.id = id}, &steps[i].session));
        steps[i].observation = observation(1);
        steps[i].action = actions[i];
    }
    ck_ok(bel_act_many(bel, steps, N));
    for (int t = 0; t < 3; t++)
        ck_ok(bel_step_many(bel, steps, N));
    for (int i = 0; i < N; i++)
        ck_assert_uint_eq(steps[i].report.count, 3);
    end();
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
    end();
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
    end();
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
    end();
}
END_TEST

// ---- Late and wrong replies -----------------------------------------------------------------------------------

START_TEST(a_late_reply_is_thrown_away_and_the_fresh_one_taken)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    struct bel_report report;
    ck_ok(act(action));
    for (int round = 0; round < 3; round++) {
        ck_ok(step(action, NULL));
        bel_set_deadline(bel, 40);
        peer_play(peer, PEER_LATE);
        ck_assert_int_eq(step(action, NULL), BEL_TIMEOUT);
        bel_set_deadline(bel, 2000);
        ck_ok(step(action, &report));  // step() checks that the action is for the fresh observation
        ck_assert_int_eq(report.status, BEL_STATUS_ABSORBED);
        ck_assert_uint_eq(bel_counters(bel).late_replies, round + 1);
        ck_assert_uint_eq(bel_counters(bel).timeouts, round + 1);
    }
    ck_assert_uint_eq(bel_counters(bel).reconnects, 0);
    books_agree();
    end();
}
END_TEST

START_TEST(a_late_reply_to_a_step_is_not_taken_for_any_other_call)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    ck_ok(act(action));
    bel_set_deadline(bel, 40);
    peer_play(peer, PEER_LATE);
    ck_assert_int_eq(step(action, NULL), BEL_TIMEOUT);
    bel_set_deadline(bel, 2000);
    struct bel_belief belief = {0};
    ck_ok(bel_get_belief(robot, &belief));
    ck_assert_uint_eq(belief.count, 1);
    ck_ok(act(action));
    ck_assert_uint_eq(bel_counters(bel).late_replies, 1);
    books_agree();
    end();
}
END_TEST

// What must fail at once, and leave nothing behind that a reconnect does not mend.
static void a_wrong_answer(enum peer_trick trick)
{
    begin(16, 2000);
    float action[PEER_ACTION] = {0}, kept[PEER_ACTION];
    ck_ok(act(action));
    ck_ok(step(action, NULL));
    memcpy(kept, action, sizeof kept);
    peer_play(peer, trick);
    ck_assert_int_eq(step(action, NULL), BEL_PROTOCOL);
    ck_assert_mem_eq(action, kept, sizeof kept);  // nothing was written
    ck_assert_str_ne(bel_error(bel), "");
    struct bel_report report;
    ck_ok(step(action, &report));
    ck_assert_uint_eq(bel_counters(bel).reconnects, 1);
    books_agree();
    end();
}

START_TEST(a_reply_to_a_request_that_was_never_made_drops_the_link) { a_wrong_answer(PEER_WRONG_ID); }
END_TEST
START_TEST(an_action_for_another_observation_is_not_taken) { a_wrong_answer(PEER_WRONG_SEQ); }
END_TEST
START_TEST(a_reply_of_another_kind_is_not_taken) { a_wrong_answer(PEER_WRONG_KIND); }
END_TEST
START_TEST(an_action_with_too_few_numbers_is_not_taken) { a_wrong_answer(PEER_SHORT_ACTION); }
END_TEST
START_TEST(bytes_that_are_no_envelope_drop_the_link) { a_wrong_answer(PEER_JUNK); }
END_TEST
START_TEST(a_frame_of_four_gigabytes_drops_the_link) { a_wrong_answer(PEER_HUGE); }
END_TEST

START_TEST(a_reply_to_an_earlier_request_is_thrown_away_and_the_deadline_holds)
{
    begin(16, 60);
    float action[PEER_ACTION];
    ck_ok(act(action));
    peer_play(peer, PEER_OLD_ID);
    ck_assert_int_eq(step(action, NULL), BEL_TIMEOUT);
    ck_ok(step(action, NULL));
    books_agree();
    end();
}
END_TEST

// ---- Deadlines ------------------------------------------------------------------------------------------------

START_TEST(silence_ends_with_the_deadline)
{
    begin(16, 100);
    float action[PEER_ACTION];
    ck_ok(act(action));
    peer_play(peer, PEER_SILENT);
    int64_t started = now_ms();
    ck_assert_int_eq(step(action, NULL), BEL_TIMEOUT);
    int64_t took = now_ms() - started;
    ck_assert_msg(took >= 99 && took < 2000, "took %d ms", (int)took);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "100 ms"));
    ck_ok(step(action, NULL));
    books_agree();
    end();
}
END_TEST

START_TEST(a_link_that_stays_silent_is_given_up_and_nothing_is_lost)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    struct bel_report report;
    ck_ok(act(action));
    bel_set_deadline(bel, 150);
    peer_play(peer, PEER_DEAF);
    int missed = 0;
    int64_t started = now_ms();
    while (step(action, &report) != 0) {
        missed++;
        ck_assert_msg(now_ms() - started < 20000, "still nothing");
    }
    ck_assert_int_ge(missed, 2);
    ck_assert_uint_eq(bel_counters(bel).reconnects, 1);
    ck_assert_int_eq(report.status, BEL_STATUS_ABSORBED);
    books_agree();
    end();
}
END_TEST

START_TEST(a_daemon_that_does_not_come_back_is_told_within_the_deadline)
{
    begin(16, 200);
    float action[PEER_ACTION];
    ck_ok(act(action));
    peer_refuse_links(peer, 1);
    peer_play(peer, PEER_CLOSE_BEFORE);
    int64_t started = now_ms();
    ck_assert_int_eq(step(action, NULL), BEL_DISCONNECTED);
    int64_t took = now_ms() - started;
    ck_assert_msg(took >= 150 && took < 2000, "took %d ms", (int)took);
    peer_refuse_links(peer, 0);
    bel_set_deadline(bel, 2000);
    ck_ok(step(action, NULL));
    books_agree();
    end();
}
END_TEST

START_TEST(steps_without_answer_are_limited_and_an_act_begins_again)
{
    begin(64, 20);
    float action[PEER_ACTION];
    ck_ok(act(action));
    peer_refuse_links(peer, 1);
    peer_play(peer, PEER_CLOSE_BEFORE);
    for (int i = 0; i < BEL_UNANSWERED_LIMIT; i++)
        ck_assert_int_eq(step(action, NULL), BEL_DISCONNECTED);
    ck_assert_int_eq(step(action, NULL), BEL_LIMIT);
    ck_assert_int_eq(step(action, NULL), BEL_OUT_OF_STEP);
    peer_refuse_links(peer, 0);
    bel_set_deadline(bel, 2000);
    ck_ok(act(action));  // and what was kept has arrived before it
    ck_ok(step(action, NULL));
    books_agree();
    end();
}
END_TEST

// ---- Reconnecting ---------------------------------------------------------------------------------------------

// The step succeeds within its own call, and the belief has each transition once.
static void a_mended_break(enum peer_trick trick, enum bel_status status, uint64_t reconnects)
{
    begin(16, 3000);
    float action[PEER_ACTION];
    struct bel_report report;
    ck_ok(act(action));
    for (int i = 1; i <= 3; i++) {
        ck_ok(step(action, NULL));
        peer_play(peer, trick);
        ck_ok(step(action, &report));
        ck_assert_int_eq(report.status, status);
        ck_assert_uint_eq(bel_counters(bel).reconnects, reconnects * (uint64_t)i);
        ck_assert_uint_eq(bel_counters(bel).resent, i);
    }
    books_agree();
    end();
}

START_TEST(a_link_that_breaks_before_the_step_arrived_is_mended)
{
    a_mended_break(PEER_CLOSE_BEFORE, BEL_STATUS_ABSORBED, 1);
}
END_TEST
START_TEST(a_link_that_breaks_after_the_step_arrived_is_mended_and_it_counts_once)
{
    a_mended_break(PEER_CLOSE_AFTER, BEL_STATUS_DUPLICATE, 1);
}
END_TEST
START_TEST(a_link_that_breaks_within_the_reply_is_mended_and_it_counts_once)
{
    a_mended_break(PEER_HALF, BEL_STATUS_DUPLICATE, 1);
}
END_TEST
START_TEST(a_draining_daemon_is_left_for_the_next)
{
    a_mended_break(PEER_DRAIN, BEL_STATUS_ABSORBED, 1);
}
END_TEST
START_TEST(a_link_that_was_closed_for_idleness_is_made_again)
{
    a_mended_break(PEER_CONNECTION_ERROR, BEL_STATUS_ABSORBED, 1);
}
END_TEST
START_TEST(a_handle_that_the_daemon_dropped_is_asked_for_again)
{
    a_mended_break(PEER_DROP_HANDLE, BEL_STATUS_ABSORBED, 0);
}
END_TEST

START_TEST(whatever_happens_each_transition_counts_once)
{
    for (uint64_t seed = 0; seed < 6; seed++) {
        begin(64, 2000);
        struct random_stream stream = random_stream(seed, 1, 2, 3);
        float action[PEER_ACTION] = {0};
        ck_ok(act(action));
        for (int i = 0; i < 150; i++) {
            static const enum peer_trick tricks[] = {
                PEER_HONEST, PEER_LATE, PEER_SILENT, PEER_WRONG_ID, PEER_OLD_ID, PEER_WRONG_SEQ, PEER_JUNK,
                PEER_HALF, PEER_CLOSE_BEFORE, PEER_CLOSE_AFTER, PEER_DROP_HANDLE, PEER_DRAIN};
            peer_play(peer, tricks[random_below(&stream, sizeof tricks / sizeof *tricks)]);
            peer_dribble(peer, random_below(&stream, 4) == 0);
            bel_set_deadline(bel, 15);
            int result = step(action, NULL);
            ck_assert_msg(result == 0 || result == BEL_TIMEOUT || result == BEL_PROTOCOL ||
                          result == BEL_DISCONNECTED || result == BEL_DRAINING, "step %d: %s: %s", i,
                          bel_result_name(result), bel_error(bel));
        }
        peer_play(peer, PEER_HONEST);
        peer_dribble(peer, 0);
        bel_set_deadline(bel, 5000);
        ck_ok(step(action, NULL));
        books_agree();
        end();
    }
}
END_TEST

START_TEST(many_sessions_survive_a_break_in_the_middle_of_their_batch)
{
    enum { N = 40 };
    begin(16, 3000);
    struct bel_step steps[N] = {0};
    float actions[N][PEER_ACTION];
    for (int i = 0; i < N; i++) {
        char id[32];
        snprintf(id, sizeof id, "robot-%d", i);
        ck_ok(bel_open(bel, &(struct bel_open){.id = id}, &steps[i].session));
        steps[i].observation = observation(1);
        steps[i].action = actions[i];
    }
    ck_ok(bel_act_many(bel, steps, N));
    for (int t = 1; t <= 5; t++) {
        ck_ok(bel_step_many(bel, steps, N - 1));
        peer_play(peer, t % 2 ? PEER_CLOSE_AFTER : PEER_HALF);
        ck_ok(bel_step(steps[N - 1].session, NULL, 0, observation(1), actions[N - 1], NULL));
        peer_play(peer, PEER_CLOSE_BEFORE);
    }
    peer_play(peer, PEER_HONEST);
    for (int i = 0; i < N - 1; i++) {
        char id[32];
        snprintf(id, sizeof id, "robot-%d", i);
        ck_assert_uint_eq(peer_book(peer, id).count, 5);
        ck_assert_uint_eq(peer_book(peer, id).digest, peer_book(peer, "robot-0").digest);
    }
    end();
}
END_TEST

START_TEST(a_reset_of_the_task_that_is_asked_twice_happens_once)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    ck_ok(act(action));
    bel_set_deadline(bel, 30);
    peer_play(peer, PEER_SILENT);
    ck_assert_int_eq(step(action, NULL), BEL_TIMEOUT);
    bel_set_deadline(bel, 2000);
    ck_ok(bel_reset_task(robot));
    ck_assert_uint_eq(bel_session_task(robot), 2);
    ck_ok(act(action));
    ck_ok(step(action, NULL));
    ck_assert_uint_eq(peer_book(peer, "robot").count, 1);
    end();
}
END_TEST

// ---- What cannot be mended ------------------------------------------------------------------------------------

START_TEST(a_lost_belief_is_an_error_that_stays)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    ck_ok(act(action));
    for (int i = 0; i < 4; i++)
        ck_ok(step(action, NULL));
    peer_forget(peer, "robot");
    peer_play(peer, PEER_CLOSE_BEFORE);
    ck_assert_int_eq(step(action, NULL), BEL_LOST);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "counts 0 transitions instead of 4"));
    ck_assert_int_eq(step(action, NULL), BEL_LOST);
    ck_assert_int_eq(act(action), BEL_LOST);
    struct bel_belief belief = {0};
    ck_assert_int_eq(bel_get_belief(robot, &belief), BEL_LOST);

    ck_ok(bel_close(robot, 0));
    ck_ok(bel_open(bel, &(struct bel_open){.id = "robot"}, &robot));
    memset(&truth, 0, sizeof truth);
    truth.seq = peer_book(peer, "robot").seq;
    ck_ok(act(action));
    ck_ok(step(action, NULL));
    end();
}
END_TEST

START_TEST(kept_steps_whose_session_is_gone_are_an_error)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    ck_ok(act(action));
    bel_set_deadline(bel, 30);
    peer_play(peer, PEER_SILENT);
    ck_assert_int_eq(step(action, NULL), BEL_TIMEOUT);
    peer_forget(peer, "robot");
    bel_set_deadline(bel, 2000);
    ck_assert_int_eq(step(action, NULL), BEL_LOST);
    end();
}
END_TEST

START_TEST(a_session_that_somebody_else_continued_is_fenced)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    ck_ok(act(action));
    ck_ok(step(action, NULL));
    peer_continue(peer, "robot");
    peer_play(peer, PEER_CLOSE_BEFORE);
    ck_assert_int_eq(step(action, NULL), BEL_FENCED);
    ck_assert_int_eq(step(action, NULL), BEL_FENCED);
    uint64_t opens = peer_book(peer, "robot").opens;
    ck_assert_int_eq(act(action), BEL_FENCED);
    ck_assert_uint_eq(peer_book(peer, "robot").opens, opens);  // it does not fight for it
    end();
}
END_TEST

START_TEST(a_fenced_session_does_not_come_back)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    ck_ok(act(action));
    peer_play(peer, PEER_FENCE);
    ck_assert_int_eq(step(action, NULL), BEL_FENCED);
    ck_assert_int_eq(act(action), BEL_FENCED);
    ck_assert_uint_eq(peer_book(peer, "robot").opens, 1);
    end();
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
    end();
}
END_TEST

START_TEST(a_session_is_resumed_by_its_name)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    ck_ok(act(action));
    for (int i = 0; i < 3; i++)
        ck_ok(step(action, NULL));
    bel_disconnect(bel);
    ck_assert_int_eq(bel_connect(&bel, peer_address(peer), NULL, NULL, 0), 0);
    ck_ok(bel_open(bel, &(struct bel_open){.id = "robot"}, &robot));
    ck_assert_int_eq(bel_session_resumed(robot), 1);
    ck_assert_uint_eq(bel_session_count(robot), 3);
    ck_ok(act(action));
    ck_ok(step(action, NULL));
    books_agree();
    end();
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
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    SUITE_TEST(suite, a_step_tells_what_happened_and_returns_the_action_for_its_observation);
    SUITE_TEST(suite, replies_that_come_byte_by_byte_are_the_same_replies);
    SUITE_TEST(suite, an_episode_ends_with_its_last_step_and_begins_with_an_act);
    SUITE_TEST(suite, an_action_that_is_not_told_is_the_one_that_was_returned);
    SUITE_TEST(suite, many_sessions_step_in_one_write);
    SUITE_TEST(suite, many_sessions_step_though_few_may_be_in_flight);
    SUITE_TEST(suite, a_session_twice_in_one_call_is_refused_and_the_others_step);
    SUITE_TEST(suite, a_step_does_not_touch_the_heap);
    SUITE_TEST(suite, belief_observe_and_resets_come_through);
    SUITE_TEST(suite, a_late_reply_is_thrown_away_and_the_fresh_one_taken);
    SUITE_TEST(suite, a_late_reply_to_a_step_is_not_taken_for_any_other_call);
    SUITE_TEST(suite, a_reply_to_a_request_that_was_never_made_drops_the_link);
    SUITE_TEST(suite, an_action_for_another_observation_is_not_taken);
    SUITE_TEST(suite, a_reply_of_another_kind_is_not_taken);
    SUITE_TEST(suite, an_action_with_too_few_numbers_is_not_taken);
    SUITE_TEST(suite, bytes_that_are_no_envelope_drop_the_link);
    SUITE_TEST(suite, a_frame_of_four_gigabytes_drops_the_link);
    SUITE_TEST(suite, a_reply_to_an_earlier_request_is_thrown_away_and_the_deadline_holds);
    SUITE_TEST(suite, silence_ends_with_the_deadline);
    SUITE_TEST(suite, a_link_that_stays_silent_is_given_up_and_nothing_is_lost);
    SUITE_TEST(suite, a_daemon_that_does_not_come_back_is_told_within_the_deadline);
    SUITE_TEST(suite, steps_without_answer_are_limited_and_an_act_begins_again);
    SUITE_TEST(suite, a_link_that_breaks_before_the_step_arrived_is_mended);
    SUITE_TEST(suite, a_link_that_breaks_after_the_step_arrived_is_mended_and_it_counts_once);
    SUITE_TEST(suite, a_link_that_breaks_within_the_reply_is_mended_and_it_counts_once);
    SUITE_TEST(suite, a_draining_daemon_is_left_for_the_next);
    SUITE_TEST(suite, a_link_that_was_closed_for_idleness_is_made_again);
    SUITE_TEST(suite, a_handle_that_the_daemon_dropped_is_asked_for_again);
    SUITE_TEST(suite, whatever_happens_each_transition_counts_once);
    SUITE_TEST(suite, many_sessions_survive_a_break_in_the_middle_of_their_batch);
    SUITE_TEST(suite, a_reset_of_the_task_that_is_asked_twice_happens_once);
    SUITE_TEST(suite, a_lost_belief_is_an_error_that_stays);
    SUITE_TEST(suite, kept_steps_whose_session_is_gone_are_an_error);
    SUITE_TEST(suite, a_session_that_somebody_else_continued_is_fenced);
    SUITE_TEST(suite, a_fenced_session_does_not_come_back);
    SUITE_TEST(suite, a_refusal_names_session_field_and_limit_and_changes_nothing);
    SUITE_TEST(suite, a_session_is_resumed_by_its_name);
    SUITE_TEST(suite, addresses_and_ids_that_cannot_be_are_told);
    return suite_finish(suite);
}
