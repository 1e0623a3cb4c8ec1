// The public calls; the contract is in bel.h. Each prepares a call (call.h), runs it, and settles what it means
// for its sessions.
#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_SIZE = 64 << 10 };

static const char default_client[] = "libbelief 0.1.0";

// ---- Connection -----------------------------------------------------------------------------------------------

static int ping(struct bel *bel, int once);

int bel_connect(struct bel **out, const char *address, const struct bel_options *options, char *why,
                size_t why_size)
{
    *out = NULL;
    if (!why)
        why_size = 0;
    struct bel *bel = calloc(1, sizeof *bel);
    int result = BEL_NO_MEMORY;
    if (!bel || link_init(&bel->link))
        goto fail;
    bel->address = strdup(address);
    bel->client = strdup(options && options->client ? options->client : default_client);
    void *memory = malloc(ARENA_SIZE);
    wire_arena_init(&bel->arena, memory, ARENA_SIZE);
    if (!bel->address || !bel->client || !memory)
        goto fail;
    bel->next_id = 1;
    bel_set_deadline(bel, options && options->deadline_ms ? options->deadline_ms : BEL_DEADLINE_MS);
    result = ping(bel, 1);
    if (result)
        goto fail;
    *out = bel;
    return 0;

fail:
    snprintf(why, why_size, "%s", result == BEL_NO_MEMORY ? "no memory for a connection" : bel_error(bel));
    bel_disconnect(bel);
    return result;
}

static void session_free(struct bel_session *session)
{
    struct bel_session **at = &session->bel->sessions;
    while (*at && *at != session)
        at = &(*at)->next;
    if (*at)
        *at = session->next;
    call_model_release(&session->model);
    free(session->memory);
    free(session);
}

void bel_disconnect(struct bel *bel)
{
    if (!bel)
        return;
    while (bel->sessions)
        session_free(bel->sessions);
    for (size_t i = 0; i < bel->model_count; i++)
        call_model_release(&bel->models[i]);
    free(bel->models);
    link_release(&bel->link);
    free(bel->arena.memory);
    free(bel->address);
    free(bel->client);
    free(bel);
}

void bel_set_deadline(struct bel *bel, uint32_t deadline_ms)
{
    bel->deadline_ns = (int64_t)(deadline_ms ? deadline_ms : 1) * 1000000;
}

const char *bel_error(const struct bel *bel) { return bel->why; }
const char *bel_server(const struct bel *bel) { return bel->server; }
size_t bel_model_count(const struct bel *bel) { return bel->model_count; }
struct bel_counters bel_counters(const struct bel *bel) { return bel->counters; }

const struct bel_model *bel_model_at(const struct bel *bel, size_t i)
{
    return i < bel->model_count ? &bel->models[i].model : NULL;
}

const char *bel_result_name(int result)
{
    switch (result) {
    case 0: return "BEL_OK";
    case BEL_TIMEOUT: return "BEL_TIMEOUT";
    case BEL_DISCONNECTED: return "BEL_DISCONNECTED";
    case BEL_INVALID: return "BEL_INVALID";
    case BEL_UNKNOWN_MODEL: return "BEL_UNKNOWN_MODEL";
    case BEL_FENCED: return "BEL_FENCED";
    case BEL_LOST: return "BEL_LOST";
    case BEL_OUT_OF_STEP: return "BEL_OUT_OF_STEP";
    case BEL_LIMIT: return "BEL_LIMIT";
    case BEL_DRAINING: return "BEL_DRAINING";
    case BEL_UNSUPPORTED: return "BEL_UNSUPPORTED";
    case BEL_PROTOCOL: return "BEL_PROTOCOL";
    case BEL_INTERNAL: return "BEL_INTERNAL";
    case BEL_NO_MEMORY: return "BEL_NO_MEMORY";
    default: return "unknown";
    }
}

const char *bel_status_name(enum bel_status status)
{
    return wire_status_name((enum wire_status)status);
}

// ---- Calls with one request -----------------------------------------------------------------------------------

struct single {
    struct bel_session *session;  // NULL: none
    struct wire_envelope request; // the handle is filled in when it is known
    int result;
    int (*take)(struct single *single, const struct call *call, const struct wire_envelope *reply);
    void *out;
};

static struct bel_session *single_session(struct call *call, size_t i)
{
    (void)i;
    return ((struct single *)call->context)->session;
}

static int *single_result(struct call *call, size_t i)
{
    (void)i;
    return &((struct single *)call->context)->result;
}

