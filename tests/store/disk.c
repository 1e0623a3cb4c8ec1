// A disk that is full, too small or read-only: the log refuses, keeps what it has, and goes on when it can.

#include "fixture.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/suite.h"

static const char *directory;
static _Atomic int refused, taken;
static struct store_queue *watched;             // how much of it was on disk when the log took again
static _Atomic uint64_t durable_when_taken;

static void make_directory(void) { directory = fixture_directory(); }

static void note_event(void *context, int level, const char *event, const char *text)
{
    (void)context;
    (void)level;
    if (strcmp(event, "log_refuses") == 0) {
        ck_assert_uint_gt(strlen(text), 10);
        atomic_fetch_add(&refused, 1);
    }
    if (strcmp(event, "log_takes") == 0) {
        atomic_store(&durable_when_taken, watched ? store_durable(watched) : 0);
        atomic_fetch_add(&taken, 1);
    }
}

static struct store *open_store(uint64_t size_limit)
{
    return fixture_open_with((struct store_options){.directory = directory, .commit_ms = 2, .event = note_event,
                                                    .size_limit_bytes = size_limit, .queue_bytes = 1 << 20});
}

static int is_refusing(void *store) { return store_refusing(store); }
static int takes(void *store) { return !store_refusing(store); }

// Puts until the log says no; how many it took.
static uint64_t put_until_refused(struct store_queue *queue, struct store *store, uint64_t session, uint64_t from)
{
    uint64_t seq = from;
    for (;;) {
        struct store_transition t = fixture_transition(session, 0, seq);
        if (store_put_transition(queue, &t)) {
            seq++;
            continue;
        }
        if (store_refusing(store))
            return seq;
        usleep(500);  // only full for a moment
    }
}

// All that was taken is there, and what was refused can be put now.
static void goes_on(struct store *store, struct store_queue *queue, uint64_t session, uint64_t next)
{
    uint64_t last = 0;
    int error;
    ck_assert(fixture_within(20, takes, store));
    ck_assert_uint_eq(fixture_count(queue, session, &error), next - 1);
    ck_assert_int_eq(error, 0);
    for (uint64_t i = next; i < next + 100; i++)
        last = fixture_put(queue, session, 0, i);
    fixture_wait(queue, last);
    ck_assert_uint_eq(fixture_count(queue, session, &error), next + 99);
}

START_TEST(beyond_its_size_limit_the_log_refuses_until_something_is_forgotten)
{
    struct store *store = open_store(4000000);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one"), other = fixture_session(store, queue, "two");
    for (uint64_t i = 1; i <= 20000; i++)
        fixture_put(queue, other, 0, i);
    uint64_t next = put_until_refused(queue, store, session, 1);
    struct store_stats stats;
    store_read_stats(store, &stats);
    ck_assert_int_eq(stats.refusing, 1);
    ck_assert_ptr_nonnull(strstr(stats.why, "limit is 4000000"));
    ck_assert_uint_ge(stats.size_bytes, 4000000);
    ck_assert_int_eq(store_has_room(queue, 8), 0);
    ck_assert_uint_eq(store_put_state(queue, session, (const uint8_t *)"s", 1), 0);
    // Reading goes on.
    ck_assert_int_eq(store_ask_session(queue, 1, "two"), 0);
    struct store_answer *answer = fixture_answer(queue);
    ck_assert_int_eq(answer->error, 0);
    store_answer_free(answer);
    ck_assert_uint_ne(store_put_forget(queue, other), 0);
    goes_on(store, queue, session, next);
    ck_assert_int_eq(refused, 1);
    ck_assert_int_eq(taken, 1);
    store_close(store);
}
END_TEST

START_TEST(a_limit_on_file_sizes_is_a_full_disk)
{
    struct store *store = open_store(0);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one");
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){1500000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    int wakes = fixture_wakes();
    uint64_t next = put_until_refused(queue, store, session, 1);
    for (int tries = 0; fixture_wakes() == wakes && tries < 5000; tries++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    ck_assert_int_gt(fixture_wakes(), wakes);  // who waits for the disk hears of it
    // What is not on disk yet cannot be answered; what is unknown is.
    ck_assert_int_eq(store_ask_session(queue, 1, "nobody"), 0);
    ck_assert_int_eq(store_ask_transitions(queue, 2, session, 0, 0), 0);
    struct store_answer *answer = fixture_answer(queue);
    ck_assert_int_eq(answer->error, -ENOENT);
    store_answer_free(answer);
    answer = fixture_answer(queue);
    ck_assert_int_eq(answer->error, -EIO);
    ck_assert_msg(strstr(answer->why, "not all of it is on disk") != NULL, "%s", answer->why);
    store_answer_free(answer);
    char why[200];
    ck_assert_int_lt(store_save_model(store, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "empty",
                                      (const uint8_t *)"", 0, why, sizeof why), 1);
    sleep(2);  // it tries again and again
    ck_assert(store_refusing(store));
    setrlimit(RLIMIT_FSIZE, &before);
    goes_on(store, queue, session, next);
    ck_assert_int_eq(refused, 1);
    ck_assert_int_eq(taken, 1);
    store_close(store);
    // After a start too.
    store = open_store(0);
    int error;
    ck_assert_uint_eq(fixture_count(store_queue(store, 0), session, &error), next + 99);
    store_close(store);
}
END_TEST

// A session that changed loops while the log refused puts into another queue from then on, so what it has in the first
// one has to be on disk before anything is taken.
START_TEST(after_a_refusal_nothing_overtakes_what_waited)
{
    enum { MANY = 20 << 20 };  // bytes, more than one transaction takes
    struct store *store = fixture_open_with((struct store_options){
        .directory = directory, .commit_ms = 10000, .event = note_event, .queue_bytes = 2 * MANY});
    watched = store_queue(store, 0);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){1500000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    uint64_t session = fixture_session(store, watched, "one"), last = 0;
    for (uint64_t seq = 1; last < MANY; seq++) {
        struct store_transition t = fixture_transition(session, 0, seq);
        uint64_t position = store_put_transition(watched, &t);
        if (position == 0)
            break;
        last = position;
    }
    ck_assert_uint_gt(last, MANY / 2);
    store_want(watched, last);
    ck_assert(fixture_within(5, is_refusing, store));
    setrlimit(RLIMIT_FSIZE, &before);
    ck_assert(fixture_within(20, takes, store));
    ck_assert_uint_ge(atomic_load(&durable_when_taken), last);
    watched = NULL;
    store_close(store);
}
END_TEST

// A file system of our own, where the kernel lets us have one.
static int mount_small(void)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return 0;
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    return mount("tmpfs", directory, "tmpfs", 0, "size=3m") == 0;
}

