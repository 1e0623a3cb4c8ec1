// Bytes to plain structs; the contract is in wire.h. protobuf-c parses into the arena, and the plain structs
// point at what it parsed; only lists of messages are rewritten.
#include "wire_arena.h"

#include "belief.pb-c.h"

#include <errno.h>

struct source {
    struct wire_arena *arena;
    int exhausted;  // the arena was too small; tells -ENOMEM from -EBADMSG
};

static void *take(void *data, size_t size)
{
    struct source *source = data;
    void *memory = wire_arena_take(source->arena, size);
    if (!memory)
        source->exhausted = 1;
    return memory;
}

static void give_back(void *data, void *memory)
{
    (void)data, (void)memory;
}

static struct wire_floats floats(const float *values, size_t count)
{
    return (struct wire_floats){values, count};
}

static struct wire_doubles doubles(const double *values, size_t count)
{
    return (struct wire_doubles){values, count};
}

static struct wire_bytes bytes_of(ProtobufCBinaryData data)
{
    return (struct wire_bytes){data.data, data.len};
}

static struct wire_model model_of(const Belief__V1__ModelInfo *m)
{
    return (struct wire_model){
        .name = m->name, .world = m->world, .digest = m->digest,
        .observation_dim = m->observation_dim, .action_dim = m->action_dim, .task_dim = m->task_dim,
        .action_low = floats(m->action_low, m->n_action_low),
        .action_high = floats(m->action_high, m->n_action_high),
        .action_log_sd = floats(m->action_log_sd, m->n_action_log_sd),
        .transition_features = m->transition_features, .reward_features = m->reward_features,
        .provenance = m->provenance,
    };
}

static int decode_observe(struct wire_observe *out, const Belief__V1__Observe *m, struct source *source)
{
    struct wire_transition *list = take(source, m->n_transitions * sizeof *list);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_transitions; i++) {
        const Belief__V1__Transition *t = m->transitions[i];
        list[i] = (struct wire_transition){
            .seq = t->seq, .reward = t->reward,
            .observation = floats(t->observation, t->n_observation),
            .action = floats(t->action, t->n_action),
            .next_observation = floats(t->next_observation, t->n_next_observation),
        };
    }
    *out = (struct wire_observe){m->handle, m->writer, m->task, list, m->n_transitions};
    return 0;
}

static int decode_observed(struct wire_observed *out, const Belief__V1__Observed *m, struct source *source)
{
    enum wire_status *list = take(source, m->n_status * sizeof *list);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_status; i++)
        list[i] = (enum wire_status)m->status[i];
    *out = (struct wire_observed){list, m->n_status, m->count, bytes_of(m->digest)};
    return 0;
}

static int decode_welcome(struct wire_welcome *out, const Belief__V1__Welcome *m, struct source *source)
{
    struct wire_model *list = take(source, m->n_models * sizeof *list);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_models; i++)
        list[i] = model_of(m->models[i]);
    *out = (struct wire_welcome){m->server, m->protocol, list, m->n_models, m->max_frame_bytes, m->max_in_flight};
    return 0;
}

static int decode_opened(struct wire_opened *out, const Belief__V1__Opened *m, struct source *source)
{
    struct wire_model *model = NULL;
    if (m->model) {
        model = take(source, sizeof *model);
        if (!model)
            return -ENOMEM;
        *model = model_of(m->model);
    }
    *out = (struct wire_opened){m->handle, m->epoch, m->resumed, m->task, m->seq, m->count,
                                 bytes_of(m->digest), model};
    return 0;
}

static int decode_belief(struct wire_belief *out, const Belief__V1__BeliefState *m, struct source *source)
{
    struct wire_head *list = take(source, m->n_heads * sizeof *list);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_heads; i++) {
        const Belief__V1__Head *h = m->heads[i];
        list[i] = (struct wire_head){
            h->name, h->features, h->targets, h->log_evidence, doubles(h->mean, h->n_mean),
            doubles(h->variance, h->n_variance), doubles(h->noise, h->n_noise), bytes_of(h->sums)};
    }
    *out = (struct wire_belief){
        m->count, bytes_of(m->digest), m->task, list, m->n_heads,
        doubles(m->estimate_mean, m->n_estimate_mean), doubles(m->estimate_sd, m->n_estimate_sd)};
    return 0;
}