static void ask_single(struct call *call, size_t i, struct wire_envelope *request)
{
    (void)i;
    const struct single *single = call->context;
    uint64_t id = request->request_id;
    *request = single->request;
    request->request_id = id;
    uint32_t handle = single->session ? single->session->handle : 0;
    switch (request->kind) {
    case WIRE_OBSERVE: request->observe.handle = handle; break;
    case WIRE_RESET: request->reset.handle = handle; break;
    case WIRE_GET_BELIEF: request->get_belief.handle = handle; break;
    case WIRE_CLOSE: request->close.handle = handle; break;
    default: break;
    }
}

static int take_single(struct call *call, size_t i, const struct wire_envelope *reply)
{
    (void)i;
    struct single *single = call->context;
    return single->take(single, call, reply);
}

static int unexpected(struct bel *bel, const struct bel_session *session)
{
    return call_fail(bel, BEL_PROTOCOL, "%s: the daemon's answer is of another kind than the question",
                     session ? session->id : bel->address);
}

// Why a session cannot take part in a call, or CALL_PENDING.
static int session_usable(const struct bel_session *session)
{
    if (session->state == SESSION_LOST)
        return call_fail(session->bel, BEL_LOST,
                         "%s: the daemon no longer has this session's belief; close it and open it anew",
                         session->id);
    if (session->state == SESSION_FENCED)
        return call_fail(session->bel, BEL_FENCED, "%s: somebody else has this session now", session->id);
    return CALL_PENDING;
}

// `once`: does not go on trying when there is no link.
static int run_single(struct bel *bel, struct single *single, int once)
{
    struct call call = {
        .bel = bel, .count = 1, .context = single, .session = single_session, .result = single_result,
        .ask = single->request.kind ? ask_single : NULL, .take = take_single,
    };
    bel->why[0] = 0;
    single->result = CALL_PENDING;
    if (single->session) {
        single->session->sent = 0;
        if (single->session->known)
            single->result = session_usable(single->session);
    }
    return single->result == CALL_PENDING ? call_run(&call, once) : single->result;
}

static void copy_digest(uint8_t *digest, struct wire_bytes from)
{
    if (from.size == WIRE_DIGEST_SIZE)
        memcpy(digest, from.bytes, WIRE_DIGEST_SIZE);
    else
        memset(digest, 0, WIRE_DIGEST_SIZE);
}

static int take_done(struct single *single, const struct call *call, const struct wire_envelope *reply)
{
    if (reply->kind != WIRE_DONE)
        return unexpected(call->bel, single->session);
    if (single->session && single->request.kind == WIRE_RESET) {
        single->session->task = reply->done.task;
        single->session->count = reply->done.count;
    }
    return 0;
}

static int ping(struct bel *bel, int once)
{
    struct single single = {.request.kind = WIRE_PING, .take = take_done};
    return run_single(bel, &single, once);
}

int bel_ping(struct bel *bel)
{
    return ping(bel, 0);
}

// ---- Sessions -------------------------------------------------------------------------------------------------

// Memory for an action and for the steps that are kept, now that the model is known.
static int session_memory(struct bel_session *session)
{
    size_t obs = session->model.model.observation_dim, act = session->model.model.action_dim;
    float *at = calloc(act + BEL_UNANSWERED_LIMIT * (obs + act), sizeof *at);
    if (!at)
        return call_fail(session->bel, BEL_NO_MEMORY, "%s: no memory for a session", session->id);
    session->memory = session->action = at;
    at += act;
    for (size_t i = 0; i < BEL_UNANSWERED_LIMIT; i++, at += obs + act) {
        session->kept[i].observation = at;
        session->kept[i].action = at + obs;
    }
    return 0;
}

int bel_open(struct bel *bel, const struct bel_open *open, struct bel_session **out)
{
    *out = NULL;
    bel->why[0] = 0;
    size_t length = open->id ? strlen(open->id) : 0;
    if (length < 1 || length > WIRE_SESSION_LIMIT)
        return call_fail(bel, BEL_INVALID, "a session's id has 1 to %d letters, not %zu (id)",
                         WIRE_SESSION_LIMIT, length);
    for (const struct bel_session *s = bel->sessions; s; s = s->next)
        if (strcmp(s->id, open->id) == 0)
            return call_fail(bel, BEL_INVALID, "%s is open on this connection already (id)", s->id);
    struct bel_session *session = calloc(1, sizeof *session);
    if (!session)
        return call_fail(bel, BEL_NO_MEMORY, "%s: no memory for a session", open->id);
    session->bel = bel;
    memcpy(session->id, open->id, length);
    session->hold_prior = open->hold_prior;
    session->model.model.name = open->model;  // what is wanted, until Opened says what it is
    struct single single = {.session = session};
    int result = run_single(bel, &single, 0);
    if (!result)
        result = session_memory(session);
    if (result) {
        session_free(session);
        return result;
    }
    session->next = bel->sessions;
    bel->sessions = session;
    *out = session;
    return 0;
}

