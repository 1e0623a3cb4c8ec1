// Reset and Close: the life of a session. The contract is in request.h.
#include "request.h"

#include "arrival.h"
#include "log.h"

void request_take_reset(const struct request *r)
{
    const struct wire_reset *reset = &r->message->reset;
    struct session *session = request_session(r, reset->handle, reset->session, reset->epoch, ACCESS_OWN);
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
    struct session *session = request_session(r, close->handle, close->session, close->epoch, ACCESS_OWN);
    if (!session)
        return;
    log_event(LOG_DEBUG, close->forget ? "forget" : "close", LOG_TEXT("session", session->name),
              LOG_TEXT("peer", r->connection->peer));
    if (session->owner)
        slot_release(connection_slot(session->owner, session->handle));
    session->owner = NULL;
    request_done(r, session);
    if (close->forget) {
        arrival_left(r->server, session);
        session_free(&r->server->sessions, session);
    }
}
