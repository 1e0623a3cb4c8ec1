// The pool: each part once, whatever the threads; results that do not know how many there were.

#include "learner/parallel.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "tests/support/suite.h"

enum { PARTS_LIMIT = 1000 };

static const unsigned thread_counts[] = {1, 2, 3, 8};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts };

struct tally {
    unsigned runs[PARTS_LIMIT];     // of each part; written by whoever runs it
    atomic_uint inside[8];          // parts that run under a thread's number right now
    atomic_uint clashes;
    unsigned threads;
};

static void count_part(void *context, size_t part, unsigned thread)
{
    struct tally *tally = context;
    if (thread >= tally->threads || atomic_fetch_add(&tally->inside[thread], 1) != 0)
        atomic_fetch_add(&tally->clashes, 1);
    tally->runs[part]++;
    atomic_fetch_sub(&tally->inside[thread], 1);
}

START_TEST(every_part_runs_once_and_a_thread_number_has_one_user)
{
    static const size_t part_counts[] = {0, 1, 2, 3, 7, 64, PARTS_LIMIT};
    for (size_t i = 0; i < THREAD_COUNTS; i++) {
        struct pool *pool = pool_start(thread_counts[i]);
        ck_assert_ptr_nonnull(pool);
        ck_assert_uint_eq(pool_threads(pool), thread_counts[i]);
        for (size_t j = 0; j < sizeof part_counts / sizeof *part_counts; j++) {
            struct tally tally = {.threads = thread_counts[i]};
            for (unsigned job = 1; job <= 20; job++) {
                pool_run(pool, count_part, &tally, part_counts[j]);
                // All parts are finished when pool_run returns, so that plain reads are right.
                for (size_t part = 0; part < PARTS_LIMIT; part++)
                    ck_assert_uint_eq(tally.runs[part], part < part_counts[j] ? job : 0);
            }
            ck_assert_uint_eq(atomic_load(&tally.clashes), 0);
        }
        pool_stop(pool);
    }
}
END_TEST

// Jobs of different work, context and size straight after each other: a thread that is late for one job must
// never take a part of the next under its old work.
struct short_job {
    unsigned runs[8];
};

static void even_work(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct short_job *job = context;
    job->runs[part] += 1;
}

static void odd_work(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct short_job *job = context;
    job->runs[part] += 1000;
}

START_TEST(thousands_of_short_jobs_do_not_mix)
{
    for (size_t i = 0; i < THREAD_COUNTS; i++) {
        struct pool *pool = pool_start(thread_counts[i]);
        for (unsigned j = 0; j < 3000; j++) {
            struct short_job job = {0};
            size_t parts = 1 + j % 8;
            pool_run(pool, j % 2 ? odd_work : even_work, &job, parts);
            for (size_t part = 0; part < 8; part++)
                ck_assert_uint_eq(job.runs[part], part >= parts ? 0 : j % 2 ? 1000 : 1);
        }
        pool_stop(pool);
    }
}
END_TEST

struct sum {
    double parts[PARTS_LIMIT];
};

static void sum_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct sum *sum = context;
    double total = 0;
    for (unsigned i = 1; i <= 100; i++)
        total += sin((double)part + 1.0 / i);
    sum->parts[part] = total;
}

START_TEST(parts_added_in_order_give_the_same_bits_for_any_number_of_threads)
{
    double totals[THREAD_COUNTS];
    for (size_t i = 0; i < THREAD_COUNTS; i++) {
        struct pool *pool = pool_start(thread_counts[i]);
        struct sum sum;
        for (size_t part = 0; part < PARTS_LIMIT; part++)
            sum.parts[part] = NAN;
        pool_run(pool, sum_part, &sum, PARTS_LIMIT);
        totals[i] = 0;
        for (size_t part = 0; part < PARTS_LIMIT; part++)
            totals[i] += sum.parts[part];
        ck_assert(isfinite(totals[i]));
        ck_assert_msg(totals[i] == totals[0], "%u threads: %.17g, one: %.17g", thread_counts[i], totals[i],
                      totals[0]);
        pool_stop(pool);
    }
}
END_TEST

struct order {
    pthread_t caller;
    size_t next;
    unsigned wrong;
};

