#pragma once
// Private to this folder: whole numbers of `size` bytes, the least significant first, as encoded beliefs hold them.

#include <stddef.h>
#include <stdint.h>

static inline void little_put(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static inline uint64_t little_get(const uint8_t *in, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)in[i] << 8 * i;
    return value;
}
