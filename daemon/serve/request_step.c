// Step and Act, as far as their batch; the contract is in request.h.
#include "request.h"

#include "batch.h"
#include "durable.h"
#include "session_log.h"

#include <string.h>

// A transition's fate that needs no batch: nothing changes, nothing is answered but the status.
static void reply_status(const struct request *r, struct session *session, uint64_t seq, enum wire_status status)
{
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_ACTION};
    reply.action = (struct wire_action){
        .seq = seq, .status = status, .count = agent_belief_count(&session->belief),
        .digest = {digest, sizeof digest}, .task = session->task, .reward_p = 1, .transition_p = 1};
    count_add(&r->server->metrics.transitions[status], 1);
    session->duplicates += status == WIRE_STATUS_DUPLICATE;
    durable_reply_action(r->server, r->connection, &reply, session);
}

static void wait_for_batch(const struct request *r, struct session *session, enum waiting waiting, uint64_t seq)
{
    session->waiting = waiting;
    session->new_seq = seq;
    batch_join(r->server, session, r->connection, r->message->request_id, r->now_us);
}

// The last Step again: what it was told, or where that is not known any more (a restart) the same made afresh.
static void repeat(const struct request *r, struct session *session)
{
    const struct wire_step *step = &r->message->step;
    count_add(&r->server->metrics.transitions[WIRE_STATUS_DUPLICATE], 1);
    session->duplicates++;
    if (session->last_step.valid)
        batch_repeat(r->server, session, r->connection, r->message->request_id);
    else
        wait_for_batch(r, session, WAITING_REPEAT, step->seq);
}

static int is_repeated(const struct session *session)
{
    return session->last_step.valid ||
           (session->standing && seen_contains(&session->writers[0].seen, session->seq) &&
            session->seq == session->last_transition);
}

void request_take_step(const struct request *r)
{
    const struct wire_step *step = &r->message->step;
    struct session *session = request_session(r, step->handle, step->session, step->epoch, ACCESS_OWN);
    if (!session)
        return;
    if (session->waiting != WAITING_FOR_NOTHING)
        batch_run(r->server, session->served);
    const struct model *model = session->served->model;
    size_t action_dim = step->action.count == 0 ? 0 : model->action_dim;
    if (!request_vector_is_valid(r, step->observation, model->observation_dim, "observation") ||
        !request_vector_is_valid(r, step->action, action_dim, "action") ||
        !request_vector_is_valid(r, (struct wire_floats){&step->reward, 1}, 1, "reward"))
        return;
    if (step->seq > SEQ_LIMIT) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_INVALID, "seq", SEQ_LIMIT, "a transition's number is at most 2^63 - 1");
        return;
    }
    int follows = session->standing && step->seq == session->seq + 1 && step->seq > 0;
    if (follows && (step->task == 0 || step->task == session->task)) {
        if (action_dim == 0 && !session->action_known) {
            request_settle(r, NULL);
            request_refuse(r, WIRE_INVALID, "action", model->action_dim,
                           "the action that was told is not known any more; say which was executed");
            return;
        }
        session->new_reward = step->reward;
        memcpy(session->new_observation, step->observation.values, model->observation_dim * sizeof(float));
        memcpy(session->executed, action_dim ? step->action.values : session->action,
               model->action_dim * sizeof(float));
        wait_for_batch(r, session, step->last ? WAITING_LAST_STEP : WAITING_STEP, step->seq);
        return;
    }
    request_settle(r, NULL);
    if (step->seq == 0)
        request_refuse(r, WIRE_INVALID, "seq", 0, "a transition's number is at least 1");
    else if (step->seq == session->seq && is_repeated(session))
        repeat(r, session);
    else if (seen_contains(&session->writers[0].seen, step->seq))
        reply_status(r, session, step->seq, WIRE_STATUS_DUPLICATE);
    else if (step->task > session->task)
        request_refuse(r, WIRE_INVALID, "task", session->task, "task %u has not begun; the current one is %u",
                       step->task, session->task);
    else if (step->task != 0 && step->task < session->task)
        reply_status(r, session, step->seq, WIRE_STATUS_OTHER_TASK);
    else if (!session->standing)
        request_refuse(r, WIRE_OUT_OF_STEP, "seq", 0, "there is no observation to step from; an Act gives one");
    else
        request_refuse(r, WIRE_OUT_OF_STEP, "seq", 0, "the session's last observation is number %llu",
                       (unsigned long long)session->seq);
}

void request_take_act(const struct request *r)
{
    const struct wire_act *act = &r->message->act;
    struct session *session = request_session(r, act->handle, act->session, act->epoch, ACCESS_OWN);
    if (!session)
        return;
    if (session->waiting != WAITING_FOR_NOTHING)
        batch_run(r->server, session->served);
    const struct model *model = session->served->model;
    if (!request_vector_is_valid(r, act->observation, model->observation_dim, "observation"))
        return;
    if (act->seq <= session->last_transition && session->last_transition > 0) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_OUT_OF_STEP, "seq", 0, "the session's last transition is number %llu",
                       (unsigned long long)session->last_transition);
        return;
    }
    if (act->seq > SEQ_LIMIT) {
        request_settle(r, NULL);
        request_refuse(r, WIRE_INVALID, "seq", SEQ_LIMIT, "an observation's number is at most 2^63 - 1");
        return;
    }
    memcpy(session->new_observation, act->observation.values, model->observation_dim * sizeof(float));
    wait_for_batch(r, session, WAITING_ACT, act->seq);
}
