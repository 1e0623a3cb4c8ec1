// Ticks at absolute times, so that a late one does not delay those after it; the contract is in ticker.h.
#include "ticker.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

int samples_init(struct samples *samples, size_t room)
{
    *samples = (struct samples){.values = malloc((room + 1) * sizeof(float)), .room = room};
    return samples->values ? 0 : -ENOMEM;
}

void samples_release(struct samples *samples)
{
    free(samples->values);
}

void samples_add(struct samples *samples, double us)
{
    if (samples->count < samples->room)
        samples->values[samples->count++] = (float)us;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void samples_sort(struct samples *samples)
{
    if (samples->count)
        qsort(samples->values, samples->count, sizeof *samples->values, ascending);
}

double samples_at(const struct samples *sorted, double share)
{
    if (!sorted->count)
        return NAN;
    size_t i = (size_t)(share * (double)sorted->count);
    return sorted->values[i < sorted->count ? i : sorted->count - 1];
}

int64_t ticker_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int ticker_start(struct ticker *ticker, double rate, size_t ticks, int64_t first)
{
    *ticker = (struct ticker){.period = (int64_t)(1e9 / rate), .next = first};
    return samples_init(&ticker->late, ticks);
}

void ticker_release(struct ticker *ticker)
{
    samples_release(&ticker->late);
}

int64_t ticker_wait(struct ticker *ticker)
{
    int64_t behind = ticker_now() - ticker->next;
    if (behind > ticker->period) {
        int64_t missed = behind / ticker->period;
        ticker->overruns += (uint64_t)missed;
        ticker->next += missed * ticker->period;
    }
    int64_t due = ticker->next;
    struct timespec until = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
    samples_add(&ticker->late, (double)(ticker_now() - due) / 1e3);
    ticker->next += ticker->period;
    return due;
}

int ticker_realtime(void)
{
    struct sched_param parameters = {.sched_priority = 50};
    if (mlockall(MCL_CURRENT | MCL_FUTURE) || sched_setscheduler(0, SCHED_FIFO, &parameters))
        return -errno;
    return 0;
}
