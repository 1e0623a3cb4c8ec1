// What robots, learners and observers ask, between generated and plain structs (wire_codec.h).
#include "wire_codec.h"

#include <errno.h>

static int read_hello(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Hello *m = message;
    (void)arena;
    out->hello = (struct wire_hello){.client = m->client, .token = m->token};
    return 0;
}

static int fill_hello(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Hello *m = message;
    (void)arena;
    m->client = wire_text(in->hello.client);
    m->token = wire_text(in->hello.token);
    return 0;
}

static int read_open(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Open *m = message;
    (void)arena;
    out->open = (struct wire_open){
        .session = m->session, .model = m->model, .hold_prior = m->hold_prior, .epoch = m->epoch,
        .opener = m->opener, .explore = m->explore, .told_task = GET_FLOATS(m, told_task)};
    return 0;
}

static int fill_open(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Open *m = message;
    (void)arena;
    m->session = wire_text(in->open.session);
    m->model = wire_text(in->open.model);
    m->hold_prior = in->open.hold_prior;
    m->epoch = in->open.epoch;
    m->opener = in->open.opener;
    m->explore = in->open.explore;
    SET_LIST(m, told_task, in->open.told_task);
    return 0;
}

static int read_step(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Step *m = message;
    (void)arena;
    out->step = (struct wire_step){
        .handle = m->handle, .seq = m->seq, .task = m->task,
        .observation = GET_FLOATS(m, observation), .reward = m->reward, .action = GET_FLOATS(m, action),
        .last = m->last, .session = m->session, .epoch = m->epoch};
    return 0;
}

static int fill_step(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Step *m = message;
    const struct wire_step *step = &in->step;
    (void)arena;
    m->handle = step->handle;
    m->seq = step->seq;
    m->task = step->task;
    SET_LIST(m, observation, step->observation);
    m->reward = step->reward;
    SET_LIST(m, action, step->action);
    m->last = step->last;
    m->session = wire_text(step->session);
    m->epoch = step->epoch;
    return 0;
}

static int read_observe(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Observe *m = message;
    const struct wire_transition *list = wire_read_transitions(m->transitions, m->n_transitions, arena);
    if (!list)
        return -ENOMEM;
    out->observe = (struct wire_observe){
        .handle = m->handle, .writer = m->writer, .task = m->task,
        .transitions = list, .transition_count = m->n_transitions, .session = m->session, .epoch = m->epoch};
    return 0;
}

static int fill_observe(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Observe *m = message;
    const struct wire_observe *observe = &in->observe;
    if (wire_fill_transitions(&m->transitions, observe->transitions, observe->transition_count, arena))
        return -ENOMEM;
    m->handle = observe->handle;
    m->writer = observe->writer;
    m->task = observe->task;
    m->n_transitions = observe->transition_count;
    m->session = wire_text(observe->session);
    m->epoch = observe->epoch;
    return 0;
}

static int read_act(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Act *m = message;
    (void)arena;
    out->act = (struct wire_act){
        .handle = m->handle, .seq = m->seq, .observation = GET_FLOATS(m, observation),
        .session = m->session, .epoch = m->epoch};
    return 0;
}

static int fill_act(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Act *m = message;
    (void)arena;
    m->handle = in->act.handle;
    m->seq = in->act.seq;
    SET_LIST(m, observation, in->act.observation);
    m->session = wire_text(in->act.session);
    m->epoch = in->act.epoch;
    return 0;
}

static int read_reset(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Reset *m = message;
    (void)arena;
    out->reset = (struct wire_reset){
        .handle = m->handle, .scope = (enum wire_scope)m->scope, .task = m->task,
        .told_task = GET_FLOATS(m, told_task), .session = m->session, .epoch = m->epoch};
    return 0;
}

static int fill_reset(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Reset *m = message;
    (void)arena;
    m->handle = in->reset.handle;
    m->scope = (Belief__V1__Reset__Scope)in->reset.scope;
    m->task = in->reset.task;
    SET_LIST(m, told_task, in->reset.told_task);
    m->session = wire_text(in->reset.session);
    m->epoch = in->reset.epoch;
    return 0;
}

