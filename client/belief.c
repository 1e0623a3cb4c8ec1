// What is done to a belief beside the steps, and looking into it; the contract is in bel.h.
#include "single.h"

#include <stdlib.h>
#include <string.h>

struct observed {
    enum bel_status *status;
    struct bel_report *report;
};

static int take_observed(struct single *single, const struct call *call, const struct wire_envelope *reply)
{
    const struct observed *out = single->out;
    const struct wire_observed *observed = &reply->observed;
    if (reply->kind != WIRE_OBSERVED || observed->status_count != single->request.observe.transition_count)
        return call_unexpected(call->bel, single->session);
    for (size_t i = 0; out->status && i < observed->status_count; i++)
        out->status[i] = (enum bel_status)observed->status[i];
    session_observed(single->session, observed);
    if (out->report) {
        *out->report = (struct bel_report){
            .task = single->session->task, .count = observed->count, .reward_p = 1, .transition_p = 1,
            .round_trip_us = (double)(link_now() - call->started) / 1e3,
        };
        call_copy_digest(out->report->digest, observed->digest);
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
    int result = single_run(session->bel, &single, 0);
    free(list);
    return result;
}

static int reset(struct bel_session *session, enum wire_scope scope, const float *task)
{
    struct single single = {
        .session = session, .take = single_take_done,
        .request = {.kind = WIRE_RESET, .reset = {.scope = scope, .task = session->task}},
    };
    if (task)
        single.request.reset.told_task = (struct wire_floats){task, session->model.model.task_dim};
    session->owed_at = 0;  // what is owed to this task comes before
    int result = single_run(session->bel, &single, 0);
    session->following = 0;
    return result;
}

int bel_reset_episode(struct bel_session *session)
{
    return reset(session, WIRE_EPISODE, NULL);
}

int bel_reset_task(struct bel_session *session)
{
    return reset(session, WIRE_TASK, NULL);
}

int bel_reset_task_to(struct bel_session *session, const float *task)
{
    return reset(session, WIRE_TASK, task);
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
        return call_unexpected(call->bel, single->session);
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
    call_copy_digest(out->digest, belief->digest);
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
    return single_run(session->bel, &single, 0);
}
