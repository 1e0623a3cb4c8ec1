// Envelopes, frames and bodies; the contract is in wire.h. protobuf-c parses into the arena and the plain structs
// point at what it parsed; to encode, a generated struct on the stack points at the caller's arrays. What lies
// between the two structs of each kind is its codec's (wire_codec.h).
#include "frame.h"
#include "wire_codec.h"
#include "wire_fast.h"

#include <assert.h>
#include <errno.h>

static const struct wire_codec *codec_of(enum wire_kind kind)
{
    const struct wire_codec *codec = NULL;
    if (kind >= WIRE_HELLO && kind <= WIRE_PUBLISH_MODEL)
        codec = &wire_request_codecs[kind - WIRE_HELLO];
    else if (kind >= WIRE_LIST_SESSIONS && kind <= WIRE_GET_METRICS)
        codec = &wire_control_codecs[kind - WIRE_LIST_SESSIONS];
    else if (kind >= WIRE_ERROR && kind <= WIRE_SESSION_STATE)
        codec = &wire_reply_codecs[kind - WIRE_ERROR];
    else if (kind >= WIRE_SESSION_LIST && kind <= WIRE_EXPERIENCED)
        codec = &wire_list_codecs[kind - WIRE_SESSION_LIST];
    return codec && codec->descriptor ? codec : NULL;
}

struct source {
    struct wire_arena *arena;
    int exhausted;  // the arena was too small; tells -ENOMEM from -EBADMSG
};

static void *take(void *data, size_t size)
{
    struct source *source = data;
    void *memory = wire_arena_take(source->arena, size);
    if (!memory)
        source->exhausted = 1;
    return memory;
}

static void give_back(void *data, void *memory)
{
    (void)data, (void)memory;
}

// Parses one message into the arena.
static int parse(ProtobufCMessage **message, const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                 size_t size, struct wire_arena *arena)
{
    struct source source = {arena, 0};
    ProtobufCAllocator allocator = {take, give_back, &source};
    *message = protobuf_c_message_unpack(descriptor, &allocator, size, bytes);
    return *message ? 0 : source.exhausted ? -ENOMEM : -EBADMSG;
}

static int read_body(struct wire_envelope *envelope, enum wire_kind kind, const ProtobufCMessage *message,
                     struct wire_arena *arena)
{
    const struct wire_codec *codec = codec_of(kind);
    envelope->kind = kind;
    return codec && codec->read ? codec->read(envelope, message, arena) : 0;
}

int wire_decode(struct wire_envelope *envelope, const uint8_t *bytes, size_t size, struct wire_arena *arena)
{
    ProtobufCMessage *parsed;
    if (wire_fast_read_envelope(envelope, bytes, size, arena))
        return 0;
    int error = parse(&parsed, &belief__v1__envelope__descriptor, bytes, size, arena);
    if (error)
        return error;
    const Belief__V1__Envelope *message = (const Belief__V1__Envelope *)parsed;
    envelope->request_id = message->request_id;
    // The kind is the field number of the body, and the union holds a pointer to whatever it is.
    return read_body(envelope, (enum wire_kind)message->body_case, (const ProtobufCMessage *)message->hello, arena);
}

int wire_decode_body(struct wire_envelope *envelope, enum wire_kind kind, const uint8_t *bytes, size_t size,
                     struct wire_arena *arena)
{
    const struct wire_codec *codec = codec_of(kind);
    ProtobufCMessage *parsed;
    if (!codec)
        return -EINVAL;
    if (kind == WIRE_STEP && wire_fast_read_step(envelope, bytes, size, arena))
        return 0;
    int error = parse(&parsed, codec->descriptor, bytes, size, arena);
    return error ? error : read_body(envelope, kind, parsed, arena);
}

size_t wire_arena_bound(size_t size, size_t parts)
{
    // Numbers take at most twice their bytes on the wire; a part has its structs, generated and plain, and what
    // the parser notes about each of its fields (32 bytes, for 32 fields at most).
    return 4096 + 2 * size + 1792 * parts;
}

long wire_encode(uint8_t *out, size_t room, const struct wire_envelope *envelope, struct wire_arena *arena)
{
    Belief__V1__Envelope message = BELIEF__V1__ENVELOPE__INIT;
    union wire_generated body;
    size_t fast = envelope->kind == WIRE_ACTION ? wire_fast_write_action(out, room, envelope) : 0;
    if (fast)
        return (long)fast;
    message.request_id = envelope->request_id;
    if (envelope->kind != WIRE_NONE) {
        const struct wire_codec *codec = codec_of(envelope->kind);
        if (!codec)
            return -EINVAL;
        assert(codec->descriptor->sizeof_message <= sizeof body);
        protobuf_c_message_init(codec->descriptor, &body);
        if (codec->fill && codec->fill(&body, envelope, arena))
            return -ENOMEM;
        message.body_case = (Belief__V1__Envelope__BodyCase)envelope->kind;
        message.hello = &body.hello;
    }
    size_t size = belief__v1__envelope__get_packed_size(&message);
    if (size > UINT32_MAX)
        return -EMSGSIZE;
    if (FRAME_HEADER_SIZE + size <= room) {
        frame_write_header(out, (uint32_t)size);
        belief__v1__envelope__pack(&message, out + FRAME_HEADER_SIZE);
    }
    return (long)(FRAME_HEADER_SIZE + size);
}

static size_t varint_end(const uint8_t *frame, size_t size, size_t at)
{
    while (at < size && frame[at] >= 0x80)
        at++;
    return at < size ? at + 1 : size;
}

struct wire_bytes wire_body(const uint8_t *frame, size_t size)
{
    // request_id (tag 0x08) unless it is 0; then the body's tag and its length.
    size_t at = FRAME_HEADER_SIZE;
    if (at < size && frame[at] == 0x08)
        at = varint_end(frame, size, at + 1);
    at = varint_end(frame, size, at);
    at = varint_end(frame, size, at);
    return (struct wire_bytes){frame + at, size - at};
}
