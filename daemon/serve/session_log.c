// A session's records in the experience log; the contract is in session_log.h.
#include "session_log.h"

#include "house_internal.h"
#include "rebuild.h"
#include "session_state.h"

#include <errno.h>
#include <stdlib.h>

// The record is at that position.
static int noted(struct server *server, struct session *session, uint64_t position)
{
    if (position == 0)
        return -EAGAIN;
    session->position = server->position = position;
    return 0;
}

int session_log_row(struct server *server, struct session *session)
{
    if (!server->queue)
        return 0;
    if (session->id == 0)
        session->id = store_new_session_id(house_store(server->house));
    const struct model *model = session->served->model;
    struct store_session row = {
        .id = session->id, .name = session->name, .identity = session->identity, .model = model->name,
        .model_digest = model->digest, .epoch = session->epoch, .opener = session->opener, .task = session->task,
        .hold_prior = session->hold_prior, .told_task = session->told_task, .told_count = session_told_dim(session),
        .count = agent_belief_count(&session->belief)};
    digest_bytes(row.digest, agent_belief_digest(&session->belief));
    session->row_due = noted(server, session, store_put_session(server->queue, &row)) != 0;
    return session->row_due ? -EAGAIN : 0;
}

static int put_state(struct server *server, struct session *session, const struct wire_envelope *state)
{
    wire_arena_reset(&server->encode_arena);
    long size = wire_encode(NULL, 0, state, &server->encode_arena);
    if (size < 0)
        return (int)size;
    uint8_t *frame = malloc((size_t)size);
    if (!frame)
        return -ENOMEM;
    wire_arena_reset(&server->encode_arena);
    wire_encode(frame, (size_t)size, state, &server->encode_arena);
    struct wire_bytes body = wire_body(frame, (size_t)size);
    int error = noted(server, session, store_put_state(server->queue, session->id, body.bytes, body.size));
    free(frame);
    return error;
}

int session_log_state(struct server *server, struct session *session)
{
    if (!server->queue)
        return 0;
    if (session->row_due && session_log_row(server, session))
        return -EAGAIN;
    struct portrait portrait;
    if (portrait_init(&portrait, session))
        return -ENOMEM;
    const struct wire_envelope state = {.kind = WIRE_SESSION_STATE, .session_state = portrait.state};
    int error = put_state(server, session, &state);
    portrait_release(&portrait);
    if (error)
        return error;
    session->state_position = session->position;
    session->state_age = 0;
    return 0;
}

int session_log_explored(struct server *server, struct session *session)
{
    if (session->row_due && session_log_row(server, session))
        return -EAGAIN;
    if (noted(server, session, store_put_explored(server->queue, session->id)))
        return -EAGAIN;
    store_put_let_go(server->queue, session->id);  // retention may have it now; should it not be told, it keeps it
    return 0;
}

int session_log_forget_explored(struct server *server, uint64_t number)
{
    uint64_t position = store_put_forget_explored(server->queue, number);
    if (position == 0)
        return -EAGAIN;
    server->position = position;
    return 0;
}

int session_log_forget(struct server *server, struct session *session)
{
    if (!server->queue || session->id == 0)
        return 0;
    return noted(server, session, store_put_forget(server->queue, session->id));
}

int session_log_has_room(const struct server *server, const struct session *session, size_t count)
{
    const struct model *model = session->served->model;
    return !server->queue ||
           store_has_room(server->queue, count * store_transition_size(model->observation_dim, model->action_dim));
}

static void follow_disk(const struct server *server, struct session *session)
{
    uint64_t durable = store_durable(server->queue);
    struct durable_mark *marks = session->marks;
    if (marks[1].position != 0 && marks[1].position <= durable) {
        session->durable_seq = marks[1].seq;
        marks[0] = marks[1] = (struct durable_mark){0};
    } else if (marks[0].position != 0 && marks[0].position <= durable) {
        session->durable_seq = marks[0].seq;
        marks[0] = marks[1];
        marks[1] = (struct durable_mark){0};
    }
}

// Two marks are enough: the older one comes true, and then the newer one is the older.
static void mark(const struct server *server, struct session *session, uint64_t seq)
{
    follow_disk(server, session);
    struct durable_mark *at = &session->marks[session->marks[0].position != 0];
    *at = (struct durable_mark){seq > session->last_transition ? seq : session->last_transition, session->position};
}

int session_log_transition(struct server *server, struct session *session, struct store_transition *transition)
{
    if (!server->queue)
        return 0;
    if (session->row_due && session_log_row(server, session))
        return -EAGAIN;
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    transition->session = session->id;
    transition->count = agent_belief_count(&session->belief);
    transition->digest = digest;
    transition->observation_dim = session->served->model->observation_dim;
    transition->action_dim = session->served->model->action_dim;
    if (noted(server, session, store_put_transition(server->queue, transition)))
        return -EAGAIN;
    if (session->rebuild)
        rebuild_also(session->rebuild, transition);
    session->state_age++;
    if (transition->writer == 0)
        mark(server, session, transition->seq);
    return 0;
}

uint64_t session_durable_seq(const struct server *server, struct session *session)
{
    if (!server->queue)
        return 0;
    follow_disk(server, session);
    if (session->undurable_first != 0 && session->undurable_first <= session->durable_seq)
        return session->undurable_first - 1;
    return session->durable_seq;
}

int session_is_durable(const struct server *server, const struct session *session)
{
    return !server->queue || session->position <= store_durable(server->queue);
}

void session_note_undurable(struct session *session, uint64_t seq)
{
    if (session->undurable_first == 0 || seq < session->undurable_first)
        session->undurable_first = seq;
    if (seq > session->undurable_last)
        session->undurable_last = seq;
}

void session_undurable_came(struct session *session)
{
    if (session->undurable_first == 0)
        return;
    session->undurable_first = seen_next_hole(&session->writers[0].seen, session->undurable_first);
    if (session->undurable_first == 0 || session->undurable_first > session->undurable_last)
        session->undurable_first = session->undurable_last = 0;
}

void session_log_move(const struct server *server, struct session *session)
{
    if (server->queue)
        follow_disk(server, session);
    if (session_is_durable(server, session))
        session->durable_seq = session->last_transition;
    session->position = session->state_position = 0;
    session->marks[0] = session->marks[1] = (struct durable_mark){0};
}
