// What the daemon answers robots, learners and observers, between generated and plain structs (wire_codec.h).
#include "wire_codec.h"

#include <errno.h>

static int read_error(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Error *m = message;
    (void)arena;
    out->error = (struct wire_error){
        .code = (enum wire_error_code)m->code, .field = m->field, .message = m->message, .limit = m->limit,
        .address = m->address};
    return 0;
}

static int fill_error(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Error *m = message;
    (void)arena;
    m->code = (Belief__V1__Error__Code)in->error.code;
    m->field = wire_text(in->error.field);
    m->message = wire_text(in->error.message);
    m->limit = in->error.limit;
    m->address = wire_text(in->error.address);
    return 0;
}

static int read_welcome(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Welcome *m = message;
    const struct wire_model *models = wire_read_models(m->models, m->n_models, arena);
    if (!models)
        return -ENOMEM;
    out->welcome = (struct wire_welcome){
        .server = m->server, .protocol = m->protocol, .models = models, .model_count = m->n_models,
        .max_frame_bytes = m->max_frame_bytes, .max_in_flight = m->max_in_flight,
        .identity = m->identity, .role = (enum wire_role)m->role,
        .durability = (enum wire_durability)m->durability};
    return 0;
}

static int fill_welcome(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Welcome *m = message;
    const struct wire_welcome *welcome = &in->welcome;
    if (wire_fill_models(&m->models, welcome->models, welcome->model_count, arena))
        return -ENOMEM;
    m->n_models = welcome->model_count;
    m->server = wire_text(welcome->server);
    m->protocol = welcome->protocol;
    m->max_frame_bytes = welcome->max_frame_bytes;
    m->max_in_flight = welcome->max_in_flight;
    m->identity = wire_text(welcome->identity);
    m->role = (Belief__V1__Role)welcome->role;
    m->durability = (Belief__V1__Durability)welcome->durability;
    return 0;
}

static int read_opened(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Opened *m = message;
    struct wire_model *model = NULL;
    if (m->model) {
        model = wire_arena_take(arena, sizeof *model);
        if (!model)
            return -ENOMEM;
        *model = wire_read_model(m->model);
    }
    out->opened = (struct wire_opened){
        .handle = m->handle, .epoch = m->epoch, .resumed = m->resumed, .task = m->task, .seq = m->seq,
        .count = m->count, .digest = wire_bytes_of(m->digest), .model = model,
        .durable_seq = m->durable_seq, .durability = (enum wire_durability)m->durability};
    return 0;
}

static int fill_opened(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    struct wire_opened_parts *parts = message;
    Belief__V1__Opened *m = &parts->opened;
    const struct wire_opened *opened = &in->opened;
    (void)arena;
    m->handle = opened->handle;
    m->epoch = opened->epoch;
    m->resumed = opened->resumed;
    m->task = opened->task;
    m->seq = opened->seq;
    m->count = opened->count;
    m->digest = wire_data_of(opened->digest);
    if (opened->model) {
        wire_fill_model(&parts->model, opened->model);
        m->model = &parts->model;
    }
    m->durable_seq = opened->durable_seq;
    m->durability = (Belief__V1__Durability)opened->durability;
    return 0;
}

static int read_action(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Action *m = message;
    (void)arena;
    out->action = (struct wire_action){
        .seq = m->seq, .action = GET_FLOATS(m, action), .status = (enum wire_status)m->status,
        .count = m->count, .digest = wire_bytes_of(m->digest), .task = m->task,
        .reward_p = m->reward_p, .transition_p = m->transition_p,
        .queue_us = m->queue_us, .compute_us = m->compute_us, .durable_seq = m->durable_seq};
    return 0;
}

static int fill_action(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Action *m = message;
    const struct wire_action *action = &in->action;
    (void)arena;
    m->seq = action->seq;
    SET_LIST(m, action, action->action);
    m->status = (Belief__V1__Status)action->status;
    m->count = action->count;
    m->digest = wire_data_of(action->digest);
    m->task = action->task;
    m->reward_p = action->reward_p;
    m->transition_p = action->transition_p;
    m->queue_us = action->queue_us;
    m->compute_us = action->compute_us;
    m->durable_seq = action->durable_seq;
    return 0;
}