int bel_close(struct bel_session *session, int forget)
{
    if (!session)
        return 0;
    int result = 0;
    if (forget && session->state == SESSION_LIVE) {
        struct single single = {
            .session = session, .request = {.kind = WIRE_CLOSE, .close.forget = 1}, .take = take_done};
        result = run_single(session->bel, &single, 0);
    }
    session_free(session);
    return result == BEL_LOST ? 0 : result;  // gone is gone
}

const char *bel_session_id(const struct bel_session *session) { return session->id; }
const struct bel_model *bel_session_model(const struct bel_session *session) { return &session->model.model; }
int bel_session_resumed(const struct bel_session *session) { return session->resumed; }
uint64_t bel_session_count(const struct bel_session *session) { return session->count; }
uint32_t bel_session_task(const struct bel_session *session) { return session->task; }

// ---- Acting ---------------------------------------------------------------------------------------------------

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
        return unexpected(call->bel, session);
    if (action->seq != session->seq + 1)
        return call_fail(call->bel, BEL_PROTOCOL, "%s: an action for observation %llu instead of %llu", session->id,
                         (unsigned long long)action->seq, (unsigned long long)session->seq + 1);
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
        .status = (enum bel_status)action->status, .task = action->task, .seq = action->seq, .count = action->count,
        .reward_p = action->reward_p, .transition_p = action->transition_p,
        .queue_us = action->queue_us, .compute_us = action->compute_us,
        .round_trip_us = (double)(link_now() - call->started) / 1e3,
    };
    copy_digest(step->report.digest, action->digest);
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
    return run_step((struct bel_step){.session = session, .observation = observation, .action = action}, report, 1);
}

int bel_step(struct bel_session *session, const float *done, float reward, const float *observation,
             float *next_action, struct bel_report *report)
{
    return run_step((struct bel_step){.session = session, .observation = observation, .executed = done,
                                      .reward = reward, .action = next_action}, report, 0);
}

int bel_step_last(struct bel_session *session, const float *done, float reward, const float *observation,
                  struct bel_report *report)
{
    return run_step((struct bel_step){.session = session, .observation = observation, .executed = done,
                                      .reward = reward, .last = 1}, report, 0);
}

// ---- Belief ---------------------------------------------------------------------------------------------------

struct observed {
    enum bel_status *status;
    struct bel_report *report;
};

static int take_observed(struct single *single, const struct call *call, const struct wire_envelope *reply)
{
    const struct observed *out = single->out;
    const struct wire_observed *observed = &reply->observed;
    if (reply->kind != WIRE_OBSERVED || observed->status_count != single->request.observe.transition_count)
        return unexpected(call->bel, single->session);
    for (size_t i = 0; out->status && i < observed->status_count; i++)
        out->status[i] = (enum bel_status)observed->status[i];
    single->session->count = observed->count;
    if (out->report) {
        *out->report = (struct bel_report){
            .task = single->session->task, .count = observed->count, .reward_p = 1, .transition_p = 1,
            .round_trip_us = (double)(link_now() - call->started) / 1e3,
        };
        copy_digest(out->report->digest, observed->digest);
    }
    return 0;
}

int bel_observe(struct bel_session *session, uint32_t writer, const struct bel_transition *transitions,
                size_t count, enum bel_status *status, struct bel_report *report)
{
    struct wire_transition *list = malloc((count + 1) * sizeof *list);
    if (!list) {
        session->bel->why[0] = 0;
        return call_fail(session->bel, BEL_NO_MEMORY, "%s: no memory for %zu transitions", session->id, count);
    }
    const struct bel_model *model = &session->model.model;
    for (size_t i = 0; i < count; i++)
        list[i] = (struct wire_transition){
            .seq = transitions[i].seq, .reward = transitions[i].reward,
            .observation = {transitions[i].observation, model->observation_dim},
            .action = {transitions[i].action, model->action_dim},
            .next_observation = {transitions[i].next_observation, model->observation_dim},
        };
    struct observed out = {status, report};
    struct single single = {
        .session = session, .take = take_observed, .out = &out,
        .request = {.kind = WIRE_OBSERVE,
                    .observe = {.writer = writer, .task = session->task, .transitions = list,
                                .transition_count = count}},
    };
    int result = run_single(session->bel, &single, 0);
    free(list);
    return result;
}

