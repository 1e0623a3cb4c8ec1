#pragma once
// How protobuf-c gets its memory from a wire arena. For the files of this folder.

#include "wire.h"

// 8-byte aligned, or NULL. Nothing is ever given back singly.
static inline void *wire_arena_take(struct wire_arena *arena, size_t size)
{
    size_t left = arena->size - arena->used;
    if (size > left)
        return NULL;
    void *memory = arena->memory + arena->used;
    size_t padded = (size + 7) & ~(size_t)7;
    arena->used += padded < left ? padded : left;
    return memory;
}
