// Frames as a stranger would send them: any bytes, cut anywhere. What decodes must encode, and encoding is
// canonical: what it wrote decodes to what it writes again. The first byte says how the rest is cut.

#include "proto/frame.h"
#include "proto/wire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { BODY_LIMIT = 1 << 12, ARENA = 1 << 18 };

// Encodes into a block of exactly the measured size.
static uint8_t *encode(const struct wire_envelope *envelope, long *size)
{
    static uint8_t memory[ARENA];
    struct wire_arena arena;
    wire_arena_init(&arena, memory, ARENA);
    *size = wire_encode(NULL, 0, envelope, &arena);
    if (*size < FRAME_HEADER_SIZE)
        abort();
    uint8_t *out = malloc((size_t)*size);
    wire_arena_reset(&arena);
    if (wire_encode(out, (size_t)*size, envelope, &arena) != *size)
        abort();
    return out;
}

static void look_at(const uint8_t *body, size_t size)
{
    struct wire_arena arena, again;
    struct wire_envelope envelope, other;
    static uint8_t memory[2][ARENA];
    wire_arena_init(&arena, memory[0], ARENA);
    wire_arena_init(&again, memory[1], ARENA);
    if (wire_decode(&envelope, body, size, &arena) == 0) {
        long first_size, second_size;
        uint8_t *first = encode(&envelope, &first_size);
        if (wire_decode(&other, first + FRAME_HEADER_SIZE, (size_t)first_size - FRAME_HEADER_SIZE, &again))
            abort();
        uint8_t *second = encode(&other, &second_size);
        if (first_size != second_size || memcmp(first, second, (size_t)first_size))
            abort();
        free(first);
        free(second);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return 0;
    size_t cut = bytes[0] + 1u;
    struct frame_buffer buffer;
    if (frame_buffer_init(&buffer, 64, FRAME_HEADER_SIZE + BODY_LIMIT))
        abort();
    int found = 0;
    for (size_t at = 1; at < size && found >= 0;) {
        uint8_t *room = frame_buffer_reserve(&buffer, 1);
        if (room == NULL)
            abort();  // a buffer with room for a frame never fills without holding one
        size_t fits = buffer.capacity - buffer.end, take = size - at < cut ? size - at : cut;
        take = take < fits ? take : fits;
        memcpy(room, bytes + at, take);
        frame_buffer_append(&buffer, take);
        at += take;
        const uint8_t *body;
        size_t body_size;
        while ((found = frame_next(&buffer, BODY_LIMIT, &body, &body_size)) == 1) {
            uint8_t *exact = malloc(body_size ? body_size : 1);
            memcpy(exact, body, body_size);
            look_at(exact, body_size);
            free(exact);
            frame_buffer_consume(&buffer, FRAME_HEADER_SIZE + body_size);
        }
    }
    frame_buffer_release(&buffer);
    return 0;
}