// The kind is the field number of the body.
static int decode_body(struct wire_envelope *out, const Belief__V1__Envelope *m, struct source *source)
{
    switch (m->body_case) {
    case BELIEF__V1__ENVELOPE__BODY_HELLO:
        out->hello = (struct wire_hello){m->hello->client};
        break;
    case BELIEF__V1__ENVELOPE__BODY_OPEN:
        out->open = (struct wire_open){m->open->session, m->open->model, m->open->hold_prior};
        break;
    case BELIEF__V1__ENVELOPE__BODY_STEP:
        out->step = (struct wire_step){
            m->step->handle, m->step->seq, m->step->task, floats(m->step->observation, m->step->n_observation),
            m->step->reward, floats(m->step->action, m->step->n_action), m->step->last};
        break;
    case BELIEF__V1__ENVELOPE__BODY_OBSERVE:
        return decode_observe(&out->observe, m->observe, source);
    case BELIEF__V1__ENVELOPE__BODY_ACT:
        out->act = (struct wire_act){
            m->act->handle, m->act->seq, floats(m->act->observation, m->act->n_observation)};
        break;
    case BELIEF__V1__ENVELOPE__BODY_RESET:
        out->reset = (struct wire_reset){m->reset->handle, (enum wire_scope)m->reset->scope, m->reset->task};
        break;
    case BELIEF__V1__ENVELOPE__BODY_GET_BELIEF:
        out->get_belief = (struct wire_get_belief){
            m->get_belief->handle, m->get_belief->sums, m->get_belief->weights, m->get_belief->estimate};
        break;
    case BELIEF__V1__ENVELOPE__BODY_CLOSE:
        out->close = (struct wire_close){m->close->handle, m->close->forget};
        break;
    case BELIEF__V1__ENVELOPE__BODY_ERROR:
        out->error = (struct wire_error){
            (enum wire_error_code)m->error->code, m->error->field, m->error->message, m->error->limit};
        break;
    case BELIEF__V1__ENVELOPE__BODY_WELCOME:
        return decode_welcome(&out->welcome, m->welcome, source);
    case BELIEF__V1__ENVELOPE__BODY_OPENED:
        return decode_opened(&out->opened, m->opened, source);
    case BELIEF__V1__ENVELOPE__BODY_ACTION: {
        const Belief__V1__Action *a = m->action;
        out->action = (struct wire_action){
            a->seq, floats(a->action, a->n_action), (enum wire_status)a->status, a->count, bytes_of(a->digest),
            a->task, a->reward_p, a->transition_p, a->queue_us, a->compute_us};
        break;
    }
    case BELIEF__V1__ENVELOPE__BODY_OBSERVED:
        return decode_observed(&out->observed, m->observed, source);
    case BELIEF__V1__ENVELOPE__BODY_DONE:
        out->done = (struct wire_done){m->done->task, m->done->count, bytes_of(m->done->digest)};
        break;
    case BELIEF__V1__ENVELOPE__BODY_BELIEF:
        return decode_belief(&out->belief, m->belief, source);
    default:  // Ping has no fields
        break;
    }
    return 0;
}

int wire_decode(struct wire_envelope *envelope, const uint8_t *bytes, size_t size, struct wire_arena *arena)
{
    struct source source = {arena, 0};
    ProtobufCAllocator allocator = {take, give_back, &source};
    Belief__V1__Envelope *message = belief__v1__envelope__unpack(&allocator, size, bytes);
    if (!message)
        return source.exhausted ? -ENOMEM : -EBADMSG;
    envelope->request_id = message->request_id;
    envelope->kind = (enum wire_kind)message->body_case;
    return decode_body(envelope, message, &source);
}

size_t wire_arena_bound(size_t size, size_t parts)
{
    // Numbers take at most twice their bytes on the wire; a part has its structs, generated and plain, and what
    // the parser notes about each of its fields.
    return 4096 + 2 * size + 768 * parts;
}
