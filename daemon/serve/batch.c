// Batches; the contract is in batch.h.
#include "batch.h"

#include "log.h"
#include "requests.h"

#include <assert.h>
#include <string.h>

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

static enum wire_status status_of(enum observe_status status)
{
    switch (status) {
    case OBSERVE_ABSORBED:
        return WIRE_STATUS_ABSORBED;
    case OBSERVE_NOT_FINITE:
        return WIRE_STATUS_NOT_FINITE;
    default:
        return WIRE_STATUS_OUT_OF_RANGE;
    }
}

// Observe: only the sessions that report a transition. item[i] tells which of the requests has which.
static size_t observe(struct served *served, struct observation_item *item[])
{
    size_t count = 0;
    for (size_t i = 0; i < served->waiting_count; i++) {
        struct session *session = served->waiting[i].session;
        item[i] = NULL;
        if (session->waiting == WAITING_ACT)
            continue;
        item[i] = &served->observations[count++];
        *item[i] = (struct observation_item){
            .belief = &session->belief, .observation = session->observation, .action = session->executed,
            .next_observation = session->new_observation, .reward = session->new_reward};
    }
    if (count > 0)
        agent_observe(served->model, served->scratch, served->observations, count);
    return count;
}

static void act(struct served *served, struct observation_item *const item[])
{
    for (size_t i = 0; i < served->waiting_count; i++) {
        struct session *session = served->waiting[i].session;
        // The prior has absorbed nothing, so it cannot judge backwards.
        int judged = item[i] && item[i]->status == OBSERVE_ABSORBED && !session->hold_prior;
        served->actions[i] = (struct action_item){
            .belief = session->hold_prior ? NULL : &session->belief, .observation = session->new_observation,
            .z = judged ? item[i]->z : NULL, .action = session->action};
    }
    agent_act(served->model, served->scratch, served->actions, served->waiting_count);
}

static double judged_p(const struct served *served, const struct action_item *item, enum head_kind kind)
{
    return item->z && served->model->heads[kind].present ? item->surprise[kind].p_value : 1;
}

// The session moves on to its new observation.
static void advance(struct session *session, const struct action_item *item, enum wire_status status)
{
    float *observation = session->observation;
    session->observation = session->new_observation;
    session->new_observation = observation;
    session->seq = session->new_seq;
    session->standing = session->waiting != WAITING_LAST_STEP;
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
    if (session->waiting == WAITING_ACT) {
        session->by_act = 1;
    } else {
        // No transition leads to the number of an Act.
        if (session->by_act && session->seq > 1)
            session_mark_seen(session, session->seq - 1);
        session_mark_seen(session, session->seq);
        session->last_transition = session->seq;
        session->by_act = 0;
    }
    session->waiting = WAITING_FOR_NOTHING;
}

// What advance() noted, as the reply that it is.
static void answer(struct server *server, const struct session *session, struct connection *connection,
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
    server_reply(server, connection, &reply);
}

void batch_run(struct server *server, struct served *served)
{
    if (served->waiting_count == 0)
        return;
    struct observation_item *item[AGENT_BATCH_LIMIT];
    uint64_t started = server->clock_us();
    observe(served, item);
    act(served, item);
    uint32_t compute_us = clipped(server->clock_us() - started);
    for (size_t i = 0; i < served->waiting_count; i++) {
        const struct waiting_request *request = &served->waiting[i];
        struct session *session = request->session;
        if (served->actions[i].error)
            log_event(LOG_ERROR, "no_action", LOG_TEXT("session", session->name));
        enum wire_status status = item[i] ? status_of(item[i]->status) : WIRE_STATUS_NONE;
        advance(session, &served->actions[i], status);
        request->connection->waiting--;
        request->connection->promised -= served->action_bound;
        uint64_t queue_us = started > request->read_us ? started - request->read_us : 0;
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
    answer(server, session, connection, request_id, WIRE_STATUS_DUPLICATE, 0, 0);
}
