// What is put comes back, once, in order; what is asked is answered after what was put before.

#include "fixture.h"

#include <errno.h>
#include <math.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/random.h"
#include "tests/support/suite.h"

static const char *directory;

static void make_directory(void) { directory = fixture_directory(); }

START_TEST(what_was_put_comes_back)
{
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one"), last = 0;
    for (uint64_t i = 2500; i >= 1; i--)  // in any order
        for (uint32_t writer = 0; writer < 2; writer++)
            last = fixture_put(queue, session, writer, i);
    fixture_wait(queue, last);
    int error;
    ck_assert_uint_eq(fixture_count(queue, session, &error), 5000);
    ck_assert_int_eq(error, 0);
    store_close(store);

    store = fixture_open(directory);
    queue = store_queue(store, 0);
    ck_assert_uint_eq(fixture_count(queue, session, &error), 5000);
    ck_assert_uint_gt(store_new_session_id(store), session);
    store_close(store);
    ck_assert_int_eq(fixture_sql(directory, "select count(*) from transition"), 5000);
}
END_TEST

START_TEST(what_is_put_again_changes_nothing)
{
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one"), last = 0;
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 1; i <= 300; i++)
            last = fixture_put(queue, session, 0, i);
        struct store_transition other = fixture_transition(session, 0, 5);
        other.reward = 99;  // the same name, another content: the first stays
        last = store_put_transition(queue, &other);
        fixture_wait(queue, last);
    }
    int error;
    ck_assert_uint_eq(fixture_count(queue, session, &error), 300);
    store_close(store);
}
END_TEST

START_TEST(numbers_that_sqlite_does_not_know_come_back_as_such)
{
    const float rewards[] = {NAN, -NAN, INFINITY, -INFINITY, -0.0f, 0x1p-149f, 3.4e38f, 1, 16777215};
    enum { REWARDS = sizeof rewards / sizeof rewards[0] };
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one");
    static float vector[4] = {NAN, INFINITY, -0.0f, 1};
    uint64_t last = 0;
    for (int i = 0; i < REWARDS; i++) {
        struct store_transition t = fixture_transition(session, 3, (uint64_t)i + 1);
        t.reward = rewards[i];
        t.observation = t.next_observation = vector;
        t.observation_dim = 4;
        t.action_dim = i % 2 ? 0 : t.action_dim;
        t.status = 3;
        last = store_put_transition(queue, &t);
    }
    fixture_wait(queue, last);
    ck_assert_int_eq(store_ask_transitions(queue, 1, session, 0, 0), 0);
    struct store_answer *answer = fixture_answer(queue);
    ck_assert_int_eq(answer->error, 0);
    ck_assert_uint_eq(answer->transition_count, REWARDS);
    for (int i = 0; i < REWARDS; i++) {
        const struct store_transition *t = &answer->transitions[i];
        ck_assert(isnan(rewards[i]) ? isnan(t->reward) : t->reward == rewards[i]);
        ck_assert_mem_eq(t->observation, vector, sizeof vector);
        ck_assert_uint_eq(t->action_dim, i % 2 ? 0 : FIXTURE_ACTION);
    }
    store_answer_free(answer);
    store_close(store);
}
END_TEST

START_TEST(large_transitions_come_in_pages_of_bytes)
{
    enum { LARGE = 1024, COUNT = 700 };
    static float numbers[LARGE];
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one"), last = 0, seen = 0;
    for (uint64_t i = 1; i <= COUNT; i++) {
        struct store_transition t = fixture_transition(session, 0, i);
        numbers[i % LARGE] = (float)i;
        t.observation = t.next_observation = numbers;
        t.observation_dim = LARGE;
        while ((last = store_put_transition(queue, &t)) == 0)
            usleep(1000);
    }
    ck_assert_uint_ge(last, COUNT * 2 * LARGE * sizeof(float));
    size_t pages = 0;
    for (int more = 1; more; pages++) {
        ck_assert_int_eq(store_ask_transitions(queue, 1, session, 0, seen), 0);
        struct store_answer *answer = fixture_answer(queue);
        ck_assert_int_eq(answer->error, 0);
        for (size_t i = 0; i < answer->transition_count; i++)
            ck_assert_uint_eq(answer->transitions[i].seq, ++seen);
        more = answer->more;
        store_answer_free(answer);
    }
    ck_assert_uint_eq(seen, COUNT);
    ck_assert_uint_gt(pages, 4);
    store_close(store);
}
END_TEST

