#pragma once
// What a session told and its daemon could still lose: first observations and steps, in their order, until they
// are on the daemon's disk. After a broken link or a restart the daemon says how far it got, and what it lacks
// is sent again from here.
//
// A ring that doubles up to its limit. Its oldest entry is there for its observation, from which the next one
// started, so the ring is never emptied once it holds something. No socket here.

#include <stddef.h>
#include <stdint.h>

enum kept_state {
    KEPT_WAITING,    // no answer yet; sent on `link`, or to be sent
    KEPT_ANSWERED,   // the daemon has it, maybe not on disk
    KEPT_OWED,       // the daemon may be without the transition, though it went on; an Observe brings it
};

struct kept {
    uint64_t seq;            // number of the observation
    enum kept_state state;
    uint64_t link;           // that carried it; 0: none
    uint64_t request;        // OWED: the Observe that carries it
    uint64_t count;          // ANSWERED: whose log has this has at least so many of the task; 0: unknown
    uint32_t task;
    int acting;              // an observation only: no transition leads to it
    int last;                // of its episode
    float reward;
    float *observation;      // (obs)
    float *action;           // executed  (act)
};

struct kept_ring {
    struct kept *entries;    // (capacity)
    float *numbers;          // behind observations and actions  (capacity, obs + act)
    size_t capacity, limit;
    size_t first, count;     // oldest entry, and how many
    size_t open;             // of them not ANSWERED
    size_t obs, act;
    uint64_t durable;        // ANSWERED ones up to this number are on disk
    int volatile_daemon;     // it has no disk: what is answered is as safe as it gets
    uint64_t floor;          // transitions that the daemon cannot lose, of task floor_task
    uint32_t floor_task;
};

int kept_init(struct kept_ring *ring, size_t obs, size_t act, size_t limit);  // -ENOMEM
void kept_release(struct kept_ring *ring);

// Room for one more: 0, -ENOBUFS (the limit), -ENOMEM.
int kept_make_room(struct kept_ring *ring);
// The new newest one, its arrays copied (action NULL: an Act). There is room.
struct kept *kept_push(struct kept_ring *ring, const struct kept *entry);

struct kept *kept_at(const struct kept_ring *ring, size_t i);            // i-th oldest
struct kept *kept_find(const struct kept_ring *ring, uint64_t seq);     // NULL: not here
const struct kept *kept_newest(const struct kept_ring *ring);            // NULL: none
void kept_set(struct kept_ring *ring, struct kept *entry, enum kept_state state);
size_t kept_count(const struct kept_ring *ring, enum kept_state state);  // transitions in that state
size_t kept_volatile(const struct kept_ring *ring);                      // transitions not known to be on disk

// Drops what is on disk, all but the one that the next started from.
void kept_settle(struct kept_ring *ring);
// So many transitions of the task are safe.
void kept_raise_floor(struct kept_ring *ring, uint32_t task, uint64_t count);
// How many a daemon must have that stands at observation seq of the task.
uint64_t kept_expected(const struct kept_ring *ring, uint32_t task, uint64_t seq);

// The daemon stands at observation seq: what comes later is to be sent again; of what came before without an
// answer nobody knows, so it is owed. -EIDRM: it has not even what was on disk.
int kept_reconcile(struct kept_ring *ring, uint64_t seq);
