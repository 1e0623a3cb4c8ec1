// grpc.health.v1: is the daemon serving? Not any more, while it drains. Probes of orchestrators and load balancers ask.
#include "grpc.h"

#include "log.h"

#include <string.h>

enum { HEALTH_SIZE = 16 };

static enum rpc_health health_of(const struct grpc *grpc, const char *service)
{
    if (*service && strcmp(service, "belief.v1.Belief"))
        return RPC_SERVICE_UNKNOWN;
    return grpc->server->draining ? RPC_NOT_SERVING : RPC_SERVING;
}

// The service that is asked about; NULL: the call was refused.
static const char *read_service(struct grpc *grpc, struct grpc_call *call, const uint8_t *message, size_t size)
{
    const char *service = NULL;
    if (rpc_decode_health(&service, message, size, &grpc->server->arena)) {
        grpc_call_refuse(grpc, call, WIRE_BAD_FRAME, "", 0, "these bytes are not a HealthCheckRequest");
        return NULL;
    }
    return service;
}

static void tell(struct grpc *grpc, struct grpc_call *call, enum rpc_health health)
{
    uint8_t *out = grpc_call_room(grpc, call, HEALTH_SIZE);
    call->told = health;
    if (out)
        grpc_call_push(grpc, call, rpc_encode_health(out, HEALTH_SIZE, health));
}

void grpc_health_check(struct grpc *grpc, struct grpc_call *call, const uint8_t *message, size_t size)
{
    const char *service = read_service(grpc, call, message, size);
    if (!service)
        return;
    enum rpc_health health = health_of(grpc, service);
    if (health == RPC_SERVICE_UNKNOWN) {
        grpc_call_refuse(grpc, call, WIRE_UNKNOWN_SESSION, "service", 0, "there is no such service");
        return;
    }
    tell(grpc, call, health);
    grpc_call_end(grpc, call);
}

void grpc_health_watch(struct grpc *grpc, struct grpc_call *call, const uint8_t *message, size_t size)
{
    const char *service = read_service(grpc, call, message, size);
    if (service)
        tell(grpc, call, health_of(grpc, service));
}

void grpc_health_tell(struct grpc *grpc)
{
    enum rpc_health health = health_of(grpc, "");
    for (struct grpc_call *call = grpc->calls; call; call = call->next)
        if (call->state == CALL_ASKED && call->told && call->told != RPC_SERVICE_UNKNOWN && call->told != health)
            tell(grpc, call, health);
}
