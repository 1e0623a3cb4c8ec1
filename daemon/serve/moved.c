// Where sessions went; the contract is in moved.h.
#include "moved.h"

#include "daemon/base/fnv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct moved_session **bucket_of(struct moved *moved, const char *name)
{
    return &moved->buckets[fnv_of_name(name) % MOVED_BUCKETS];
}

void moved_init(struct moved *moved)
{
    *moved = (struct moved){0};
    pthread_mutex_init(&moved->lock, NULL);
}

static void drop(struct moved *moved, struct moved_session **link)
{
    struct moved_session *session = *link;
    *link = session->next;
    free(session);
    moved->count--;
}

void moved_release(struct moved *moved)
{
    for (size_t i = 0; i < MOVED_BUCKETS; i++)
        while (moved->buckets[i])
            drop(moved, &moved->buckets[i]);
    pthread_mutex_destroy(&moved->lock);
}

// Drops the one of that name in its bucket, and those whose time is up.
static void sweep(struct moved *moved, struct moved_session **link, const char *name, uint64_t now_us)
{
    while (*link) {
        if ((name && !strcmp((*link)->name, name)) || (*link)->until_us <= now_us)
            drop(moved, link);
        else
            link = &(*link)->next;
    }
}

int moved_note(struct moved *moved, const char *name, const char *address, uint64_t until_us, uint64_t now_us)
{
    size_t size = strlen(address) + 1;
    struct moved_session *session = malloc(sizeof *session + size);
    if (!session)
        return -ENOMEM;
    session->until_us = until_us;
    strcpy(session->name, name);
    memcpy(session->address, address, size);
    pthread_mutex_lock(&moved->lock);
    struct moved_session **bucket = bucket_of(moved, name);
    sweep(moved, bucket, name, now_us);
    if (moved->count >= MOVED_LIMIT)
        for (size_t i = 0; i < MOVED_BUCKETS; i++)
            sweep(moved, &moved->buckets[i], NULL, now_us);
    int error = moved->count >= MOVED_LIMIT ? -ENOSPC : 0;
    if (!error) {
        session->next = *bucket;
        *bucket = session;
        moved->count++;
    }
    pthread_mutex_unlock(&moved->lock);
    if (error)
        free(session);
    return error;
}

int moved_find(struct moved *moved, const char *name, char address[MOVED_ADDRESS_LIMIT + 1], uint64_t now_us)
{
    pthread_mutex_lock(&moved->lock);
    const struct moved_session *session = *bucket_of(moved, name);
    while (session && (strcmp(session->name, name) || session->until_us <= now_us))
        session = session->next;
    if (session)
        strcpy(address, session->address);
    pthread_mutex_unlock(&moved->lock);
    return session != NULL;
}

void moved_forget(struct moved *moved, const char *name)
{
    pthread_mutex_lock(&moved->lock);
    sweep(moved, bucket_of(moved, name), name, 0);
    pthread_mutex_unlock(&moved->lock);
}
