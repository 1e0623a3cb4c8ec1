// Opening and closing the log, and putting into its queues.
#include "internal.h"

#include "record.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t store_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t store_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void store_event(struct store *store, int level, const char *event, const char *text)
{
    if (store->options.event)
        store->options.event(store->options.context, level, event, text);
}

// ---- Opening ----------------------------------------------------------------------------------------------

// The directory, its lock with our process number in it, for the sentence of who comes second.
static int lock_directory(struct store *store, char *why, size_t why_size)
{
    const char *directory = store->directory;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        int error = -errno;
        snprintf(why, why_size, "%s: cannot make the directory: %s", directory, strerror(errno));
        return error;
    }
    char path[sizeof store->directory + 16], owner[32] = "";
    snprintf(path, sizeof path, "%s/lock", directory);
    store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock < 0) {
        int error = -errno;
        snprintf(why, why_size, "%s: cannot be opened: %s", path, strerror(errno));
        return error;
    }
    if (flock(store->lock, LOCK_EX | LOCK_NB) != 0) {
        ssize_t length = read(store->lock, owner, sizeof owner - 1);
        owner[length > 0 ? length : 0] = '\0';
        owner[strcspn(owner, "\n")] = '\0';
        snprintf(why, why_size, "%s: another daemon has this directory%s%s", directory, owner[0] ? ", process " : "", owner);
        return -EBUSY;
    }
    int length = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    // A full disk may have no room for a number that is only told to people.
    if (ftruncate(store->lock, 0) == 0 && pwrite(store->lock, owner, (size_t)length, 0) < length)
        ftruncate(store->lock, 0);
    return 0;
}

// A file that was just made is there after a power cut only when its directory is on disk.
static void sync_directory(const char *directory)
{
    int file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file >= 0) {
        fsync(file);
        close(file);
    }
}

static int note_wal(void *context, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    ((struct store *)context)->wal_pages = pages;
    return SQLITE_OK;
}