START_TEST(sessions_are_found_by_name_with_their_state)
{
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one");
    uint8_t state[100000];
    for (size_t i = 0; i < sizeof state; i++)
        state[i] = (uint8_t)(i * i >> 3);
    ck_assert_int_eq(store_ask_session(queue, 1, "two"), 0);
    ck_assert_int_eq(store_ask_session(queue, 2, "one"), 0);
    struct store_answer *answer = fixture_answer(queue);
    ck_assert_uint_eq(answer->cookie, 1);
    ck_assert_int_eq(answer->error, -ENOENT);
    store_answer_free(answer);
    answer = fixture_answer(queue);
    ck_assert_uint_eq(answer->cookie, 2);
    ck_assert_int_eq(answer->error, 0);
    ck_assert_uint_eq(answer->session.id, session);
    ck_assert_str_eq(answer->session.name, "one");
    ck_assert_str_eq(answer->session.identity, "someone");
    ck_assert_str_eq(answer->session.model, "arm");
    ck_assert_str_eq(answer->session.model_digest, "0123");
    ck_assert_uint_eq(answer->session.epoch, 1);
    ck_assert_ptr_null(answer->state);
    store_answer_free(answer);

    ck_assert_uint_ne(store_put_state(queue, session, state, 10), 0);
    ck_assert_uint_ne(store_put_state(queue, session, state, sizeof state), 0);
    fixture_put(queue, session, 0, 17);
    ck_assert_int_eq(store_ask_session(queue, 3, "one"), 0);
    answer = fixture_answer(queue);
    ck_assert_uint_eq(answer->cookie, 3);
    ck_assert_uint_eq(answer->state_size, sizeof state);
    ck_assert_mem_eq(answer->state, state, sizeof state);
    ck_assert_uint_eq(answer->session.count, 17);  // of its last transition
    store_answer_free(answer);

    struct store_session again = {.id = session, .name = "one", .identity = "someone", .model = "leg",
                                  .model_digest = "4567", .epoch = 7, .task = 3, .hold_prior = 1, .count = 4};
    memset(again.digest, 9, sizeof again.digest);
    ck_assert_uint_ne(store_put_session(queue, &again), 0);
    ck_assert_int_eq(store_ask_session(queue, 4, "one"), 0);
    answer = fixture_answer(queue);
    ck_assert_uint_eq(answer->cookie, 4);
    ck_assert_str_eq(answer->session.model, "leg");
    ck_assert_uint_eq(answer->session.epoch, 7);
    ck_assert_uint_eq(answer->session.task, 3);
    ck_assert_int_eq(answer->session.hold_prior, 1);
    ck_assert_uint_eq(answer->session.count, 4);
    ck_assert_mem_eq(answer->session.digest, again.digest, sizeof again.digest);
    store_answer_free(answer);
    ck_assert_ptr_null(store_take_answer(queue));
    store_close(store);
}
END_TEST

START_TEST(the_list_of_sessions_comes_in_pages_by_name)
{
    enum { SESSIONS = 2500 };
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    char name[70], after[70] = "";
    for (int i = 0; i < SESSIONS; i++) {
        snprintf(name, sizeof name, "%050d", i * 7 % SESSIONS);
        fixture_session(store, queue, name);
    }
    int seen = 0;
    for (int more = 1; more;) {
        ck_assert_int_eq(store_ask_sessions(queue, 5, after, seen < 100 ? 30 : 0), 0);
        struct store_answer *answer = fixture_answer(queue);
        ck_assert_int_eq(answer->error, 0);
        ck_assert_uint_le(answer->session_count, seen < 100 ? 30 : STORE_PAGE);
        for (size_t i = 0; i < answer->session_count; i++) {
            snprintf(name, sizeof name, "%050d", seen++);
            ck_assert_str_eq(answer->sessions[i].name, name);
            ck_assert_str_eq(answer->sessions[i].model, "arm");
        }
        strcpy(after, name);
        more = answer->more;
        store_answer_free(answer);
    }
    ck_assert_int_eq(seen, SESSIONS);
    store_close(store);
}
END_TEST

