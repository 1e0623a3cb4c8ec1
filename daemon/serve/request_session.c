// Reset and Close: the life of a session. The contract is in request.h.
#include "request.h"

#include "arrival.h"
#include "log.h"
#include "session_log.h"

enum { ROOM_FOR_A_ROW = 8 };  // transitions that take more room than a session's row

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
    if (reset->scope == WIRE_EPISODE) {
        session->standing = 0;
        request_done(r, session);
        return;
    }
    if (reset->task == session->task) {
        if (!session_log_has_room(r->server, session, ROOM_FOR_A_ROW)) {
            request_refuse(r, WIRE_UNDURABLE, "", 0, "the experience log cannot take it now");
            return;
        }
        agent_belief_reset(&session->belief);
        session->task++;
        session->standing = 0;
        // Should the log refuse just now, then it takes this row before any transition of the new task.
        session_log_row(r->server, session);
    }
    request_done_durably(r, session, session->position);
}

void request_take_close(const struct request *r)
{
    const struct wire_close *close = &r->message->close;
    struct session *session = request_session(r, close->handle, close->session, close->epoch, ACCESS_OWN);
    if (!session)
        return;
    log_event(LOG_DEBUG, close->forget ? "forget" : "close", LOG_TEXT("session", session->name),
              LOG_TEXT("peer", r->connection->peer));
    if (close->forget && session_log_forget(r->server, session)) {
        request_refuse(r, WIRE_UNDURABLE, "forget", 0, "the experience log cannot take it now");
        return;
    }
    if (session->owner)
        slot_release(connection_slot(session->owner, session->handle));
    session->owner = NULL;
    if (close->forget)
        request_done_durably(r, session, session->position);
    else
        request_done(r, session);
    if (close->forget) {
        arrival_left(r->server, session);
        session_free(&r->server->sessions, session);
    }
}
