// Which session does a request mean, and may it have it? The contract is in request.h.
#include "request.h"

#include "arrival.h"
#include "batch.h"
#include "house_internal.h"
#include "moved.h"
#include "permission.h"

#include <string.h>

int request_refuse_moved(const struct request *r, const char *name)
{
    char address[MOVED_ADDRESS_LIMIT + 1];
    if (!moved_find(&r->server->house->moved, name, address, r->now_us))
        return 0;
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_ERROR};
    reply.error = (struct wire_error){
        .code = WIRE_MOVED, .field = "session", .message = "the session is at another daemon now",
        .address = address};
    count_add(&r->server->metrics.refusals[WIRE_MOVED], 1);
    server_reply(r->server, r->connection, &reply);
    return 1;
}

struct session *request_find(const struct request *r, const char *name, int *nowhere)
{
    struct session *session = session_find(&r->server->sessions, name);
    const char *why = "";
    *nowhere = 0;
    if (session && !session->leaving)
        return session;
    if (!session_name_valid(name)) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_INVALID, "session", WIRE_SESSION_LIMIT,
                       "a session's name is 1 to %d of A-Z a-z 0-9 . _ : -", WIRE_SESSION_LIMIT);
        return NULL;
    }
    switch (arrival_look(r->server, name, &session, &why)) {
    case ARRIVAL_HERE:
        return session;
    case ARRIVAL_NOWHERE:
        *nowhere = 1;
        break;
    case ARRIVAL_COMING:
        arrival_park(r, name);
        break;
    case ARRIVAL_FULL:
        request_settle(r, NULL);
        if (!request_refuse_moved(r, name))
            request_refuse(r, WIRE_LIMIT, "session", r->server->limits.sessions, "no more than %zu sessions",
                           r->server->limits.sessions);
        break;
    case ARRIVAL_FAILED:
        request_settle(r, NULL);
        request_refuse(r, WIRE_INTERNAL, "session", 0, "%s", why);
        break;
    }
    return NULL;
}

int request_session_is_free(const struct request *r, struct session *session)
{
    if (session->frozen_until_us <= r->now_us) {
        session->frozen_until_us = 0;
        return 1;
    }
    request_settle(r, session);
    request_refuse(r, WIRE_BUSY, "session", 0, "the session is on its way to another daemon");
    return 0;
}

struct session *request_session_named(const struct request *r, const char *name, enum access access)
{
    int nowhere;
    struct session *session = request_find(r, name, &nowhere);
    if (nowhere) {
        arrival_give_up(r->server, name);
        request_settle(r, NULL);
        if (!request_refuse_moved(r, name))
            request_refuse(r, WIRE_UNKNOWN_SESSION, "session", 0, "there is no such session");
    }
    if (!session)
        return NULL;
    if (!permission_for_session(&r->connection->identity, session->identity, access)) {
        request_settle(r, session);
        request_refuse(r, WIRE_PERMISSION, "session", 0, "the session belongs to somebody else");
        return NULL;
    }
    return session;
}

static struct session *with_epoch(const struct request *r, const char *name, uint64_t epoch, enum access access,
                                  const char *field)
{
    struct session *session = request_session_named(r, name, access);
    // Hand-overs since the last Open leave the session to who opened it.
    if (!session || (epoch == 0 && access == ACCESS_READ) ||
        (epoch != 0 && epoch <= session->epoch && session->epoch - epoch <= session->hand_overs))
        return session;
    request_settle(r, session);
    if (epoch == 0)
        request_refuse(r, WIRE_INVALID, "epoch", 0, "a session that is named needs the epoch that Opened told");
    else
        request_refuse(r, WIRE_FENCED, field, 0, "the session was opened again");
    return NULL;
}

// Back on this server, it is held by its handle as before.
static void hold_again(struct connection *connection, struct slot *slot, struct session *session)
{
    if (session->owner)
        return;
    slot->state = SLOT_HELD;
    slot->session = session;
    session->owner = connection;
    session->handle = slot->handle;
}

struct session *request_session(const struct request *r, uint32_t handle, const char *name, uint64_t epoch,
                                enum access access)
{
    struct slot *slot = handle ? connection_slot(r->connection, handle) : NULL;
    struct session *session = NULL;
    if (slot && slot->state == SLOT_HELD) {
        session = slot->session;
    } else if (slot && slot->state == SLOT_AWAY) {
        session = with_epoch(r, slot->name, slot->epoch, access, "handle");
        if (session)
            hold_again(r->connection, slot, session);
    } else if (slot) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_FENCED, "handle", 0, "the session was opened again elsewhere");
    } else if (!handle && name && *name) {
        session = with_epoch(r, name, epoch, access, "epoch");
    } else {
        request_settle(r, NULL);
        request_refuse(r, WIRE_UNKNOWN_SESSION, "handle", 0, "handle %u names no session on this connection", handle);
    }
    if (!session)
        return NULL;
    if (session->frozen_until_us && access == ACCESS_OWN && !request_session_is_free(r, session))
        return NULL;
    session->heard_us = r->now_us;
    if (session->waiting != WAITING_FOR_NOTHING && r->message->kind != WIRE_STEP && r->message->kind != WIRE_ACT)
        batch_run(r->server, session->served);
    return session;
}
