#pragma once
// One message of each kind with every field set, numbers at their ends, for the tests of this folder.

#include "proto/wire.h"

enum { MESSAGES_LIMIT = 64, MESSAGE_ARENA = 1 << 16, MESSAGE_FRAME = 1 << 14 };

extern const struct wire_envelope messages[];
extern const size_t message_count;

// Of that kind.
const struct wire_envelope *message_of(enum wire_kind kind);

// wire_encode and wire_decode with arenas of their own; what was decoded lives until the next message_decode.
long message_encode(uint8_t *out, size_t room, const struct wire_envelope *envelope);
int message_decode(struct wire_envelope *envelope, const uint8_t *body, size_t size);
