#pragma once
// A clock that ticks at a fixed rate in wall-clock time, and how punctual the ticks were.

#include <stddef.h>
#include <stdint.h>

struct samples {
    float *values;            // microseconds  (count)
    size_t count, room;       // what does not fit is not kept
};

int samples_init(struct samples *samples, size_t room);   // -ENOMEM
void samples_release(struct samples *samples);
void samples_add(struct samples *samples, double us);
void samples_sort(struct samples *samples);
double samples_at(const struct samples *sorted, double share);  // 0.5: the median, 1: the largest; NaN: none

struct ticker {
    int64_t period, next;     // ns; when the next tick is due
    uint64_t overruns;        // ticks that were skipped because the one before took too long
    struct samples late;      // how late each wake-up was
};

int64_t ticker_now(void);     // CLOCK_MONOTONIC, ns
int ticker_start(struct ticker *ticker, double rate, size_t ticks, int64_t first);  // -ENOMEM
void ticker_release(struct ticker *ticker);
// Sleeps until the next tick. Returns when it was due.
int64_t ticker_wait(struct ticker *ticker);

// Runs this process before all ordinary ones and keeps its memory from being paged out. 0, or a negative errno
// where the system does not allow it.
int ticker_realtime(void);
