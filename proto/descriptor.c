// Built-in descriptors; the contract is in descriptor.h.
#include "descriptor.h"

#include <string.h>

extern const char descriptor_set[];
extern const size_t descriptor_set_size;

// Numbers of the fields that hold what is looked for, as descriptor.proto of protobuf has them.
enum { SET_FILE = 1, FILE_NAME = 1, FILE_PACKAGE = 2, FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6 };
enum { NAME = 1, MESSAGE_FIELD = 2, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4, MESSAGE_ONEOF = 8, METHOD = 2 };

struct field {
    uint64_t number;
    struct wire_bytes bytes;  // of a length-delimited one
};

static int varint(struct wire_bytes *from, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; from->size > 0 && shift < 64; shift += 7) {
        uint8_t byte = *from->bytes;
        from->bytes++;
        from->size--;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return 1;
    }
    return 0;
}

// The next field, taken off the front. 0: no more. Descriptors have no fields of fixed size.
static int next_field(struct wire_bytes *from, struct field *field)
{
    uint64_t tag, size;
    if (!varint(from, &tag) || !varint(from, &size))
        return 0;
    *field = (struct field){.number = tag >> 3};
    if ((tag & 7) != 2)
        return 1;
    if (size > from->size)
        return 0;
    field->bytes = (struct wire_bytes){from->bytes, size};
    from->bytes += size;
    from->size -= size;
    return 1;
}

static struct wire_bytes first(struct wire_bytes in, uint64_t number)
{
    struct field field;
    while (next_field(&in, &field))
        if (field.number == number)
            return field.bytes;
    return (struct wire_bytes){0};
}

int descriptor_file(size_t i, struct wire_bytes *file)
{
    struct wire_bytes set = {(const uint8_t *)descriptor_set, descriptor_set_size};
    struct field field;
    while (next_field(&set, &field)) {
        if (field.number != SET_FILE || i-- > 0)
            continue;
        *file = field.bytes;
        return 1;
    }
    return 0;
}

int descriptor_named(const char *name, struct wire_bytes *file)
{
    for (size_t i = 0; descriptor_file(i, file); i++) {
        struct wire_bytes its = first(*file, FILE_NAME);
        if (its.size == strlen(name) && !memcmp(its.bytes, name, its.size))
            return 1;
    }
    return 0;
}

// Takes `name` and, unless it is all, the dot after it off the symbol. NULL: it begins otherwise.
static const char *after(const char *symbol, struct wire_bytes name)
{
    if (name.size == 0 || strncmp(symbol, (const char *)name.bytes, name.size))
        return NULL;
    symbol += name.size;
    return *symbol == '.' && symbol[1] ? symbol + 1 : *symbol ? NULL : symbol;
}

// Is the symbol the thing itself, or one of the named parts in its fields `numbers` (a list ending with 0)?
static int has_part(struct wire_bytes thing, const char *symbol, const uint64_t *numbers)
{
    struct field field;
    symbol = after(symbol, first(thing, NAME));
    if (!symbol || !*symbol)
        return symbol != NULL;
    while (next_field(&thing, &field)) {
        for (const uint64_t *number = numbers; *number; number++) {
            const char *rest = field.number == *number ? after(symbol, first(field.bytes, NAME)) : NULL;
            if (rest && !*rest)
                return 1;
        }
    }
    return 0;
}

static int message_has(struct wire_bytes message, const char *symbol)
{
    static const uint64_t parts[] = {MESSAGE_FIELD, MESSAGE_ONEOF, 0}, none[] = {0};
    struct field field;
    if (has_part(message, symbol, parts))
        return 1;
    symbol = after(symbol, first(message, NAME));
    while (symbol && next_field(&message, &field))
        if ((field.number == MESSAGE_NESTED && message_has(field.bytes, symbol)) ||
            (field.number == MESSAGE_ENUM && has_part(field.bytes, symbol, none)))
            return 1;
    return 0;
}

int descriptor_with_symbol(const char *symbol, struct wire_bytes *file)
{
    static const uint64_t methods[] = {METHOD, 0}, none[] = {0};
    for (size_t i = 0; descriptor_file(i, file); i++) {
        const char *rest = after(symbol, first(*file, FILE_PACKAGE));
        struct wire_bytes left = *file;
        struct field field;
        while (rest && next_field(&left, &field))
            if ((field.number == FILE_MESSAGE && message_has(field.bytes, rest)) ||
                (field.number == FILE_ENUM && has_part(field.bytes, rest, none)) ||
                (field.number == FILE_SERVICE && has_part(field.bytes, rest, methods)))
                return 1;
    }
    return 0;
}
