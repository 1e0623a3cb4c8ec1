#pragma once
// One block for all arrays of a life. Lay out twice with the same calls: first with no block, which counts, then
// with a block of `used` bytes, which places.

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/linalg/kernels.h"

struct arena {
    uint8_t *base;  // NULL while counting
    size_t used;
};

// count things of size bytes, aligned for the kernels; NULL while counting.
static inline void *arena_take(struct arena *arena, size_t count, size_t size)
{
    void *place = arena->base ? arena->base + arena->used : NULL;
    arena->used += (count * size + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    return place;
}

// After counting: the block, zeroed. 0 when there is no memory.
static inline int arena_allocate(struct arena *arena)
{
    arena->base = aligned_alloc(KERNEL_ALIGNMENT, arena->used + KERNEL_ALIGNMENT);
    if (arena->base == NULL)
        return 0;
    memset(arena->base, 0, arena->used + KERNEL_ALIGNMENT);
    arena->used = 0;
    return 1;
}
