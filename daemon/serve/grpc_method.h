#pragma once
// What can be called over gRPC, by path, and what an Error is there.

#include "proto/wire.h"

struct grpc;
struct grpc_call;

enum { GRPC_CONTENT_LIMIT = 2048 };  // bytes of grpc-message or grpc-status-details-bin

// gRPC's status codes.
enum grpc_code {
    GRPC_OK,
    GRPC_CANCELLED,
    GRPC_UNKNOWN,
    GRPC_INVALID_ARGUMENT,
    GRPC_DEADLINE_EXCEEDED,
    GRPC_NOT_FOUND,
    GRPC_ALREADY_EXISTS,
    GRPC_PERMISSION_DENIED,
    GRPC_RESOURCE_EXHAUSTED,
    GRPC_FAILED_PRECONDITION,
    GRPC_ABORTED,
    GRPC_OUT_OF_RANGE,
    GRPC_UNIMPLEMENTED,
    GRPC_INTERNAL,
    GRPC_UNAVAILABLE,
    GRPC_DATA_LOSS,
    GRPC_UNAUTHENTICATED,
};

// The table that docs/wire.md shows.
enum grpc_code grpc_code_of(enum wire_error_code code);

struct grpc_method {
    const char *path;           // "/belief.v1.Belief/Step"
    enum wire_kind kind;        // WIRE_NONE: `answer` does it, without the protocol below
    int is_stream;              // the client sends many messages; each is answered before the next is taken
    int is_long;                // may last, without a deadline
    // One message of that method. Ends the call, or gives replies and leaves it open.
    void (*answer)(struct grpc *grpc, struct grpc_call *call, const uint8_t *message, size_t size);
};

// NULL: no such path.
const struct grpc_method *grpc_method_of(const char *path, size_t size);

// In grpc_health.c and grpc_reflection.c.
void grpc_health_check(struct grpc *grpc, struct grpc_call *call, const uint8_t *message, size_t size);
void grpc_health_watch(struct grpc *grpc, struct grpc_call *call, const uint8_t *message, size_t size);
void grpc_reflect(struct grpc *grpc, struct grpc_call *call, const uint8_t *message, size_t size);
