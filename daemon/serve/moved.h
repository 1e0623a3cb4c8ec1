#pragma once
// Sessions that were handed over to another daemon, and its address, for a while: so that a client which comes back for
// one is told where it went. Shared by all loops, looked at only when a session is nowhere here.

#include "proto/wire.h"

#include <pthread.h>

enum { MOVED_ADDRESS_LIMIT = 255, MOVED_LIMIT = 65536, MOVED_BUCKETS = 4096 };

struct moved_session {
    struct moved_session *next;
    uint64_t until_us;
    char name[WIRE_SESSION_LIMIT + 1];
    char address[];
};

struct moved {
    pthread_mutex_t lock;
    size_t count;
    struct moved_session *buckets[MOVED_BUCKETS];
};

void moved_init(struct moved *moved);
void moved_release(struct moved *moved);
// All of them from any thread. -ENOSPC: too many are remembered; -ENOMEM.
int moved_note(struct moved *moved, const char *name, const char *address, uint64_t until_us, uint64_t now_us);
int moved_find(struct moved *moved, const char *name, char address[MOVED_ADDRESS_LIMIT + 1], uint64_t now_us);
void moved_forget(struct moved *moved, const char *name);  // it came back
