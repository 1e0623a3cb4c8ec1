// The client and what a daemon can lose: crashes with a disk that lags, a disk that is full, sessions that move.
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/random.h"
#include "tests/support/suite.h"

static float action[PEER_ACTION];

// A peer with a log, and a first observation.
static void begin_logged(void)
{
    begin(64, 3000);
    bel_disconnect(bel);
    peer_keep_log(peer, 1);
    ck_assert_int_eq(bel_connect(&bel, peer_address(peer), &(struct bel_options){.deadline_ms = 3000}, NULL, 0), 0);
    ck_ok(bel_open(bel, &(struct bel_open){.id = "robot"}, &robot));
    ck_ok(act(action));
}

static void steps(int count)
{
    for (int i = 0; i < count; i++)
        ck_ok(step(action, NULL));
}

// ---- Crashes --------------------------------------------------------------------------------------------------

START_TEST(what_a_crash_took_from_the_daemon_is_sent_again)
{
    begin_logged();
    steps(5);
    peer_commit(peer);
    steps(100);  // the ring grew
    ck_assert_uint_ge(bel_counters(bel).kept, 100);
    peer_crash(peer);
    ck_assert_uint_eq(peer_book(peer, "robot").count, 5);
    struct bel_report report;
    ck_ok(step(action, &report));
    ck_assert_int_eq(report.status, BEL_STATUS_ABSORBED);
    ck_assert_uint_eq(report.count, 106);
    books_agree();
    finish();
}
END_TEST

START_TEST(what_is_on_disk_is_kept_no_longer)
{
    begin_logged();
    steps(50);
    peer_commit(peer);
    struct bel_report report;
    ck_ok(step(action, &report));
    ck_assert_uint_eq(report.durable_seq, truth.seq - 1);
    ck_assert_uint_eq(bel_counters(bel).kept, 1);
    ck_ok(bel_sync(bel));
    ck_assert_uint_eq(bel_counters(bel).kept, 0);
    peer_crash(peer);
    uint64_t resent = bel_counters(bel).resent;
    ck_ok(step(action, NULL));
    ck_assert_uint_le(bel_counters(bel).resent, resent + 1);  // the step itself, if it was lost
    books_agree();
    finish();
}
END_TEST

START_TEST(a_crash_between_two_episodes_loses_neither)
{
    for (int committed = 0; committed < 3; committed++) {
        begin_logged();
        steps(3);
        uint64_t seq = truth.seq + 1;
        if (committed == 1)
            peer_commit(peer);
        ck_ok(bel_step_last(robot, action, 2, observation(seq), NULL));
        truth.digest += peer_term(seq, action, 2, observation(seq));
        truth.count++;
        truth.seq++;
        ck_ok(act(action));
        if (committed == 2)
            peer_commit(peer);
        peer_crash(peer);
        steps(3);
        books_agree();
        finish();
    }
}
END_TEST

START_TEST(an_action_written_over_the_executed_one_does_not_change_what_is_sent_again)
{
    begin_logged();
    uint64_t digest = 0;
    for (uint64_t seq = 2; seq < 12; seq++) {
        float done[PEER_ACTION];
        memcpy(done, action, sizeof done);
        digest += peer_term(seq, done, 1, observation(seq));
        if (seq % 2)  // the last one returned, told or not
            ck_ok(bel_step(robot, action, 1, observation(seq), action, NULL));
        else
            ck_ok(bel_step(robot, NULL, 1, observation(seq), action, NULL));
    }
    peer_crash(peer);
    ck_ok(bel_sync(bel));
    ck_assert_uint_eq(peer_book(peer, "robot").digest, digest);
    finish();
}
END_TEST