static int nothing_left(void *context)
{
    (void)context;
    return fixture_sql(directory, "select (select count(*) from transition where session = 1) + (select count(*) from "
                                  "forgotten)") == 0;
}

START_TEST(a_forgotten_session_is_gone_and_its_transitions_go_after_it)
{
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one"), other = fixture_session(store, queue, "two"), last = 0;
    for (uint64_t i = 1; i <= 4321; i++) {
        fixture_put(queue, session, (uint32_t)(i % 3), i);
        last = fixture_put(queue, other, 0, i);
    }
    ck_assert_uint_ne(store_put_state(queue, session, (const uint8_t *)"state", 5), 0);
    fixture_wait(queue, last);
    fixture_wait(queue, store_put_forget(queue, session));
    // The name is free at once, even for a start after a kill in the middle of deleting.
    uint64_t anew = fixture_session(store, queue, "one");
    ck_assert_uint_ne(anew, session);
    fixture_wait(queue, fixture_put(queue, anew, 0, 1));
    ck_assert_int_eq(store_ask_session(queue, 1, "one"), 0);
    struct store_answer *answer = fixture_answer(queue);
    ck_assert_uint_eq(answer->session.id, anew);
    ck_assert_ptr_null(answer->state);
    store_answer_free(answer);
    store_close(store);
    store = fixture_open(directory);
    queue = store_queue(store, 0);
    ck_assert(fixture_within(30, nothing_left, NULL));
    int error;
    ck_assert_uint_eq(fixture_count(queue, other, &error), 4321);
    ck_assert_uint_eq(fixture_count(queue, anew, &error), 1);
    store_close(store);
}
END_TEST

static int two_are_left(void *context)
{
    (void)context;
    return fixture_sql(directory, "select count(*) from session") == 2 &&
           fixture_sql(directory, "select count(distinct session) from transition") == 2;
}

START_TEST(retention_counts_days_in_service_and_spares_what_is_in_memory)
{
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t ids[4], last = 0;
    const char *names[] = {"silent", "heard", "silent too", "young"};
    for (int i = 0; i < 4; i++)
        ids[i] = fixture_session(store, queue, names[i]);
    for (int i = 0; i < 4; i++)
        last = fixture_put(queue, ids[i], 0, 1);
    fixture_wait(queue, last);
    store_close(store);
    // Ten days in service later, in which only "young" was heard of.
    fixture_sql(directory, "update meta set value = 864000 where name = 'run_s'");
    fixture_sql(directory, "update session set heard_run_s = 860000 where name = 'young'");
    fixture_sql(directory, "update session set heard_ms = 0");  // the wall clock does not matter

    struct store_options options = {.directory = directory, .commit_ms = 2, .retention_days = 20};
    store = fixture_open_with(options);
    fixture_wait(store_queue(store, 0), fixture_put(store_queue(store, 0), ids[1], 0, 2));
    store_close(store);
    ck_assert_int_eq(fixture_sql(directory, "select count(*) from session"), 4);

    options.retention_days = 9;
    store = fixture_open_with(options);
    ck_assert(fixture_within(30, two_are_left, NULL));  // "heard" and "young" are left
    ck_assert_int_eq(fixture_sql(directory, "select count(*) from session where name in ('heard', 'young')"), 2);
    store_close(store);
}
END_TEST

