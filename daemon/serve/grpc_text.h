#pragma once
// How gRPC writes things into metadata: timeouts, sentences, bytes. Plain functions.

#include <stddef.h>
#include <stdint.h>

// "250m": up to 8 digits and H, M, S, m, u or n. Parts of a microsecond count as a whole one. -EINVAL.
int grpc_timeout_parse(const char *text, size_t size, uint64_t *timeout_us);

// Percent-encoded: everything but printable ASCII, and '%'. Cut to whole characters and room - 1; ends with 0.
size_t grpc_percent_encode(char *out, size_t room, const char *text);

// Base64 without padding. Returns the characters written, 0 if they do not fit into room; ends with 0.
size_t grpc_base64_encode(char *out, size_t room, const uint8_t *bytes, size_t size);
static inline size_t grpc_base64_size(size_t size) { return (4 * size + 2) / 3; }

// What a metadata value may be made of: space to '~'.
int grpc_is_printable(const uint8_t *text, size_t size);