START_TEST(a_first_observation_without_answer_is_kept_like_a_step)
{
    begin_logged();
    steps(3);
    ck_ok(bel_reset_episode(robot));
    peer_refuse_links(peer, 1);
    peer_crash(peer);
    bel_set_deadline(bel, 30);
    ck_assert_int_eq(act(action), BEL_DISCONNECTED);
    ck_assert_int_eq(step(action, NULL), BEL_DISCONNECTED);
    ck_assert_int_eq(step(action, NULL), BEL_DISCONNECTED);
    peer_refuse_links(peer, 0);
    bel_set_deadline(bel, 3000);
    steps(1);
    books_agree();
    finish();
}
END_TEST

START_TEST(a_daemon_that_lost_what_was_on_its_disk_is_an_error)
{
    begin_logged();
    steps(5);
    ck_ok(bel_sync(bel));
    peer_crash(peer);
    peer_forget(peer, "robot");
    ck_assert_int_eq(step(action, NULL), BEL_LOST);
    ck_assert_int_eq(step(action, NULL), BEL_LOST);
    finish();
}
END_TEST

START_TEST(an_opened_that_did_not_arrive_does_not_fence_its_own_client)
{
    begin_logged();
    steps(2);
    for (int i = 0; i < 3; i++) {
        peer_play(peer, PEER_LOSE_OPENED);
        peer_crash(peer);
        ck_ok(step(action, NULL));
    }
    books_agree();
    finish();
}
END_TEST

// ---- A full disk ----------------------------------------------------------------------------------------------

START_TEST(what_a_full_disk_refuses_is_kept_until_it_takes_again)
{
    begin_logged();
    steps(3);
    peer_fill_disk(peer, 1);
    struct bel_report report;
    for (int i = 0; i < 80; i++) {  // more than one Observe
        ck_ok(step(action, &report));
        ck_assert_int_eq(report.status, BEL_STATUS_UNDURABLE);
        ck_assert_uint_eq(report.count, 3);
    }
    ck_assert_uint_eq(bel_counters(bel).kept_undurable, 80);
    ck_assert_int_eq(bel_sync(bel), BEL_UNDURABLE);
    ck_assert_uint_eq(peer_book(peer, "robot").count, 3);
    peer_fill_disk(peer, 0);
    steps(2);
    ck_ok(bel_sync(bel));
    ck_assert_uint_eq(bel_counters(bel).kept_undurable, 0);
    books_agree();
    finish();
}
END_TEST

START_TEST(after_a_second_a_later_step_brings_what_the_disk_refused)
{
    begin_logged();
    peer_fill_disk(peer, 1);
    steps(2);
    peer_fill_disk(peer, 0);
    int64_t started = now_ms();
    while (bel_counters(bel).kept_undurable && now_ms() - started < 10000) {
        steps(1);
        usleep(20000);
    }
    ck_assert_int_ge(now_ms() - started, 900);
    steps(1);
    books_agree();
    finish();
}
END_TEST

START_TEST(a_crash_with_a_full_disk_loses_nothing)
{
    begin_logged();
    steps(3);
    peer_commit(peer);
    peer_fill_disk(peer, 1);
    steps(4);
    peer_crash(peer);
    steps(1);
    peer_fill_disk(peer, 0);
    steps(1);
    ck_ok(bel_sync(bel));
    books_agree();
    finish();
}
END_TEST

// The daemon went on from the observation without the transition, and nobody heard it say so.
START_TEST(a_refusal_of_the_disk_that_was_not_heard_is_found_out)
{
    begin_logged();
    steps(3);
    peer_refuse_links(peer, 1);
    peer_play(peer, PEER_UNDURABLE_LOST);
    bel_set_deadline(bel, 50);
    ck_assert_int_eq(step(action, NULL), BEL_DISCONNECTED);
    peer_refuse_links(peer, 0);
    bel_set_deadline(bel, 3000);
    ck_ok(bel_sync(bel));
    books_agree();
    steps(2);
    books_agree();
    finish();
}
END_TEST