START_TEST(models_are_kept_by_digest)
{
    struct store *store = fixture_open(directory);
    uint8_t model[50000], hash[SHA256_DIGEST_LENGTH], *found;
    char digest[65], why[200];
    size_t size;
    for (size_t i = 0; i < sizeof model; i++)
        model[i] = (uint8_t)(i ^ i >> 8);
    SHA256(model, sizeof model, hash);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        sprintf(digest + 2 * i, "%02x", hash[i]);
    ck_assert_int_eq(store_load_model(store, digest, &found, &size, why, sizeof why), -ENOENT);
    ck_assert_ptr_null(found);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(store_save_model(store, digest, "arm", model, sizeof model, why, sizeof why), 0);
    ck_assert_int_eq(store_save_model(store, digest, "arm", model, sizeof model - 1, why, sizeof why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "SHA-256"));
    store_close(store);
    store = fixture_open(directory);
    ck_assert_int_eq(store_load_model(store, digest, &found, &size, why, sizeof why), 0);
    ck_assert_uint_eq(size, sizeof model);
    ck_assert_mem_eq(found, model, size);
    free(found);
    store_close(store);
    fixture_sql(directory, "update model set bytes = zeroblob(50000)");
    store = fixture_open(directory);
    ck_assert_int_eq(store_load_model(store, digest, &found, &size, why, sizeof why), -EUCLEAN);
    ck_assert_ptr_nonnull(strstr(why, "damaged"));
    store_close(store);
}
END_TEST

START_TEST(a_reader_sees_everything_by_name_and_number)
{
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    const char *names[] = {"b", "a", "c"};
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t session = fixture_session(store, queue, names[i]);
        for (uint64_t k = 1; k <= 100; k++)
            last = fixture_put(queue, session, (uint32_t)(k % 2), k);
        if (i == 1)
            last = store_put_state(queue, session, (const uint8_t *)"state", 5);
    }
    fixture_wait(queue, last);
    struct store_reader *reader;
    char why[300];
    ck_assert_int_eq(store_reader_open(&reader, directory, why, sizeof why), 0);
    fixture_wait(queue, fixture_session(store, queue, "later") ? fixture_put(queue, 1, 0, 1000) : 0);
    struct store_session session;
    const uint8_t *state;
    size_t state_size;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(store_reader_next_session(reader, &session, &state, &state_size), 1);
        ck_assert_str_eq(session.name, i == 0 ? "a" : i == 1 ? "b" : "c");
        ck_assert_uint_eq(state_size, i == 0 ? 5 : 0);
        ck_assert(i == 0 ? state != NULL && memcmp(state, "state", 5) == 0 : state == NULL);
        struct store_transition t;
        int count = 0;
        uint32_t writer = 0;
        while (store_reader_next_transition(reader, session.id, &t) == 1) {
            ck_assert(t.writer >= writer);
            writer = t.writer;
            fixture_check(&t);
            count++;
        }
        ck_assert_int_eq(count, 100);
    }
    ck_assert_int_eq(store_reader_next_session(reader, &session, &state, &state_size), 0);
    ck_assert_int_eq(store_reader_check(reader), 0);
    store_reader_close(reader);
    store_close(store);
    ck_assert_int_eq(store_reader_open(&reader, "/nonexistent", why, sizeof why), -ENOENT);
}
END_TEST

// ---- Several loops ----------------------------------------------------------------------------------------

enum { LOOPS = 3, EACH = 20000 };

struct loop {
    struct store *store;
    size_t index;
    uint64_t session, last;
};

// As a loop does: puts, looks how far the disk is, waits now and then, asks.
static void *run_loop(void *context)
{
    struct loop *loop = context;
    struct store_queue *queue = store_queue(loop->store, loop->index);
    char name[16];
    snprintf(name, sizeof name, "loop%zu", loop->index);
    loop->session = fixture_session(loop->store, queue, name);
    struct random_stream stream = random_stream(1, (uint32_t)loop->index, 0, 0);
    uint64_t asked = 0, answered = 0;
    float observation[2] = {0}, action[1] = {0};
    const uint8_t digest[STORE_DIGEST_SIZE] = {0};
    for (uint64_t i = 1; i <= EACH; i++) {
        observation[0] = (float)i;
        struct store_transition t = {
            .session = loop->session, .seq = i, .task = 1, .status = 1, .observation = observation, .action = action,
            .next_observation = observation, .observation_dim = 2, .action_dim = 1, .count = i, .digest = digest,
        };
        while ((loop->last = store_put_transition(queue, &t)) == 0)
            usleep(100);
        if (random_below(&stream, 1000) == 0) {
            store_want(queue, loop->last);
            while (store_durable(queue) < loop->last)
                usleep(100);
        }
        if (random_below(&stream, 500) == 0 && store_ask_session(queue, i, name) == 0)
            asked++;
        struct store_answer *answer = store_take_answer(queue);
        if (answer) {
            // It was answered after what was put before.
            answered += answer->error == 0 && answer->session.count + 1 >= answer->cookie;
            store_answer_free(answer);
        }
    }
    while (answered < asked) {
        struct store_answer *answer = store_take_answer(queue);
        answered += answer != NULL;
        store_answer_free(answer);
        usleep(answer ? 0 : 100);
    }
    store_want(queue, loop->last);
    while (store_durable(queue) < loop->last)
        usleep(100);
    return NULL;
}

