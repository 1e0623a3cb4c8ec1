// Save, Restore and HandOver: sessions as messages. The contract is in request.h.
#include "request.h"

#include "arrival.h"
#include "durable.h"
#include "house_internal.h"
#include "log.h"
#include "permission.h"
#include "session_log.h"
#include "session_state.h"

#include <errno.h>
#include <string.h>

enum { FREEZE_US = 10000000 };          // a hand-over that nobody ends ends itself
static const uint64_t moved_us = 3600ull * 1000000;  // clients are told for so long where a session went

// Its state as it is now; leaving: as it is for the daemon that gets it.
static void reply_state(const struct request *r, const struct session *session, int leaving)
{
    struct server *server = r->server;
    struct portrait portrait;
    if (portrait_init(&portrait, session)) {
        request_refuse(r, WIRE_LIMIT, "session", 0, "no memory for the session's state");
        return;
    }
    struct wire_envelope reply = {
        .request_id = r->message->request_id, .kind = WIRE_SESSION_STATE, .session_state = portrait.state};
    reply.session_state.epoch += (uint64_t)leaving;
    reply.session_state.hand_overs += (uint32_t)leaving;
    wire_arena_reset(&server->encode_arena);
    long size = wire_encode(NULL, 0, &reply, &server->encode_arena);
    if (size < 0 || (size_t)size > server->limits.frame_bytes)
        request_refuse(r, WIRE_LIMIT, "frame_bytes", server->limits.frame_bytes,
                       "the session's state does not fit into a frame");
    else
        server_reply(server, r->connection, &reply);
    portrait_release(&portrait);
}

void request_take_save(const struct request *r)
{
    struct session *session = request_session_named(r, r->message->save.session, ACCESS_READ);
    if (!session)
        return;
    request_settle(r, session);
    reply_state(r, session, 0);
}

// Whoever had the older session of that name is fenced; what the log has of it goes. 0: the refusal was sent.
static int make_way(const struct request *r, struct session *before, const struct wire_session_state *state)
{
    struct server *server = r->server;
    request_settle(r, before);
    if (!permission_for_session(&r->connection->identity, before->identity, ACCESS_OWN)) {
        request_refuse(r, WIRE_PERMISSION, "state.session", 0, "the session belongs to somebody else");
    } else if (before->frozen_until_us && !request_session_is_free(r, before)) {
        return 0;
    } else if (before->epoch >= state->epoch) {
        request_refuse(r, WIRE_FENCED, "state.epoch", 0, "the session is here with epoch %llu",
                       (unsigned long long)before->epoch);
    } else if (session_log_forget(server, before)) {
        request_refuse(r, WIRE_UNDURABLE, "", 0, "the experience log cannot take it now");
    } else {
        if (before->owner)
            connection_slot(before->owner, before->handle)->state = SLOT_FENCED;
        session_free(&server->sessions, before);
        return 1;
    }
    return 0;
}

void request_take_restore(const struct request *r)
{
    struct server *server = r->server;
    const struct wire_session_state *state = r->message->restore.state;
    const struct identity *identity = &r->connection->identity;
    if (server->draining) {
        request_refuse(r, WIRE_DRAINING, "", 0, "the daemon is stopping");
        return;
    }
    if (!state) {
        request_refuse(r, WIRE_INVALID, "state", 0, "there is no state in it");
        return;
    }
    if (!permission_for_session(identity, state->identity, ACCESS_OWN)) {
        request_refuse(r, WIRE_PERMISSION, "state.identity", 0, "the session belongs to somebody else");
        return;
    }
    int nowhere;
    struct session *before = request_find(r, state->session, &nowhere);
    if (!before && !nowhere)
        return;
    struct state_fault fault;
    struct session *session = session_from_state(server, state, 0, &fault);
    if (!session)
        request_refuse(r, fault.code, fault.field, fault.limit, "%s", fault.message);
    else if (!session_log_has_room(server, session, 1))
        request_refuse(r, WIRE_UNDURABLE, "", 0, "the experience log cannot take it now");
    else if (!before || make_way(r, before, state))
        goto take;
    session_destroy(session);
    if (nowhere)
        arrival_give_up(server, state->session);
    return;
take:
    session_link(&server->sessions, session);
    session->heard_us = r->now_us;
    moved_forget(&server->house->moved, session->name);
    // Nothing of it but this is in our log.
    if (session_log_row(server, session) || session_log_state(server, session))
        log_event(LOG_WARNING, "restore_not_logged", LOG_TEXT("session", session->name));
    log_event(LOG_INFO, "restored", LOG_TEXT("session", session->name), LOG_TEXT("peer", r->connection->peer),
              LOG_NUMBER("epoch", session->epoch), LOG_NUMBER("transitions", state->count));
    request_reply_opened(r, session, 1);
}

static void confirm(const struct request *r, struct session *session, const char *to)
{
    struct server *server = r->server;
    int error = moved_note(&server->house->moved, session->name, to, r->now_us + moved_us, r->now_us);
    if (error) {
        request_refuse(r, WIRE_LIMIT, "session", MOVED_LIMIT, "too many sessions moved within the hour");
        return;
    }
    if (session_log_forget(server, session))
        log_event(LOG_WARNING, "move_not_logged", LOG_TEXT("session", session->name));
    log_event(LOG_INFO, "moved", LOG_TEXT("session", session->name), LOG_TEXT("to", to),
              LOG_NUMBER("transitions", agent_belief_count(&session->belief)));
    count_add(&server->metrics.sessions_moved, 1);
    reply_state(r, session, 1);
    server_let_go(session);
    arrival_left(server, session);
    session_free(&server->sessions, session);
}

void request_take_hand_over(const struct request *r)
{
    const struct wire_hand_over *hand_over = &r->message->hand_over;
    struct session *session = request_session_named(r, hand_over->session, ACCESS_OWN);
    if (!session)
        return;
    request_settle(r, session);
    int frozen = session->frozen_until_us > r->now_us;
    switch (hand_over->phase) {
    case WIRE_FREEZE:
        if (!frozen || !request_session_is_free(r, session)) {
            if (frozen)
                return;
            session->frozen_until_us = r->now_us + FREEZE_US;
            reply_state(r, session, 1);
        }
        break;
    case WIRE_CONFIRM:
        if (!frozen)
            request_refuse(r, WIRE_INVALID, "phase", 0, "the session is not frozen (any more)");
        else if (strlen(hand_over->to) < 1 || strlen(hand_over->to) > MOVED_ADDRESS_LIMIT)
            request_refuse(r, WIRE_INVALID, "to", MOVED_ADDRESS_LIMIT, "an address of 1 to %d bytes tells clients",
                           MOVED_ADDRESS_LIMIT);
        else
            confirm(r, session, hand_over->to);
        break;
    case WIRE_THAW:
        session->frozen_until_us = 0;
        reply_state(r, session, 0);
        break;
    default:
        request_refuse(r, WIRE_INVALID, "phase", 0, "a phase is FREEZE, CONFIRM or THAW");
        break;
    }
}
