// A file that is not what it should be: told in a sentence, and never believed.

#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/suite.h"

enum { COUNT = 5000, PAGE = 4096 };

static const char *directory;

static void make_directory(void) { directory = fixture_directory(); }

static void fill(void)
{
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one"), last = 0;
    for (uint64_t i = 1; i <= COUNT; i++)
        last = fixture_put(queue, session, 0, i);
    last = store_put_state(queue, session, (const uint8_t *)"a state of some length", 22);
    fixture_wait(queue, last);
    store_close(store);
}

static void refuses(int error, const char *word, const char *another)
{
    struct store *store;
    char why[512] = "";
    struct store_options options = {.directory = directory, .queues = 1};
    ck_assert_int_eq(store_open(&store, &options, why, sizeof why), error);
    ck_assert_msg(strstr(why, word) != NULL && strstr(why, another) != NULL, "%s", why);
}

// Where in the file these bytes are; they must be there.
static long find(const void *bytes, size_t size)
{
    FILE *file = fopen(fixture_file(directory, "experience.db"), "rb");
    fseek(file, 0, SEEK_END);
    size_t length = (size_t)ftell(file);
    uint8_t *all = malloc(length);
    rewind(file);
    ck_assert_uint_eq(fread(all, 1, length, file), length);
    fclose(file);
    uint8_t *place = memmem(all, length, bytes, size);
    ck_assert_ptr_nonnull(place);
    long where = (long)(place - all);
    free(all);
    return where;
}

