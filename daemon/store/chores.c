// What can wait and is done in small pieces, a piece in each transaction, so that commits stay short:
// transitions of forgotten sessions are deleted, and sessions that were silent for longer than the retention
// are forgotten.
//
// Silence is counted in seconds that this log was in service (meta.run_s, by the monotonic clock), not by the
// wall clock: a clock that is set wrong deletes nothing, and a year on a shelf does not count.
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FORGET_PIECE = 16, RETENTION_S = 3600, DAY_S = 86400 };

// The place of the session among those held, or where it would be.
static size_t held_place(const struct store *store, uint64_t session)
{
    size_t low = 0, high = store->held_count;
    if (high && store->held[high - 1] < session)  // mostly it is a new one
        return high;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (store->held[middle] < session)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int is_held(const struct store *store, uint64_t session)
{
    size_t place = held_place(store, session);
    return place < store->held_count && store->held[place] == session;
}

void store_hold(struct store *store, uint64_t session)
{
    if (store->options.retention_days == 0 || is_held(store, session))
        return;
    if (store->held_count == store->held_size) {
        size_t size = store->held_size ? 2 * store->held_size : 1024;
        uint64_t *held = realloc(store->held, size * sizeof *held);
        if (held == NULL) {
            store->options.retention_days = 0;  // rather keep everything than delete what is in use
            store_event(store, 1, "retention_off", "no memory");
            return;
        }
        store->held = held;
        store->held_size = size;
    }
    size_t place = held_place(store, session);
    memmove(store->held + place + 1, store->held + place, (store->held_count - place) * sizeof *store->held);
    store->held[place] = session;
    store->held_count++;
}

void store_release(struct store *store, uint64_t session)
{
    size_t place = held_place(store, session);
    if (place == store->held_count || store->held[place] != session)
        return;
    store->held_count--;
    memmove(store->held + place, store->held + place + 1, (store->held_count - place) * sizeof *store->held);
}

void store_plan_retention(struct store *store)
{
    uint64_t now = store_now_ns();
    if (store->options.retention_days == 0 || now < store->retention_ns)
        return;
    store->retention_ns = now + (uint64_t)RETENTION_S * 1000000000;
    store->retention_after = 0;
    store->retaining = 1;
}

// Forgets some of the silent ones; *more: there may be others.
static int forget_silent(struct store *store, int *more)
{
    uint64_t run_s = store_run_s(store), silence = (uint64_t)store->options.retention_days * DAY_S;
    *more = 0;
    if (run_s < silence)
        return 0;
    for (int i = 0; i < FORGET_PIECE; i++) {
        uint64_t id;
        int error = database_silent(&store->database, run_s - silence, store->retention_after, &id);
        if (error || id == 0)
            return error;
        store->retention_after = id;
        if (is_held(store, id))
            continue;
        error = database_forget(&store->database, id);
        if (error)
            return error;
        store->deleting = 1;
    }
    *more = 1;
    return 0;
}

// Learners have no more use for these.
static int forget_explored(struct store *store)
{
    for (int i = 0; i < FORGET_PIECE; i++) {
        uint64_t session;
        int error = database_explored_up_to(&store->database, store->forget_up_to, &session);
        if (!error && session == 0)
            store->forget_up_to = 0;
        if (error || session == 0)
            return error;
        error = database_forget(&store->database, session);
        if (error)
            return error;
        store_release(store, session);
        store->deleting = 1;
    }
    return 0;
}

int store_write_chores(struct store *store)
{
    if (store->forget_up_to) {
        int error = forget_explored(store);
        if (error)
            return error;
    }
    if (store->retaining) {
        int error = forget_silent(store, &store->retaining);
        if (error)
            return error;
    }
    if (store->deleting) {
        int result = database_delete_piece(&store->database);
        if (result < 0)
            return result;
        store->deleting = result;
    }
    return 0;
}
