// A request from its bytes to its handler, and what handlers share; the contracts are in requests.h and request.h.
#include "requests.h"

#include "batch.h"
#include "durable.h"
#include "house_internal.h"
#include "learning.h"
#include "log.h"
#include "permission.h"
#include "rebuild.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_LIMIT = 256 };

static void refuse(struct server *server, struct connection *connection, uint64_t request_id,
                   enum wire_error_code code, const char *field, uint64_t limit, const char *format,
                   va_list arguments)
{
    char message[MESSAGE_LIMIT];
    vsnprintf(message, sizeof message, format, arguments);
    struct wire_envelope reply = {.request_id = request_id, .kind = WIRE_ERROR};
    reply.error = (struct wire_error){.code = code, .field = field, .message = message, .limit = limit};
    count_add(&server->metrics.refusals[code], 1);
    server_reply(server, connection, &reply);
}

void request_refuse_later(struct server *server, struct connection *connection, uint64_t request_id,
                          enum wire_error_code code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    refuse(server, connection, request_id, code, "", 0, format, arguments);
    va_end(arguments);
}

void request_refuse(const struct request *r, enum wire_error_code code, const char *field, uint64_t limit,
                    const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    refuse(r->server, r->connection, r->message->request_id, code, field, limit, format, arguments);
    va_end(arguments);
}

int request_farewell(struct server *server, struct connection *connection, enum wire_error_code code,
                     uint64_t limit, uint64_t now_us, const char *format, ...)
{
    if (connection->waiting > 0)
        batch_run_all(server);
    if (!frame_buffer_reserve(&connection->out, server->error_bound))
        return 0;
    va_list arguments;
    va_start(arguments, format);
    refuse(server, connection, 0, code, "", limit, format, arguments);
    va_end(arguments);
    connection_move(connection, CONNECTION_CLOSING, now_us);
    return 1;
}

void request_settle(const struct request *r, const struct session *session)
{
    if (r->connection->waiting > 0 || (session && session->waiting != WAITING_FOR_NOTHING))
        batch_run_all(r->server);
}

static int all_finite(struct wire_floats floats)
{
    int finite = 1;
    for (size_t i = 0; i < floats.count; i++)
        finite &= isfinite(floats.values[i]) != 0;
    return finite;
}

int request_vector_is_valid(const struct request *r, struct wire_floats floats, size_t dim, const char *field)
{
    if (floats.count == dim && all_finite(floats))
        return 1;
    request_settle(r, NULL);
    if (floats.count != dim)
        request_refuse(r, WIRE_INVALID, field, dim, "%s has %zu numbers, not %zu", field, floats.count, dim);
    else
        request_refuse(r, WIRE_INVALID, field, 0, "%s has a number that is not finite", field);
    return 0;
}

int request_may_tell(const struct request *r, const struct model *model, struct wire_floats told_task, int wanted)
{
    size_t dim = model_told_dim(model);
    if (told_task.count == 0 && (dim == 0 || !wanted))
        return 1;
    if (told_task.count > 0 && dim > 0)
        return request_vector_is_valid(r, told_task, dim, "told_task");
    request_settle(r, NULL);
    if (dim == 0)
        request_refuse(r, WIRE_UNSUPPORTED, "told_task", 0, "unsupported by this model kind: a model of kind %s is told no task",
                       model_kind_name(model->kind));
    else
        request_refuse(r, WIRE_INVALID, "told_task", dim, "model %s is an oracle and must be told the task, %zu number%s",
                       model->name, dim, dim > 1 ? "s" : "");
    return 0;
}

void request_done(const struct request *r, const struct session *session)
{
    request_done_durably(r, session, 0);
}

void request_done_durably(const struct request *r, const struct session *session, uint64_t position)
{
    uint8_t digest[WIRE_DIGEST_SIZE];
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_DONE};
    if (session) {
        digest_bytes(digest, agent_belief_digest(&session->belief));
        reply.done = (struct wire_done){
            session->task, agent_belief_count(&session->belief), {digest, sizeof digest}};
    }
    durable_reply(r->server, r->connection, &reply, position, 0, r->now_us);
}

// A token says who is there from now on. 0: the refusal was sent.
static int identify(const struct request *r)
{
    struct connection *connection = r->connection;
    struct identity identity;
    int known = house_identify(r->server->house, r->message->hello.token, &identity);
    if (known == 1)
        connection->identity = identity;
    if (known >= 0)
        return 1;
    log_event(LOG_WARNING, "unknown_token", LOG_TEXT("peer", connection->peer));
    request_refuse(r, WIRE_UNAUTHENTICATED, "token", 0, "nobody has this token");
    return 0;
}