START_TEST(at_the_limit_of_what_is_kept_the_disk_is_asked_and_then_the_caller_told)
{
    enum { LIMIT = 16 };
    begin_logged();
    bel_disconnect(bel);
    struct bel_options options = {.deadline_ms = 3000, .kept_limit = LIMIT};
    ck_assert_int_eq(bel_connect(&bel, peer_address(peer), &options, NULL, 0), 0);
    ck_ok(bel_open(bel, &(struct bel_open){.id = "robot"}, &robot));
    ck_ok(act(action));
    steps(5 * LIMIT);  // the peer commits only when it is asked
    ck_ok(bel_sync(bel));
    peer_fill_disk(peer, 1);
    steps(LIMIT - 1);
    ck_assert_int_eq(step(action, NULL), BEL_UNDURABLE);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), "kept_limit"));
    peer_fill_disk(peer, 0);
    ck_ok(act(action));
    steps(1);
    ck_ok(bel_sync(bel));
    books_agree();
    finish();
}
END_TEST

START_TEST(closing_a_session_delivers_what_it_still_has)
{
    begin_logged();
    steps(3);
    peer_refuse_links(peer, 1);
    peer_crash(peer);
    bel_set_deadline(bel, 20);
    ck_assert_int_eq(step(action, NULL), BEL_DISCONNECTED);
    peer_refuse_links(peer, 0);
    bel_set_deadline(bel, 3000);
    ck_ok(bel_close(robot, 0));
    ck_assert_uint_eq(peer_book(peer, "robot").count, truth.count);
    ck_assert_uint_eq(peer_book(peer, "robot").digest, truth.digest);
    finish();
}
END_TEST

START_TEST(what_a_closed_session_reported_is_on_disk)
{
    begin_logged();
    steps(3);
    ck_ok(bel_close(robot, 0));
    peer_crash(peer);
    ck_assert_uint_eq(peer_book(peer, "robot").count, 3);
    ck_assert_uint_eq(peer_book(peer, "robot").digest, truth.digest);
    finish();
}
END_TEST

// The link broke after the answers, and nobody has called since.
START_TEST(closing_after_a_crash_brings_what_it_took)
{
    begin_logged();
    steps(3);
    peer_crash(peer);
    ck_ok(bel_close(robot, 0));
    peer_crash(peer);
    ck_assert_uint_eq(peer_book(peer, "robot").count, 3);
    ck_assert_uint_eq(peer_book(peer, "robot").digest, truth.digest);
    finish();
}
END_TEST

START_TEST(whatever_happens_to_link_and_disk_each_transition_counts_once)
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        begin_logged();
        struct random_stream stream = random_stream(seed, 4, 5, 6);
        for (int i = 0; i < 200; i++) {
            static const enum peer_trick tricks[] = {
                PEER_HONEST, PEER_HONEST, PEER_HONEST, PEER_LATE, PEER_SILENT, PEER_HALF, PEER_CLOSE_BEFORE,
                PEER_CLOSE_AFTER, PEER_DROP_HANDLE, PEER_BUSY, PEER_RATE, PEER_DENY, PEER_UNDURABLE_LOST,
                PEER_LOSE_OPENED};
            peer_play(peer, tricks[random_below(&stream, sizeof tricks / sizeof *tricks)]);
            switch (random_below(&stream, 12)) {
            case 0: peer_crash(peer); break;
            case 1: case 2: peer_commit(peer); break;
            case 3: peer_fill_disk(peer, 1); break;
            case 4: case 5: peer_fill_disk(peer, 0); break;
            }
            bel_set_deadline(bel, 15);
            int result = random_below(&stream, 20) ? step(action, NULL) : act(action);
            ck_assert_msg(result == 0 || result == BEL_TIMEOUT || result == BEL_DISCONNECTED || result == BEL_DENIED ||
                          result == BEL_BUSY || result == BEL_RATE, "seed %d, step %d: %s: %s", (int)seed, i,
                          bel_result_name(result), bel_error(bel));
        }
        peer_play(peer, PEER_HONEST);
        peer_fill_disk(peer, 0);
        bel_set_deadline(bel, 5000);
        ck_ok(bel_sync(bel));
        books_agree();
        peer_crash(peer);
        ck_ok(step(action, NULL));
        books_agree();
        finish();
    }
}
END_TEST

