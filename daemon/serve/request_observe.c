// Observe: which of the transitions are new, and those into the belief. The contract is in request.h.
#include "request.h"

#include "batch.h"
#include "durable.h"
#include "session_log.h"

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
        if (t->seq == 0 || t->seq > SEQ_LIMIT) {
            snprintf(field, sizeof field, "transitions[%zu].seq", i);
            request_refuse(r, WIRE_INVALID, field, SEQ_LIMIT, "a transition's number is 1 to 2^63 - 1");
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
    if (before && before->count > server->limits.gaps + 1)
        return -ENOSPC;  // more than today's limit already
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

// No transition leads to the number of an Act.
static int follows_an_act(const struct session *session, uint64_t seq)
{
    return session->seq > session->last_transition && seq == session->seq + 1;
}

// The transition has its number: it is in the log, and in the belief or refused for good.
static int take(const struct request *r, struct session *session, const struct wire_transition *t,
                enum wire_status status, int is_end)
{
    const struct wire_observe *observe = &r->message->observe;
    struct store_transition row = {
        .writer = observe->writer, .task = observe->task ? observe->task : session->task, .seq = t->seq,
        .status = (uint32_t)status, .observation = t->observation.values, .action = t->action.values,
        .next_observation = t->next_observation.values, .reward = t->reward,
        .first = observe->writer == 0 && follows_an_act(session, t->seq), .last = is_end};
    if (session_log_transition(r->server, session, &row))
        return -EAGAIN;
    int error;
    session_mark_seen(session, session_writer(session, observe->writer, &r->server->limits, &error), t->seq);
    session->refused += status != WIRE_STATUS_ABSORBED;
    return 0;
}

// One pass: which[k] of the message is served->observations[k]. Rows of one pass carry the belief after it.
static void absorb_pass(const struct request *r, struct session *session, const size_t *which, size_t count,
                        size_t end)
{
    const struct wire_observe *observe = &r->message->observe;
    struct served *served = session->served;
    agent_observe(served->model, served->scratch, served->observations, count);
    for (size_t k = 0; k < count; k++) {
        struct observation_item *item = &served->observations[k];
        enum wire_status *status = &r->server->statuses[which[k]];
        if (item->status != OBSERVE_ABSORBED)
            *status = batch_status(item->status);
        if (!take(r, session, &observe->transitions[which[k]], *status, which[k] == end))
            continue;
        // The log stopped taking within this message: what is not in it is not in the belief either.
        if (item->status == OBSERVE_ABSORBED)
            agent_take_back(item);
        *status = WIRE_STATUS_UNDURABLE;
    }
}

// The order in which transitions are taken: as they came, or for a recurrent belief by their numbers.
static void order(size_t *place, const struct wire_observe *observe, int by_number)
{
    for (size_t i = 0; i < observe->transition_count; i++) {
        size_t at = i;
        for (; by_number && at > 0 && observe->transitions[place[at - 1]].seq > observe->transitions[i].seq; at--)
            place[at] = place[at - 1];
        place[at] = i;
    }
}

// Takes those that are new, in passes of at most AGENT_BATCH_LIMIT. A recurrent belief takes one at a time, so that what
// the log does not take can be undone, and its own writer's only.
static void absorb(const struct request *r, struct session *session, size_t end)
{
    const struct wire_observe *observe = &r->message->observe;
    struct served *served = session->served;
    enum wire_status *statuses = r->server->statuses;
    int is_recurrent = model_is_recurrent(served->model);
    size_t which[AGENT_BATCH_LIMIT], count = 0, limit = is_recurrent ? 1 : AGENT_BATCH_LIMIT, place[OBSERVE_LIMIT];
    order(place, observe, is_recurrent);
    for (size_t k = 0; k < observe->transition_count; k++) {
        size_t i = place[k];
        const struct wire_transition *t = &observe->transitions[i];
        if (statuses[i] == WIRE_STATUS_ABSORBED && is_recurrent && observe->writer != 0)
            statuses[i] = WIRE_STATUS_OUT_OF_ORDER;
        int is_refused = statuses[i] == WIRE_STATUS_OTHER_TASK || statuses[i] == WIRE_STATUS_OUT_OF_ORDER;
        if (is_refused && take(r, session, t, statuses[i], i == end))
            statuses[i] = WIRE_STATUS_UNDURABLE;
        if (statuses[i] != WIRE_STATUS_ABSORBED)
            continue;
        which[count] = i;
        served->observations[count++] = (struct observation_item){
            .belief = &session->belief, .observation = t->observation.values, .action = t->action.values,
            .next_observation = t->next_observation.values, .reward = t->reward, .number = t->seq};
        if (count == limit) {
            absorb_pass(r, session, which, count, end);
            count = 0;
        }
    }
    if (count > 0)
        absorb_pass(r, session, which, count, end);
}

// The transition of writer 0 with the highest number, if that is beyond where the session is: what a robot did while
// it was away. Its Steps go on after an Act. Or transition_count.
static size_t find_end(const struct session *session, const struct wire_observe *observe)
{
    size_t end = observe->transition_count;
    uint64_t highest = session->seq;
    for (size_t i = 0; i < observe->transition_count && observe->writer == 0; i++) {
        if (observe->transitions[i].seq > highest) {
            highest = observe->transitions[i].seq;
            end = i;
        }
    }
    return end;
}

// After transitions of the session's own writer.
static void move_on(const struct request *r, struct session *session)
{
    const struct wire_observe *observe = &r->message->observe;
    uint64_t highest = 0;
    int after_act = 0;
    for (size_t i = 0; i < observe->transition_count; i++) {
        if (r->server->statuses[i] == WIRE_STATUS_UNDURABLE)
            continue;
        after_act |= follows_an_act(session, observe->transitions[i].seq);
        if (observe->transitions[i].seq > highest)
            highest = observe->transitions[i].seq;
    }
    if (after_act && session->seq > 0)
        session_mark_seen(session, &session->writers[0], session->seq);
    if (highest > session->last_transition)
        session->last_transition = highest;
    if (highest > session->seq) {
        session->seq = highest;
        session->standing = 0;
        session->last_step.valid = 0;
    }
    session_undurable_came(session);
}

// The log cannot take it: nothing is taken, and each new one says so.
static void take_nothing(const struct request *r)
{
    const struct wire_observe *observe = &r->message->observe;
    for (size_t i = 0; i < observe->transition_count; i++)
        if (r->server->statuses[i] != WIRE_STATUS_DUPLICATE)
            r->server->statuses[i] = WIRE_STATUS_UNDURABLE;
}

// Waits for the disk, unless it only says that nothing is new there.
static void reply_observed(const struct request *r, struct session *session)
{
    struct server *server = r->server;
    const struct wire_observe *observe = &r->message->observe;
    int waits = 0;
    for (size_t i = 0; i < observe->transition_count; i++) {
        enum wire_status status = server->statuses[i];
        count_add(&server->metrics.transitions[status], 1);
        count_add(&server->metrics.undurable, status == WIRE_STATUS_UNDURABLE);
        session->duplicates += status == WIRE_STATUS_DUPLICATE;
        waits |= status != WIRE_STATUS_UNDURABLE;
    }
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_OBSERVED};
    reply.observed = (struct wire_observed){
        server->statuses, observe->transition_count, agent_belief_count(&session->belief),
        {digest, sizeof digest}};
    durable_reply(server, r->connection, &reply, waits ? session->position : 0, 0, r->now_us);
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
    size_t fresh = 0;
    for (size_t i = 0; i < observe->transition_count; i++)
        fresh += server->statuses[i] != WIRE_STATUS_DUPLICATE;
    if (fresh == 0 || session_log_has_room(server, session, fresh))
        absorb(r, session, find_end(session, observe));
    else
        take_nothing(r);
    if (observe->writer == 0)
        move_on(r, session);
    reply_observed(r, session);
}
