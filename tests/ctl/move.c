// A session that moves is always at one daemon for its clients, whatever breaks on the way. Both daemons are scripts;
// tests/ctl/operator.c moves sessions between real ones.
#include "client/ctl/move.h"

#include "script.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { EPOCH = 8 };

static const uint8_t digest[WIRE_DIGEST_SIZE] = "0123456789abcde", other_digest[WIRE_DIGEST_SIZE] = "other digest...";

static struct line answer_state(uint64_t epoch, const uint8_t *of)
{
    return (struct line){.reply = {.kind = WIRE_SESSION_STATE,
                                   .session_state = {.version = 1, .session = "arm", .epoch = epoch, .seq = 5,
                                                     .count = 4, .digest = {of, WIRE_DIGEST_SIZE}}}};
}

static struct line answer_opened(const uint8_t *of)
{
    return (struct line){.reply = {.kind = WIRE_OPENED,
                                   .opened = {.epoch = EPOCH, .count = 4, .digest = {of, WIRE_DIGEST_SIZE}}}};
}

static struct line answer_done(void) { return (struct line){.reply = {.kind = WIRE_DONE}}; }
static struct line refuse(enum wire_error_code code) { return (struct line){.how = HOW_REFUSE, .code = code}; }
static struct line hang_up(void) { return (struct line){.how = HOW_HANG_UP}; }

// Moves the session "arm" from one script to the other.
static int move(struct script *from, struct script *to, char *why, size_t why_size, struct moved *moved)
{
    struct control a, b;
    struct control_options options = {.timeout = 10};
    ck_assert_int_eq(control_open(&a, from->address, &options), 0);
    ck_assert_int_eq(control_open(&b, to->address, &options), 0);
    struct mover mover = {&a, &b, &options, to->address};
    why[0] = 0;
    int result = move_session(&mover, "arm", moved, why, why_size);
    control_close(&a);
    control_close(&b);
    script_stop(from);
    script_stop(to);
    return result;
}

