// Batches; the contract is in batch.h.
#include "batch.h"

#include "durable.h"
#include "log.h"
#include "requests.h"
#include "session_log.h"

#include <assert.h>
#include <string.h>

// So unlikely under the belief that it counts as a surprise.
#define SURPRISE_P 1e-6

void batch_join(struct server *server, struct session *session, struct connection *connection, uint64_t request_id,
                uint64_t now_us)
{
    struct served *served = session->served;
    served->waiting[served->waiting_count++] = (struct waiting_request){session, connection, request_id, now_us};
    connection->waiting++;
    connection->promised += served->action_bound;
    if (served->waiting_count == AGENT_BATCH_LIMIT)
        batch_run(server, served);
}

static uint32_t clipped(uint64_t microseconds)
{
    return microseconds < UINT32_MAX ? (uint32_t)microseconds : UINT32_MAX;
}

enum wire_status batch_status(enum observe_status status)
{
    switch (status) {
    case OBSERVE_ABSORBED:
        return WIRE_STATUS_ABSORBED;
    case OBSERVE_NOT_FINITE:
        return WIRE_STATUS_NOT_FINITE;
    case OBSERVE_OUT_OF_ORDER:
        return WIRE_STATUS_OUT_OF_ORDER;
    default:
        return WIRE_STATUS_OUT_OF_RANGE;
    }
}

static int brings_transition(const struct session *session)
{
    return session->waiting == WAITING_STEP || session->waiting == WAITING_LAST_STEP;
}

static int put_into_log(struct server *server, struct session *session, const struct observation_item *item)
{
    struct store_transition transition = {
        .task = session->task, .seq = session->new_seq, .status = (uint32_t)batch_status(item->status),
        .observation = session->observation, .action = session->executed,
        .next_observation = session->new_observation, .reward = session->new_reward,
        .first = session->seq > session->last_transition, .last = session->waiting == WAITING_LAST_STEP};
    return session_log_transition(server, session, &transition);
}

// Only the sessions that report a transition. item[i] tells which of the requests has which; NULL: it brings none, or
// the log could not take it.
static void observe(struct server *server, struct served *served, struct observation_item *item[])
{
    size_t count = 0, transitions = 0;
    const struct session *any = served->waiting[0].session;
    for (size_t i = 0; i < served->waiting_count; i++)
        transitions += brings_transition(served->waiting[i].session);
    int has_room = transitions > 0 && session_log_has_room(server, any, transitions);
    for (size_t i = 0; i < served->waiting_count; i++) {
        struct session *session = served->waiting[i].session;
        item[i] = NULL;
        if (!has_room || !brings_transition(session))
            continue;
        item[i] = &served->observations[count++];
        *item[i] = (struct observation_item){
            .belief = &session->belief, .observation = session->observation, .action = session->executed,
            .next_observation = session->new_observation, .reward = session->new_reward,
            .number = session->new_seq};
    }
    if (count > 0)
        agent_observe(served->model, served->scratch, served->observations, count);
    for (size_t i = 0; i < served->waiting_count; i++) {
        if (!item[i] || !put_into_log(server, served->waiting[i].session, item[i]))
            continue;
        // What could not be logged is taken out of the belief again.
        if (item[i]->status == OBSERVE_ABSORBED)
            agent_take_back(item[i]);
        item[i] = NULL;
    }
}

static void act(struct served *served, struct observation_item *const item[])
{
    for (size_t i = 0; i < served->waiting_count; i++) {
        struct session *session = served->waiting[i].session;
        // The prior has absorbed nothing, so it cannot judge backwards.
        int judged = item[i] && item[i]->status == OBSERVE_ABSORBED && !session->hold_prior;
        served->actions[i] = (struct action_item){
            .belief = session->hold_prior ? NULL : &session->belief,
            .observation = session->waiting == WAITING_REPEAT ? session->observation : session->new_observation,
            .z = judged ? item[i]->z : NULL, .task = session->told_task, .action = session->action};
        if (session->explore) {
            // What the policy means; the transition that `executed` belonged to is in the belief and in the log.
            served->actions[i].output = session->action;
            served->actions[i].action = session->executed;
        }
    }
    agent_act(served->model, served->scratch, served->actions, served->waiting_count);
}

static double judged_p(const struct served *served, const struct action_item *item, enum head_kind kind)
{
    return item->z && served->model->heads[kind].present ? item->surprise[kind].p_value : 1;
}

// The transition that was taken or refused for good, or could not be logged, has writer 0's next number.
static void note_transition(struct session *session, enum wire_status status)
{
    struct writer *writer = &session->writers[0];
    uint64_t seq = session->new_seq;
    // No transition leads to the number of an Act.
    if (session->seq > session->last_transition && session->seq > 0)
        session_mark_seen(session, writer, session->seq);
    session->last_transition = seq;
    if (status == WIRE_STATUS_UNDURABLE) {
        session_note_undurable(session, seq);
        return;
    }
    session_mark_seen(session, writer, seq);
    session->refused += status != WIRE_STATUS_ABSORBED;
}

