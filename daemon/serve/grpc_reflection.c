// grpc.reflection: tools ask which services are here and how their messages are made. The answers are the compiled
// .proto files that were built in (proto/descriptor.h). v1 and v1alpha differ in their name alone.
#include "grpc.h"

#include "proto/descriptor.h"

static const char *const services[] = {
    "belief.v1.Belief", "belief.v1.Control", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection"};

void grpc_reflect(struct grpc *grpc, struct grpc_call *call, const uint8_t *message, size_t size)
{
    struct wire_arena *arena = &grpc->server->arena;
    struct rpc_reflection request;
    struct rpc_reflected answer = {.error = GRPC_NOT_FOUND, .message = "there is no such thing here"};
    struct wire_bytes file;
    if (rpc_decode_reflection(&request, message, size, arena)) {
        grpc_call_refuse(grpc, call, WIRE_BAD_FRAME, "", 0, "these bytes are not a ServerReflectionRequest");
        return;
    }
    if (request.question == RPC_SERVICES) {
        answer.services = services;
        answer.service_count = sizeof services / sizeof *services;
    } else if ((request.question == RPC_FILE_NAMED && descriptor_named(request.name, &file)) ||
               (request.question == RPC_FILE_WITH_SYMBOL && descriptor_with_symbol(request.name, &file))) {
        answer.file = &file;
    } else if (request.question == RPC_NO_QUESTION) {
        answer.error = GRPC_INVALID_ARGUMENT;
        answer.message = "a request without a question";
    }
    long wanted = rpc_encode_reflected(NULL, 0, &request, &answer, arena);
    uint8_t *out = wanted < 0 ? NULL : grpc_call_room(grpc, call, (size_t)wanted);
    if (out && (wanted = rpc_encode_reflected(out, (size_t)wanted, &request, &answer, arena)) >= 0)
        grpc_call_push(grpc, call, (size_t)wanted);
    else
        grpc_call_refuse(grpc, call, WIRE_LIMIT, "", 0, "no memory for the reply");
}
