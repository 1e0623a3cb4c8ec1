// Sessions and their table; the contract is in session.h.
#include "session.h"

#include "daemon/base/fnv.h"
#include "log.h"
#include "rebuild.h"
#include "served.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int session_table_init(struct session_table *table, size_t limit)
{
    size_t buckets = 16;
    while (buckets < limit)
        buckets *= 2;
    *table = (struct session_table){.buckets = calloc(buckets, sizeof *table->buckets), .bucket_count = buckets};
    return table->buckets ? 0 : -ENOMEM;
}

void session_table_release(struct session_table *table)
{
    while (table->first)
        session_free(table, table->first);
    free(table->buckets);
    *table = (struct session_table){0};
}

int session_name_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
    size_t length = strlen(name);
    return length >= 1 && length <= WIRE_SESSION_LIMIT && strspn(name, allowed) == length;
}

// The table is never longer than the limit of sessions, so chosen collisions buy nothing.
static struct session **bucket_of(const struct session_table *table, const char *name)
{
    return &table->buckets[fnv_of_name(name) & (table->bucket_count - 1)];
}

struct session *session_find(const struct session_table *table, const char *name)
{
    struct session *session = *bucket_of(table, name);
    while (session && strcmp(session->name, name))
        session = session->next_in_bucket;
    return session;
}

static size_t aligned(size_t size)
{
    return (size + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
}

// One block behind a session: belief and vectors. And its first writer.
static int allocate(struct session *session, const struct model *model, const struct limits *limits)
{
    size_t belief = aligned(agent_belief_size(model));
    size_t observation = aligned(model->observation_dim * sizeof(float));
    size_t action = aligned(model->action_dim * sizeof(float));
    size_t size = belief + 2 * observation + 2 * action + aligned(model_told_dim(model) * sizeof(float));
    uint8_t *memory = aligned_alloc(KERNEL_ALIGNMENT, size);
    if (!memory)
        return -ENOMEM;
    memset(memory, 0, size);
    session->memory = memory;
    agent_belief_init(&session->belief, model, memory);
    memory += belief;
    session->observation = (float *)memory;
    session->new_observation = (float *)(memory + observation);
    memory += 2 * observation;
    session->action = (float *)memory;
    session->executed = (float *)(memory + action);
    session->told_task = (float *)(memory + 2 * action);
    int error = 0;
    return session_writer(session, 0, limits, &error) ? 0 : error;
}

struct session *session_make(const char *name, struct served *served, const struct limits *limits)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->served = served;
    served_gain_session(served);
    if (allocate(session, served->model, limits)) {
        session_destroy(session);
        return NULL;
    }
    strcpy(session->name, name);
    session->task = 1;
    return session;
}

void session_destroy(struct session *session)
{
    if (!session)
        return;
    if (session->served)
        served_lose_session(session->served);
    for (size_t i = 0; i < session->writer_count; i++)
        free(session->writers[i].seen.ranges);
    free(session->writers);
    free(session->memory);
    free(session);
}

void session_link(struct session_table *table, struct session *session)
{
    struct session **bucket = bucket_of(table, session->name);
    session->next_in_bucket = *bucket;
    *bucket = session;
    session->previous = NULL;
    session->next = table->first;
    if (table->first)
        table->first->previous = session;
    table->first = session;
    table->count++;
}

void session_unlink(struct session_table *table, struct session *session)
{
    if (session->rebuild)
        rebuild_abandon(session);
    struct session **link = bucket_of(table, session->name);
    while (*link != session)
        link = &(*link)->next_in_bucket;
    *link = session->next_in_bucket;
    if (session->previous)
        session->previous->next = session->next;
    else
        table->first = session->next;
    if (session->next)
        session->next->previous = session->previous;
    table->count--;
}

struct session *session_new(struct session_table *table, const char *name, struct served *served,
                            const struct limits *limits)
{
    struct session *session = session_make(name, served, limits);
    if (session)
        session_link(table, session);
    return session;
}

void session_free(struct session_table *table, struct session *session)
{
    session_unlink(table, session);
    session_destroy(session);
}

struct writer *session_find_writer(const struct session *session, uint32_t id)
{
    for (size_t i = 0; i < session->writer_count; i++)
        if (session->writers[i].id == id)
            return &session->writers[i];
    return NULL;
}

struct writer *session_writer(struct session *session, uint32_t id, const struct limits *limits, int *error)
{
    struct writer *found = session_find_writer(session, id);
    if (found)
        return found;
    *error = -ENOSPC;
    if (session->writer_count >= limits->writers)
        return NULL;
    *error = -ENOMEM;
    struct writer *writers = realloc(session->writers, (session->writer_count + 1) * sizeof *writers);
    if (!writers)
        return NULL;
    session->writers = writers;
    struct seen_range *ranges = calloc(limits->gaps + 1, sizeof *ranges);
    if (!ranges)
        return NULL;
    struct writer *writer = &session->writers[session->writer_count++];
    writer->id = id;
    seen_init(&writer->seen, ranges, limits->gaps + 1);
    return writer;
}

size_t session_told_dim(const struct session *session) { return model_told_dim(session->served->model); }

void session_tell(struct session *session, struct wire_floats told_task)
{
    if (told_task.count > 0)
        memcpy(session->told_task, told_task.values, told_task.count * sizeof *session->told_task);
}

uint64_t session_gaps(const struct session *session)
{
    uint64_t gaps = 0;
    for (size_t i = 0; i < session->writer_count; i++)
        gaps += session->writers[i].seen.count > 1 ? session->writers[i].seen.count - 1 : 0;
    return gaps;
}

void session_mark_seen(struct session *session, struct writer *writer, uint64_t seq)
{
    struct seen *seen = &writer->seen;
    uint64_t after = seen->count > 0 ? seen->ranges[0].last : 0;
    if (seen_mark(seen, seq) == 2)
        log_event(LOG_WARNING, "gap_closed", LOG_TEXT("session", session->name), LOG_NUMBER("writer", writer->id),
                  LOG_NUMBER("after", after), LOG_NUMBER("until", seen->ranges[0].last));
}

void digest_bytes(uint8_t out[WIRE_DIGEST_SIZE], struct digest digest)
{
    for (size_t i = 0; i < WIRE_DIGEST_SIZE; i++)
        out[i] = (uint8_t)(digest.word[i / 8] >> 8 * (i % 8));
}