START_TEST(a_full_disk_is_refused_and_forgiven)
{
    if (!mount_small()) {
        printf("no mounts here: the full disk is tested by a limit on file sizes only\n");
        return;
    }
    struct store *store = open_store(0);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one");
    uint64_t next = put_until_refused(queue, store, session, 1);
    ck_assert(fixture_within(1, is_refusing, store));
    struct store_stats stats;
    store_read_stats(store, &stats);
    ck_assert_msg(strstr(stats.why, "full") != NULL || strstr(stats.why, "space") != NULL, "%s", stats.why);
    ck_assert_uint_gt(stats.queued_bytes, 0);
    ck_assert_int_eq(mount("tmpfs", directory, "tmpfs", MS_REMOUNT, "size=30m"), 0);
    goes_on(store, queue, session, next);
    store_close(store);
    umount(directory);
}
END_TEST

START_TEST(a_full_disk_at_start_is_told)
{
    if (!mount_small())
        return;
    FILE *filler = fopen(fixture_file(directory, "filler"), "wb");
    static char block[65536];
    while (fwrite(block, 1, sizeof block, filler) == sizeof block && fflush(filler) == 0)
        continue;
    fclose(filler);
    struct store *store;
    char why[512] = "";
    struct store_options options = {.directory = directory, .queues = 1};
    ck_assert_int_eq(store_open(&store, &options, why, sizeof why), -ENOSPC);
    ck_assert_msg(strstr(why, "experience.db") != NULL, "%s", why);
    umount(directory);
}
END_TEST

START_TEST(a_read_only_directory_is_told_and_can_be_read)
{
    if (!mount_small())
        return;
    struct store *store = open_store(0);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one");
    fixture_wait(queue, fixture_put(queue, session, 0, 1));
    store_close(store);
    ck_assert_int_eq(mount("tmpfs", directory, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=3m"), 0);
    char why[512] = "";
    struct store_options options = {.directory = directory, .queues = 1};
    ck_assert_int_eq(store_open(&store, &options, why, sizeof why), -EROFS);
    ck_assert_ptr_nonnull(strstr(why, directory));
    struct store_reader *reader;
    ck_assert_msg(store_reader_open(&reader, directory, why, sizeof why) == 0, "%s", why);
    struct store_transition t;
    ck_assert_int_eq(store_reader_next_transition(reader, session, &t), 1);
    fixture_check(&t);
    store_reader_close(reader);
    umount(directory);
}
END_TEST

START_TEST(a_log_that_was_moved_away_takes_nothing_until_it_is_back)
{
    char away[512];
    snprintf(away, sizeof away, "%s.away", directory);
    struct store *store = open_store(0);
    struct store_queue *queue = store_queue(store, 0);
    uint64_t session = fixture_session(store, queue, "one");
    fixture_wait(queue, fixture_put(queue, session, 0, 1));
    ck_assert_int_eq(rename(directory, away), 0);
    uint64_t next = put_until_refused(queue, store, session, 2);
    struct store_stats stats;
    store_read_stats(store, &stats);
    ck_assert_msg(strstr(stats.why, "moved") != NULL, "%s", stats.why);
    // Nor does one in its place count.
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    FILE *file = fopen(fixture_file(directory, "experience.db"), "wb");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    sleep(2);
    ck_assert(store_refusing(store));
    ck_assert_int_eq(remove(fixture_file(directory, "experience.db")), 0);
    ck_assert_int_eq(rmdir(directory), 0);
    ck_assert_int_eq(rename(away, directory), 0);
    goes_on(store, queue, session, next);
    store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk");
    SUITE_TEST_WITH(suite, beyond_its_size_limit_the_log_refuses_until_something_is_forgotten, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_limit_on_file_sizes_is_a_full_disk, make_directory, NULL);
    SUITE_TEST_WITH(suite, after_a_refusal_nothing_overtakes_what_waited, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_full_disk_is_refused_and_forgiven, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_full_disk_at_start_is_told, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_read_only_directory_is_told_and_can_be_read, make_directory, NULL);
    SUITE_TEST_WITH(suite, a_log_that_was_moved_away_takes_nothing_until_it_is_back, make_directory, NULL);
    return suite_finish(suite);
}
