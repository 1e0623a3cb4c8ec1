// Status, health and reflection messages; the contract is in rpc.h.
#include "rpc.h"

#include "wire_arena.h"

#include "health.pb-c.h"
#include "reflection.pb-c.h"
#include "status.pb-c.h"

#include <errno.h>

static void *take(void *arena, size_t size)
{
    return wire_arena_take(arena, size);
}

static void give_back(void *arena, void *memory)
{
    (void)arena, (void)memory;
}

static size_t pack(uint8_t *out, size_t room, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size <= room)
        protobuf_c_message_pack(message, out);
    return size;
}

size_t rpc_encode_status(uint8_t *out, size_t room, int32_t code, const char *message, struct wire_bytes error)
{
    Google__Rpc__Status__Any detail = GOOGLE__RPC__STATUS__ANY__INIT, *details[] = {&detail};
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    detail.type_url = (char *)"type.googleapis.com/belief.v1.Error";
    detail.value = (ProtobufCBinaryData){error.size, (uint8_t *)error.bytes};
    status.code = code;
    status.message = (char *)message;
    status.n_details = error.size > 0;
    status.details = details;
    return pack(out, room, &status.base);
}

int rpc_decode_health(const char **service, const uint8_t *bytes, size_t size, struct wire_arena *arena)
{
    ProtobufCAllocator allocator = {take, give_back, arena};
    const Grpc__Health__V1__HealthCheckRequest *request =
        grpc__health__v1__health_check_request__unpack(&allocator, size, bytes);
    if (!request)
        return -EBADMSG;
    *service = request->service;
    return 0;
}

size_t rpc_encode_health(uint8_t *out, size_t room, enum rpc_health health)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)health;
    return pack(out, room, &response.base);
}

int rpc_decode_reflection(struct rpc_reflection *request, const uint8_t *bytes, size_t size, struct wire_arena *arena)
{
    ProtobufCAllocator allocator = {take, give_back, arena};
    const Grpc__Reflection__V1__ServerReflectionRequest *parsed =
        grpc__reflection__v1__server_reflection_request__unpack(&allocator, size, bytes);
    if (!parsed)
        return -EBADMSG;
    *request = (struct rpc_reflection){
        .host = parsed->host, .name = "", .question = (enum rpc_question)parsed->message_request_case, .parsed = parsed};
    if (request->question == RPC_FILE_NAMED)
        request->name = parsed->file_by_filename;
    else if (request->question == RPC_FILE_WITH_SYMBOL)
        request->name = parsed->file_containing_symbol;
    return 0;
}

// Which of the answers is there, in protobuf-c's words.
#define ANSWER(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

long rpc_encode_reflected(uint8_t *out, size_t room, const struct rpc_reflection *request,
                          const struct rpc_reflected *answer, struct wire_arena *arena)
{
    Grpc__Reflection__V1__ServerReflectionResponse response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    Grpc__Reflection__V1__FileDescriptorResponse file = GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    Grpc__Reflection__V1__ListServiceResponse list = GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    ProtobufCBinaryData bytes;
    response.valid_host = (char *)request->host;
    response.original_request = (Grpc__Reflection__V1__ServerReflectionRequest *)request->parsed;
    if (answer->file) {
        bytes = (ProtobufCBinaryData){answer->file->size, (uint8_t *)answer->file->bytes};
        file.n_file_descriptor_proto = 1;
        file.file_descriptor_proto = &bytes;
        response.message_response_case = ANSWER(FILE_DESCRIPTOR_RESPONSE);
        response.file_descriptor_response = &file;
    } else if (answer->services) {
        list.n_service = answer->service_count;
        list.service = wire_arena_take(arena, answer->service_count * sizeof *list.service);
        for (size_t i = 0; list.service && i < answer->service_count; i++) {
            list.service[i] = wire_arena_take(arena, sizeof *list.service[i]);
            if (!list.service[i])
                return -ENOMEM;
            grpc__reflection__v1__service_response__init(list.service[i]);
            list.service[i]->name = (char *)answer->services[i];
        }
        if (!list.service)
            return -ENOMEM;
        response.message_response_case = ANSWER(LIST_SERVICES_RESPONSE);
        response.list_services_response = &list;
    } else {
        error.error_code = answer->error;
        error.error_message = (char *)answer->message;
        response.message_response_case = ANSWER(ERROR_RESPONSE);
        response.error_response = &error;
    }
    return (long)pack(out, room, &response.base);
}
