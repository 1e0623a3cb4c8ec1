// Sessions that explored and are over are told in the order in which that was on disk, once each, with all their
// transitions; until learners need them no more.

#include "fixture.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static const char *directory;

static void make_directory(void) { directory = fixture_directory(); }

// Of the model "arm", as all of the fixture's.
static uint64_t explore(struct store *store, struct store_queue *queue, const char *name, uint64_t transitions)
{
    uint64_t session = fixture_session(store, queue, name);
    for (uint64_t i = 1; i <= transitions; i++)
        fixture_put(queue, session, 0, i);
    fixture_wait(queue, store_put_explored(queue, session));
    return session;
}

static struct store_answer *ask(struct store_queue *queue, uint64_t after, uint64_t seq)
{
    ck_assert_int_eq(store_ask_explored(queue, 7, "arm", after, seq), 0);
    struct store_answer *answer = fixture_answer(queue);
    ck_assert_uint_eq(answer->cookie, 7);
    return answer;
}

// The session after that number has this name and so many transitions; its number.
static uint64_t expect(struct store_queue *queue, uint64_t after, const char *name, uint64_t transitions)
{
    uint64_t found = 0, number = 0;
    for (int more = 1; more;) {
        struct store_answer *answer = ask(queue, after, found);
        ck_assert_int_eq(answer->error, 0);
        ck_assert_str_eq(answer->session.name, name);
        for (size_t i = 0; i < answer->transition_count; i++) {
            fixture_check(&answer->transitions[i]);
            ck_assert_uint_eq(answer->transitions[i].seq, ++found);
        }
        number = answer->number;
        more = answer->more;
        store_answer_free(answer);
    }
    ck_assert_uint_eq(found, transitions);
    ck_assert_uint_gt(number, after);
    return number;
}

static void expect_none(struct store_queue *queue, uint64_t after)
{
    struct store_answer *answer = ask(queue, after, 0);
    ck_assert_int_eq(answer->error, -ENOENT);
    store_answer_free(answer);
}

START_TEST(explored_sessions_are_told_in_the_order_of_their_end_whole_and_once)
{
    struct store *store = fixture_open_with((struct store_options){.directory = directory, .queues = 2, .commit_ms = 1});
    struct store_queue *one = store_queue(store, 0), *two = store_queue(store, 1);
    fixture_wait(one, fixture_put(one, fixture_session(store, one, "still at it"), 0, 1));
    expect_none(one, 0);
    ck_assert_uint_eq(store_explored(store), 0);
    explore(store, two, "b", 2500);
    uint64_t again = explore(store, one, "a", 3);
    explore(store, two, "empty", 0);
    fixture_wait(one, store_put_explored(one, again));  // an answer was lost: the same number
    uint64_t number = expect(one, 0, "b", 2500);
    number = expect(one, number, "a", 3);
    number = expect(two, number, "empty", 0);
    ck_assert_uint_eq(number, store_explored(store));
    expect_none(two, number);
    store_close(store);

    store = fixture_open(directory);  // as before, and it goes on
    one = store_queue(store, 0);
    ck_assert_uint_eq(number, store_explored(store));
    explore(store, one, "c", 1);
    expect(one, expect(one, expect(one, expect(one, 0, "b", 2500), "a", 3), "empty", 0), "c", 1);
    store_close(store);
}
END_TEST

START_TEST(only_sessions_of_the_model_that_is_asked_for_are_told)
{
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    explore(store, queue, "a", 1);
    ck_assert_int_eq(store_ask_explored(queue, 1, "another", 0, 0), 0);
    struct store_answer *answer = fixture_answer(queue);
    ck_assert_int_eq(answer->error, -ENOENT);
    store_answer_free(answer);
    store_close(store);
}
END_TEST

static int one_is_left(void *context)
{
    (void)context;
    return fixture_sql(directory, "select count(*) from explored") == 1 &&
           fixture_sql(directory, "select count(*) from session") == 2 &&
           fixture_sql(directory, "select count(distinct session) from transition") == 2;
}

START_TEST(explored_sessions_are_forgotten_up_to_a_number_and_no_others)
{
    enum { MANY = 40 };
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    fixture_wait(queue, fixture_put(queue, fixture_session(store, queue, "still at it"), 0, 1));
    uint64_t number = 0;
    for (int i = 0; i < MANY; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        explore(store, queue, name, 5);
        number = expect(queue, number, name, 5);
    }
    explore(store, queue, "last", 7);
    fixture_wait(queue, store_put_forget_explored(queue, number));
    ck_assert(fixture_within(30, one_is_left, NULL));
    expect(queue, 0, "last", 7);
    store_close(store);
}
END_TEST

static void save_model(struct store *store, const char *name, uint8_t content, char digest[65])
{
    uint8_t bytes[64], hash[SHA256_DIGEST_LENGTH];
    char why[200];
    memset(bytes, content, sizeof bytes);
    SHA256(bytes, sizeof bytes, hash);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        sprintf(digest + 2 * i, "%02x", hash[i]);
    ck_assert_int_eq(store_save_model(store, digest, name, bytes, sizeof bytes, why, sizeof why), 0);
}

START_TEST(of_a_model_that_is_saved_again_and_again_the_newest_stay_and_those_in_use)
{
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    char digest[65], used[65];
    save_model(store, "other", 200, digest);
    save_model(store, "m", 0, used);
    struct store_session session = {.id = store_new_session_id(store), .name = "a", .model = "m", .model_digest = used};
    fixture_wait(queue, store_put_session(queue, &session));
    for (uint8_t i = 1; i <= 3 * STORE_KEPT_MODELS; i++)
        save_model(store, "m", i, digest);
    uint8_t *bytes;
    size_t size;
    char why[200];
    ck_assert_int_eq(store_load_model(store, used, &bytes, &size, why, sizeof why), 0);
    free(bytes);
    ck_assert_int_eq(store_load_model(store, digest, &bytes, &size, why, sizeof why), 0);
    free(bytes);
    store_close(store);
    ck_assert_int_eq(fixture_sql(directory, "select count(*) from model where name = 'm'"), STORE_KEPT_MODELS + 1);
    ck_assert_int_eq(fixture_sql(directory, "select count(*) from model where name = 'other'"), 1);
}
END_TEST

START_TEST(a_log_that_was_made_before_there_were_explorers_is_taken_as_it_is)
{
    store_close(fixture_open(directory));
    fixture_sql(directory, "drop table explored");
    struct store *store = fixture_open(directory);
    explore(store, store_queue(store, 0), "a", 2);
    expect(store_queue(store, 0), 0, "a", 2);
    store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("explored");
    SUITE_TEST_WITH(suite, explored_sessions_are_told_in_the_order_of_their_end_whole_and_once, make_directory, NULL);
    SUITE_TEST_WITH(suite, only_sessions_of_the_model_that_is_asked_for_are_told, make_directory, NULL);
    SUITE_TEST_WITH(suite, explored_sessions_are_forgotten_up_to_a_number_and_no_others, make_directory, NULL);
    SUITE_TEST_WITH(suite, of_a_model_that_is_saved_again_and_again_the_newest_stay_and_those_in_use, make_directory,
                    NULL);
    SUITE_TEST_WITH(suite, a_log_that_was_made_before_there_were_explorers_is_taken_as_it_is, make_directory, NULL);
    return suite_finish(suite);
}
