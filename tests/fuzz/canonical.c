// See canonical.h.

#include "canonical.h"

#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>

// Encodes into a block of exactly the measured size.
static uint8_t *encode(const struct wire_envelope *message, size_t *size)
{
    static uint8_t memory[CANONICAL_ARENA];
    struct wire_arena arena;
    wire_arena_init(&arena, memory, sizeof memory);
    long measured = wire_encode(NULL, 0, message, &arena);
    if (measured < FRAME_HEADER_SIZE)
        abort();
    uint8_t *out = malloc((size_t)measured);
    wire_arena_reset(&arena);
    if (out == NULL || wire_encode(out, (size_t)measured, message, &arena) != measured)
        abort();
    *size = (size_t)measured;
    return out;
}

void canonical_check(const struct wire_envelope *message)
{
    static uint8_t memory[CANONICAL_ARENA];
    size_t size;
    uint8_t *first = encode(message, &size);
    struct wire_bytes body = wire_body(first, size);
    // A message without a body has no kind to be decoded by.
    for (int bare = 0; bare < (message->kind ? 2 : 1); bare++) {
        struct wire_arena arena;
        struct wire_envelope again = {.request_id = message->request_id};
        size_t again_size;
        wire_arena_init(&arena, memory, sizeof memory);
        if (bare ? wire_decode_body(&again, message->kind, body.bytes, body.size, &arena)
                 : wire_decode(&again, first + FRAME_HEADER_SIZE, size - FRAME_HEADER_SIZE, &arena))
            abort();
        uint8_t *second = encode(&again, &again_size);
        if (again_size != size || memcmp(first, second, size))
            abort();
        free(second);
    }
    free(first);
}