static void follow_order(void *context, size_t part, unsigned thread)
{
    struct order *order = context;
    order->wrong += thread != 0 || part != order->next++ || !pthread_equal(order->caller, pthread_self());
}

START_TEST(one_thread_is_a_plain_loop)
{
    struct pool *pool = pool_start(1);
    struct order order = {.caller = pthread_self()};
    pool_run(pool, follow_order, &order, 100);
    ck_assert_uint_eq(order.next, 100);
    ck_assert_uint_eq(order.wrong, 0);
    pool_stop(pool);
}
END_TEST

static double read_clock(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

// Each part waits until all are there, which only ends well if as many threads work at the same time.
struct meeting {
    atomic_uint arrived, met;
    unsigned expected;
};

static void meet(void *context, size_t part, unsigned thread)
{
    (void)part, (void)thread;
    struct meeting *meeting = context;
    atomic_fetch_add(&meeting->arrived, 1);
    double until = read_clock(CLOCK_MONOTONIC) + 20;
    while (atomic_load(&meeting->arrived) < meeting->expected && read_clock(CLOCK_MONOTONIC) < until)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    if (atomic_load(&meeting->arrived) == meeting->expected)
        atomic_fetch_add(&meeting->met, 1);
}

START_TEST(all_threads_work_at_the_same_time)
{
    for (unsigned threads = 2; threads <= 8; threads *= 2) {
        struct pool *pool = pool_start(threads);
        for (int repeat = 0; repeat < 5; repeat++) {
            struct meeting meeting = {.expected = threads};
            pool_run(pool, meet, &meeting, threads);
            ck_assert_uint_eq(atomic_load(&meeting.met), threads);
        }
        pool_stop(pool);
    }
}
END_TEST

START_TEST(waiting_for_work_costs_no_processor_time)
{
    struct pool *pool = pool_start(4);
    struct short_job job = {0};
    pool_run(pool, even_work, &job, 8);
    double before = pool_cpu_seconds();
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    double used = pool_cpu_seconds() - before;
    ck_assert_msg(used < 0.03, "%g s in 0.3 s", used);
    pool_stop(pool);
}
END_TEST

// Burns processor time of its own thread.
static void burn(void *context, size_t part, unsigned thread)
{
    (void)part, (void)thread;
    double until = read_clock(CLOCK_THREAD_CPUTIME_ID) + *(double *)context;
    while (read_clock(CLOCK_THREAD_CPUTIME_ID) < until)
        continue;
}

START_TEST(processor_time_is_that_of_all_threads)
{
    struct pool *pool = pool_start(2);
    double each = 0.05, before = pool_cpu_seconds();
    pool_run(pool, burn, &each, 4);
    double used = pool_cpu_seconds() - before;
    ck_assert_msg(used >= 4 * each && used < 8 * each, "%g s for 4 parts of %g s", used, each);
    pool_stop(pool);
}
END_TEST

START_TEST(no_number_means_one_thread_per_processor_and_a_silly_one_is_refused)
{
    struct pool *pool = pool_start(0);
    ck_assert_ptr_nonnull(pool);
    ck_assert_uint_ge(pool_threads(pool), 1);
    struct tally tally = {.threads = pool_threads(pool)};
    if (tally.threads <= 8) {
        pool_run(pool, count_part, &tally, 10);
        ck_assert_uint_eq(tally.runs[9], 1);
    }
    pool_stop(pool);
    ck_assert_ptr_null(pool_start(100000));
    pool_stop(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parallel");
    SUITE_TEST(suite, every_part_runs_once_and_a_thread_number_has_one_user);
    SUITE_TEST(suite, thousands_of_short_jobs_do_not_mix);
    SUITE_TEST(suite, parts_added_in_order_give_the_same_bits_for_any_number_of_threads);
    SUITE_TEST(suite, one_thread_is_a_plain_loop);
    SUITE_TEST(suite, all_threads_work_at_the_same_time);
    SUITE_TEST(suite, waiting_for_work_costs_no_processor_time);
    SUITE_TEST(suite, processor_time_is_that_of_all_threads);
    SUITE_TEST(suite, no_number_means_one_thread_per_processor_and_a_silly_one_is_refused);
    return suite_finish(suite);
}
