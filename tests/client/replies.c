// The client against a peer whose replies are late, wrong, or never come.
#include "fixture.h"

#include <string.h>

#include "tests/support/suite.h"

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
    finish();
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
    finish();
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
    finish();
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
    finish();
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
    finish();
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
    finish();
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
    finish();
}
END_TEST

START_TEST(steps_without_answer_are_limited_and_an_act_begins_again)
{
    enum { LIMIT = 40 };
    begin_with(64, &(struct bel_options){.deadline_ms = 2000, .kept_limit = LIMIT});
    float action[PEER_ACTION];
    ck_ok(act(action));
    bel_set_deadline(bel, 5);
    peer_refuse_links(peer, 1);
    peer_play(peer, PEER_CLOSE_BEFORE);
    for (int i = 1; i < LIMIT; i++) {  // one place is the observation's that the first step started from
        // On a busy machine 5 ms may be over before the link is seen to be broken.
        int result = step(action, NULL);
        ck_assert_msg(result == BEL_DISCONNECTED || result == BEL_TIMEOUT, "%d", result);
    }
    ck_assert_uint_eq(bel_counters(bel).kept, LIMIT - 1);
    ck_assert_int_eq(step(action, NULL), BEL_LIMIT);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "kept_limit"));
    ck_assert_int_eq(step(action, NULL), BEL_OUT_OF_STEP);
    peer_refuse_links(peer, 0);
    bel_set_deadline(bel, 2000);
    ck_ok(act(action));  // and what was kept has arrived before it
    ck_ok(step(action, NULL));
    books_agree();
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replies");
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
    return suite_finish(suite);
}
