#pragma once
// Short cuts past protobuf-c for the two messages of every control step: taking a Step apart and putting an Action
// together. What they read and write is exactly what protobuf-c does. A Step that is not in the form that encoders give
// it (fields ascending, each once, lists packed) is left to protobuf-c, as is whatever they do not know.
// For the files of this folder.

#include "wire.h"

// An Envelope with a Step, or the Step alone. 1: taken. 0: left to protobuf-c, nothing was changed.
int wire_fast_read_envelope(struct wire_envelope *out, const uint8_t *bytes, size_t size, struct wire_arena *arena);
int wire_fast_read_step(struct wire_envelope *out, const uint8_t *bytes, size_t size, struct wire_arena *arena);

// A whole frame, header included, as wire_encode writes it; its size, written only if there is room. 0: left to
// protobuf-c.
size_t wire_fast_write_action(uint8_t *out, size_t room, const struct wire_envelope *in);
