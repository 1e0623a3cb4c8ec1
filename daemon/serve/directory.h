#pragma once
// Which server has the session of that name, over all loops of a daemon. A name is somebody's from the first look at it
// until the session has left memory; only who has it passes it on or gives it up. One lock, held for a look.

#include "proto/wire.h"

#include <pthread.h>
#include <stddef.h>

struct directory_entry;

struct directory {
    pthread_mutex_t lock;
    struct directory_entry **buckets;
    size_t bucket_count;           // a power of two
    size_t count, limit;
};

int directory_init(struct directory *directory, size_t limit);  // limit: of names. -ENOMEM
void directory_release(struct directory *directory);

// Whose is the name? If nobody's, it is `server`'s now: 1. Else 0, and *owner is who has it. -ENOSPC: as many names as
// may be; -ENOMEM.
int directory_claim(struct directory *directory, const char *name, size_t server, size_t *owner);
int directory_find(struct directory *directory, const char *name, size_t *owner);  // 0, or -ENOENT
// By who has it.
void directory_pass(struct directory *directory, const char *name, size_t to);
void directory_drop(struct directory *directory, const char *name);
void directory_drop_all(struct directory *directory, size_t server);  // it ends
