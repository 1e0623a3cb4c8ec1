// Steps and first observations, of one session or many; the contract is in bel.h. What has no answer is kept.
#include "call.h"

#include <string.h>

static struct bel_session *step_session(struct call *call, size_t i)
{
    return ((struct bel_step *)call->context)[i].session;
}

static int *step_result(struct call *call, size_t i)
{
    return &((struct bel_step *)call->context)[i].result;
}

static const float *executed(const struct bel_step *step)
{
    return step->executed ? step->executed : step->session->action;
}

static void ask_step(struct call *call, size_t i, struct wire_envelope *request)
{
    const struct bel_step *step = &((struct bel_step *)call->context)[i];
    const struct bel_session *session = step->session;
    const struct bel_model *model = &session->model.model;
    request->kind = WIRE_STEP;
    request->step = (struct wire_step){
        .handle = session->handle, .seq = session->seq + 1, .task = session->task,
        .observation = {step->observation, model->observation_dim}, .reward = step->reward,
        .action = {executed(step), model->action_dim}, .last = step->last,
    };
}

static void ask_act(struct call *call, size_t i, struct wire_envelope *request)
{
    const struct bel_step *step = &((struct bel_step *)call->context)[i];
    const struct bel_session *session = step->session;
    request->kind = WIRE_ACT;
    request->act = (struct wire_act){
        .handle = session->handle, .seq = session->seq + 1,
        .observation = {step->observation, session->model.model.observation_dim},
    };
}

// An Action answers observation seq + 1; then that is the session's last, and all before it have been dealt with.
static int take_action(struct call *call, size_t i, const struct wire_envelope *reply, int wanted)
{
    struct bel_step *step = &((struct bel_step *)call->context)[i];
    struct bel_session *session = step->session;
    const struct wire_action *action = &reply->action;
    size_t dim = session->model.model.action_dim;
    if (reply->kind != WIRE_ACTION)
        return call_unexpected(call->bel, session);
    if (action->seq != session->seq + 1)
        return call_fail(call->bel, BEL_PROTOCOL, "%s: an action for observation %llu instead of %llu",
                         session->id, (unsigned long long)action->seq, (unsigned long long)session->seq + 1);
    if (wanted && action->status == WIRE_STATUS_OTHER_TASK && action->action.count == 0)
        return call_fail(call->bel, BEL_OUT_OF_STEP, "%s: the task was reset since; begin with bel_act",
                         session->id);
    if (wanted && action->action.count != dim)
        return call_fail(call->bel, BEL_PROTOCOL, "%s: an action of %zu numbers instead of %zu", session->id,
                         action->action.count, dim);
    if (wanted) {
        memcpy(session->action, action->action.values, dim * sizeof(float));
        memcpy(step->action, session->action, dim * sizeof(float));
        session->has_action = 1;
    }
    session->count = action->count;
    session->task = action->task;  // a reset whose answer did not come in time has happened all the same
    step->report = (struct bel_report){
        .status = (enum bel_status)action->status, .task = action->task, .seq = action->seq,
        .count = action->count, .reward_p = action->reward_p, .transition_p = action->transition_p,
        .queue_us = action->queue_us, .compute_us = action->compute_us,
        .round_trip_us = (double)(link_now() - call->started) / 1e3,
    };
    call_copy_digest(step->report.digest, action->digest);
    return 0;
}

static int take_step(struct call *call, size_t i, const struct wire_envelope *reply)
{
    return take_action(call, i, reply, !((struct bel_step *)call->context)[i].last);
}

static int take_act(struct call *call, size_t i, const struct wire_envelope *reply)
{
    return take_action(call, i, reply, 1);
}

// Whether a step can be asked for; CALL_PENDING or the reason why not.
static int check_step(const struct bel_step *step)
{
    struct bel_session *session = step->session;
    if (!session->following)
        return call_fail(session->bel, BEL_OUT_OF_STEP,
                         "%s: there is no observation that a step could follow; begin with bel_act",
                         session->id);
    if (!step->executed && !session->has_action)
        return call_fail(session->bel, BEL_INVALID,
                         "%s: no action was returned yet, so the executed one must be told (executed)",
                         session->id);
    if (session->kept_count < BEL_UNANSWERED_LIMIT)
        return CALL_PENDING;
    session->following = 0;
    return call_fail(session->bel, BEL_LIMIT, "%s: %d steps wait for an answer already; begin again with bel_act",
                     session->id, BEL_UNANSWERED_LIMIT);
}

