// Steps and Actions without protobuf-c; the contract is in wire_fast.h. Tags are one byte: field number, wire type.
#include "wire_fast.h"

#include "frame.h"
#include "wire_arena.h"

#include <string.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
#define TAG(field, type) ((field) << 3 | (type))

_Static_assert(WIRE_STEP < 16, "its tag is one byte");

// Numbers in memory are as on the wire.
enum { HOST_FITS = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ };

// ---- Reading --------------------------------------------------------------------------------------------------

struct reader {
    const uint8_t *at, *end;
};

// 0: it ends too early, or is larger than `limit`; at most nine bytes of it are read, which hold 63 bits.
static int read_varint(struct reader *reader, uint64_t limit, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; reader->at < reader->end && shift < 63; shift += 7) {
        uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return value <= limit;
        }
    }
    return 0;
}

static int read_size(struct reader *reader, size_t *size)
{
    uint64_t value;
    if (!read_varint(reader, (uint64_t)(reader->end - reader->at), &value) ||
        value > (uint64_t)(reader->end - reader->at))
        return 0;
    *size = (size_t)value;
    return 1;
}

static int read_uint32(struct reader *reader, uint32_t *out)
{
    uint64_t value;
    if (!read_varint(reader, UINT32_MAX, &value))
        return 0;
    *out = (uint32_t)value;
    return 1;
}

static int read_floats(struct reader *reader, struct wire_floats *out, struct wire_arena *arena)
{
    size_t size;
    if (!read_size(reader, &size) || size == 0 || size % sizeof(float))
        return 0;
    float *values = wire_arena_take(arena, size);
    if (!values)
        return 0;
    memcpy(values, reader->at, size);
    reader->at += size;
    *out = (struct wire_floats){values, size / sizeof(float)};
    return 1;
}

static int read_text(struct reader *reader, const char **out, struct wire_arena *arena)
{
    size_t size;
    if (!read_size(reader, &size))
        return 0;
    char *text = wire_arena_take(arena, size + 1);
    if (!text)
        return 0;
    memcpy(text, reader->at, size);
    text[size] = 0;
    reader->at += size;
    *out = text;
    return 1;
}

static int read_field(struct wire_step *step, uint8_t tag, struct reader *reader, struct wire_arena *arena)
{
    uint64_t value;
    switch (tag) {
    case TAG(1, VARINT):
        return read_uint32(reader, &step->handle);
    case TAG(2, VARINT):
        return read_varint(reader, UINT64_MAX, &step->seq);
    case TAG(3, VARINT):
        return read_uint32(reader, &step->task);
    case TAG(4, BYTES):
        return read_floats(reader, &step->observation, arena);
    case TAG(5, FIXED32):
        if (reader->end - reader->at < (ptrdiff_t)sizeof step->reward)
            return 0;
        memcpy(&step->reward, reader->at, sizeof step->reward);
        reader->at += sizeof step->reward;
        return 1;
    case TAG(6, BYTES):
        return read_floats(reader, &step->action, arena);
    case TAG(7, VARINT):
        if (!read_varint(reader, 1, &value))
            return 0;
        step->last = (int)value;
        return 1;
    case TAG(14, BYTES):
        return read_text(reader, &step->session, arena);
    case TAG(15, VARINT):
        return read_varint(reader, UINT64_MAX, &step->epoch);
    default:
        return 0;
    }
}

int wire_fast_read_step(struct wire_envelope *out, const uint8_t *bytes, size_t size, struct wire_arena *arena)
{
    if (!HOST_FITS || size == 0)
        return 0;
    struct reader reader = {bytes, bytes + size};
    struct wire_step step = {.session = ""};
    size_t used = arena->used;
    for (uint8_t before = 0; reader.at < reader.end;) {
        uint8_t tag = *reader.at++;
        if (tag <= before || !read_field(&step, tag, &reader, arena)) {
            arena->used = used;
            return 0;
        }
        before = tag;
    }
    out->kind = WIRE_STEP;
    out->step = step;
    return 1;
}

