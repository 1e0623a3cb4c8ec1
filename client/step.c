// Steps and first observations, of one session or many; the contract is in bel.h. What the daemon could lose is
// kept.
#include "single.h"

#include <math.h>
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

// The observation (and the step to it) that a call is about is kept from now on.
static void keep(const struct bel_step *step, int acting, enum kept_state state, int status)
{
    struct bel_session *session = step->session;
    session_keep(session, (struct kept){
        .seq = session->seq + 1, .state = state, .link = session->sent, .task = session->task, .acting = acting,
        .last = !acting && step->last, .reward = acting ? 0 : step->reward,
        .observation = (float *)(uintptr_t)step->observation,
        .action = acting ? NULL : (float *)(uintptr_t)executed(step)}, status);
}

// An Action answers observation seq + 1; then that is the session's last, and all before it have been dealt with.
static int take_action(struct call *call, size_t i, const struct wire_envelope *reply, int acting)
{
    struct bel_step *step = &((struct bel_step *)call->context)[i];
    struct bel_session *session = step->session;
    const struct wire_action *action = &reply->action;
    size_t dim = session->model.model.action_dim;
    int wanted = acting || !step->last;
    if (reply->kind != WIRE_ACTION)
        return call_unexpected(call->bel, session);
    if (action->seq != session->seq + 1)
        return call_fail(call->bel, BEL_PROTOCOL, "%s: an action for observation %llu instead of %llu",
                         session->id, (unsigned long long)action->seq, (unsigned long long)session->seq + 1);
    if (wanted && action->status == WIRE_STATUS_OTHER_TASK && action->action.count == 0) {
        session->told = 1;
        return call_fail(call->bel, BEL_OUT_OF_STEP, "%s: the task was reset since; begin with bel_act",
                         session->id);
    }
    if (wanted && action->action.count != dim)
        return call_fail(call->bel, BEL_PROTOCOL, "%s: an action of %zu numbers instead of %zu", session->id,
                         action->action.count, dim);
    session_told(session, action);  // a reset whose answer did not come in time has happened all the same
    keep(step, acting, KEPT_ANSWERED, (int)action->status);  // before the executed action is written over
    if (wanted) {
        memcpy(session->action, action->action.values, dim * sizeof(float));
        memcpy(step->action, session->action, dim * sizeof(float));
        session->has_action = 1;
    }
    step->report = (struct bel_report){
        .status = (enum bel_status)action->status, .task = action->task, .seq = action->seq,
        .count = action->count, .reward_p = action->reward_p, .transition_p = action->transition_p,
        .queue_us = action->queue_us, .compute_us = action->compute_us, .durable_seq = action->durable_seq,
        .round_trip_us = (double)(link_now() - call->started) / 1e3,
    };
    call_copy_digest(step->report.digest, action->digest);
    return 0;
}

static int take_step(struct call *call, size_t i, const struct wire_envelope *reply)
{
    return take_action(call, i, reply, 0);
}

static int take_act(struct call *call, size_t i, const struct wire_envelope *reply)
{
    return take_action(call, i, reply, 1);
}

static int check_finite(const struct bel_session *session, const float *values, size_t count, const char *field)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return call_fail(session->bel, BEL_INVALID, "%s: number %zu is %g, not finite (%s)", session->id, i,
                             (double)values[i], field);
    return CALL_PENDING;
}

// Whether a step can be asked for; CALL_PENDING or the reason why not. What is not finite must not even be kept.
static int check_step(const struct bel_step *step)
{
    struct bel_session *session = step->session;
    const struct bel_model *model = &session->model.model;
    if (!session->following)
        return call_fail(session->bel, BEL_OUT_OF_STEP,
                         "%s: there is no observation that a step could follow; begin with bel_act",
                         session->id);
    if (!step->executed && !session->has_action)
        return call_fail(session->bel, BEL_INVALID,
                         "%s: no action was returned yet, so the executed one must be told (executed)",
                         session->id);
    int result = check_finite(session, step->observation, model->observation_dim, "observation");
    if (result == CALL_PENDING)
        result = check_finite(session, &step->reward, 1, "reward");
    return result == CALL_PENDING ? check_finite(session, executed(step), model->action_dim, "action") : result;
}

