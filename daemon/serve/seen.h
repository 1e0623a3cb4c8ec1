#pragma once
// Which numbers of a writer's transitions were seen: a set of intervals, so that a writer that loses nothing costs
// one interval however long it runs. This is what makes a retry harmless.

#include <stddef.h>
#include <stdint.h>

struct seen_range {
    uint64_t first, last;      // inclusive
};

struct seen {
    struct seen_range *ranges; // ascending, at least one number apart
    size_t count, limit;
};

static inline void seen_init(struct seen *seen, struct seen_range *ranges, size_t limit)
{
    *seen = (struct seen){ranges, 0, limit};
}

int seen_contains(const struct seen *seen, uint64_t number);
// 1: it is new and now in the set; 0: it was there; -ENOSPC: one interval too many, nothing changed.
int seen_add(struct seen *seen, uint64_t number);
// The same, but it always succeeds: where one interval is too many the oldest hole is given up for it. 2: so it was.
int seen_mark(struct seen *seen, uint64_t number);
// The smallest number from `number` on that is not in the set (0: there is none).
uint64_t seen_next_hole(const struct seen *seen, uint64_t number);
// Takes everything between the first two intervals as seen. Needs two intervals.
void seen_close_oldest_gap(struct seen *seen);
// to->limit must be enough.
void seen_copy(struct seen *to, const struct seen *from);
