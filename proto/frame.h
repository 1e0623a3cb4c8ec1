#pragma once
// Frames and the buffers they pass through: bytes in, frames out, in any cut.
//
// A frame is a 4-byte big-endian length and that many bytes of Envelope (wire.h). A buffer holds the bytes
// between a socket and the protocol, in either direction. It starts with `base` bytes of memory and keeps to them
// as long as the frames fit; a larger frame makes it grow, never beyond its limit, and trimming gives the
// memory back. No sockets here.

#include <stddef.h>
#include <stdint.h>

enum { FRAME_HEADER_SIZE = 4 };

struct frame_buffer {
    uint8_t *memory;
    size_t start, end;      // bytes held: memory[start .. end-1]
    size_t capacity;        // bytes of memory now
    size_t base, limit;     // capacity at rest, and at most
};

// -ENOMEM. base is clipped to the limit.
int frame_buffer_init(struct frame_buffer *buffer, size_t base, size_t limit);
void frame_buffer_release(struct frame_buffer *buffer);

// Room for at least `size` more bytes in one piece, or NULL: beyond the limit, or no memory. What is held keeps
// its value but may move. Then write there and append what was written.
uint8_t *frame_buffer_reserve(struct frame_buffer *buffer, size_t size);
void frame_buffer_append(struct frame_buffer *buffer, size_t size);
// Bytes that can be reserved now without allocating, what is held being moved down if need be.
static inline size_t frame_buffer_room(const struct frame_buffer *b) { return b->capacity - (b->end - b->start); }

static inline const uint8_t *frame_buffer_data(const struct frame_buffer *b) { return b->memory + b->start; }
static inline size_t frame_buffer_size(const struct frame_buffer *b) { return b->end - b->start; }
// Drops the first `size` bytes held.
void frame_buffer_consume(struct frame_buffer *buffer, size_t size);
// Back to `base` bytes of memory, if what is held fits.
void frame_buffer_trim(struct frame_buffer *buffer);

// The first frame held.
//   1: body and its size; valid until bytes are reserved or consumed. Consume FRAME_HEADER_SIZE + size
//      when done with it.
//   0: not whole yet; *size is what the buffer must hold in total for it (at least FRAME_HEADER_SIZE).
//   -EMSGSIZE: a body larger than body_limit (*size tells how large); known from the first 4 bytes.
int frame_next(const struct frame_buffer *buffer, size_t body_limit, const uint8_t **body, size_t *size);

static inline void frame_write_header(uint8_t *out, uint32_t size)
{
    out[0] = (uint8_t)(size >> 24);
    out[1] = (uint8_t)(size >> 16);
    out[2] = (uint8_t)(size >> 8);
    out[3] = (uint8_t)size;
}
