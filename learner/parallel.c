// The pool: one ticket says which job it is and how many parts are left; threads count it down.
//
// A job may be as short as 100 us and there are thousands in a second, so nobody waits for a thread that is slow
// to wake: the caller works too, and who comes late finds no parts left. Number of the job and parts left are one
// word, and taking a part is one compare-and-swap. It fails if the job has changed since its work was read, and
// once it has succeeded the job cannot change, because the caller waits for the part.
//
// Who finds nothing to do spins for a moment, then sleeps. With more threads than processors a spinner would
// stand in the way of the one it waits for, so then it sleeps at once.

#include "parallel.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

enum {
    THREADS_LIMIT = 256,  // more than any machine that would be given one learner
    SPIN_NS = 50000,      // about what it costs to sleep and be woken, in wall and in processor time
};

static const uint32_t STOP = UINT32_MAX;  // number of a job that nobody does

struct worker {
    struct pool *pool;
    pthread_t thread;
    unsigned number;
};

struct pool {
    unsigned threads;              // the caller included
    int64_t spin_ns;
    _Atomic uint64_t ticket;       // number of the job (high half), parts left to take (low half)
    _Atomic(pool_work *) work;     // of the job, if a part was taken after reading it
    _Atomic(void *) context;
    _Atomic size_t unfinished;     // parts that nobody has finished yet
    pthread_mutex_t mutex;         // only for sleeping and waking
    pthread_cond_t job_is_new, job_is_done;
    struct worker workers[];       // (threads - 1)
};

static uint32_t ticket_job(uint64_t ticket)
{
    return (uint32_t)(ticket >> 32);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int job_is_new(struct pool *pool, uint32_t job)
{
    return ticket_job(atomic_load_explicit(&pool->ticket, memory_order_acquire)) != job;
}

static int job_is_done(struct pool *pool, uint32_t job)
{
    (void)job;
    return atomic_load_explicit(&pool->unfinished, memory_order_acquire) == 0;
}

// Waits until the condition holds that `signal` announces.
static void wait_for(struct pool *pool, int condition(struct pool *, uint32_t), uint32_t job, pthread_cond_t *signal)
{
    if (pool->spin_ns && !condition(pool, job)) {
        int64_t until = now_ns() + pool->spin_ns;
        while (!condition(pool, job) && now_ns() < until)
            relax();
    }
    if (condition(pool, job))
        return;
    pthread_mutex_lock(&pool->mutex);
    while (!condition(pool, job))
        pthread_cond_wait(signal, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

// The condition was made true before: a waiter has either seen it, or holds the mutex, or sleeps.
static void wake(struct pool *pool, pthread_cond_t *signal)
{
    pthread_mutex_lock(&pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
    pthread_cond_broadcast(signal);
}

// Takes and runs parts of the current job until none is left; returns the job's number.
static uint32_t run_parts(struct pool *pool, unsigned thread)
{
    uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    for (;;) {
        pool_work *work = atomic_load_explicit(&pool->work, memory_order_relaxed);
        void *context = atomic_load_explicit(&pool->context, memory_order_relaxed);
        uint32_t left = (uint32_t)ticket;
        if (left == 0)
            return ticket_job(ticket);
        if (!atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket - 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        work(context, left - 1, thread);
        ticket--;
        if (atomic_fetch_sub_explicit(&pool->unfinished, 1, memory_order_acq_rel) == 1 && thread != 0)
            wake(pool, &pool->job_is_done);
    }
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct pool *pool = worker->pool;
    uint32_t job = 0;
    while (job != STOP) {
        wait_for(pool, job_is_new, job, &pool->job_is_new);
        job = run_parts(pool, worker->number);
    }
    return NULL;
}

static unsigned processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

struct pool *pool_start(unsigned threads)
{
    unsigned available = processors();
    if (threads == 0)
        threads = available < THREADS_LIMIT ? available : THREADS_LIMIT;
    if (threads > THREADS_LIMIT)
        return NULL;
    struct pool *pool = calloc(1, sizeof *pool + (threads - 1) * sizeof *pool->workers);
    if (!pool)
        return NULL;
    pool->spin_ns = threads <= available ? SPIN_NS : 0;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->job_is_new, NULL);
    pthread_cond_init(&pool->job_is_done, NULL);

    // Signals are for the caller's thread.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    for (pool->threads = 1; pool->threads < threads && !error; pool->threads += !error) {
        struct worker *worker = &pool->workers[pool->threads - 1];
        *worker = (struct worker){.pool = pool, .number = pool->threads};
        error = pthread_create(&worker->thread, NULL, worker_main, worker);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        pool_stop(pool);
        return NULL;
    }
    return pool;
}

void pool_stop(struct pool *pool)
{
    if (!pool)
        return;
    atomic_store_explicit(&pool->ticket, (uint64_t)STOP << 32, memory_order_release);
    wake(pool, &pool->job_is_new);
    for (unsigned i = 0; i + 1 < pool->threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->job_is_done);
    pthread_cond_destroy(&pool->job_is_new);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

unsigned pool_threads(const struct pool *pool)
{
    return pool->threads;
}

void pool_run(struct pool *pool, pool_work *work, void *context, size_t parts)
{
    if (pool->threads == 1 || parts <= 1) {
        for (size_t part = 0; part < parts; part++)
            work(context, part, 0);
        return;
    }
    assert(parts < UINT32_MAX && job_is_done(pool, 0));
    uint32_t job = ticket_job(atomic_load_explicit(&pool->ticket, memory_order_relaxed)) + 1;
    if (job == STOP)
        job = 0;
    atomic_store_explicit(&pool->work, work, memory_order_relaxed);
    atomic_store_explicit(&pool->context, context, memory_order_relaxed);
    atomic_store_explicit(&pool->unfinished, parts, memory_order_relaxed);
    atomic_store_explicit(&pool->ticket, (uint64_t)job << 32 | parts, memory_order_release);
    wake(pool, &pool->job_is_new);
    run_parts(pool, 0);
    wait_for(pool, job_is_done, job, &pool->job_is_done);
}

double pool_cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}