static int read_observed(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Observed *m = message;
    enum wire_status *list = wire_take_array(arena, m->n_status, sizeof *list);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_status; i++)
        list[i] = (enum wire_status)m->status[i];
    out->observed = (struct wire_observed){
        .status = list, .status_count = m->n_status, .count = m->count, .digest = wire_bytes_of(m->digest)};
    return 0;
}

static int fill_observed(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Observed *m = message;
    const struct wire_observed *observed = &in->observed;
    m->status = wire_take_array(arena, observed->status_count, sizeof *m->status);
    if (!m->status)
        return -ENOMEM;
    for (size_t i = 0; i < observed->status_count; i++)
        m->status[i] = (Belief__V1__Status)observed->status[i];
    m->n_status = observed->status_count;
    m->count = observed->count;
    m->digest = wire_data_of(observed->digest);
    return 0;
}

static int read_done(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Done *m = message;
    (void)arena;
    out->done = (struct wire_done){.task = m->task, .count = m->count, .digest = wire_bytes_of(m->digest)};
    return 0;
}

static int fill_done(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Done *m = message;
    (void)arena;
    m->task = in->done.task;
    m->count = in->done.count;
    m->digest = wire_data_of(in->done.digest);
    return 0;
}

static int read_belief(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__BeliefState *m = message;
    struct wire_head *list = wire_take_array(arena, m->n_heads, sizeof *list);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_heads; i++) {
        const Belief__V1__Head *h = m->heads[i];
        list[i] = (struct wire_head){
            .name = h->name, .features = h->features, .targets = h->targets, .log_evidence = h->log_evidence,
            .mean = GET_DOUBLES(h, mean), .variance = GET_DOUBLES(h, variance), .noise = GET_DOUBLES(h, noise),
            .sums = wire_bytes_of(h->sums)};
    }
    out->belief = (struct wire_belief){
        .count = m->count, .digest = wire_bytes_of(m->digest), .task = m->task,
        .heads = list, .head_count = m->n_heads,
        .estimate_mean = GET_DOUBLES(m, estimate_mean), .estimate_sd = GET_DOUBLES(m, estimate_sd)};
    return 0;
}

static int fill_belief(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__BeliefState *m = message;
    const struct wire_belief *belief = &in->belief;
    Belief__V1__Head *list = wire_take_parts(arena, belief->head_count, sizeof *list, &m->heads);
    if (!list)
        return -ENOMEM;
    m->n_heads = belief->head_count;
    for (size_t i = 0; i < belief->head_count; i++) {
        const struct wire_head *h = &belief->heads[i];
        belief__v1__head__init(&list[i]);
        list[i].name = wire_text(h->name);
        list[i].features = h->features;
        list[i].targets = h->targets;
        list[i].log_evidence = h->log_evidence;
        SET_LIST(&list[i], mean, h->mean);
        SET_LIST(&list[i], variance, h->variance);
        SET_LIST(&list[i], noise, h->noise);
        list[i].sums = wire_data_of(h->sums);
    }
    m->count = belief->count;
    m->digest = wire_data_of(belief->digest);
    m->task = belief->task;
    SET_LIST(m, estimate_mean, belief->estimate_mean);
    SET_LIST(m, estimate_sd, belief->estimate_sd);
    return 0;
}

static int read_session_state(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    return wire_read_state(&out->session_state, message, arena);
}

static int fill_session_state(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    return wire_fill_state(message, &in->session_state, arena);
}

#define CODEC(name) {&belief__v1__##name##__descriptor, read_##name, fill_##name}

const struct wire_codec wire_reply_codecs[] = {
    [WIRE_ERROR - WIRE_ERROR] = CODEC(error),
    [WIRE_WELCOME - WIRE_ERROR] = CODEC(welcome),
    [WIRE_OPENED - WIRE_ERROR] = CODEC(opened),
    [WIRE_ACTION - WIRE_ERROR] = CODEC(action),
    [WIRE_OBSERVED - WIRE_ERROR] = CODEC(observed),
    [WIRE_DONE - WIRE_ERROR] = CODEC(done),
    [WIRE_BELIEF - WIRE_ERROR] = {&belief__v1__belief_state__descriptor, read_belief, fill_belief},
    [WIRE_SESSION_STATE - WIRE_ERROR] = CODEC(session_state),
};
