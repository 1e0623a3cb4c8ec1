// Paths and codes; the contract is in grpc_method.h.
#include "grpc_method.h"

#include <string.h>

#define BELIEF(name, kind) {"/belief.v1.Belief/" name, kind, 0, 0, NULL}
#define CONTROL(name, kind) {"/belief.v1.Control/" name, kind, 0, 0, NULL}

static const struct grpc_method methods[] = {
    BELIEF("Step", WIRE_STEP),
    {"/belief.v1.Belief/Steps", WIRE_STEP, 1, 1, NULL},
    BELIEF("Act", WIRE_ACT),
    BELIEF("Observe", WIRE_OBSERVE),
    BELIEF("Hello", WIRE_HELLO),
    BELIEF("Open", WIRE_OPEN),
    BELIEF("Reset", WIRE_RESET),
    BELIEF("GetBelief", WIRE_GET_BELIEF),
    BELIEF("Close", WIRE_CLOSE),
    BELIEF("Save", WIRE_SAVE),
    BELIEF("Restore", WIRE_RESTORE),
    BELIEF("Ping", WIRE_PING),
    BELIEF("GetModel", WIRE_GET_MODEL),
    BELIEF("Experience", WIRE_EXPERIENCE),
    BELIEF("PublishModel", WIRE_PUBLISH_MODEL),
    CONTROL("ListSessions", WIRE_LIST_SESSIONS),
    CONTROL("ListModels", WIRE_LIST_MODELS),
    CONTROL("LoadModel", WIRE_LOAD_MODEL),
    CONTROL("UnloadModel", WIRE_UNLOAD_MODEL),
    CONTROL("AliasModel", WIRE_ALIAS_MODEL),
    CONTROL("Reload", WIRE_RELOAD),
    CONTROL("Rebuild", WIRE_REBUILD),
    CONTROL("Snapshot", WIRE_SNAPSHOT),
    CONTROL("HandOver", WIRE_HAND_OVER),
    CONTROL("Drain", WIRE_DRAIN),
    CONTROL("GetMetrics", WIRE_GET_METRICS),
    {"/grpc.health.v1.Health/Check", WIRE_NONE, 0, 0, grpc_health_check},
    {"/grpc.health.v1.Health/Watch", WIRE_NONE, 0, 1, grpc_health_watch},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", WIRE_NONE, 1, 1, grpc_reflect},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", WIRE_NONE, 1, 1, grpc_reflect},
};

const struct grpc_method *grpc_method_of(const char *path, size_t size)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (!strncmp(methods[i].path, path, size) && methods[i].path[size] == 0)
            return &methods[i];
    return NULL;
}

enum grpc_code grpc_code_of(enum wire_error_code code)
{
    switch (code) {
    case WIRE_UNKNOWN: return GRPC_UNKNOWN;
    case WIRE_BAD_FRAME: return GRPC_INVALID_ARGUMENT;
    case WIRE_TOO_LARGE: return GRPC_RESOURCE_EXHAUSTED;
    case WIRE_UNSUPPORTED: return GRPC_UNIMPLEMENTED;
    case WIRE_INVALID: return GRPC_INVALID_ARGUMENT;
    case WIRE_UNKNOWN_SESSION: return GRPC_NOT_FOUND;
    case WIRE_UNKNOWN_MODEL: return GRPC_NOT_FOUND;
    case WIRE_FENCED: return GRPC_ABORTED;
    case WIRE_OUT_OF_STEP: return GRPC_FAILED_PRECONDITION;
    case WIRE_LIMIT: return GRPC_RESOURCE_EXHAUSTED;
    case WIRE_DRAINING: return GRPC_UNAVAILABLE;
    case WIRE_INTERNAL: return GRPC_INTERNAL;
    case WIRE_IDLE: return GRPC_UNAVAILABLE;
    case WIRE_PERMISSION: return GRPC_PERMISSION_DENIED;
    case WIRE_UNAUTHENTICATED: return GRPC_UNAUTHENTICATED;
    case WIRE_MOVED: return GRPC_FAILED_PRECONDITION;
    case WIRE_UNDURABLE: return GRPC_UNAVAILABLE;
    case WIRE_DEADLINE: return GRPC_DEADLINE_EXCEEDED;
    case WIRE_BUSY: return GRPC_UNAVAILABLE;
    case WIRE_WRONG_MODEL: return GRPC_FAILED_PRECONDITION;
    case WIRE_RATE: return GRPC_RESOURCE_EXHAUSTED;
    }
    return GRPC_UNKNOWN;
}