// ---- Patience, doors, moves -----------------------------------------------------------------------------------

START_TEST(a_daemon_that_asks_for_patience_gets_it_within_the_deadline)
{
    begin_logged();
    static const enum peer_trick tricks[] = {PEER_BUSY, PEER_RATE};
    for (size_t i = 0; i < 2; i++) {
        peer_play(peer, tricks[i]);
        steps(1);
    }
    ck_assert_uint_eq(bel_counters(bel).reconnects, 0);
    books_agree();
    finish();
}
END_TEST

START_TEST(who_is_not_let_in_is_told_and_loses_nothing)
{
    begin_logged();
    peer_play(peer, PEER_DENY);
    ck_assert_int_eq(step(action, NULL), BEL_DENIED);
    ck_assert_str_eq(bel_error(bel), "robot: PERMISSION (session): so it is");
    steps(1);
    books_agree();
    finish();
}
END_TEST

START_TEST(a_token_is_shown_and_its_file_read_anew_for_each_link)
{
    begin_logged();
    peer_want_token(peer, "secret");
    char why[256], path[] = "/tmp/bel-token.XXXXXX";
    struct bel *none;
    ck_assert_int_eq(bel_connect(&none, peer_address(peer), NULL, why, sizeof why), BEL_DENIED);
    ck_assert_ptr_nonnull(strstr(why, "UNAUTHENTICATED (token)"));
    ck_assert_int_eq(bel_connect(&none, peer_address(peer), &(struct bel_options){.token = "other"}, NULL, 0), BEL_DENIED);
    bel_disconnect(bel);
    ck_assert_int_eq(bel_connect(&bel, peer_address(peer), &(struct bel_options){.token = "secret"}, NULL, 0), 0);
    bel_disconnect(bel);

    int file = mkstemp(path);
    ck_assert_int_eq(write(file, "secret\n", 7), 7);
    struct bel_options options = {.token_file = path, .deadline_ms = 3000};
    ck_assert_msg(bel_connect(&bel, peer_address(peer), &options, why, sizeof why) == 0, "%s", why);
    ck_ok(bel_open(bel, &(struct bel_open){.id = "robot"}, &robot));
    ck_ok(act(action));
    steps(1);
    peer_want_token(peer, "fresh");
    peer_crash(peer);
    ck_assert_int_eq(step(action, NULL), BEL_DENIED);
    ck_assert_int_eq(pwrite(file, "fresh\n", 6, 0), 6);
    ck_assert_int_eq(ftruncate(file, 6), 0);
    steps(1);
    books_agree();
    close(file);
    unlink(path);
    options.token_file = "/nonexistent/token";
    ck_assert_int_eq(bel_connect(&none, peer_address(peer), &options, why, sizeof why), BEL_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "token_file"));
    finish();
}
END_TEST

