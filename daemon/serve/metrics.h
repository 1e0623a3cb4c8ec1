#pragma once
// What one server counts. Its own thread alone writes, with plain relaxed stores; anybody may read at any time and
// adds the servers up (metrics_render, and `beliefctl top`).

#include "proto/wire.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

typedef _Atomic uint64_t counter;

enum { HISTOGRAM_BUCKETS = 24, METRICS_KINDS = 64, METRICS_CODES = 32, METRICS_STATUSES = 8, METRICS_DOORS = 2 };

struct histogram {
    counter bucket[HISTOGRAM_BUCKETS];  // [i]: values < 2^i microseconds (not cumulative); the last: all others
    counter sum_us;
};

struct metrics {
    counter requests[METRICS_KINDS];    // taken, by wire_kind
    counter refusals[METRICS_CODES];    // Errors sent, by wire_error_code
    counter transitions[METRICS_STATUSES];  // by wire_status: absorbed, duplicate, ...
    counter gaps;                       // holes open now, over all sessions of this server
    counter surprises;                  // absorbed transitions with a p-value below 1e-6
    counter connections[METRICS_DOORS], connections_total;  // open now; since start
    counter sessions_live, sessions_idle;                   // in memory: held or heard of lately; the others
    counter sessions_opened, sessions_resumed, sessions_fenced, sessions_spilled, sessions_loaded, sessions_moved;
    counter undurable;                  // transitions refused because the log could not take them
    counter bytes_in, bytes_out;
    counter batches;
    counter draining;                   // 1: no session is opened any more
    counter beat_us;                    // monotonic time of the last turn or tick: is this loop alive?
    struct histogram request_us;        // from read to reply handed to the socket's buffer, Steps and Acts
    struct histogram queue_us, compute_us;  // of each batch
    struct histogram durable_us;        // from a reply that had to wait for the disk to its release
};

static inline void count_add(counter *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}
static inline void count_set(counter *c, uint64_t n) { atomic_store_explicit(c, n, memory_order_relaxed); }
static inline uint64_t count_of(const counter *c) { return atomic_load_explicit(c, memory_order_relaxed); }
static inline void histogram_add(struct histogram *histogram, uint64_t us)
{
    size_t bucket = us ? 64 - (size_t)__builtin_clzll(us) : 0;  // us < 2^bucket
    count_add(&histogram->bucket[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1], 1);
    count_add(&histogram->sum_us, us);
}

struct store_stats;

// All that is told, as it is at one moment.
struct metrics_view {
    const struct metrics *const *servers;  // one for each loop; NULL: it has not begun, or has ended
    size_t server_count;
    const struct store_stats *log;         // NULL: nothing is kept
    const struct wire_model *models;
    const uint64_t *model_sessions;        // in memory, one for each model
    size_t model_count;
    uint64_t now_us;                       // monotonic, as the beats
    int ready;
    time_t certificate_expiry;             // 0: there is none
};

// Prometheus text format 0.0.4. The caller frees; NULL: no memory.
char *metrics_text(const struct metrics_view *view);

struct house;
// Prometheus text format 0.0.4 of the whole daemon. The caller frees; NULL: no memory. Any thread.
char *metrics_render(struct house *house);