// Room to keep one more; CALL_PENDING or the reason why not.
static int make_room(struct bel_session *session, int64_t deadline)
{
    struct bel *bel = session->bel;
    int error = kept_make_room(&session->kept), result = 0;
    if (!error)
        return CALL_PENDING;
    if (error == -ENOBUFS) {
        char why[sizeof bel->why];
        memcpy(why, bel->why, sizeof why);
        result = single_sync(session, deadline);
        memcpy(bel->why, why, sizeof why);
        error = session_usable(session) == CALL_PENDING ? kept_make_room(&session->kept) : -ENOBUFS;
    }
    if (!error)
        return CALL_PENDING;
    session->following = 0;
    if (error == -ENOMEM)
        return call_fail(bel, BEL_NO_MEMORY, "%s: no memory to keep a step", session->id);
    return call_fail(bel, result == BEL_UNDURABLE ? BEL_UNDURABLE : BEL_LIMIT,
                     "%s: %zu steps are kept already that the daemon has not on its disk (kept_limit)", session->id,
                     session->kept.count);
}

// Without an answer, maybe without having arrived; worth sending again.
static int is_open(int result)
{
    switch (result) {
    case BEL_TIMEOUT: case BEL_DISCONNECTED: case BEL_DRAINING: case BEL_PROTOCOL: case BEL_NO_MEMORY:
    case BEL_DENIED: case BEL_BUSY: case BEL_RATE: case BEL_MOVED: case BEL_UNDURABLE:
        return 1;
    default:
        return 0;
    }
}

static void settle(const struct bel_step *step, int acting)
{
    struct bel_session *session = step->session;
    int goes_on = step->result == 0 || is_open(step->result), last = !acting && step->last;
    if (step->result == BEL_INVALID && !acting)
        return;
    if (is_open(step->result))
        keep(step, acting, KEPT_WAITING, -1);
    else if (!acting && !session->told && (step->result == BEL_OUT_OF_STEP || step->result == BEL_INTERNAL))
        keep(step, acting, KEPT_OWED, -1);  // the transition is whole; only its place was not right
    session->seq++;  // even without an answer: the daemon may have seen this number
    session->following = goes_on && !last;
    if (step->result == 0)
        session_durable(session, step->report.durable_seq);
}

// Steps (or, acting, first observations) of different sessions.
static int run_steps(struct bel *bel, struct bel_step *steps, size_t count, int acting)
{
    struct call call = {
        .bel = bel, .count = count, .context = steps, .session = step_session, .result = step_result,
        .ask = acting ? ask_act : ask_step, .take = acting ? take_act : take_step,
    };
    bel->why[0] = 0;
    int64_t deadline = link_now() + bel->deadline_ns;
    for (size_t i = 0; i < count; i++) {
        struct bel_session *session = steps[i].session;
        session->sent = 0;
        session->told = session->turned_back = 0;
        steps[i].result = session_usable(session);
        if (session->in_call)
            steps[i].result = call_fail(bel, BEL_INVALID, "%s: is twice in one call (session)", session->id);
        else if (steps[i].result == CALL_PENDING && !acting)
            steps[i].result = check_step(&steps[i]);
        if (steps[i].result == CALL_PENDING)
            steps[i].result = make_room(session, deadline);
        if (steps[i].result == CALL_PENDING)
            session->in_call = i + 1;
    }
    call.deadline = deadline;
    int result = call_run(&call, 0);
    for (size_t i = 0; i < count; i++) {
        if (steps[i].session->in_call != i + 1)
            continue;
        steps[i].session->in_call = 0;
        settle(&steps[i], acting);
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
