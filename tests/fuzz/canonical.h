#pragma once
// For the targets that decode messages: what decodes must encode, and encoding is canonical: what it wrote decodes
// to what it writes again, with and without its Envelope.

#include "proto/wire.h"

enum { CANONICAL_ARENA = 1 << 18 };

// Aborts if it does not hold. The message is one that was decoded.
void canonical_check(const struct wire_envelope *message);
