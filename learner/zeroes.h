#pragma once
// Memory in whole cache lines, as kernels like it, filled with zeros.

#include <stdlib.h>
#include <string.h>

// For free. NULL: there is none left.
static inline void *zeroes(size_t count, size_t size)
{
    size_t bytes = (count * size + 63) / 64 * 64;
    void *memory = aligned_alloc(64, bytes ? bytes : 64);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}
