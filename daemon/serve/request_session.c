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
    if (reset->scope == WIRE_EPISODE && reset->told_task.count > 0) {
        request_refuse(r, WIRE_INVALID, "told_task", 0, "a task is told when it begins, not with another episode of it");
        return;
    }
    if (reset->scope == WIRE_TASK && !request_may_tell(r, session->served->model, reset->told_task, 1))
        return;
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
        session_tell(session, reset->told_task);
        session->standing = 0;
        // Should the log refuse just now, then it takes this row before any transition of the new task.
        session_log_row(r->server, session);
    }
    request_done_durably(r, session, session->position);
}

// Are its transitions whole? 0: the refusal was sent.
static int may_finish(const struct request *r, const struct session *session)
{
    if (!r->server->queue)
        request_refuse(r, WIRE_UNSUPPORTED, "finish", 0, "this daemon keeps no experience log");
    else if (!session->explore)
        request_refuse(r, WIRE_INVALID, "finish", 0, "the session was not opened to explore");
    else if (session->undurable_first != 0)
        request_refuse(r, WIRE_UNDURABLE, "finish", 0, "transition %llu is missing, which the log could not take",
                       (unsigned long long)session->undurable_first);
    else
        return 1;
    return 0;
}

void request_take_close(const struct request *r)
{
    const struct wire_close *close = &r->message->close;
    struct session *session = request_session(r, close->handle, close->session, close->epoch, ACCESS_OWN);
    if (!session)
        return;
    if (close->finish && !close->forget && !may_finish(r, session))
        return;
    int leaves = close->forget || close->finish;
    log_event(LOG_DEBUG, close->forget ? "forget" : close->finish ? "finish" : "close", LOG_TEXT("session", session->name),
              LOG_TEXT("peer", r->connection->peer));
    if (close->forget ? session_log_forget(r->server, session)
                      : close->finish && session_log_explored(r->server, session)) {
        request_refuse(r, WIRE_UNDURABLE, close->forget ? "forget" : "finish", 0,
                       "the experience log cannot take it now");
        return;
    }
    if (session->owner)
        slot_release(connection_slot(session->owner, session->handle));
    session->owner = NULL;
    if (leaves)
        request_done_durably(r, session, session->position);
    else
        request_done(r, session);
    if (leaves) {
        arrival_left(r->server, session);
        session_free(&r->server->sessions, session);
    }
}
