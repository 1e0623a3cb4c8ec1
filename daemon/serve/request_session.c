// Open, Reset and Close: the life of a session. The contract is in request.h.
#include "request.h"

#include "house_internal.h"
#include "log.h"

#include <string.h>

// The session to open, made if need be; or NULL and the refusal was sent.
static struct session *find_or_make(const struct request *r, int *resumed)
{
    struct server *server = r->server;
    const struct wire_open *open = &r->message->open;
    struct session *session = session_find(&server->sessions, open->session);
    *resumed = session != NULL;
    if (session) {
        if (*open->model && strcmp(open->model, session->served->model->name)) {
            request_refuse(r, WIRE_INVALID, "model", 0, "the session has model %s", session->served->model->name);
            return NULL;
        }
        return session;
    }
    struct served *served = house_model(server, open->model);
    if (!served) {
        request_refuse(r, WIRE_UNKNOWN_MODEL, "model", 0, "no model of that name is served");
        return NULL;
    }
    if (server->sessions.count >= server->limits.sessions) {
        request_refuse(r, WIRE_LIMIT, "session", server->limits.sessions, "no more than %zu sessions",
                       server->limits.sessions);
        return NULL;
    }
    session = session_new(&server->sessions, open->session, served, &server->limits);
    if (!session)
        request_refuse(r, WIRE_LIMIT, "session", server->sessions.count, "no memory for another session");
    return session;
}

void request_take_open(const struct request *r)
{
    struct server *server = r->server;
    const struct wire_open *open = &r->message->open;
    if (!session_name_valid(open->session)) {
        request_refuse(r, WIRE_INVALID, "session", WIRE_SESSION_LIMIT,
                       "a session's name is 1 to %d of A-Z a-z 0-9 . _ : -", WIRE_SESSION_LIMIT);
        return;
    }
    if (server->draining) {
        request_refuse(r, WIRE_DRAINING, "", 0, "the daemon is stopping");
        return;
    }
    int resumed;
    struct session *session = find_or_make(r, &resumed);
    if (!session)
        return;
    request_settle(r, session);
    // The holder on this connection keeps its handle; anybody else's is fenced.
    if (session->owner != r->connection) {
        struct slot *slot = connection_take_slot(r->connection, server->limits.sessions);
        if (!slot) {
            request_refuse(r, WIRE_LIMIT, "session", r->connection->slot_count,
                           "no more sessions on this connection");
            if (!resumed)
                session_free(&server->sessions, session);
            return;
        }
        if (session->owner) {
            struct slot *old = connection_slot(session->owner, session->handle);
            *old = (struct slot){.state = SLOT_FENCED, .handle = old->handle};
            log_event(LOG_INFO, "fenced", LOG_TEXT("session", session->name),
                      LOG_TEXT("peer", session->owner->peer), LOG_TEXT("by", r->connection->peer));
        }
        slot->state = SLOT_HELD;
        slot->session = session;
        session->owner = r->connection;
        session->handle = slot->handle;
    }
    session->epoch++;
    session->hold_prior = open->hold_prior;
    log_event(LOG_DEBUG, "open", LOG_TEXT("session", session->name), LOG_TEXT("peer", r->connection->peer),
              LOG_TEXT("model", session->served->model->name), LOG_NUMBER("epoch", session->epoch));

    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    struct wire_model info = session->served->info;
    info.provenance = NULL;
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_OPENED};
    reply.opened = (struct wire_opened){
        .handle = session->handle, .epoch = session->epoch, .resumed = resumed, .task = session->task,
        .seq = session->seq, .count = agent_belief_count(&session->belief), .digest = {digest, sizeof digest},
        .model = &info};
    server_reply(server, r->connection, &reply);
}

void request_take_reset(const struct request *r)
{
    const struct wire_reset *reset = &r->message->reset;
    struct session *session = request_session(r, reset->handle);
    if (!session)
        return;
    if (reset->scope != WIRE_EPISODE && reset->scope != WIRE_TASK) {
        request_refuse(r, WIRE_INVALID, "scope", 0, "a scope is EPISODE or TASK");
        return;
    }
    if (reset->scope == WIRE_TASK && (reset->task == 0 || reset->task > session->task)) {
        request_refuse(r, WIRE_INVALID, "task", session->task,
                       "task names the one that ends; the current one is %u", session->task);
        return;
    }
    if (reset->scope == WIRE_EPISODE || reset->task == session->task)
        session->standing = 0;
    if (reset->scope == WIRE_TASK && reset->task == session->task) {
        agent_belief_reset(&session->belief);
        session->task++;
    }
    request_done(r, session);
}

void request_take_close(const struct request *r)
{
    const struct wire_close *close = &r->message->close;
    struct session *session = request_session(r, close->handle);
    if (!session)
        return;
    log_event(LOG_DEBUG, close->forget ? "forget" : "close", LOG_TEXT("session", session->name),
              LOG_TEXT("peer", r->connection->peer));
    slot_release(connection_slot(r->connection, close->handle));
    session->owner = NULL;
    session->idle_since_us = r->now_us;
    request_done(r, session);
    if (close->forget)
        session_free(&r->server->sessions, session);
}
