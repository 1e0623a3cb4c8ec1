// Names of sessions and who has them; the contract is in directory.h.
#include "directory.h"

#include "daemon/base/fnv.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct directory_entry {
    struct directory_entry *next;
    size_t server;
    char name[];
};

int directory_init(struct directory *directory, size_t limit)
{
    size_t buckets = 16;
    while (buckets < limit)
        buckets *= 2;
    *directory = (struct directory){
        .buckets = calloc(buckets, sizeof *directory->buckets), .bucket_count = buckets, .limit = limit};
    pthread_mutex_init(&directory->lock, NULL);
    return directory->buckets ? 0 : -ENOMEM;
}

void directory_release(struct directory *directory)
{
    for (size_t i = 0; directory->buckets && i < directory->bucket_count; i++) {
        while (directory->buckets[i]) {
            struct directory_entry *entry = directory->buckets[i];
            directory->buckets[i] = entry->next;
            free(entry);
        }
    }
    free(directory->buckets);
    pthread_mutex_destroy(&directory->lock);
}

// Where the entry is, or would be.
static struct directory_entry **find(struct directory *directory, const char *name)
{
    struct directory_entry **link = &directory->buckets[fnv_of_name(name) & (directory->bucket_count - 1)];
    while (*link && strcmp((*link)->name, name))
        link = &(*link)->next;
    return link;
}

int directory_claim(struct directory *directory, const char *name, size_t server, size_t *owner)
{
    int result = 1;
    size_t size = strlen(name) + 1;
    pthread_mutex_lock(&directory->lock);
    struct directory_entry **link = find(directory, name);
    if (*link) {
        *owner = (*link)->server;
        result = 0;
    } else if (directory->count == directory->limit) {
        result = -ENOSPC;
    } else if (!(*link = malloc(sizeof **link + size))) {
        result = -ENOMEM;
    } else {
        (*link)->next = NULL;
        (*link)->server = *owner = server;
        memcpy((*link)->name, name, size);
        directory->count++;
    }
    pthread_mutex_unlock(&directory->lock);
    return result;
}

int directory_find(struct directory *directory, const char *name, size_t *owner)
{
    pthread_mutex_lock(&directory->lock);
    const struct directory_entry *entry = *find(directory, name);
    if (entry)
        *owner = entry->server;
    pthread_mutex_unlock(&directory->lock);
    return entry ? 0 : -ENOENT;
}

void directory_pass(struct directory *directory, const char *name, size_t to)
{
    pthread_mutex_lock(&directory->lock);
    struct directory_entry *entry = *find(directory, name);
    assert(entry != NULL);
    entry->server = to;
    pthread_mutex_unlock(&directory->lock);
}

void directory_drop(struct directory *directory, const char *name)
{
    pthread_mutex_lock(&directory->lock);
    struct directory_entry **link = find(directory, name), *entry = *link;
    assert(entry != NULL);
    *link = entry->next;
    directory->count--;
    pthread_mutex_unlock(&directory->lock);
    free(entry);
}

void directory_drop_all(struct directory *directory, size_t server)
{
    pthread_mutex_lock(&directory->lock);
    for (size_t i = 0; i < directory->bucket_count; i++) {
        for (struct directory_entry **link = &directory->buckets[i]; *link;) {
            struct directory_entry *entry = *link;
            if (entry->server != server) {
                link = &entry->next;
                continue;
            }
            *link = entry->next;
            directory->count--;
            free(entry);
        }
    }
    pthread_mutex_unlock(&directory->lock);
}
