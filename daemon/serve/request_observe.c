// Observe: which of the transitions are new, and those into the belief. The contract is in request.h.
#include "request.h"

#include <errno.h>
#include <stdio.h>

enum { FIELD_LIMIT = 64 };

// Are all transitions well formed? Numbers that are not finite are a matter of the single transition.
static int transitions_are_valid(const struct request *r, const struct session *session)
{
    const struct wire_observe *observe = &r->message->observe;
    const struct model *model = session->served->model;
    char field[FIELD_LIMIT];
    for (size_t i = 0; i < observe->transition_count; i++) {
        const struct wire_transition *t = &observe->transitions[i];
        const struct {
            const char *name;
            size_t count, dim;
        } vectors[] = {{"observation", t->observation.count, model->observation_dim},
                       {"action", t->action.count, model->action_dim},
                       {"next_observation", t->next_observation.count, model->observation_dim}};
        if (t->seq == 0) {
            snprintf(field, sizeof field, "transitions[%zu].seq", i);
            request_refuse(r, WIRE_INVALID, field, 0, "a transition's number is at least 1");
            return 0;
        }
        for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
            if (vectors[v].count == vectors[v].dim)
                continue;
            snprintf(field, sizeof field, "transitions[%zu].%s", i, vectors[v].name);
            request_refuse(r, WIRE_INVALID, field, vectors[v].dim, "%s has %zu numbers, not %zu", field,
                           vectors[v].count, vectors[v].dim);
            return 0;
        }
    }
    return 1;
}

// Which transitions are new? Tries them on a copy of the writer's set, so that a refusal changes nothing. Statuses
// of new ones are ABSORBED until the belief says otherwise. 0, or -ENOSPC: too many gaps.
static int sort_out(const struct request *r, const struct session *session, const struct seen *before,
                    struct seen *after)
{
    const struct wire_observe *observe = &r->message->observe;
    struct server *server = r->server;
    int other_task = observe->task != 0 && observe->task != session->task;
    seen_init(after, server->ranges, server->limits.gaps + 1 + OBSERVE_LIMIT);
    if (before)
        seen_copy(after, before);
    for (size_t i = 0; i < observe->transition_count; i++) {
        int is_new = seen_add(after, observe->transitions[i].seq);
        server->statuses[i] = !is_new      ? WIRE_STATUS_DUPLICATE
                              : other_task ? WIRE_STATUS_OTHER_TASK
                                           : WIRE_STATUS_ABSORBED;
    }
    return after->count <= server->limits.gaps + 1 ? 0 : -ENOSPC;
}

// Absorbs those whose status says so, in passes of at most AGENT_BATCH_LIMIT.
static void absorb(const struct request *r, struct session *session)
{
    const struct wire_observe *observe = &r->message->observe;
    struct served *served = session->served;
    enum wire_status *statuses = r->server->statuses;
    size_t which[AGENT_BATCH_LIMIT], count = 0;
    for (size_t i = 0; i <= observe->transition_count; i++) {
        if (count == AGENT_BATCH_LIMIT || (i == observe->transition_count && count > 0)) {
            agent_observe(served->model, served->scratch, served->observations, count);
            for (size_t k = 0; k < count; k++)
                if (served->observations[k].status != OBSERVE_ABSORBED)
                    statuses[which[k]] = served->observations[k].status == OBSERVE_NOT_FINITE
                                             ? WIRE_STATUS_NOT_FINITE
                                             : WIRE_STATUS_OUT_OF_RANGE;
            count = 0;
        }
        if (i == observe->transition_count || statuses[i] != WIRE_STATUS_ABSORBED)
            continue;
        const struct wire_transition *t = &observe->transitions[i];
        which[count] = i;
        served->observations[count++] = (struct observation_item){
            .belief = &session->belief, .observation = t->observation.values, .action = t->action.values,
            .next_observation = t->next_observation.values, .reward = t->reward};
    }
}

// Transitions of the session's own writer that a robot made while it was away: its Steps go on after them.
static void move_past(struct session *session, const struct wire_observe *observe)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < observe->transition_count; i++)
        if (observe->transitions[i].seq > highest)
            highest = observe->transitions[i].seq;
    if (highest > session->last_transition)
        session->last_transition = highest;
    if (highest > session->seq) {
        session->seq = highest;
        session->standing = 0;
        session->last_step.valid = 0;
    }
}

void request_take_observe(const struct request *r)
{
    const struct wire_observe *observe = &r->message->observe;
    struct server *server = r->server;
    struct session *session = request_session(r, observe->handle, observe->session, observe->epoch, ACCESS_OWN);
    if (!session)
        return;
    if (observe->transition_count > OBSERVE_LIMIT) {
        request_refuse(r, WIRE_LIMIT, "transitions", OBSERVE_LIMIT, "no more than %d transitions at once",
                       OBSERVE_LIMIT);
        return;
    }
    if (observe->task > session->task) {
        request_refuse(r, WIRE_INVALID, "task", session->task, "task %u has not begun; the current one is %u",
                       observe->task, session->task);
        return;
    }
    if (!transitions_are_valid(r, session))
        return;
    struct writer *writer = session_find_writer(session, observe->writer);
    struct seen after;
    if (sort_out(r, session, writer ? &writer->seen : NULL, &after)) {
        request_refuse(r, WIRE_LIMIT, "transitions", server->limits.gaps,
                       "writer %u would have more than %zu gaps between its transitions", observe->writer,
                       server->limits.gaps);
        return;
    }
    int error = 0;
    writer = session_writer(session, observe->writer, &server->limits, &error);
    if (!writer) {
        if (error == -ENOSPC)
            request_refuse(r, WIRE_LIMIT, "writer", server->limits.writers, "no more than %zu writers",
                           server->limits.writers);
        else
            request_refuse(r, WIRE_LIMIT, "writer", session->writer_count, "no memory for another writer");
        return;
    }
    seen_copy(&writer->seen, &after);
    absorb(r, session);
    if (observe->writer == 0)
        move_past(session, observe);

    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_OBSERVED};
    reply.observed = (struct wire_observed){
        server->statuses, observe->transition_count, agent_belief_count(&session->belief),
        {digest, sizeof digest}};
    server_reply(server, r->connection, &reply);
}
