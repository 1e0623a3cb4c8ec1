// A daemon that is killed at any moment: what it was told to be durable is there, nothing is there twice, and
// of each writer's transitions there is a beginning without a gap.

#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/random.h"
#include "tests/support/suite.h"

enum { SESSIONS = 8, WRITERS = 2, LATEST = 100000 };

// How far a session's writer is: what the child told before it died.
struct report {
    uint32_t session, writer;
    uint64_t seq;
};

static const char *directory;

static void make_directory(void) { directory = fixture_directory(); }

// The child: goes on where the log ends, reports what is durable, until it is killed.
static void child(int out, const uint64_t next[SESSIONS][WRITERS], uint64_t ids[SESSIONS])
{
    struct store *store;
    char why[300];
    struct store_options options = {.directory = directory, .queues = 1, .commit_ms = 1, .queue_bytes = 1 << 16};
    if (store_open(&store, &options, why, sizeof why) != 0) {
        fprintf(stderr, "%s\n", why);
        _exit(1);
    }
    struct store_queue *queue = store_queue(store, 0);
    uint64_t seq[SESSIONS][WRITERS];
    memcpy(seq, next, sizeof seq);
    for (int i = 0; i < SESSIONS; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        struct store_session session = {.id = ids[i], .name = name, .model = "m", .model_digest = "d", .epoch = 1};
        store_put_session(queue, &session);
    }
    for (uint64_t turn = 0;; turn++) {
        struct report reports[64];
        uint64_t last = 0;
        for (int i = 0; i < 64; i++) {
            uint32_t s = (uint32_t)((turn * 64 + (uint64_t)i) % SESSIONS), w = (uint32_t)(turn + (uint64_t)i / SESSIONS) % WRITERS;
            last = fixture_put(queue, ids[s], w, seq[s][w]);
            reports[i] = (struct report){s, w, seq[s][w]++};
        }
        if (turn % 3 == 0)  // the others are left to the commit's own time
            store_want(queue, last);
        while (store_durable(queue) < last)
            usleep(50);
        if (write(out, reports, sizeof reports) != sizeof reports)
            _exit(1);
    }
}

START_TEST(what_was_durable_survives_a_kill_at_any_moment)
{
    enum { ROUNDS = 25 };
    static uint64_t durable[SESSIONS][WRITERS], next[SESSIONS][WRITERS];
    uint64_t ids[SESSIONS], total = 0;
    struct random_stream stream = random_stream((uint64_t)getpid(), 0, 0, 0);
    for (int i = 0; i < SESSIONS; i++) {
        ids[i] = (uint64_t)i + 1;
        for (int w = 0; w < WRITERS; w++)
            next[i][w] = 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        pid_t process = fork();
        if (process == 0) {
            close(ends[0]);
            child(ends[1], next, ids);
        }
        close(ends[1]);
        usleep(5000 + random_below(&stream, 60000));
        kill(process, SIGKILL);
        struct report report;
        // A report cut off by the kill was not told.
        while (read(ends[0], &report, sizeof report) == sizeof report)
            if (report.seq > durable[report.session][report.writer])
                durable[report.session][report.writer] = report.seq;
        close(ends[0]);
        int status;
        waitpid(process, &status, 0);
        ck_assert(WIFSIGNALED(status));

        struct store *store = fixture_open(directory);
        struct store_queue *queue = store_queue(store, 0);
        total = 0;
        for (int i = 0; i < SESSIONS; i++) {
            uint64_t counts[WRITERS] = {0}, after_seq = 0;
            uint32_t after_writer = 0;
            for (int more = 1; more;) {
                ck_assert_int_eq(store_ask_transitions(queue, 1, ids[i], after_writer, after_seq), 0);
                struct store_answer *answer = fixture_answer(queue);
                ck_assert_int_eq(answer->error, 0);
                for (size_t k = 0; k < answer->transition_count; k++) {
                    const struct store_transition *t = &answer->transitions[k];
                    fixture_check(t);
                    ck_assert_uint_eq(t->seq, ++counts[t->writer]);  // no gap, none twice
                    after_writer = t->writer;
                    after_seq = t->seq;
                }
                more = answer->more;
                store_answer_free(answer);
            }
            for (int w = 0; w < WRITERS; w++) {
                ck_assert_msg(counts[w] >= durable[i][w], "lost: session %d writer %d has %llu, %llu were durable", i, w,
                              (unsigned long long)counts[w], (unsigned long long)durable[i][w]);
                next[i][w] = counts[w] + 1;
                total += counts[w];
            }
        }
        store_close(store);
    }
    ck_assert_uint_gt(total, 1000);
    ck_assert_int_eq(fixture_sql(directory, "select count(*) from transition"), (long long)total);
}
END_TEST

