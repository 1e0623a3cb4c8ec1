// Frames as a stranger would send them: any bytes, cut anywhere. The first byte says how the rest is cut.

#include "canonical.h"

#include "proto/frame.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { BODY_LIMIT = 1 << 12 };

static void look_at(const uint8_t *body, size_t size)
{
    static uint8_t memory[CANONICAL_ARENA];
    struct wire_arena arena;
    struct wire_envelope message;
    wire_arena_init(&arena, memory, sizeof memory);
    if (wire_decode(&message, body, size, &arena) == 0)
        canonical_check(&message);
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