START_TEST(a_session_that_moved_is_followed_and_the_others_stay)
{
    begin_logged();
    struct peer *second = peer_start(64);
    peer_keep_log(second, 1);
    struct bel_session *other;
    float stayed[PEER_ACTION];
    ck_ok(bel_open(bel, &(struct bel_open){.id = "other"}, &other));
    ck_ok(bel_act(other, observation(1), stayed, NULL));
    steps(10);
    peer_move(peer, "robot", second);
    steps(10);
    ck_assert_uint_eq(bel_counters(bel).moves, 1);
    struct peer_book book = peer_book(second, "robot");
    ck_assert_uint_eq(book.count, truth.count);
    ck_assert_uint_eq(book.digest, truth.digest);
    struct bel_step both[2] = {
        {.session = other, .observation = observation(2), .action = stayed},
        {.session = robot, .observation = observation(2), .action = action}};
    ck_ok(bel_step_many(bel, both, 2));
    ck_assert_uint_eq(peer_book(peer, "other").count, 1);
    ck_assert_uint_eq(peer_book(second, "robot").count, truth.count + 1);
    ck_ok(bel_sync(bel));

    // Back, and on over two more.
    peer_move(second, "robot", peer);
    ck_ok(bel_step(robot, NULL, 0, observation(3), action, NULL));
    ck_assert_uint_eq(peer_book(peer, "robot").count, truth.count + 2);
    struct peer *third = peer_start(64);
    peer_keep_log(third, 1);
    peer_move(peer, "robot", second);
    peer_move(second, "robot", third);
    ck_ok(bel_step(robot, NULL, 0, observation(4), action, NULL));
    ck_assert_uint_eq(peer_book(third, "robot").count, truth.count + 3);
    ck_assert_uint_eq(bel_counters(bel).moves, 4);
    bel_disconnect(bel);
    peer_stop(third);
    peer_stop(second);
    peer_stop(peer);
}
END_TEST

START_TEST(a_session_that_moved_is_told_of_if_it_shall_not_be_followed)
{
    begin_with(16, &(struct bel_options){.deadline_ms = 2000, .no_follow = 1});
    struct peer *second = peer_start(64);
    ck_ok(act(action));
    peer_move(peer, "robot", second);
    ck_assert_int_eq(step(action, NULL), BEL_MOVED);
    ck_assert_ptr_nonnull(strstr(bel_error(bel), peer_address(second)));
    ck_assert_uint_eq(bel_counters(bel).kept, 1);
    peer_stop(second);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("durable");
    SUITE_TEST(suite, what_a_crash_took_from_the_daemon_is_sent_again);
    SUITE_TEST(suite, what_is_on_disk_is_kept_no_longer);
    SUITE_TEST(suite, a_crash_between_two_episodes_loses_neither);
    SUITE_TEST(suite, an_action_written_over_the_executed_one_does_not_change_what_is_sent_again);
    SUITE_TEST(suite, a_first_observation_without_answer_is_kept_like_a_step);
    SUITE_TEST(suite, a_daemon_that_lost_what_was_on_its_disk_is_an_error);
    SUITE_TEST(suite, an_opened_that_did_not_arrive_does_not_fence_its_own_client);
    SUITE_TEST(suite, what_a_full_disk_refuses_is_kept_until_it_takes_again);
    SUITE_TEST(suite, after_a_second_a_later_step_brings_what_the_disk_refused);
    SUITE_TEST(suite, a_crash_with_a_full_disk_loses_nothing);
    SUITE_TEST(suite, a_refusal_of_the_disk_that_was_not_heard_is_found_out);
    SUITE_TEST(suite, at_the_limit_of_what_is_kept_the_disk_is_asked_and_then_the_caller_told);
    SUITE_TEST(suite, closing_a_session_delivers_what_it_still_has);
    SUITE_TEST(suite, what_a_closed_session_reported_is_on_disk);
    SUITE_TEST(suite, closing_after_a_crash_brings_what_it_took);
    SUITE_TEST(suite, whatever_happens_to_link_and_disk_each_transition_counts_once);
    SUITE_TEST(suite, a_daemon_that_asks_for_patience_gets_it_within_the_deadline);
    SUITE_TEST(suite, who_is_not_let_in_is_told_and_loses_nothing);
    SUITE_TEST(suite, a_token_is_shown_and_its_file_read_anew_for_each_link);
    SUITE_TEST(suite, a_session_that_moved_is_followed_and_the_others_stay);
    SUITE_TEST(suite, a_session_that_moved_is_told_of_if_it_shall_not_be_followed);
    return suite_finish(suite);
}