// What a power cut leaves: any prefix of the WAL's bytes that contains what was synced, then anything.
START_TEST(a_torn_end_of_the_wal_costs_only_what_was_not_durable)
{
    int ends[2];
    uint64_t durable = 0;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t process = fork();
    if (process == 0) {
        struct store *store = fixture_open_with((struct store_options){.directory = directory, .commit_ms = 1});
        struct store_queue *queue = store_queue(store, 0);
        uint64_t session = fixture_session(store, queue, "one");
        for (uint64_t i = 1; i <= LATEST; i += 100) {
            uint64_t last = 0;
            for (uint64_t k = i; k < i + 100; k++)
                last = fixture_put(queue, session, 0, k);
            fixture_wait(queue, last);
            uint64_t told = i + 99;
            if (write(ends[1], &told, sizeof told) != sizeof told)
                _exit(1);
        }
        pause();
    }
    close(ends[1]);
    for (uint64_t told; durable < 5000 && read(ends[0], &told, sizeof told) == sizeof told;)
        durable = told;
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
    for (uint64_t told; read(ends[0], &told, sizeof told) == sizeof told;)
        durable = told;
    close(ends[0]);

    // Garbage after the WAL's end, as a file system may leave of a write that was not synced.
    FILE *wal = fopen(fixture_file(directory, "experience.db-wal"), "ab");
    ck_assert_ptr_nonnull(wal);
    for (int i = 0; i < 9999; i++)
        fputc(i * 31, wal);
    fclose(wal);
    struct store *store = fixture_open(directory);
    int error;
    uint64_t count = fixture_count(store_queue(store, 0), 1, &error);
    ck_assert_int_eq(error, 0);
    ck_assert_uint_ge(count, durable);
    store_close(store);
}
END_TEST

// Without the WAL's second half the log is what it was at some commit: a prefix, and sound.
START_TEST(half_a_wal_is_an_earlier_log_and_not_a_damaged_one)
{
    pid_t process = fork();
    if (process == 0) {
        struct store *store = fixture_open_with((struct store_options){.directory = directory, .commit_ms = 1});
        struct store_queue *queue = store_queue(store, 0);
        uint64_t session = fixture_session(store, queue, "one");
        for (uint64_t i = 1; i <= 3000; i++) {
            uint64_t last = fixture_put(queue, session, 0, i);
            if (i % 50 == 0)
                fixture_wait(queue, last);
        }
        kill(getpid(), SIGKILL);
    }
    waitpid(process, NULL, 0);
    const char *path = fixture_file(directory, "experience.db-wal");
    FILE *wal = fopen(path, "rb");
    fseek(wal, 0, SEEK_END);
    long size = ftell(wal);
    fclose(wal);
    ck_assert_int_gt(size, 100000);
    ck_assert_int_eq(truncate(path, size / 2 + 123), 0);
    unlink(fixture_file(directory, "experience.db-shm"));  // as after a power cut
    struct store *store = fixture_open(directory);
    struct store_queue *queue = store_queue(store, 0);
    int error;
    uint64_t count = fixture_count(queue, 1, &error);
    ck_assert_int_eq(error, 0);
    ck_assert_uint_gt(count, 100);
    ck_assert_uint_lt(count, 3000);
    ck_assert_uint_eq(count % 50, 0);
    // Sent again by who keeps what is not durable:
    uint64_t last = 0;
    for (uint64_t i = 1; i <= 3000; i++)
        last = fixture_put(queue, 1, 0, i);
    fixture_wait(queue, last);
    ck_assert_uint_eq(fixture_count(queue, 1, &error), 3000);
    store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crash");
    SUITE_TEST_WITH(suite, what_was_durable_survives_a_kill_at_any_moment, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_torn_end_of_the_wal_costs_only_what_was_not_durable, make_directory, NULL);
    SUITE_TEST_WITH(suite, half_a_wal_is_an_earlier_log_and_not_a_damaged_one, make_directory, NULL);
    return suite_finish(suite);
}
