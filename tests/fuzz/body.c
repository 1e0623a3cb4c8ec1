// One message without its Envelope, as gRPC and the experience log have it. The first byte says of which kind, the
// rest are any bytes.

#include "canonical.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t memory[CANONICAL_ARENA];
    struct wire_arena arena;
    struct wire_envelope message = {.request_id = size};
    if (size == 0)
        return 0;
    wire_arena_init(&arena, memory, sizeof memory);
    if (wire_decode_body(&message, (enum wire_kind)bytes[0], bytes + 1, size - 1, &arena) == 0)
        canonical_check(&message);
    return 0;
}