static void take_hello(const struct request *r)
{
    const struct server *server = r->server;
    const struct catalogue *catalogue = server->serving.catalogue;
    const struct wire_hello *hello = &r->message->hello;
    if (hello->token && *hello->token && !identify(r))
        return;
    const struct identity *identity = &r->connection->identity;
    log_event(LOG_DEBUG, "hello", LOG_TEXT("peer", r->connection->peer), LOG_TEXT("client", hello->client),
              LOG_TEXT("identity", identity->name));
    int known = identity->role != WIRE_ROLE_NONE;
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_WELCOME};
    reply.welcome = (struct wire_welcome){
        .server = SERVER_NAME, .protocol = WIRE_PROTOCOL,
        .models = known ? catalogue->infos : NULL, .model_count = known ? catalogue->count : 0,
        .max_frame_bytes = (uint32_t)server->limits.frame_bytes,
        .max_in_flight = (uint32_t)server->limits.in_flight,
        .identity = identity->name, .role = identity->role,
        .durability = server->durability};
    server_reply(r->server, r->connection, &reply);
}

static void take_get_metrics(const struct request *r)
{
    char *text = metrics_render(r->server->house);
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_METRICS, .metrics.text = text};
    if (text)
        server_reply(r->server, r->connection, &reply);
    else
        request_refuse(r, WIRE_INTERNAL, "", 0, "no memory for metrics");
    free(text);
}

size_t request_reply_bound(const struct server *server, const struct wire_envelope *message)
{
    switch (message->kind) {
    case WIRE_STEP:
    case WIRE_ACT:
        return server->action_bound;
    case WIRE_HELLO:
        return server->welcome_bound;
    case WIRE_OPEN:
        return server->opened_bound;
    case WIRE_OBSERVE:
        return server->error_bound + (message->observe.transition_count < OBSERVE_LIMIT
                                          ? message->observe.transition_count : OBSERVE_LIMIT);
    case WIRE_RESET:
    case WIRE_CLOSE:
    case WIRE_PING:
    case WIRE_SNAPSHOT:
    case WIRE_PUBLISH_MODEL:
        return server->error_bound;
    case WIRE_EXPERIENCE:
        return server->limits.frame_bytes < EXPERIENCE_BYTES ? server->limits.frame_bytes : EXPERIENCE_BYTES;
    case WIRE_GET_MODEL:
    case WIRE_RESTORE:
        return server->opened_bound;
    case WIRE_GET_BELIEF:
        return server->belief_bound;
    default:
        return server->limits.frame_bytes;
    }
}

static void dispatch(const struct request *r)
{
    switch (r->message->kind) {
    case WIRE_HELLO:
        take_hello(r);
        break;
    case WIRE_OPEN:
        request_take_open(r);
        break;
    case WIRE_OBSERVE:
        request_take_observe(r);
        break;
    case WIRE_RESET:
        request_take_reset(r);
        break;
    case WIRE_GET_BELIEF:
        request_take_get_belief(r);
        break;
    case WIRE_CLOSE:
        request_take_close(r);
        break;
    case WIRE_PING:
        request_done_durably(r, NULL, r->message->ping.durable ? r->server->position : 0);
        break;
    case WIRE_SAVE:
        request_take_save(r);
        break;
    case WIRE_RESTORE:
        request_take_restore(r);
        break;
    case WIRE_GET_MODEL:
        request_take_get_model(r);
        break;
    case WIRE_EXPERIENCE:
        request_take_experience(r);
        break;
    case WIRE_LIST_SESSIONS:
        request_take_list_sessions(r);
        break;
    case WIRE_LIST_MODELS:
    case WIRE_LOAD_MODEL:
    case WIRE_UNLOAD_MODEL:
    case WIRE_ALIAS_MODEL:
    case WIRE_RELOAD:
    case WIRE_PUBLISH_MODEL:
        request_take_models(r);
        break;
    case WIRE_REBUILD:
        request_take_rebuild(r);
        break;
    case WIRE_DRAIN:
        request_take_drain(r);
        break;
    case WIRE_SNAPSHOT:
        request_take_snapshot(r);
        break;
    case WIRE_HAND_OVER:
        request_take_hand_over(r);
        break;
    case WIRE_GET_METRICS:
        take_get_metrics(r);
        break;
    default:
        request_refuse(r, WIRE_UNSUPPORTED, "body", 0, "this daemon knows no such request");
        break;
    }
}

void request_take_again(struct server *server, struct connection *connection, const struct wire_envelope *message,
                        uint64_t deadline_us, uint64_t now_us)
{
    const struct request r = {server, connection, message, deadline_us, now_us};
    if (deadline_us != 0 && deadline_us <= now_us) {
        request_settle(&r, NULL);
        request_refuse(&r, WIRE_DEADLINE, "", 0, "its time was up before it began");
    } else if (message->kind == WIRE_STEP) {
        request_take_step(&r);
    } else if (message->kind == WIRE_ACT) {
        request_take_act(&r);
    } else {
        request_settle(&r, NULL);
        dispatch(&r);
    }
}

void request_take_message(struct server *server, struct connection *connection, const struct wire_envelope *message,
                          uint64_t deadline_us, uint64_t now_us)
{
    const struct request r = {server, connection, message, deadline_us, now_us};
    count_add(&server->metrics.requests[(size_t)message->kind < METRICS_KINDS ? message->kind : 0], 1);
    if (permission_given(&r))
        request_take_again(server, connection, message, deadline_us, now_us);
}
