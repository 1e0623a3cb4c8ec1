// Open: a session is made, resumed or taken over. The contract is in request.h.
#include "request.h"

#include "arrival.h"
#include "door.h"
#include "durable.h"
#include "house_internal.h"
#include "log.h"
#include "permission.h"
#include "session_log.h"

#include <string.h>

static size_t sessions_of(const struct server *server, const char *identity)
{
    size_t count = 0;
    for (const struct session *session = server->sessions.first; session; session = session->next)
        count += !strcmp(session->identity, identity);
    return count;
}

// NULL: the refusal was sent.
static struct session *make(const struct request *r)
{
    struct server *server = r->server;
    const struct wire_open *open = &r->message->open;
    const struct identity *identity = &r->connection->identity;
    if (request_refuse_moved(r, open->session))
        return NULL;
    if (open->epoch != 0) {
        request_refuse(r, WIRE_UNKNOWN_SESSION, "session", 0, "there is no such session");
        return NULL;
    }
    struct served *served = house_model(server, open->model);
    if (!served) {
        request_refuse(r, WIRE_UNKNOWN_MODEL, "model", 0, "no model of that name is served");
        return NULL;
    }
    if (!request_may_tell(r, served->model, open->told_task, 1))
        return NULL;
    if (identity->sessions > 0 && sessions_of(server, identity->name) >= identity->sessions) {
        request_refuse(r, WIRE_LIMIT, "session", identity->sessions, "%s may have no more than %u sessions",
                       identity->name, identity->sessions);
        return NULL;
    }
    struct session *session = session_new(&server->sessions, open->session, served, &server->limits);
    if (!session) {
        request_refuse(r, WIRE_LIMIT, "session", server->sessions.count, "no memory for another session");
        return NULL;
    }
    strcpy(session->identity, identity->name);
    return session;
}

// May this session be opened so?
static int may_open(const struct request *r, struct session *session)
{
    const struct wire_open *open = &r->message->open;
    const char *has = session->served->model->name;
    const struct served *wanted = *open->model ? house_model(r->server, open->model) : NULL;
    if (!permission_for_session(&r->connection->identity, session->identity, ACCESS_OWN))
        request_refuse(r, WIRE_PERMISSION, "session", 0, "the session belongs to somebody else");
    else if (session->frozen_until_us && !request_session_is_free(r, session))
        return 0;
    else if (open->epoch > EPOCH_LIMIT)
        request_refuse(r, WIRE_INVALID, "epoch", EPOCH_LIMIT, "an epoch is at most 2^62");
    else if (open->epoch != 0 && open->epoch + session->hand_overs < session->epoch &&
             !(open->opener && open->opener == session->opener))
        request_refuse(r, WIRE_FENCED, "epoch", 0, "the session was opened again");
    else if (*open->model && strcmp(open->model, has) && (!wanted || strcmp(wanted->model->name, has)))
        request_refuse(r, WIRE_INVALID, "model", 0, "the session has model %s", has);
    else
        return request_may_tell(r, session->served->model, open->told_task, 0);
    return 0;
}

static void fence(const struct session *session, const struct connection *by)
{
    struct slot *old = connection_slot(session->owner, session->handle);
    *old = (struct slot){.state = SLOT_FENCED, .handle = old->handle};
    log_event(LOG_INFO, "fenced", LOG_TEXT("session", session->name), LOG_TEXT("peer", session->owner->peer),
              LOG_TEXT("by", by->peer));
}

// The connection's own handle for it stays; whoever else holds it is fenced. 0: no handle is left, nothing changed.
static int take_hold(const struct request *r, struct session *session)
{
    struct connection *connection = r->connection;
    struct slot *slot = NULL;
    if (session->owner == connection)
        return 1;
    if (connection->door->has_handles && !(slot = connection_take_slot(connection, r->server->limits.sessions)))
        return 0;
    if (session->owner) {
        fence(session, connection);
        count_add(&r->server->metrics.sessions_fenced, 1);
    }
    session->owner = slot ? connection : NULL;
    session->handle = slot ? slot->handle : 0;
    if (slot) {
        slot->state = SLOT_HELD;
        slot->session = session;
    }
    return 1;
}

void request_reply_opened(const struct request *r, struct session *session, int resumed)
{
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    struct wire_model info = session->served->info;
    info.provenance = NULL;
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_OPENED};
    reply.opened = (struct wire_opened){
        .handle = session->owner ? session->handle : 0, .epoch = session->epoch, .resumed = resumed,
        .task = session->task, .seq = session->seq, .count = agent_belief_count(&session->belief),
        .digest = {digest, sizeof digest}, .model = &info,
        .durable_seq = session_durable_seq(r->server, session), .durability = r->server->durability};
    durable_reply(r->server, r->connection, &reply, session->position, 0, r->now_us);
}

void request_take_open(const struct request *r)
{
    struct server *server = r->server;
    const struct wire_open *open = &r->message->open;
    if (server->draining) {
        request_refuse(r, WIRE_DRAINING, "", 0, "the daemon is stopping");
        return;
    }
    int nowhere;
    struct session *session = request_find(r, open->session, &nowhere);
    if (nowhere && !(session = make(r)))
        arrival_give_up(server, open->session);
    if (!session)
        return;
    request_settle(r, session);
    if (!nowhere && !may_open(r, session))
        return;
    if (!take_hold(r, session)) {
        request_refuse(r, WIRE_LIMIT, "session", r->connection->slot_count, "no more sessions on this connection");
        if (nowhere) {
            session_free(&server->sessions, session);
            arrival_give_up(server, open->session);
        }
        return;
    }
    session->epoch = (open->epoch > session->epoch ? open->epoch : session->epoch) + 1;
    session->hand_overs = 0;
    session->opener = open->opener;
    session->hold_prior = open->hold_prior;
    session->explore = open->explore;
    session_tell(session, open->told_task);
    session->heard_us = r->now_us;
    count_add(nowhere ? &server->metrics.sessions_opened : &server->metrics.sessions_resumed, 1);
    log_event(LOG_DEBUG, "open", LOG_TEXT("session", session->name), LOG_TEXT("peer", r->connection->peer),
              LOG_TEXT("model", session->served->model->name), LOG_NUMBER("epoch", session->epoch));
    if (session_log_row(server, session))
        log_event(LOG_WARNING, "epoch_not_logged", LOG_TEXT("session", session->name),
                  LOG_NUMBER("epoch", session->epoch));
    request_reply_opened(r, session, !nowhere);
}
