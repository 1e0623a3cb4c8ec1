// The task that an oracle's session was told is in the session's row, as long as the row says so.
#include "fixture.h"

#include "tests/support/suite.h"

static const float told[][3] = {{1.5f, -2, 1e-30f}, {7, 8, 9}};
static const char *directory;

static void make_directory(void) { directory = fixture_directory(); }

static void check_told(const struct store_session *session, const float *numbers, size_t count)
{
    ck_assert_uint_eq(session->told_count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_float_eq(session->told_task[i], numbers[i]);
}

static void put(struct store_queue *queue, uint64_t id, const char *name, const float *numbers, size_t count)
{
    const struct store_session session = {
        .id = id, .name = name, .identity = "", .model = "arm", .model_digest = "01", .task = 1, .told_task = numbers,
        .told_count = count};
    ck_assert_uint_ne(store_put_session(queue, &session), 0);
}

// Sessions "a" (told nothing), "b" and "c" are kept, and told one by one and as a list.
static void keep_some(struct store *store)
{
    struct store_queue *queue = store_queue(store, 0);
    uint64_t b = store_new_session_id(store);
    put(queue, b, "b", told[0], 3);
    put(queue, b, "b", told[1], 3);
    put(queue, store_new_session_id(store), "c", told[0], 1);
    ck_assert_int_eq(store_ask_session(queue, 1, "b"), 0);
    ck_assert_int_eq(store_ask_sessions(queue, 2, "", 0), 0);
    struct store_answer *answer = fixture_answer(queue);
    check_told(&answer->session, told[1], 3);
    ck_assert_str_eq(answer->session.model_digest, "01");
    store_answer_free(answer);
    answer = fixture_answer(queue);
    ck_assert_uint_eq(answer->session_count, 3);
    check_told(&answer->sessions[0], NULL, 0);
    check_told(&answer->sessions[1], told[1], 3);
    check_told(&answer->sessions[2], told[0], 1);
    ck_assert_str_eq(answer->sessions[2].name, "c");
    store_answer_free(answer);
}

START_TEST(a_told_task_is_in_the_sessions_row_and_the_last_one_counts)
{
    struct store *store = fixture_open(directory);
    fixture_session(store, store_queue(store, 0), "a");
    keep_some(store);
    store_close(store);
}
END_TEST

START_TEST(a_log_from_before_there_were_told_tasks_is_read_and_gets_them)
{
    struct store *store = fixture_open(directory);
    fixture_session(store, store_queue(store, 0), "a");
    store_close(store);
    fixture_sql(directory, "alter table session drop column told_task");
    struct store_reader *reader;
    struct store_session session;
    const uint8_t *state;
    size_t state_size;
    char why[200] = "";
    ck_assert_msg(store_reader_open(&reader, directory, why, sizeof why) == 0, "%s", why);
    ck_assert_int_eq(store_reader_next_session(reader, &session, &state, &state_size), 1);
    ck_assert_str_eq(session.name, "a");
    store_reader_close(reader);
    store = fixture_open(directory);
    keep_some(store);
    store_close(store);
    store = fixture_open(directory);
    ck_assert_int_eq(store_ask_session(store_queue(store, 0), 1, "b"), 0);
    struct store_answer *answer = fixture_answer(store_queue(store, 0));
    check_told(&answer->session, told[1], 3);
    store_answer_free(answer);
    store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("told");
    SUITE_TEST_WITH(suite, a_told_task_is_in_the_sessions_row_and_the_last_one_counts, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_log_from_before_there_were_told_tasks_is_read_and_gets_them, make_directory, NULL);
    return suite_finish(suite);
}