START_TEST(loops_put_at_the_same_time)
{
    struct store *store = fixture_open_with((struct store_options){.directory = directory, .queues = LOOPS, .commit_ms = 2,
                                                                   .queue_bytes = 65536});
    pthread_t threads[LOOPS];
    struct loop loops[LOOPS];
    for (size_t i = 0; i < LOOPS; i++) {
        loops[i] = (struct loop){store, i, 0, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_loop, &loops[i]), 0);
    }
    for (size_t i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    struct store_stats stats;
    store_read_stats(store, &stats);
    ck_assert_uint_eq(stats.transitions, LOOPS * EACH);
    ck_assert_uint_eq(stats.queued_bytes, 0);
    ck_assert_int_gt(fixture_wakes(), 0);
    uint64_t commits = 0;
    for (int i = 0; i < 24; i++)
        commits += stats.commit_us_buckets[i];
    ck_assert_uint_eq(commits, stats.commits);
    ck_assert_uint_lt(stats.commits, LOOPS * EACH / 10);  // they commit in groups
    store_close(store);
    ck_assert_int_eq(fixture_sql(directory, "select count(*) from transition"), LOOPS * EACH);
    ck_assert_int_eq(fixture_sql(directory, "select sum(count) from session"), LOOPS * EACH);
}
END_TEST

START_TEST(too_many_questions_are_refused_and_nothing_is_lost)
{
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    size_t open = 0;
    while (store_ask_session(queue, open, "nobody") == 0)
        open++;
    ck_assert_uint_eq(open, STORE_QUESTIONS_LIMIT);
    for (size_t i = 0; i < open; i++) {
        struct store_answer *answer = fixture_answer(queue);
        ck_assert_uint_eq(answer->cookie, i);
        store_answer_free(answer);
    }
    ck_assert_int_eq(store_ask_session(queue, 0, "nobody"), 0);
    store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    SUITE_TEST_WITH(suite, what_was_put_comes_back, make_directory, NULL);
    SUITE_TEST_WITH(suite, what_is_put_again_changes_nothing, make_directory, NULL);
    SUITE_TEST_WITH(suite, numbers_that_sqlite_does_not_know_come_back_as_such, make_directory, NULL);
    SUITE_TEST_WITH(suite, large_transitions_come_in_pages_of_bytes, make_directory, NULL);
    SUITE_TEST_WITH(suite, sessions_are_found_by_name_with_their_state, make_directory, NULL);
    SUITE_TEST_WITH(suite, the_list_of_sessions_comes_in_pages_by_name, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_forgotten_session_is_gone_and_its_transitions_go_after_it, make_directory, NULL);
    SUITE_TEST_WITH(suite, retention_counts_days_in_service_and_spares_what_is_in_memory, make_directory, NULL);
    SUITE_TEST_WITH(suite, models_are_kept_by_digest, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_reader_sees_everything_by_name_and_number, make_directory, NULL);
    SUITE_TEST_WITH(suite, loops_put_at_the_same_time, make_directory, NULL);
    SUITE_TEST_WITH(suite, too_many_questions_are_refused_and_nothing_is_lost, make_directory, NULL);
    return suite_finish(suite);
}
