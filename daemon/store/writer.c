// The store's thread: sleeps, gathers, writes one transaction of all queues, tells who waits.
//
// A record stays in its ring until its transaction is on disk, so that a transaction that fails is simply
// written again, later.
#include "internal.h"

#include "record.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    BATCH_BYTES = 8 << 20,              // of one queue in one transaction: bounds how long a commit takes
    CHECKPOINT_PAGES = 8192,            // of the WAL before its pages go to their places: 32 MB
    RETRY_MS = 1000,                    // between attempts while the disk does not take it
    IDLE_MS = 60000,                    // of sleep, at most
    QUESTIONS_NS = 4000000,             // of answering between commits
    TOUCHED_SIZE = 1024,                // places at start
};

uint64_t store_run_s(const struct store *store)
{
    return store->run_base_s + (store_now_ns() - store->run_start_ns) / 1000000000;
}

// ---- Sessions of this transaction -------------------------------------------------------------------------

// The place of a session, an empty one if it is not there.
static struct touched *touched_place(struct touched *table, size_t size, uint64_t session)
{
    size_t i = (session * 0x9E3779B97F4A7C15 >> 20) & (size - 1);
    while (table[i].session != 0 && table[i].session != session)
        i = (i + 1) & (size - 1);
    return &table[i];
}

static struct touched *touch(struct store *store, uint64_t session)
{
    if (2 * (store->touched_count + 1) > store->touched_size) {
        size_t size = store->touched_size ? 2 * store->touched_size : TOUCHED_SIZE;
        struct touched *table = calloc(size, sizeof *table);
        if (table == NULL)
            return NULL;
        for (size_t i = 0; i < store->touched_size; i++)
            if (store->touched[i].session)
                *touched_place(table, size, store->touched[i].session) = store->touched[i];
        free(store->touched);
        store->touched = table;
        store->touched_size = size;
    }
    struct touched *place = touched_place(store->touched, store->touched_size, session);
    if (place->session == 0) {
        place->session = session;
        store->touched_count++;
    }
    return place;
}

static int note(struct store *store, uint64_t session, uint64_t count, const uint8_t *digest, int forgotten)
{
    struct touched *place = touch(store, session);
    if (place == NULL)
        return -ENOMEM;
    place->count = count;
    place->forgotten = forgotten;
    memcpy(place->digest, digest, STORE_DIGEST_SIZE);
    return 0;
}

static int write_touched(struct store *store, uint64_t now_ms, uint64_t run_s)
{
    for (size_t i = 0; i < store->touched_size && store->touched_count; i++) {
        const struct touched *t = &store->touched[i];
        int known = 1;
        if (t->session == 0 || t->forgotten)
            continue;
        int error = database_touch(&store->database, t->session, t->count, t->digest, now_ms, run_s, &known);
        if (error)
            return error;
        if (!known)
            store_event(store, 1, "orphans", "transitions were put for a session that is not in the log");
    }
    return 0;
}

static void clear_touched(struct store *store)
{
    if (store->touched_count)
        memset(store->touched, 0, store->touched_size * sizeof *store->touched);
    store->touched_count = 0;
}

// ---- One transaction --------------------------------------------------------------------------------------

static int write_record(struct store *store, const struct record *record, uint64_t now_ms, uint64_t run_s)
{
    static const uint8_t nothing[STORE_DIGEST_SIZE];
    struct database *database = &store->database;
    switch ((enum record_kind)record->kind) {
    case RECORD_TRANSITION: {
        struct store_transition transition = record_transition(record);
        int error = database_put_transition(database, &transition, now_ms);
        return error ? error : note(store, transition.session, transition.count, transition.digest, 0);
    }
    case RECORD_SESSION: {
        struct store_session session = record_session(record);
        int error = database_put_session(database, &session, now_ms, run_s);
        store_hold(store, session.id);
        return error ? error : note(store, session.id, session.count, session.digest, 0);
    }
    case RECORD_STATE: {
        const struct state_record *state = (const struct state_record *)record;
        return database_put_state(database, record->session, (const uint8_t *)(state + 1), state->size, now_ms);
    }
    case RECORD_FORGET:
        store->deleting = 1;
        store_release(store, record->session);
        return note(store, record->session, 0, nothing, 1) ? -ENOMEM : database_forget(database, record->session);
    case RECORD_LET_GO:
        store_release(store, record->session);
        return 0;
    case RECORD_EXPLORED:
        store->exploring = 1;
        return database_put_explored(database, record->session);
    case RECORD_FORGET_EXPLORED: {
        uint64_t number = ((const struct number_record *)record)->number;
        store->forget_up_to = number > store->forget_up_to ? number : store->forget_up_to;
        return 0;
    }
    }
    assert(0);
    return 0;
}

static int by_session(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->session != y->session)
        return x->session < y->session ? -1 : 1;
    return x->position < y->position ? -1 : 1;
}

