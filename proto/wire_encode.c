// Plain structs to bytes; the contract is in wire.h. The generated structs are filled on the stack and point at
// the caller's arrays; lists of messages are rewritten in the arena.
#include "frame.h"
#include "wire_arena.h"

#include "belief.pb-c.h"

#include <errno.h>

static char *text(const char *string)
{
    return string ? (char *)string : (char *)protobuf_c_empty_string;
}

static ProtobufCBinaryData data_of(struct wire_bytes bytes)
{
    return (ProtobufCBinaryData){bytes.size, (uint8_t *)bytes.bytes};
}

// The pair (n_field, field) of a generated struct.
#define SET_LIST(message, field, list) \
    ((message)->n_##field = (list).count, (message)->field = (void *)(list).values)

static void fill_model(Belief__V1__ModelInfo *m, const struct wire_model *model)
{
    belief__v1__model_info__init(m);
    m->name = text(model->name);
    m->world = text(model->world);
    m->digest = text(model->digest);
    m->observation_dim = model->observation_dim;
    m->action_dim = model->action_dim;
    m->task_dim = model->task_dim;
    SET_LIST(m, action_low, model->action_low);
    SET_LIST(m, action_high, model->action_high);
    SET_LIST(m, action_log_sd, model->action_log_sd);
    m->transition_features = model->transition_features;
    m->reward_features = model->reward_features;
    m->provenance = text(model->provenance);
}

static long write_frame(uint8_t *out, size_t room, Belief__V1__Envelope *message)
{
    size_t body = belief__v1__envelope__get_packed_size(message);
    if (body > UINT32_MAX)
        return -EMSGSIZE;
    if (FRAME_HEADER_SIZE + body <= room) {
        frame_write_header(out, (uint32_t)body);
        belief__v1__envelope__pack(message, out + FRAME_HEADER_SIZE);
    }
    return (long)(FRAME_HEADER_SIZE + body);
}

// An arena list of `count` generated structs and of pointers to them, as protobuf-c wants it.
static int take_list(struct wire_arena *arena, size_t count, size_t size, void **structs, void **pointers)
{
    if (count > arena->size / (size + sizeof(void *)))
        return -ENOMEM;
    *structs = wire_arena_take(arena, count * size);
    *pointers = wire_arena_take(arena, count * sizeof(void *));
    return *structs && *pointers ? 0 : -ENOMEM;
}

static long encode_observe(uint8_t *out, size_t room, Belief__V1__Envelope *message, const struct wire_observe *in,
                           struct wire_arena *arena)
{
    Belief__V1__Observe body = BELIEF__V1__OBSERVE__INIT;
    void *structs, *pointers;
    if (take_list(arena, in->transition_count, sizeof(Belief__V1__Transition), &structs, &pointers))
        return -ENOMEM;
    Belief__V1__Transition *list = structs;
    body.handle = in->handle;
    body.writer = in->writer;
    body.task = in->task;
    body.n_transitions = in->transition_count;
    body.transitions = pointers;
    for (size_t i = 0; i < in->transition_count; i++) {
        const struct wire_transition *t = &in->transitions[i];
        body.transitions[i] = &list[i];
        belief__v1__transition__init(&list[i]);
        list[i].seq = t->seq;
        list[i].reward = t->reward;
        SET_LIST(&list[i], observation, t->observation);
        SET_LIST(&list[i], action, t->action);
        SET_LIST(&list[i], next_observation, t->next_observation);
    }
    message->observe = &body;
    return write_frame(out, room, message);
}

static long encode_observed(uint8_t *out, size_t room, Belief__V1__Envelope *message,
                            const struct wire_observed *in, struct wire_arena *arena)
{
    Belief__V1__Observed body = BELIEF__V1__OBSERVED__INIT;
    if (in->status_count > arena->size / sizeof *body.status)
        return -ENOMEM;
    body.status = wire_arena_take(arena, in->status_count * sizeof *body.status);
    if (!body.status)
        return -ENOMEM;
    for (size_t i = 0; i < in->status_count; i++)
        body.status[i] = (Belief__V1__Status)in->status[i];
    body.n_status = in->status_count;
    body.count = in->count;
    body.digest = data_of(in->digest);
    message->observed = &body;
    return write_frame(out, room, message);
}

static long encode_welcome(uint8_t *out, size_t room, Belief__V1__Envelope *message, const struct wire_welcome *in,
                           struct wire_arena *arena)
{
    Belief__V1__Welcome body = BELIEF__V1__WELCOME__INIT;
    void *structs, *pointers;
    if (take_list(arena, in->model_count, sizeof(Belief__V1__ModelInfo), &structs, &pointers))
        return -ENOMEM;
    Belief__V1__ModelInfo *list = structs;
    body.server = text(in->server);
    body.protocol = in->protocol;
    body.n_models = in->model_count;
    body.models = pointers;
    for (size_t i = 0; i < in->model_count; i++) {
        body.models[i] = &list[i];
        fill_model(&list[i], &in->models[i]);
    }
    body.max_frame_bytes = in->max_frame_bytes;
    body.max_in_flight = in->max_in_flight;
    message->welcome = &body;
    return write_frame(out, room, message);
}

static long encode_opened(uint8_t *out, size_t room, Belief__V1__Envelope *message, const struct wire_opened *in)
{
    Belief__V1__Opened body = BELIEF__V1__OPENED__INIT;
    Belief__V1__ModelInfo model;
    body.handle = in->handle;
    body.epoch = in->epoch;
    body.resumed = in->resumed;
    body.task = in->task;
    body.seq = in->seq;
    body.count = in->count;
    body.digest = data_of(in->digest);
    if (in->model) {
        fill_model(&model, in->model);
        body.model = &model;
    }
    message->opened = &body;
    return write_frame(out, room, message);
}

static long encode_step(uint8_t *out, size_t room, Belief__V1__Envelope *message, const struct wire_step *in)
{
    Belief__V1__Step body = BELIEF__V1__STEP__INIT;
    body.handle = in->handle;
    body.seq = in->seq;
    body.task = in->task;
    SET_LIST(&body, observation, in->observation);
    body.reward = in->reward;
    SET_LIST(&body, action, in->action);
    body.last = in->last;
    message->step = &body;
    return write_frame(out, room, message);
}

static long encode_action(uint8_t *out, size_t room, Belief__V1__Envelope *message, const struct wire_action *in)
{
    Belief__V1__Action body = BELIEF__V1__ACTION__INIT;
    body.seq = in->seq;
    SET_LIST(&body, action, in->action);
    body.status = (Belief__V1__Status)in->status;
    body.count = in->count;
    body.digest = data_of(in->digest);
    body.task = in->task;
    body.reward_p = in->reward_p;
    body.transition_p = in->transition_p;
    body.queue_us = in->queue_us;
    body.compute_us = in->compute_us;
    message->action = &body;
    return write_frame(out, room, message);
}

static long encode_belief(uint8_t *out, size_t room, Belief__V1__Envelope *message, const struct wire_belief *in,
                          struct wire_arena *arena)
{
    Belief__V1__BeliefState body = BELIEF__V1__BELIEF_STATE__INIT;
    void *structs, *pointers;
    if (take_list(arena, in->head_count, sizeof(Belief__V1__Head), &structs, &pointers))
        return -ENOMEM;
    Belief__V1__Head *list = structs;
    body.count = in->count;
    body.digest = data_of(in->digest);
    body.task = in->task;
    body.n_heads = in->head_count;
    body.heads = pointers;
    for (size_t i = 0; i < in->head_count; i++) {
        const struct wire_head *h = &in->heads[i];
        body.heads[i] = &list[i];
        belief__v1__head__init(&list[i]);
        list[i].name = text(h->name);
        list[i].features = h->features;
        list[i].targets = h->targets;
        list[i].log_evidence = h->log_evidence;
        SET_LIST(&list[i], mean, h->mean);
        SET_LIST(&list[i], variance, h->variance);
        SET_LIST(&list[i], noise, h->noise);
        list[i].sums = data_of(h->sums);
    }
    SET_LIST(&body, estimate_mean, in->estimate_mean);
    SET_LIST(&body, estimate_sd, in->estimate_sd);
    message->belief = &body;
    return write_frame(out, room, message);
}

static long encode_small(uint8_t *out, size_t room, Belief__V1__Envelope *message, const struct wire_envelope *in)
{
    Belief__V1__Hello hello = BELIEF__V1__HELLO__INIT;
    Belief__V1__Open open = BELIEF__V1__OPEN__INIT;
    Belief__V1__Act act = BELIEF__V1__ACT__INIT;
    Belief__V1__Reset reset = BELIEF__V1__RESET__INIT;
    Belief__V1__GetBelief get_belief = BELIEF__V1__GET_BELIEF__INIT;
    Belief__V1__Close close = BELIEF__V1__CLOSE__INIT;
    Belief__V1__Ping ping = BELIEF__V1__PING__INIT;
    Belief__V1__Done done = BELIEF__V1__DONE__INIT;
    Belief__V1__Error error = BELIEF__V1__ERROR__INIT;
    switch (in->kind) {
    case WIRE_HELLO:
        hello.client = text(in->hello.client);
        message->hello = &hello;
        break;
    case WIRE_OPEN:
        open.session = text(in->open.session);
        open.model = text(in->open.model);
        open.hold_prior = in->open.hold_prior;
        message->open = &open;
        break;
    case WIRE_ACT:
        act.handle = in->act.handle;
        act.seq = in->act.seq;
        SET_LIST(&act, observation, in->act.observation);
        message->act = &act;
        break;
    case WIRE_RESET:
        reset.handle = in->reset.handle;
        reset.scope = (Belief__V1__Reset__Scope)in->reset.scope;
        reset.task = in->reset.task;
        message->reset = &reset;
        break;
    case WIRE_GET_BELIEF:
        get_belief.handle = in->get_belief.handle;
        get_belief.sums = in->get_belief.sums;
        get_belief.weights = in->get_belief.weights;
        get_belief.estimate = in->get_belief.estimate;
        message->get_belief = &get_belief;
        break;
    case WIRE_CLOSE:
        close.handle = in->close.handle;
        close.forget = in->close.forget;
        message->close = &close;
        break;
    case WIRE_PING:
        message->ping = &ping;
        break;
    case WIRE_DONE:
        done.task = in->done.task;
        done.count = in->done.count;
        done.digest = data_of(in->done.digest);
        message->done = &done;
        break;
    case WIRE_ERROR:
        error.code = (Belief__V1__Error__Code)in->error.code;
        error.field = text(in->error.field);
        error.message = text(in->error.message);
        error.limit = in->error.limit;
        message->error = &error;
        break;
    case WIRE_NONE:
        break;
    default:
        return -EINVAL;
    }
    return write_frame(out, room, message);
}

long wire_encode(uint8_t *out, size_t room, const struct wire_envelope *envelope, struct wire_arena *arena)
{
    Belief__V1__Envelope message = BELIEF__V1__ENVELOPE__INIT;
    message.request_id = envelope->request_id;
    message.body_case = (Belief__V1__Envelope__BodyCase)envelope->kind;
    switch (envelope->kind) {
    case WIRE_STEP:
        return encode_step(out, room, &message, &envelope->step);
    case WIRE_ACTION:
        return encode_action(out, room, &message, &envelope->action);
    case WIRE_OBSERVE:
        return encode_observe(out, room, &message, &envelope->observe, arena);
    case WIRE_OBSERVED:
        return encode_observed(out, room, &message, &envelope->observed, arena);
    case WIRE_WELCOME:
        return encode_welcome(out, room, &message, &envelope->welcome, arena);
    case WIRE_OPENED:
        return encode_opened(out, room, &message, &envelope->opened);
    case WIRE_BELIEF:
        return encode_belief(out, room, &message, &envelope->belief, arena);
    default:
        return encode_small(out, room, &message, envelope);
    }
}