static int reset(struct bel_session *session, enum wire_scope scope)
{
    struct single single = {
        .session = session, .take = take_done,
        .request = {.kind = WIRE_RESET, .reset = {.scope = scope, .task = session->task}},
    };
    int result = run_single(session->bel, &single, 0);
    session->following = 0;
    return result;
}

int bel_reset_episode(struct bel_session *session)
{
    return reset(session, WIRE_EPISODE);
}

int bel_reset_task(struct bel_session *session)
{
    return reset(session, WIRE_TASK);
}

// values (count) to out, if wanted. A model that has them has as many as its dimensions say.
static int copy_doubles(double *out, struct wire_doubles values, size_t count)
{
    if (!out)
        return 0;
    if (values.count != count)
        return -1;
    memcpy(out, values.values, count * sizeof *out);
    return 0;
}

static int take_head(struct bel_head_belief *out, const struct wire_head *head)
{
    size_t D = head->features, d = head->targets;
    out->present = 1;
    out->features = head->features;
    out->targets = head->targets;
    out->log_evidence = head->log_evidence;
    if (copy_doubles(out->mean, head->mean, D * d) || copy_doubles(out->variance, head->variance, D) ||
        copy_doubles(out->noise, head->noise, d))
        return BEL_PROTOCOL;
    if (!out->sums)
        return 0;
    out->sums_size = head->sums.size;
    if (head->sums.size > out->sums_room)
        return BEL_LIMIT;
    memcpy(out->sums, head->sums.bytes, head->sums.size);
    return 0;
}

static int take_belief(struct single *single, const struct call *call, const struct wire_envelope *reply)
{
    static const char *const names[BEL_HEADS] = {"transition", "reward"};
    const struct bel_model *model = &single->session->model.model;
    const uint32_t features[BEL_HEADS] = {model->transition_features, model->reward_features};
    const uint32_t targets[BEL_HEADS] = {model->observation_dim, 1};
    struct bel_belief *out = single->out;
    const struct wire_belief *belief = &reply->belief;
    if (reply->kind != WIRE_BELIEF)
        return unexpected(call->bel, single->session);
    for (int h = 0; h < BEL_HEADS; h++)
        out->heads[h].present = 0;
    for (size_t i = 0; i < belief->head_count; i++) {
        const struct wire_head *head = &belief->heads[i];
        int h = strcmp(head->name, names[BEL_REWARD]) == 0 ? BEL_REWARD : BEL_TRANSITION;
        if (strcmp(head->name, names[h]) != 0)
            continue;  // of a later version
        int fits = head->features == features[h] && head->targets == targets[h];
        int result = fits ? take_head(&out->heads[h], head) : BEL_PROTOCOL;
        if (result == BEL_LIMIT)
            return call_fail(call->bel, result,
                             "%s: the sums of the %s head are %zu bytes, there is room for %zu (sums_room)",
                             single->session->id, names[h], out->heads[h].sums_size, out->heads[h].sums_room);
        if (result)
            return call_fail(call->bel, result, "%s: the %s head has not its model's dimensions",
                             single->session->id, names[h]);
    }
    if (copy_doubles(out->estimate_mean, belief->estimate_mean, model->task_dim) ||
        copy_doubles(out->estimate_sd, belief->estimate_sd, model->task_dim))
        return call_fail(call->bel, BEL_UNSUPPORTED, "%s: the model %s has no landmarks to estimate a task with",
                         single->session->id, model->name);
    out->count = single->session->count = belief->count;
    out->task = belief->task;
    copy_digest(out->digest, belief->digest);
    return 0;
}

int bel_get_belief(struct bel_session *session, struct bel_belief *belief)
{
    struct wire_get_belief wanted = {.estimate = belief->estimate_mean || belief->estimate_sd};
    for (int h = 0; h < BEL_HEADS; h++) {
        wanted.sums |= belief->heads[h].sums != NULL;
        wanted.weights |= belief->heads[h].mean || belief->heads[h].variance || belief->heads[h].noise;
    }
    struct single single = {
        .session = session, .take = take_belief, .out = belief,
        .request = {.kind = WIRE_GET_BELIEF, .get_belief = wanted}};
    return run_single(session->bel, &single, 0);
}