// The transitions that were gathered, those of a session one after the other: their rows are neighbours in the
// database, so that its pages are looked for and changed together.
static int write_gathered(struct store *store, const struct store_queue *queue, uint64_t now_ms, uint64_t run_s)
{
    int error = 0;
    qsort(store->gathered, store->gathered_count, sizeof *store->gathered, by_session);
    for (size_t i = 0; i < store->gathered_count && !error; i++)
        error = write_record(store, (const struct record *)ring_at(&queue->ring, store->gathered[i].position), now_ms,
                             run_s);
    store->gathered_count = 0;
    return error;
}

// From the ring's tail up to `until`, at most a batch; *end is where it stopped. Only transitions between two other
// records change places, and never those of one session among each other.
static int write_queue(struct store *store, struct store_queue *queue, uint64_t until, uint64_t *end,
                       uint64_t *transitions, uint64_t now_ms, uint64_t run_s)
{
    uint64_t start = ring_tail(&queue->ring), position = start;
    int error = 0;
    while (position < until && position - start < BATCH_BYTES && !error) {
        const struct record *record = (const struct record *)ring_at(&queue->ring, position);
        int is_transition = record->kind == RECORD_TRANSITION;
        if (!is_transition || store->gathered_count == GATHERED_LIMIT)
            error = write_gathered(store, queue, now_ms, run_s);
        if (is_transition)
            store->gathered[store->gathered_count++] = (struct placed){record->session, position};
        else if (!error)
            error = write_record(store, record, now_ms, run_s);
        *transitions += is_transition;
        position += record->size;
    }
    if (!error)
        error = write_gathered(store, queue, now_ms, run_s);
    store->gathered_count = 0;
    *end = position;
    return error;
}

static void count_commit(struct store *store, uint64_t us, uint64_t transitions, uint64_t bytes)
{
    size_t bucket = 0;
    while (bucket + 1 < sizeof store->commit_us_buckets / sizeof store->commit_us_buckets[0] && us >= (uint64_t)1 << bucket)
        bucket++;
    atomic_fetch_add_explicit(&store->commit_us_buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&store->commit_us_sum, us, memory_order_relaxed);
    atomic_fetch_add_explicit(&store->commits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&store->transitions, transitions, memory_order_relaxed);
    atomic_fetch_add_explicit(&store->bytes, bytes, memory_order_relaxed);
}

static void wake_loop(struct store *store, size_t queue)
{
    if (store->options.wake)
        store->options.wake(store->options.context, queue);
}

void store_set_refusing(struct store *store, const char *why)
{
    int refusing = why != NULL, before = atomic_load(&store->refusing);
    pthread_mutex_lock(&store->mutex);
    snprintf(store->why, sizeof store->why, "%s", why ? why : "");
    pthread_mutex_unlock(&store->mutex);
    if (refusing == before)
        return;
    atomic_store(&store->refusing, refusing);
    if (refusing)
        store_event(store, 0, "log_refuses", why);
    else
        store_event(store, 2, "log_takes", "the experience log takes transitions again");
    for (size_t i = 0; i < store->options.queues; i++)  // what waits for the disk need not wait any longer
        wake_loop(store, i);
}

// The size that counts, and whether it is beyond the limit. After a refusal it takes again when all that waited is on disk
// (no `more`): a session may have changed queues meanwhile, and what it puts now must not overtake what it put then.
static void measure(struct store *store, int more)
{
    uint64_t size, limit = store->options.size_limit_bytes;
    if (database_used_bytes(&store->database, &size) != 0)
        return;
    uint64_t wal = (uint64_t)store->wal_pages * DATABASE_PAGE;
    atomic_store_explicit(&store->size_bytes, size + wal, memory_order_relaxed);
    int full = limit && size >= limit;
    atomic_store(&store->full, full);
    if (full) {
        char why[160];
        snprintf(why, sizeof why, "%s has %llu bytes, its limit is %llu", DATABASE_FILE, (unsigned long long)size,
                 (unsigned long long)limit);
        store_set_refusing(store, why);
    } else if (!more) {
        store_set_refusing(store, NULL);
    }
}