static int start_thread(struct store *store)
{
    sigset_t all, before;  // signals are the program's; a limit on file sizes is told as an error
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = -pthread_create(&store->thread, NULL, store_thread, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void release(struct store *store)
{
    for (size_t i = 0; store->queues && i < store->options.queues; i++) {
        store_release_questions(&store->queues[i]);
        ring_release(&store->queues[i].ring);
    }
    database_close(&store->database);
    if (store->lock >= 0)
        close(store->lock);
    pthread_mutex_destroy(&store->mutex);
    pthread_cond_destroy(&store->work);
    pthread_cond_destroy(&store->done);
    free(store->queues);
    free(store->touched);
    free(store->gathered);
    free(store->held);
    free(store);
}

int store_open(struct store **opened, const struct store_options *options, char *why, size_t why_size)
{
    struct store *store = aligned_alloc(_Alignof(struct store), sizeof *store);
    if (store == NULL)
        return -ENOMEM;
    memset(store, 0, sizeof *store);
    store->options = *options;
    store->options.queue_bytes = options->queue_bytes ? options->queue_bytes : STORE_QUEUE_BYTES;
    store->options.commit_ms = options->commit_ms ? options->commit_ms : STORE_COMMIT_MS;
    store->lock = -1;
    pthread_mutex_init(&store->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->work, &monotonic);
    pthread_cond_init(&store->done, &monotonic);
    pthread_condattr_destroy(&monotonic);

    snprintf(why, why_size, "no memory");
    int error = -ENOMEM;
    store->gathered = malloc(GATHERED_LIMIT * sizeof *store->gathered);
    size_t size = options->queues * sizeof *store->queues;
    store->queues = aligned_alloc(RING_LINE, size);
    if (store->queues == NULL || store->gathered == NULL)
        goto fail;
    memset(store->queues, 0, size);
    for (size_t i = 0; i < options->queues; i++) {
        store->queues[i].store = store;
        store->queues[i].index = i;
        if (ring_init(&store->queues[i].ring, store->options.queue_bytes) != 0)
            goto fail;
    }
    error = -ENAMETOOLONG;
    if (snprintf(store->directory, sizeof store->directory, "%s", options->directory) >= (int)sizeof store->directory - 64) {
        snprintf(why, why_size, "the data directory's name is too long");
        goto fail;
    }
    error = lock_directory(store, why, why_size);
    if (!error)
        error = database_open(&store->database, store->directory, why, why_size);
    if (error)
        goto fail;
    sync_directory(store->directory);
    struct stat file;
    if (stat(store->database.path, &file) == 0) {
        store->device = file.st_dev;
        store->inode = file.st_ino;
    }
    sqlite3_wal_hook(store->database.handle, note_wal, store);
    uint64_t last_id = 0;
    error = database_last_id(&store->database, &last_id);
    if (!error)
        error = database_meta(&store->database, "run_s", &store->run_base_s);
    uint64_t explored = 0;
    if (!error)
        error = database_last_explored(&store->database, &explored);
    if (error) {
        snprintf(why, why_size, "%s: %s", store->database.path, store->database.error);
        goto fail;
    }
    atomic_init(&store->next_id, last_id + 1);
    atomic_init(&store->explored, explored);
    store->run_start_ns = store_now_ns();
    store->deleting = 1;  // something may be left of last time
    store->retention_ns = options->retention_days ? store->run_start_ns : UINT64_MAX;
    error = start_thread(store);
    if (error) {
        snprintf(why, why_size, "no thread for the experience log");
        goto fail;
    }
    *opened = store;
    return 0;
fail:
    release(store);
    return error;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    pthread_mutex_lock(&store->mutex);
    store->stopping = 1;
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->mutex);
    pthread_join(store->thread, NULL);
    release(store);
}

struct store_queue *store_queue(struct store *store, size_t index)
{
    assert(index < store->options.queues);
    return &store->queues[index];
}

uint64_t store_new_session_id(struct store *store) { return atomic_fetch_add(&store->next_id, 1); }

// ---- Putting ----------------------------------------------------------------------------------------------

static void signal_work(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    pthread_cond_signal(&store->work);
    pthread_mutex_unlock(&store->mutex);
}

static void hurry(struct store *store)
{
    if (!atomic_load_explicit(&store->urgent, memory_order_relaxed) && !atomic_exchange(&store->urgent, 1))
        signal_work(store);
}

static int takes(const struct store *store, enum record_kind kind)
{
    if (!atomic_load_explicit(&store->refusing, memory_order_relaxed))
        return 1;
    // Beyond its size limit the log can still shrink.
    return (kind == RECORD_FORGET || kind == RECORD_FORGET_EXPLORED) && atomic_load_explicit(&store->full, memory_order_relaxed);
}

// Where a record can be written, its head done, or NULL.
static void *begin(struct store_queue *queue, enum record_kind kind, uint64_t session, size_t size)
{
    if (size > UINT32_MAX || !takes(queue->store, kind))
        return NULL;
    struct record *record = (struct record *)ring_room(&queue->ring, size);
    if (record)
        *record = (struct record){.size = (uint32_t)size, .kind = (uint16_t)kind, .session = session};
    return record;
}

static uint64_t publish(struct store_queue *queue, size_t size)
{
    uint64_t position = ring_publish(&queue->ring, size);
    if (atomic_load_explicit(&queue->store->asleep, memory_order_seq_cst))
        signal_work(queue->store);
    if (position - queue->ring.seen_tail > queue->ring.size / 2) {
        queue->ring.seen_tail = ring_tail(&queue->ring);
        if (position - queue->ring.seen_tail > queue->ring.size / 2)
            hurry(queue->store);
    }
    return position;
}

size_t store_transition_size(size_t observation_dim, size_t action_dim)
{
    return record_padded(sizeof(struct transition_record) + (2 * observation_dim + action_dim) * sizeof(float));
}

uint64_t store_put_transition(struct store_queue *queue, const struct store_transition *t)
{
    assert(t->session != 0);
    if (t->seq > INT64_MAX)
        return 0;
    size_t size = store_transition_size(t->observation_dim, t->action_dim);
    struct transition_record *record = begin(queue, RECORD_TRANSITION, t->session, size);
    if (record == NULL)
        return 0;
    record->head.flags = (uint16_t)((t->first ? RECORD_FIRST : 0) | (t->last ? RECORD_LAST : 0));
    record->seq = t->seq;
    record->count = t->count;
    memcpy(record->digest, t->digest, STORE_DIGEST_SIZE);
    record->writer = t->writer;
    record->task = t->task;
    record->status = t->status;
    record->reward = t->reward;
    record->observation_dim = (uint32_t)t->observation_dim;
    record->action_dim = (uint32_t)t->action_dim;
    float *numbers = (float *)(record + 1);
    memcpy(numbers, t->observation, t->observation_dim * sizeof(float));
    numbers += t->observation_dim;
    memcpy(numbers, t->action, t->action_dim * sizeof(float));
    numbers += t->action_dim;
    memcpy(numbers, t->next_observation, t->observation_dim * sizeof(float));
    return publish(queue, size);
}

int store_has_room(struct store_queue *queue, size_t bytes)
{
    return takes(queue->store, RECORD_TRANSITION) && ring_room(&queue->ring, bytes) != NULL;
}

uint64_t store_put_session(struct store_queue *queue, const struct store_session *s)
{
    assert(s->id != 0);
    const char *texts[] = {s->name, s->identity ? s->identity : "", s->model, s->model_digest};
    size_t told = s->told_count * sizeof *s->told_task, size = sizeof(struct session_record) + told;
    for (int i = 0; i < 4; i++)
        size += strlen(texts[i]) + 1;
    size = record_padded(size);
    struct session_record *record = begin(queue, RECORD_SESSION, s->id, size);
    if (record == NULL)
        return 0;
    record->epoch = s->epoch;
    record->opener = s->opener;
    record->count = s->count;
    memcpy(record->digest, s->digest, STORE_DIGEST_SIZE);
    record->task = s->task;
    record->hold_prior = s->hold_prior != 0;
    record->told_count = s->told_count;
    if (told)
        memcpy(record + 1, s->told_task, told);
    char *place = (char *)(record + 1) + told;
    for (int i = 0; i < 4; i++)
        place = stpcpy(place, texts[i]) + 1;
    return publish(queue, size);
}

uint64_t store_put_state(struct store_queue *queue, uint64_t session, const uint8_t *bytes, size_t size)
{
    size_t whole = record_padded(sizeof(struct state_record) + size);
    struct state_record *record = begin(queue, RECORD_STATE, session, whole);
    if (record == NULL)
        return 0;
    record->size = size;
    memcpy(record + 1, bytes, size);
    return publish(queue, whole);
}

static uint64_t put_plain(struct store_queue *queue, enum record_kind kind, uint64_t session)
{
    return begin(queue, kind, session, sizeof(struct record)) ? publish(queue, sizeof(struct record)) : 0;
}

uint64_t store_put_forget(struct store_queue *queue, uint64_t session) { return put_plain(queue, RECORD_FORGET, session); }
uint64_t store_put_let_go(struct store_queue *queue, uint64_t session) { return put_plain(queue, RECORD_LET_GO, session); }

uint64_t store_put_explored(struct store_queue *queue, uint64_t session) { return put_plain(queue, RECORD_EXPLORED, session); }

uint64_t store_put_forget_explored(struct store_queue *queue, uint64_t number)
{
    struct number_record *record = begin(queue, RECORD_FORGET_EXPLORED, 0, sizeof *record);
    if (record == NULL)
        return 0;
    record->number = number;
    return publish(queue, sizeof *record);
}

uint64_t store_explored(const struct store *store) { return atomic_load_explicit(&store->explored, memory_order_acquire); }

// ---- How far the disk is ----------------------------------------------------------------------------------

uint64_t store_durable(const struct store_queue *queue) { return ring_tail(&queue->ring); }

void store_want(struct store_queue *queue, uint64_t position)
{
    if (position <= ring_tail(&queue->ring))
        return;
    if (position > atomic_load_explicit(&queue->wanted, memory_order_relaxed))
        atomic_store(&queue->wanted, position);
    hurry(queue->store);
}

int store_refusing(const struct store *store) { return atomic_load_explicit(&store->refusing, memory_order_relaxed); }

void store_read_stats(struct store *store, struct store_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    stats->transitions = atomic_load(&store->transitions);
    stats->commits = atomic_load(&store->commits);
    stats->bytes = atomic_load(&store->bytes);
    stats->size_bytes = atomic_load(&store->size_bytes);
    stats->commit_us_sum = atomic_load(&store->commit_us_sum);
    for (size_t i = 0; i < sizeof stats->commit_us_buckets / sizeof stats->commit_us_buckets[0]; i++)
        stats->commit_us_buckets[i] = atomic_load(&store->commit_us_buckets[i]);
    for (size_t i = 0; i < store->options.queues; i++)
        stats->queued_bytes += ring_head(&store->queues[i].ring) - ring_tail(&store->queues[i].ring);
    stats->refusing = atomic_load(&store->refusing);
    pthread_mutex_lock(&store->mutex);
    memcpy(stats->why, store->why, sizeof stats->why);
    pthread_mutex_unlock(&store->mutex);
}

int store_stuck(const struct store *store)
{
    return store_refusing(store) && !atomic_load_explicit(&store->full, memory_order_relaxed);
}
