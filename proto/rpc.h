#pragma once
// The messages of gRPC's own services, plain: rich status, health, reflection. The contracts of arenas, sizes and errors
// are those of wire.h.

#include "wire.h"

// google.rpc.Status with an encoded belief.v1.Error (or none: size 0) as its detail. Returns its size in bytes; if that
// is more than `room`, nothing was written.
size_t rpc_encode_status(uint8_t *out, size_t room, int32_t code, const char *message, struct wire_bytes error);

// ---- Health ------------------------------------------------------------------------------------------------------

enum rpc_health { RPC_SERVING = 1, RPC_NOT_SERVING, RPC_SERVICE_UNKNOWN };

int rpc_decode_health(const char **service, const uint8_t *bytes, size_t size, struct wire_arena *arena);
size_t rpc_encode_health(uint8_t *out, size_t room, enum rpc_health health);

// ---- Reflection --------------------------------------------------------------------------------------------------

enum rpc_question {
    RPC_NO_QUESTION = 0,
    RPC_FILE_NAMED = 3,          // `name` is a file's
    RPC_FILE_WITH_SYMBOL = 4,    // ... that of a service, method, message, field, enum
    RPC_FILE_WITH_EXTENSION = 5,
    RPC_EXTENSIONS = 6,
    RPC_SERVICES = 7,
};

struct rpc_reflection {
    const char *host, *name;
    enum rpc_question question;
    const void *parsed;          // goes back with the answer
};

struct rpc_reflected {
    const struct wire_bytes *file;                // one FileDescriptorProto; or
    const char *const *services;                  // names; or
    size_t service_count;
    int32_t error;                                // a gRPC code with a sentence
    const char *message;
};

int rpc_decode_reflection(struct rpc_reflection *request, const uint8_t *bytes, size_t size, struct wire_arena *arena);
// -ENOMEM: the arena is too small. Otherwise the size in bytes; if that is more than `room`, nothing was written.
long rpc_encode_reflected(uint8_t *out, size_t room, const struct rpc_reflection *request,
                          const struct rpc_reflected *answer, struct wire_arena *arena);