// Pages of the WAL go to their places in the database when there are many, or at the end.
static void checkpoint(struct store *store, int all)
{
    int pages = 0, moved = 0;
    if (!all && store->wal_pages < CHECKPOINT_PAGES)
        return;
    int code = sqlite3_wal_checkpoint_v2(store->database.handle, NULL,
                                         all ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    // A reader may still need the WAL, or the disk is full: it only grows, and the next commit tries again.
    if (code == SQLITE_OK && pages == moved)
        store->wal_pages = 0;
}

// What is written to files that were removed or replaced nobody finds again, so it must not count as kept.
static int check_place(struct store *store)
{
    struct database *database = &store->database;
    struct stat file;
    if (stat(database->path, &file) == 0 && file.st_ino == store->inode && file.st_dev == store->device)
        return 0;
    snprintf(database->error, sizeof database->error,
             DATABASE_FILE ": was removed, moved or replaced while in use");
    return -ESTALE;
}

// Explored sessions are on disk: learners that wait for them may ask.
static void tell_explored(struct store *store)
{
    uint64_t number;
    store->exploring = 0;
    if (database_last_explored(&store->database, &number) != 0)
        return;
    atomic_store_explicit(&store->explored, number, memory_order_release);
    for (size_t i = 0; i < store->options.queues; i++)
        wake_loop(store, i);
}

// One transaction with what all queues hold. 0 with *more: a queue had more than a batch.
static int write_all(struct store *store, int *more)
{
    uint64_t start_ns = store_now_ns(), now_ms = store_wall_ms(), run_s = store_run_s(store);
    uint64_t transitions = 0, bytes = 0;
    *more = 0;
    int error = check_place(store);
    if (!error)
        error = database_begin(&store->database);
    for (size_t i = 0; i < store->options.queues && !error; i++) {
        struct store_queue *queue = &store->queues[i];
        uint64_t head = ring_head(&queue->ring);
        queue->written = ring_tail(&queue->ring);
        error = write_queue(store, queue, head, &queue->written, &transitions, now_ms, run_s);
        bytes += queue->written - ring_tail(&queue->ring);
        *more |= queue->written < head;
    }
    if (!error)
        error = write_touched(store, now_ms, run_s);
    if (!error)
        error = store_write_chores(store);
    if (!error)
        error = database_set_meta(&store->database, "run_s", run_s);
    if (!error)
        error = database_commit(&store->database);
    clear_touched(store);
    if (error) {
        database_rollback(&store->database);
        return error;
    }
    for (size_t i = 0; i < store->options.queues; i++) {
        struct store_queue *queue = &store->queues[i];
        uint64_t before = ring_tail(&queue->ring);
        if (queue->written == before)
            continue;
        ring_take(&queue->ring, queue->written);
        // Who waits for more is told too how far it is.
        if (atomic_load(&queue->wanted) > before)
            wake_loop(store, i);
    }
    count_commit(store, (store_now_ns() - start_ns) / 1000, transitions, bytes);
    if (store->exploring)
        tell_explored(store);
    return 0;
}

// ---- The thread -------------------------------------------------------------------------------------------

static int something_put(const struct store *store)
{
    for (size_t i = 0; i < store->options.queues; i++)
        if (ring_head(&store->queues[i].ring) != ring_tail(&store->queues[i].ring))
            return 1;
    return 0;
}

static void wait_until(struct store *store, uint64_t ns)
{
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    pthread_cond_timedwait(&store->work, &store->mutex, &time);
}

// Something is asked that need not wait for a commit's time.
static int something_asked(struct store *store) { return store->stopping || store->jobs || store_has_questions(store); }

// Sleeps until there is something to do, then gathers until a commit is due. Returns whether the store is to
// stop.
static int wait_for_work(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    atomic_store(&store->asleep, 1);
    while (!something_asked(store)) {
        uint64_t now = store_now_ns(), until = now + (uint64_t)IDLE_MS * 1000000;
        // What was put while the disk refuses waits for its time.
        if (store->retry_ns ? now >= store->retry_ns : something_put(store) || store_has_chores(store))
            break;
        if (now >= store->retention_ns)
            break;
        until = store->retry_ns && store->retry_ns < until ? store->retry_ns : until;
        wait_until(store, until);
    }
    atomic_store(&store->asleep, 0);
    uint64_t due = store_now_ns() + (uint64_t)store->options.commit_ms * 1000000;
    while (!something_asked(store) && !atomic_load(&store->urgent) && !store->retry_ns && store_now_ns() < due)
        wait_until(store, due);
    int stopping = store->stopping;
    atomic_store(&store->urgent, 0);
    pthread_mutex_unlock(&store->mutex);
    return stopping;
}

static void commit(struct store *store)
{
    int more = something_put(store) || store_has_chores(store);
    while (more) {
        int error = write_all(store, &more);
        if (error) {
            store_set_refusing(store, store->database.error);
            store->retry_ns = store_now_ns() + (uint64_t)RETRY_MS * 1000000;
            return;
        }
        checkpoint(store, 0);
        measure(store, more);
    }
    store->retry_ns = 0;
}

void *store_thread(void *context)
{
    struct store *store = context;
    int stopping;
    pthread_setname_np(pthread_self(), "beliefd-log");  // as top and the like show it
    do {
        stopping = wait_for_work(store);
        store_plan_retention(store);
        if (stopping || store->retry_ns == 0 || store_now_ns() >= store->retry_ns)
            commit(store);
        store_answer_questions(store, QUESTIONS_NS);
        store_do_jobs(store);
    } while (!stopping);
    checkpoint(store, 1);
    return NULL;
}
