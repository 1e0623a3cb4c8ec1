// Model files in the log, by digest: whoever asks waits while the store's thread does it.
#include "internal.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void digest_text(char text[2 * SHA256_DIGEST_LENGTH + 1], const uint8_t *bytes, size_t size)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256(bytes, size, hash);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

static void tell(struct job *job, const char *text) { snprintf(job->why, job->why_size, "%s", text); }

static int load(struct database *database, struct job *job)
{
    int error = database_model(database, job->digest, &job->loaded, &job->size);
    if (error) {
        tell(job, database->error);
        return error;
    }
    char digest[2 * SHA256_DIGEST_LENGTH + 1];
    digest_text(digest, job->loaded, job->size);
    if (strcmp(digest, job->digest) != 0) {
        free(job->loaded);
        job->loaded = NULL;
        snprintf(job->why, job->why_size, "%s: model %.16s was damaged", DATABASE_FILE, job->digest);
        return -EUCLEAN;
    }
    return 0;
}

static int save(struct database *database, struct job *job)
{
    int error = database_begin(database);
    if (!error)
        error = database_put_model(database, job->digest, job->name, job->bytes, job->size, store_wall_ms());
    if (!error)
        error = database_drop_models(database, job->name, STORE_KEPT_MODELS);
    if (!error)
        error = database_commit(database);
    if (error) {
        database_rollback(database);
        tell(job, database->error);
    }
    return error;
}

void store_do_jobs(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    while (store->jobs) {
        struct job *job = store->jobs;
        store->jobs = job->next;
        pthread_mutex_unlock(&store->mutex);
        int error = job->loading ? load(&store->database, job) : save(&store->database, job);
        pthread_mutex_lock(&store->mutex);
        job->error = error;
        job->done = 1;
        pthread_cond_broadcast(&store->done);
    }
    pthread_mutex_unlock(&store->mutex);
}

static int have_done(struct store *store, struct job *job)
{
    pthread_mutex_lock(&store->mutex);
    job->next = store->jobs;
    store->jobs = job;
    pthread_cond_signal(&store->work);
    while (!job->done)
        pthread_cond_wait(&store->done, &store->mutex);
    pthread_mutex_unlock(&store->mutex);
    return job->error;
}

int store_save_model(struct store *store, const char *digest, const char *name, const uint8_t *bytes, size_t size,
                     char *why, size_t why_size)
{
    char found[2 * SHA256_DIGEST_LENGTH + 1];
    digest_text(found, bytes, size);
    if (strcmp(found, digest) != 0) {
        snprintf(why, why_size, "model %s: its SHA-256 is %.16s, not %.16s", name, found, digest);
        return -EINVAL;
    }
    struct job job = {.digest = digest, .name = name, .bytes = bytes, .size = size, .why = why, .why_size = why_size};
    return have_done(store, &job);
}

int store_load_model(struct store *store, const char *digest, uint8_t **bytes, size_t *size, char *why, size_t why_size)
{
    struct job job = {.loading = 1, .digest = digest, .why = why, .why_size = why_size};
    int error = have_done(store, &job);
    *bytes = job.loaded;
    *size = error ? 0 : job.size;
    return error;
}
