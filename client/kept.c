// What may have to be sent again; the contract is in kept.h.
#include "kept.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_AT_FIRST = 32 };  // half a second of a fast robot's commits of 20 ms

static int resize(struct kept_ring *ring, size_t capacity)
{
    size_t width = ring->obs + ring->act;
    struct kept *entries = calloc(capacity, sizeof *entries);
    float *numbers = calloc(capacity * width, sizeof *numbers);
    if (!entries || !numbers) {
        free(entries);
        free(numbers);
        return -ENOMEM;
    }
    for (size_t i = 0; i < capacity; i++) {
        float *observation = numbers + i * width, *action = observation + ring->obs;
        if (i < ring->count) {
            entries[i] = *kept_at(ring, i);
            memcpy(observation, entries[i].observation, ring->obs * sizeof *numbers);
            memcpy(action, entries[i].action, ring->act * sizeof *numbers);
        }
        entries[i].observation = observation;
        entries[i].action = action;
    }
    free(ring->entries);
    free(ring->numbers);
    ring->entries = entries;
    ring->numbers = numbers;
    ring->capacity = capacity;
    ring->first = 0;
    return 0;
}

int kept_init(struct kept_ring *ring, size_t obs, size_t act, size_t limit)
{
    *ring = (struct kept_ring){
        .obs = obs, .act = act, .limit = limit, .durable = ring->durable, .volatile_daemon = ring->volatile_daemon,
        .floor = ring->floor, .floor_task = ring->floor_task};
    return resize(ring, limit < CAPACITY_AT_FIRST ? limit : CAPACITY_AT_FIRST);
}

void kept_release(struct kept_ring *ring)
{
    free(ring->entries);
    free(ring->numbers);
    *ring = (struct kept_ring){0};
}

int kept_make_room(struct kept_ring *ring)
{
    if (ring->count < ring->capacity)
        return 0;
    if (ring->capacity >= ring->limit)
        return -ENOBUFS;
    return resize(ring, 2 * ring->capacity < ring->limit ? 2 * ring->capacity : ring->limit);
}

struct kept *kept_at(const struct kept_ring *ring, size_t i)
{
    return &ring->entries[(ring->first + i) % ring->capacity];
}

struct kept *kept_push(struct kept_ring *ring, const struct kept *entry)
{
    assert(ring->count < ring->capacity);
    struct kept *at = kept_at(ring, ring->count++);
    float *observation = at->observation, *action = at->action;
    *at = *entry;
    at->observation = memcpy(observation, entry->observation, ring->obs * sizeof *observation);
    at->action = action;
    if (entry->action)
        memcpy(action, entry->action, ring->act * sizeof *action);
    ring->open += at->state != KEPT_ANSWERED;
    return at;
}

struct kept *kept_find(const struct kept_ring *ring, uint64_t seq)
{
    for (size_t i = ring->count; i-- > 0;) {  // it is one of the newest
        struct kept *entry = kept_at(ring, i);
        if (entry->seq <= seq)
            return entry->seq == seq ? entry : NULL;
    }
    return NULL;
}

const struct kept *kept_newest(const struct kept_ring *ring)
{
    return ring->count ? kept_at(ring, ring->count - 1) : NULL;
}

void kept_set(struct kept_ring *ring, struct kept *entry, enum kept_state state)
{
    ring->open += (state != KEPT_ANSWERED) - (size_t)(entry->state != KEPT_ANSWERED);
    entry->state = state;
}

static int done(const struct kept_ring *ring, const struct kept *entry)
{
    return entry->state == KEPT_ANSWERED && (ring->volatile_daemon || entry->seq <= ring->durable);
}

size_t kept_count(const struct kept_ring *ring, enum kept_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < ring->count && (ring->open || state == KEPT_ANSWERED); i++)
        count += kept_at(ring, i)->state == state && !kept_at(ring, i)->acting;
    return count;
}

size_t kept_volatile(const struct kept_ring *ring)
{
    size_t count = 0;
    for (size_t i = 0; i < ring->count; i++)
        count += !done(ring, kept_at(ring, i)) && !kept_at(ring, i)->acting;
    return count;
}

void kept_settle(struct kept_ring *ring)
{
    while (ring->count > 1 && done(ring, kept_at(ring, 0)) && done(ring, kept_at(ring, 1))) {
        const struct kept *gone = kept_at(ring, 0);
        if (!gone->acting)
            kept_raise_floor(ring, gone->task, gone->count);
        ring->first = (ring->first + 1) % ring->capacity;
        ring->count--;
    }
}

void kept_raise_floor(struct kept_ring *ring, uint32_t task, uint64_t count)
{
    if (task > ring->floor_task) {
        ring->floor_task = task;
        ring->floor = count;
    } else if (task == ring->floor_task && count > ring->floor) {
        ring->floor = count;
    }
}

uint64_t kept_expected(const struct kept_ring *ring, uint32_t task, uint64_t seq)
{
    uint64_t expected = ring->floor_task == task ? ring->floor : 0;
    for (size_t i = 0; i < ring->count; i++) {
        const struct kept *entry = kept_at(ring, i);
        if (entry->state == KEPT_ANSWERED && entry->task == task && entry->seq <= seq && entry->count > expected)
            expected = entry->count;
    }
    return expected;
}

int kept_reconcile(struct kept_ring *ring, uint64_t seq)
{
    if (ring->count && !kept_at(ring, 0)->acting && kept_at(ring, 0)->seq > seq)
        return -EIDRM;
    for (size_t i = 0; i < ring->count; i++) {
        struct kept *entry = kept_at(ring, i);
        if (entry->seq > seq)
            kept_set(ring, entry, KEPT_WAITING);
        else if (entry->state == KEPT_WAITING)
            kept_set(ring, entry, entry->acting ? KEPT_ANSWERED : KEPT_OWED);
        entry->link = 0;
    }
    return 0;
}