// The step has no answer: it is kept until a later call delivers it.
static void keep(const struct bel_step *step)
{
    struct bel_session *session = step->session;
    struct kept_step *kept = session_kept(session, session->kept_count++);
    const struct bel_model *model = &session->model.model;
    kept->seq = session->seq;
    kept->generation = session->sent;
    kept->task = session->task;
    kept->reward = step->reward;
    kept->last = step->last;
    memcpy(kept->observation, step->observation, model->observation_dim * sizeof(float));
    memcpy(kept->action, executed(step), model->action_dim * sizeof(float));
}

static void settle_step(const struct bel_step *step)
{
    struct bel_session *session = step->session;
    switch (step->result) {
    case 0:
        session->seq++;
        session_drop_kept(session, session->seq);
        session->following = !step->last;
        break;
    case BEL_TIMEOUT: case BEL_DISCONNECTED: case BEL_DRAINING: case BEL_PROTOCOL: case BEL_NO_MEMORY:
        session->seq++;
        keep(step);
        session->following = session->following && !step->last;
        break;
    case BEL_INVALID:
        break;
    default:
        session->seq++;
        session_drop_kept(session, session->seq);
        session->following = 0;
    }
}

static void settle_act(const struct bel_step *step)
{
    struct bel_session *session = step->session;
    session->seq++;  // even without an answer: the daemon may have seen this number
    if (step->result == 0)
        session_drop_kept(session, session->seq);
    session->following = step->result == 0;
}

// Steps (or, acting, first observations) of different sessions.
static int run_steps(struct bel *bel, struct bel_step *steps, size_t count, int acting)
{
    struct call call = {
        .bel = bel, .count = count, .context = steps, .session = step_session, .result = step_result,
        .ask = acting ? ask_act : ask_step, .take = acting ? take_act : take_step,
    };
    bel->why[0] = 0;
    for (size_t i = 0; i < count; i++) {
        struct bel_session *session = steps[i].session;
        session->sent = 0;
        steps[i].result = session_usable(session);
        if (session->in_call)
            steps[i].result = call_fail(bel, BEL_INVALID, "%s: is twice in one call (session)", session->id);
        else if (steps[i].result == CALL_PENDING && !acting)
            steps[i].result = check_step(&steps[i]);
        if (steps[i].result == CALL_PENDING)
            session->in_call = i + 1;
    }
    int result = call_run(&call, 0);
    for (size_t i = 0; i < count; i++) {
        if (steps[i].session->in_call != i + 1)
            continue;
        steps[i].session->in_call = 0;
        if (acting)
            settle_act(&steps[i]);
        else
            settle_step(&steps[i]);
    }
    return result;
}

int bel_step_many(struct bel *bel, struct bel_step *steps, size_t count)
{
    return run_steps(bel, steps, count, 0);
}

int bel_act_many(struct bel *bel, struct bel_step *steps, size_t count)
{
    return run_steps(bel, steps, count, 1);
}

static int run_step(struct bel_step step, struct bel_report *report, int acting)
{
    int result = run_steps(step.session->bel, &step, 1, acting);
    if (!result && report)
        *report = step.report;
    return result;
}

int bel_act(struct bel_session *session, const float *observation, float *action, struct bel_report *report)
{
    struct bel_step step = {.session = session, .observation = observation, .action = action};
    return run_step(step, report, 1);
}

int bel_step(struct bel_session *session, const float *done, float reward, const float *observation,
             float *next_action, struct bel_report *report)
{
    struct bel_step step = {.session = session, .observation = observation, .executed = done, .reward = reward,
                            .action = next_action};
    return run_step(step, report, 0);
}

int bel_step_last(struct bel_session *session, const float *done, float reward, const float *observation,
                  struct bel_report *report)
{
    struct bel_step step = {.session = session, .observation = observation, .executed = done, .reward = reward,
                            .last = 1};
    return run_step(step, report, 0);
}