// The session moves on to its new observation.
static void advance(struct session *session, const struct action_item *item, enum wire_status status)
{
    if (brings_transition(session))
        note_transition(session, status);
    if (session->waiting != WAITING_REPEAT) {
        float *observation = session->observation;
        session->observation = session->new_observation;
        session->new_observation = observation;
        session->seq = session->new_seq;
        session->standing = session->waiting != WAITING_LAST_STEP;
    }
    session->action_known = item->error == 0;
    session->last_step = (struct remembered){
        .valid = session->waiting != WAITING_ACT,
        .has_action = session->waiting != WAITING_LAST_STEP,
        .failed = item->error != 0,
        .status = status,
        .count = agent_belief_count(&session->belief),
        .task = session->task,
        .reward_p = judged_p(session->served, item, HEAD_REWARD),
        .transition_p = judged_p(session->served, item, HEAD_TRANSITION)};
    digest_bytes(session->last_step.digest, agent_belief_digest(&session->belief));
    session->waiting = WAITING_FOR_NOTHING;
}

// What advance() noted, as the reply that it is. With durability `always` it waits for the disk.
static void answer(struct server *server, struct session *session, struct connection *connection,
                   uint64_t request_id, enum wire_status status, uint32_t queue_us, uint32_t compute_us)
{
    const struct remembered *step = &session->last_step;
    if (step->failed) {
        request_refuse_later(server, connection, request_id, WIRE_INTERNAL,
                             "no finite action follows from the belief of session %s", session->name);
        return;
    }
    struct wire_envelope reply = {.request_id = request_id, .kind = WIRE_ACTION};
    reply.action = (struct wire_action){
        .seq = session->seq,
        .action = {session->action, step->has_action ? session->served->model->action_dim : 0},
        .status = status, .count = step->count, .digest = {step->digest, sizeof step->digest}, .task = step->task,
        .reward_p = step->reward_p, .transition_p = step->transition_p,
        .queue_us = queue_us, .compute_us = compute_us};
    durable_reply_action(server, connection, &reply, session);
}

static void count_transition(struct server *server, const struct session *session, enum wire_status status)
{
    struct metrics *metrics = &server->metrics;
    count_add(&metrics->transitions[status], 1);
    if (status == WIRE_STATUS_UNDURABLE)
        count_add(&metrics->undurable, 1);
    if (session->last_step.reward_p < SURPRISE_P || session->last_step.transition_p < SURPRISE_P)
        count_add(&metrics->surprises, 1);
}

void batch_run(struct server *server, struct served *served)
{
    if (served->waiting_count == 0)
        return;
    struct observation_item *item[AGENT_BATCH_LIMIT];
    uint64_t started = server->clock_us();
    observe(server, served, item);
    act(served, item);
    uint64_t finished = server->clock_us();
    uint32_t compute_us = clipped(finished - started);
    count_add(&server->metrics.batches, 1);
    histogram_add(&server->metrics.compute_us, compute_us);
    for (size_t i = 0; i < served->waiting_count; i++) {
        const struct waiting_request *request = &served->waiting[i];
        struct session *session = request->session;
        if (served->actions[i].error)
            log_event(LOG_ERROR, "no_action", LOG_TEXT("session", session->name));
        enum wire_status status = item[i]                              ? batch_status(item[i]->status)
                                  : brings_transition(session)         ? WIRE_STATUS_UNDURABLE
                                  : session->waiting == WAITING_REPEAT ? WIRE_STATUS_DUPLICATE
                                                                       : WIRE_STATUS_NONE;
        int repeated = session->waiting == WAITING_REPEAT;
        advance(session, &served->actions[i], status);
        if (!repeated && status != WIRE_STATUS_NONE)
            count_transition(server, session, status);
        request->connection->waiting--;
        request->connection->promised -= served->action_bound;
        uint64_t queue_us = started > request->read_us ? started - request->read_us : 0;
        histogram_add(&server->metrics.queue_us, queue_us);
        histogram_add(&server->metrics.request_us, queue_us + compute_us);
        answer(server, session, request->connection, request->request_id, status, clipped(queue_us), compute_us);
    }
    served->waiting_count = 0;
}

void batch_run_all(struct server *server)
{
    for (struct served *served = server->serving.first; served; served = served->next)
        batch_run(server, served);
}

void batch_repeat(struct server *server, struct session *session, struct connection *connection,
                  uint64_t request_id)
{
    assert(session->last_step.valid);
    // What the log could not take is not there to be doubled: the client keeps it.
    enum wire_status was = session->last_step.status;
    answer(server, session, connection, request_id, was == WIRE_STATUS_UNDURABLE ? was : WIRE_STATUS_DUPLICATE, 0, 0);
}