#define PLAY(who, ...) \
    const struct line who##_lines[] = {__VA_ARGS__}; \
    struct script who; \
    script_start(&who, who##_lines, sizeof who##_lines / sizeof *who##_lines)

static void asked_phase(const struct script *script, size_t at, enum wire_phase phase)
{
    ck_assert_int_eq(script->asked[at].kind, WIRE_HAND_OVER);
    ck_assert_int_eq(script->asked[at].phase, phase);
}

static char why[512];
static struct moved moved;

START_TEST(a_session_freezes_arrives_and_is_confirmed)
{
    PLAY(from, answer_state(EPOCH, digest), answer_state(EPOCH, digest));
    PLAY(to, answer_opened(digest));
    ck_assert_int_eq(move(&from, &to, why, sizeof why, &moved), 0);
    asked_phase(&from, 0, WIRE_FREEZE);
    asked_phase(&from, 1, WIRE_CONFIRM);
    ck_assert_int_eq(to.asked[0].kind, WIRE_RESTORE);
    ck_assert_uint_eq(to.asked[0].epoch, EPOCH);
    ck_assert_uint_eq(moved.epoch, EPOCH);
    ck_assert_uint_eq(moved.count, 4);
    ck_assert_mem_eq(moved.digest, digest, sizeof digest);
}
END_TEST

START_TEST(a_session_that_cannot_freeze_stays)
{
    PLAY(from, refuse(WIRE_UNKNOWN_SESSION));
    PLAY(to, answer_done());
    struct control probe;
    struct control_options options = {.timeout = 10};
    struct wire_envelope reply;
    ck_assert_int_eq(control_open(&probe, to.address, &options), 0);
    ck_assert_int_eq(control_ask(&probe, &(struct wire_envelope){.kind = WIRE_PING}, WIRE_DONE, &reply), 0);
    control_close(&probe);
    ck_assert_int_eq(move(&from, &to, why, sizeof why, &moved), -EREMOTEIO);
    ck_assert_ptr_nonnull(strstr(why, "UNKNOWN_SESSION"));
    ck_assert_int_eq(to.asked[0].kind, WIRE_PING);  // and nothing after it
}
END_TEST

START_TEST(a_session_that_is_refused_there_thaws)
{
    PLAY(from, answer_state(EPOCH, digest), answer_state(EPOCH, digest));
    PLAY(to, refuse(WIRE_WRONG_MODEL));
    ck_assert_int_eq(move(&from, &to, why, sizeof why, &moved), -EREMOTEIO);
    ck_assert_ptr_nonnull(strstr(why, "WRONG_MODEL"));
    asked_phase(&from, 1, WIRE_THAW);
}
END_TEST

START_TEST(an_answer_that_is_lost_is_asked_for_again)
{
    PLAY(from, answer_state(EPOCH, digest), answer_state(EPOCH, digest));
    PLAY(to, hang_up(), refuse(WIRE_FENCED), answer_state(EPOCH, digest));
    ck_assert_int_eq(move(&from, &to, why, sizeof why, &moved), 0);
    asked_phase(&from, 1, WIRE_CONFIRM);
    ck_assert_int_eq(to.asked[2].kind, WIRE_SAVE);
}
END_TEST

START_TEST(a_request_that_was_lost_is_made_again)
{
    PLAY(from, answer_state(EPOCH, digest), answer_state(EPOCH, digest));
    PLAY(to, hang_up(), answer_opened(digest));
    ck_assert_int_eq(move(&from, &to, why, sizeof why, &moved), 0);
    asked_phase(&from, 1, WIRE_CONFIRM);
}
END_TEST

START_TEST(somebody_elses_session_there_is_no_arrival)
{
    PLAY(from, answer_state(EPOCH, digest), answer_state(EPOCH, digest));
    PLAY(to, hang_up(), refuse(WIRE_FENCED), answer_state(EPOCH + 3, digest));
    ck_assert_int_eq(move(&from, &to, why, sizeof why, &moved), -EREMOTEIO);
    asked_phase(&from, 1, WIRE_THAW);
}
END_TEST

START_TEST(another_digest_is_taken_back)
{
    PLAY(from, answer_state(EPOCH, digest), answer_state(EPOCH, digest));
    PLAY(to, answer_opened(other_digest), answer_done());
    ck_assert_int_eq(move(&from, &to, why, sizeof why, &moved), -EILSEQ);
    asked_phase(&from, 1, WIRE_THAW);
    ck_assert_int_eq(to.asked[1].kind, WIRE_CLOSE);
    ck_assert_int_eq(to.asked[1].forget, 1);
    ck_assert_uint_eq(to.asked[1].epoch, EPOCH);
}
END_TEST

START_TEST(a_session_that_thawed_by_itself_is_taken_back)
{
    PLAY(from, answer_state(EPOCH, digest), refuse(WIRE_INVALID));
    PLAY(to, answer_opened(digest), answer_done());
    ck_assert_int_eq(move(&from, &to, why, sizeof why, &moved), -EREMOTEIO);
    asked_phase(&from, 1, WIRE_CONFIRM);
    ck_assert_int_eq(to.asked[1].kind, WIRE_CLOSE);
    ck_assert_int_eq(to.asked[1].forget, 1);
}
END_TEST

START_TEST(a_daemon_that_ends_at_the_last_word_is_told_about)
{
    PLAY(from, answer_state(EPOCH, digest), hang_up());
    PLAY(to, answer_opened(digest));
    int result = move(&from, &to, why, sizeof why, &moved);
    ck_assert_int_lt(result, 0);
    ck_assert_int_ne(result, -EREMOTEIO);
    ck_assert_msg(strstr(why, to.address) != NULL, "%s", why);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("move");
    SUITE_TEST(suite, a_session_freezes_arrives_and_is_confirmed);
    SUITE_TEST(suite, a_session_that_cannot_freeze_stays);
    SUITE_TEST(suite, a_session_that_is_refused_there_thaws);
    SUITE_TEST(suite, an_answer_that_is_lost_is_asked_for_again);
    SUITE_TEST(suite, a_request_that_was_lost_is_made_again);
    SUITE_TEST(suite, somebody_elses_session_there_is_no_arrival);
    SUITE_TEST(suite, another_digest_is_taken_back);
    SUITE_TEST(suite, a_session_that_thawed_by_itself_is_taken_back);
    SUITE_TEST(suite, a_daemon_that_ends_at_the_last_word_is_told_about);
    return suite_finish(suite);
}
