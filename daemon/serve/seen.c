// Sets of numbers as intervals; the contract is in seen.h.
#include "seen.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

// The first interval that ends at or after the number. New numbers mostly come last, so look there first.
static size_t find(const struct seen *seen, uint64_t number)
{
    if (seen->count == 0 || seen->ranges[seen->count - 1].last < number)
        return seen->count;
    size_t low = 0, high = seen->count - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (seen->ranges[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int seen_contains(const struct seen *seen, uint64_t number)
{
    size_t i = find(seen, number);
    return i < seen->count && seen->ranges[i].first <= number;
}

int seen_add(struct seen *seen, uint64_t number)
{
    size_t i = find(seen, number);
    struct seen_range *after = i < seen->count ? &seen->ranges[i] : NULL;
    struct seen_range *before = i > 0 ? &seen->ranges[i - 1] : NULL;
    if (after && after->first <= number)
        return 0;
    int touches_before = before && before->last + 1 == number;
    int touches_after = after && after->first - 1 == number;
    if (touches_before && touches_after) {
        before->last = after->last;
        memmove(after, after + 1, (seen->count - i - 1) * sizeof *after);
        seen->count--;
    } else if (touches_before) {
        before->last = number;
    } else if (touches_after) {
        after->first = number;
    } else {
        if (seen->count == seen->limit)
            return -ENOSPC;
        memmove(seen->ranges + i + 1, seen->ranges + i, (seen->count - i) * sizeof *seen->ranges);
        seen->ranges[i] = (struct seen_range){number, number};
        seen->count++;
    }
    return 1;
}

void seen_close_oldest_gap(struct seen *seen)
{
    assert(seen->count >= 2);
    seen->ranges[0].last = seen->ranges[1].last;
    memmove(seen->ranges + 1, seen->ranges + 2, (seen->count - 2) * sizeof *seen->ranges);
    seen->count--;
}

int seen_mark(struct seen *seen, uint64_t number)
{
    int added = seen_add(seen, number);
    if (added >= 0)
        return added;
    if (seen->count == 1) {  // there is no hole to give up, so the only interval takes all in between
        seen->ranges[0].first = number < seen->ranges[0].first ? number : seen->ranges[0].first;
        seen->ranges[0].last = number > seen->ranges[0].last ? number : seen->ranges[0].last;
        return 2;
    }
    seen_close_oldest_gap(seen);
    seen_add(seen, number);
    return 2;
}

uint64_t seen_next_hole(const struct seen *seen, uint64_t number)
{
    size_t i = find(seen, number);
    return i < seen->count && seen->ranges[i].first <= number ? seen->ranges[i].last + 1 : number;
}

void seen_copy(struct seen *to, const struct seen *from)
{
    assert(from->count <= to->limit);
    memcpy(to->ranges, from->ranges, from->count * sizeof *from->ranges);
    to->count = from->count;
}