int wire_fast_read_envelope(struct wire_envelope *out, const uint8_t *bytes, size_t size, struct wire_arena *arena)
{
    if (size == 0)
        return 0;
    struct reader reader = {bytes, bytes + size};
    uint64_t request_id = 0;
    size_t body;
    if (*reader.at == TAG(1, VARINT)) {
        reader.at++;
        if (!read_varint(&reader, UINT64_MAX, &request_id))
            return 0;
    }
    if (reader.at == reader.end || *reader.at++ != TAG(WIRE_STEP, BYTES) || !read_size(&reader, &body) ||
        reader.at + body != reader.end || !wire_fast_read_step(out, reader.at, body, arena))
        return 0;
    out->request_id = request_id;
    return 1;
}

// ---- Writing --------------------------------------------------------------------------------------------------

static size_t varint_size(uint64_t value)
{
    return (size_t)(70 - __builtin_clzll(value | 1)) / 7;
}

static uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *out++ = (uint8_t)(value | 0x80);
    *out++ = (uint8_t)value;
    return out;
}

// What is zero, or empty, is not written.
static size_t number_size(uint64_t value) { return value ? 1 + varint_size(value) : 0; }
static size_t double_size(double value) { return value != 0 ? 1 + sizeof value : 0; }
static size_t bytes_size(size_t size) { return size ? 1 + varint_size(size) + size : 0; }

static uint8_t *put_number(uint8_t *out, uint8_t field, uint64_t value)
{
    if (value == 0)
        return out;
    *out++ = (uint8_t)TAG(field, VARINT);
    return put_varint(out, value);
}

static uint8_t *put_double(uint8_t *out, uint8_t field, double value)
{
    if (!(value != 0))
        return out;
    *out++ = (uint8_t)TAG(field, FIXED64);
    memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

static uint8_t *put_bytes(uint8_t *out, uint8_t field, const void *bytes, size_t size)
{
    if (size == 0)
        return out;
    *out++ = (uint8_t)TAG(field, BYTES);
    out = put_varint(out, size);
    memcpy(out, bytes, size);
    return out + size;
}

size_t wire_fast_write_action(uint8_t *out, size_t room, const struct wire_envelope *in)
{
    const struct wire_action *a = &in->action;
    size_t action_size = a->action.count * sizeof(float);
    if (!HOST_FITS || (int)a->status < 0 || a->action.count > UINT16_MAX || a->digest.size > UINT16_MAX)
        return 0;
    size_t body = number_size(a->seq) + bytes_size(action_size) + number_size((uint64_t)a->status) +
                  number_size(a->count) + bytes_size(a->digest.size) + number_size(a->task) +
                  double_size(a->reward_p) + double_size(a->transition_p) + number_size(a->queue_us) +
                  number_size(a->compute_us) + number_size(a->durable_seq);
    size_t size = number_size(in->request_id) + varint_size(TAG(WIRE_ACTION, BYTES)) + varint_size(body) + body;
    if (FRAME_HEADER_SIZE + size > room)
        return FRAME_HEADER_SIZE + size;
    frame_write_header(out, (uint32_t)size);
    out = put_number(out + FRAME_HEADER_SIZE, 1, in->request_id);
    out = put_varint(out, TAG(WIRE_ACTION, BYTES));
    out = put_varint(out, body);
    out = put_number(out, 1, a->seq);
    out = put_bytes(out, 2, a->action.values, action_size);
    out = put_number(out, 3, (uint64_t)a->status);
    out = put_number(out, 4, a->count);
    out = put_bytes(out, 5, a->digest.bytes, a->digest.size);
    out = put_number(out, 6, a->task);
    out = put_double(out, 7, a->reward_p);
    out = put_double(out, 8, a->transition_p);
    out = put_number(out, 9, a->queue_us);
    out = put_number(out, 10, a->compute_us);
    put_number(out, 11, a->durable_seq);
    return FRAME_HEADER_SIZE + size;
}
