// Frames and their buffers; the contract is in frame.h.
#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int frame_buffer_init(struct frame_buffer *buffer, size_t base, size_t limit)
{
    if (base > limit)
        base = limit;
    *buffer = (struct frame_buffer){.memory = malloc(base), .capacity = base, .base = base, .limit = limit};
    return buffer->memory ? 0 : -ENOMEM;
}

void frame_buffer_release(struct frame_buffer *buffer)
{
    free(buffer->memory);
    *buffer = (struct frame_buffer){0};
}

// Everything held to the front of `memory`.
static void move_to(struct frame_buffer *buffer, uint8_t *memory)
{
    size_t held = buffer->end - buffer->start;
    memmove(memory, buffer->memory + buffer->start, held);
    buffer->start = 0;
    buffer->end = held;
}

static int resize(struct frame_buffer *buffer, size_t capacity)
{
    uint8_t *memory = malloc(capacity);
    if (!memory)
        return -ENOMEM;
    move_to(buffer, memory);
    free(buffer->memory);
    buffer->memory = memory;
    buffer->capacity = capacity;
    return 0;
}

uint8_t *frame_buffer_reserve(struct frame_buffer *buffer, size_t size)
{
    size_t held = buffer->end - buffer->start;
    if (size <= buffer->capacity - buffer->end)
        return buffer->memory + buffer->end;
    if (size <= buffer->capacity - held) {
        move_to(buffer, buffer->memory);
        return buffer->memory + buffer->end;
    }
    if (size > buffer->limit - held)
        return NULL;
    // Doubling keeps the copies of a growing frame linear in its size.
    size_t capacity = buffer->capacity > buffer->limit / 2 ? buffer->limit : 2 * buffer->capacity;
    if (capacity < held + size)
        capacity = held + size;
    return resize(buffer, capacity) ? NULL : buffer->memory + buffer->end;
}

void frame_buffer_append(struct frame_buffer *buffer, size_t size)
{
    buffer->end += size;
}

void frame_buffer_consume(struct frame_buffer *buffer, size_t size)
{
    buffer->start += size;
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
}

void frame_buffer_trim(struct frame_buffer *buffer)
{
    if (buffer->capacity > buffer->base && frame_buffer_size(buffer) <= buffer->base)
        resize(buffer, buffer->base);  // without memory it stays large, which is no harm
}

int frame_next(const struct frame_buffer *buffer, size_t body_limit, const uint8_t **body, size_t *size)
{
    const uint8_t *bytes = frame_buffer_data(buffer);
    size_t held = frame_buffer_size(buffer);
    if (held < FRAME_HEADER_SIZE) {
        *size = FRAME_HEADER_SIZE;
        return 0;
    }
    size_t length = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
    if (length > body_limit) {
        *size = length;
        return -EMSGSIZE;
    }
    if (held - FRAME_HEADER_SIZE < length) {
        *size = FRAME_HEADER_SIZE + length;
        return 0;
    }
    *body = bytes + FRAME_HEADER_SIZE;
    *size = length;
    return 1;
}