static void overwrite(long where, const void *bytes, size_t size)
{
    FILE *file = fopen(fixture_file(directory, "experience.db"), "r+b");
    fseek(file, where, SEEK_SET);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

START_TEST(a_flipped_bit_in_a_transition_shows)
{
    fill();
    struct store_transition t = fixture_transition(1, 0, 3000);
    long where = find(t.observation, FIXTURE_OBSERVATION * sizeof(float));
    uint8_t byte = ((const uint8_t *)t.observation)[5] ^ 4;
    overwrite(where + 5, &byte, 1);
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    int error = 0;
    uint64_t after = 0, count = 0;
    for (int more = 1; more && !error;) {
        ck_assert_int_eq(store_ask_transitions(queue, 1, 1, 0, after), 0);
        struct store_answer *answer = fixture_answer(queue);
        for (size_t i = 0; i < answer->transition_count; i++, count++)
            fixture_check(&answer->transitions[i]);
        after = count;
        error = answer->error;
        more = answer->more;
        if (error)
            ck_assert_msg(strstr(answer->why, "seq 3000") != NULL, "%s", answer->why);
        store_answer_free(answer);
    }
    ck_assert_int_eq(error, -EUCLEAN);
    ck_assert_uint_eq(count, 2999);
    // Others are served.
    uint64_t session = fixture_session(store, queue, "two");
    fixture_wait(queue, fixture_put(queue, session, 0, 1));
    ck_assert_uint_eq(fixture_count(queue, session, &error), 1);
    ck_assert_int_eq(error, 0);
    store_close(store);

    struct store_reader *reader;
    char why[300];
    ck_assert_int_eq(store_reader_open(&reader, directory, why, sizeof why), 0);
    struct store_transition found;
    int good = 0, bad = 0, result;
    while ((result = store_reader_next_transition(reader, 1, &found)) != 0) {
        good += result == 1;
        bad += result == -EUCLEAN;
        ck_assert_int_eq(good + bad, (int)found.seq);
    }
    ck_assert_int_eq(bad, 1);
    ck_assert_int_eq(good, COUNT - 1);
    store_reader_close(reader);
}
END_TEST

START_TEST(a_flipped_bit_in_a_state_shows)
{
    fill();
    overwrite(find("a state of some length", 22) + 8, "S", 1);
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    ck_assert_int_eq(store_ask_session(queue, 1, "one"), 0);
    struct store_answer *answer = fixture_answer(queue);
    ck_assert_int_eq(answer->error, -EUCLEAN);
    ck_assert_ptr_null(answer->state);
    ck_assert_msg(strstr(answer->why, "damaged") != NULL, "%s", answer->why);
    store_answer_free(answer);
    store_close(store);
}
END_TEST

START_TEST(a_destroyed_page_is_an_answer_and_not_a_crash)
{
    fill();
    struct store_transition t = fixture_transition(1, 0, 2500);
    long page = find(t.observation, FIXTURE_OBSERVATION * sizeof(float)) / PAGE;
    uint8_t rubbish[PAGE];
    for (int i = 0; i < PAGE; i++)
        rubbish[i] = (uint8_t)(i * 197 + 13);
    overwrite(page * PAGE, rubbish, PAGE);
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    int error = 0;
    uint64_t after = 0;
    for (int more = 1; more && !error;) {
        ck_assert_int_eq(store_ask_transitions(queue, 1, 1, 0, after), 0);
        struct store_answer *answer = fixture_answer(queue);
        for (size_t i = 0; i < answer->transition_count; i++)
            fixture_check(&answer->transitions[i]);
        after = answer->transition_count ? answer->transitions[answer->transition_count - 1].seq : after;
        error = answer->error;
        more = answer->more;
        store_answer_free(answer);
    }
    ck_assert_int_eq(error, -EUCLEAN);
    store_close(store);
    struct store_reader *reader;
    char why[300];
    ck_assert_int_eq(store_reader_open(&reader, directory, why, sizeof why), 0);
    ck_assert_int_eq(store_reader_check(reader), -EUCLEAN);
    ck_assert_uint_gt(strlen(store_reader_error(reader)), 10);
    store_reader_close(reader);
}
END_TEST

// Whatever is overwritten, opening and reading ends with an answer, and what is answered is true.
START_TEST(no_damage_is_believed)
{
    fill();
    struct stat status;
    stat(fixture_file(directory, "experience.db"), &status);
    size_t length = (size_t)status.st_size;
    uint8_t *sound = malloc(length);
    FILE *file = fopen(fixture_file(directory, "experience.db"), "rb");
    ck_assert_uint_eq(fread(sound, 1, length, file), length);
    fclose(file);
    int told = 0;
    for (size_t trial = 0; trial < 60; trial++) {
        size_t where = trial < 20 ? trial * 5 : trial * 7919 * 131 % length;  // some in the file's head
        uint8_t byte = (uint8_t)(sound[where] ^ (1 + trial * 37 % 255));
        overwrite((long)where, &byte, 1);
        struct store_reader *reader;
        char why[300];
        if (store_reader_open(&reader, directory, why, sizeof why) == 0) {
            struct store_session session;
            const uint8_t *state;
            size_t size;
            int result;
            for (int i = 0; i < 3 && (result = store_reader_next_session(reader, &session, &state, &size)) != 0; i++) {
                told += result < 0;
                if (result == 1 && state)
                    ck_assert_mem_eq(state, "a state of some length", 22);
            }
            struct store_transition t;
            uint64_t steps = 0;
            while ((result = store_reader_next_transition(reader, 1, &t)) != 0 && steps++ < 2 * COUNT) {
                told += result < 0;
                if (result == 1)
                    fixture_check(&t);
            }
            store_reader_close(reader);
        } else {
            told++;
            ck_assert_ptr_nonnull(strstr(why, "experience.db"));
        }
        overwrite((long)where, &sound[where], 1);
    }
    ck_assert_int_gt(told, 10);
    free(sound);
}
END_TEST

START_TEST(a_damaged_head_is_refused_with_what_to_do)
{
    fill();
    overwrite(0, "SQLite format 4", 15);
    refuses(-EUCLEAN, "experience.db", "damaged");
}
END_TEST

START_TEST(a_text_file_is_refused)
{
    FILE *file = fopen(fixture_file(directory, "experience.db"), "wb");
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database\n", file);
    fclose(file);
    refuses(-EUCLEAN, "experience.db", "damaged");
}
END_TEST

START_TEST(somebody_elses_database_is_refused)
{
    fixture_sql(directory, "create table recipe (cake text)");
    refuses(-EUCLEAN, "experience.db", "not an experience log");
    ck_assert_int_eq(fixture_sql(directory, "select count(*) from sqlite_schema"), 1);
}
END_TEST

START_TEST(a_later_version_is_refused)
{
    fill();
    fixture_sql(directory, "pragma user_version = 9");
    refuses(-ENOTSUP, "version 9", "later beliefd");
    struct store_reader *reader;
    char why[300];
    ck_assert_int_eq(store_reader_open(&reader, directory, why, sizeof why), -ENOTSUP);
}
END_TEST

START_TEST(two_daemons_do_not_share_a_directory)
{
    struct store *store = fixture_open(directory);
    refuses(-EBUSY, directory, "another daemon");
    char process[32];
    snprintf(process, sizeof process, "process %d", (int)getpid());
    refuses(-EBUSY, process, directory);
    store_close(store);
    store_close(fixture_open(directory));
}
END_TEST

START_TEST(a_directory_that_cannot_be_made_is_told)
{
    static char missing[300];
    snprintf(missing, sizeof missing, "%s/no/such", directory);
    directory = missing;
    refuses(-ENOENT, missing, "cannot make");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("damage");
    SUITE_TEST_WITH(suite, a_flipped_bit_in_a_transition_shows, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_flipped_bit_in_a_state_shows, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_destroyed_page_is_an_answer_and_not_a_crash, make_directory, NULL);
    SUITE_TEST_WITH(suite, no_damage_is_believed, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_damaged_head_is_refused_with_what_to_do, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_text_file_is_refused, make_directory, NULL);
    SUITE_TEST_WITH(suite, somebody_elses_database_is_refused, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_later_version_is_refused, make_directory, NULL);
    SUITE_TEST_WITH(suite, two_daemons_do_not_share_a_directory, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_directory_that_cannot_be_made_is_told, make_directory, NULL);
    return suite_finish(suite);
}
