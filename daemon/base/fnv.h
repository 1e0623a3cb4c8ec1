#pragma once
// FNV-1a, 64 bits: for tables and for noticing that numbers changed. Who wants to can make two things collide.

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FNV_START UINT64_C(0xcbf29ce484222325)

// `hash` with more bytes behind what it is of.
static inline uint64_t fnv_add(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

// Of a name, its high half folded into the low one, from which tables take their bucket.
static inline uint64_t fnv_of_name(const char *name)
{
    uint64_t hash = fnv_add(FNV_START, name, strlen(name));
    return hash ^ hash >> 32;
}