static int read_get_belief(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__GetBelief *m = message;
    (void)arena;
    out->get_belief = (struct wire_get_belief){
        .handle = m->handle, .sums = m->sums, .weights = m->weights, .estimate = m->estimate,
        .session = m->session, .epoch = m->epoch};
    return 0;
}

static int fill_get_belief(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__GetBelief *m = message;
    (void)arena;
    m->handle = in->get_belief.handle;
    m->sums = in->get_belief.sums;
    m->weights = in->get_belief.weights;
    m->estimate = in->get_belief.estimate;
    m->session = wire_text(in->get_belief.session);
    m->epoch = in->get_belief.epoch;
    return 0;
}

static int read_close(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Close *m = message;
    (void)arena;
    out->close = (struct wire_close){
        .handle = m->handle, .forget = m->forget, .session = m->session, .epoch = m->epoch, .finish = m->finish};
    return 0;
}

static int fill_close(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Close *m = message;
    (void)arena;
    m->handle = in->close.handle;
    m->forget = in->close.forget;
    m->finish = in->close.finish;
    m->session = wire_text(in->close.session);
    m->epoch = in->close.epoch;
    return 0;
}

static int read_ping(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Ping *m = message;
    (void)arena;
    out->ping = (struct wire_ping){.durable = m->durable};
    return 0;
}

static int fill_ping(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Ping *m = message;
    (void)arena;
    m->durable = in->ping.durable;
    return 0;
}

static int read_save(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Save *m = message;
    (void)arena;
    out->save = (struct wire_save){.session = m->session};
    return 0;
}

static int fill_save(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Save *m = message;
    (void)arena;
    m->session = wire_text(in->save.session);
    return 0;
}

static int read_restore(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Restore *m = message;
    struct wire_session_state *state = NULL;
    if (m->state) {
        state = wire_arena_take(arena, sizeof *state);
        if (!state || wire_read_state(state, m->state, arena))
            return -ENOMEM;
    }
    out->restore = (struct wire_restore){.state = state};
    return 0;
}

static int fill_restore(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    struct wire_restore_parts *parts = message;
    if (!in->restore.state)
        return 0;
    belief__v1__session_state__init(&parts->state);
    parts->restore.state = &parts->state;
    return wire_fill_state(&parts->state, in->restore.state, arena);
}

#define CODEC(name) {&belief__v1__##name##__descriptor, read_##name, fill_##name}

const struct wire_codec wire_request_codecs[] = {
    [WIRE_HELLO - WIRE_HELLO] = CODEC(hello),
    [WIRE_OPEN - WIRE_HELLO] = CODEC(open),
    [WIRE_STEP - WIRE_HELLO] = CODEC(step),
    [WIRE_OBSERVE - WIRE_HELLO] = CODEC(observe),
    [WIRE_ACT - WIRE_HELLO] = CODEC(act),
    [WIRE_RESET - WIRE_HELLO] = CODEC(reset),
    [WIRE_GET_BELIEF - WIRE_HELLO] = CODEC(get_belief),
    [WIRE_CLOSE - WIRE_HELLO] = CODEC(close),
    [WIRE_PING - WIRE_HELLO] = CODEC(ping),
    [WIRE_SAVE - WIRE_HELLO] = CODEC(save),
    [WIRE_RESTORE - WIRE_HELLO] = CODEC(restore),
    [WIRE_GET_MODEL - WIRE_HELLO] = {&belief__v1__get_model__descriptor, wire_read_get_model, wire_fill_get_model},
    [WIRE_EXPERIENCE - WIRE_HELLO] = {&belief__v1__experience__descriptor, wire_read_experience, wire_fill_experience},
    [WIRE_PUBLISH_MODEL - WIRE_HELLO] =
        {&belief__v1__publish_model__descriptor, wire_read_publish_model, wire_fill_publish_model},
};
