// The client over links that break, and sessions that are gone when they are back.
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/random.h"
#include "tests/support/suite.h"

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
    finish();
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
        finish();
    }
}
END_TEST

START_TEST(many_sessions_survive_a_break_in_the_middle_of_their_batch)
{
    enum { N = 40 };
    begin(16, 3000);
    struct bel_step steps[N];
    float actions[N][PEER_ACTION];
    act_many(steps, actions, N);
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
    finish();
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
    finish();
}
END_TEST

// Wherever the link breaks, nothing stays at the daemon, not even an empty session that asking again has made.
START_TEST(a_forgotten_session_is_gone_however_the_link_breaks)
{
    static const enum peer_trick tricks[] = {PEER_HONEST, PEER_CLOSE_BEFORE, PEER_CLOSE_AFTER, PEER_DROP_HANDLE};
    for (size_t i = 0; i < sizeof tricks / sizeof *tricks; i++) {
        begin(16, 2000);
        float action[PEER_ACTION];
        ck_ok(act(action));
        ck_ok(step(action, NULL));
        peer_play(peer, tricks[i]);
        ck_ok(bel_close(robot, 1));
        ck_assert_msg(peer_book(peer, "robot").opens == 0, "trick %d", tricks[i]);
        finish();
    }
}
END_TEST

START_TEST(a_session_that_was_lost_can_be_forgotten)
{
    begin(16, 2000);
    float action[PEER_ACTION];
    ck_ok(act(action));
    ck_ok(step(action, NULL));
    bel_set_deadline(bel, 30);
    peer_play(peer, PEER_SILENT);
    ck_assert_int_eq(step(action, NULL), BEL_TIMEOUT);
    bel_set_deadline(bel, 2000);
    peer_forget(peer, "robot");
    ck_assert_int_eq(step(action, NULL), BEL_LOST);
    ck_assert_uint_eq(peer_book(peer, "robot").opens, 0);  // asking what became of it made no other
    ck_ok(bel_close(robot, 1));
    ck_assert_uint_eq(peer_book(peer, "robot").opens, 0);
    finish();
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
    finish();
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
    finish();
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
    finish();
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
    finish();
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
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("links");
    SUITE_TEST(suite, a_link_that_breaks_before_the_step_arrived_is_mended);
    SUITE_TEST(suite, a_link_that_breaks_after_the_step_arrived_is_mended_and_it_counts_once);
    SUITE_TEST(suite, a_link_that_breaks_within_the_reply_is_mended_and_it_counts_once);
    SUITE_TEST(suite, a_draining_daemon_is_left_for_the_next);
    SUITE_TEST(suite, a_link_that_was_closed_for_idleness_is_made_again);
    SUITE_TEST(suite, a_handle_that_the_daemon_dropped_is_asked_for_again);
    SUITE_TEST(suite, whatever_happens_each_transition_counts_once);
    SUITE_TEST(suite, many_sessions_survive_a_break_in_the_middle_of_their_batch);
    SUITE_TEST(suite, a_reset_of_the_task_that_is_asked_twice_happens_once);
    SUITE_TEST(suite, a_forgotten_session_is_gone_however_the_link_breaks);
    SUITE_TEST(suite, a_session_that_was_lost_can_be_forgotten);
    SUITE_TEST(suite, a_lost_belief_is_an_error_that_stays);
    SUITE_TEST(suite, kept_steps_whose_session_is_gone_are_an_error);
    SUITE_TEST(suite, a_session_that_somebody_else_continued_is_fenced);
    SUITE_TEST(suite, a_fenced_session_does_not_come_back);
    SUITE_TEST(suite, a_session_is_resumed_by_its_name);
    return suite_finish(suite);
}
