// What the daemon answers, between generated and plain structs (wire_codec.h).
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

static struct wire_model model_of(const Belief__V1__ModelInfo *m)
{
    return (struct wire_model){
        .name = m->name, .world = m->world, .digest = m->digest,
        .observation_dim = m->observation_dim, .action_dim = m->action_dim, .task_dim = m->task_dim,
        .action_low = GET_FLOATS(m, action_low), .action_high = GET_FLOATS(m, action_high),
        .action_log_sd = GET_FLOATS(m, action_log_sd),
        .transition_features = m->transition_features, .reward_features = m->reward_features,
        .provenance = m->provenance};
}

static void fill_model(Belief__V1__ModelInfo *m, const struct wire_model *model)
{
    belief__v1__model_info__init(m);
    m->name = wire_text(model->name);
    m->world = wire_text(model->world);
    m->digest = wire_text(model->digest);
    m->observation_dim = model->observation_dim;
    m->action_dim = model->action_dim;
    m->task_dim = model->task_dim;
    SET_LIST(m, action_low, model->action_low);
    SET_LIST(m, action_high, model->action_high);
    SET_LIST(m, action_log_sd, model->action_log_sd);
    m->transition_features = model->transition_features;
    m->reward_features = model->reward_features;
    m->provenance = wire_text(model->provenance);
}

static struct wire_model *read_models(Belief__V1__ModelInfo *const *models, size_t count, struct wire_arena *arena)
{
    struct wire_model *list = wire_take_array(arena, count, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        list[i] = model_of(models[i]);
    return list;
}

static int fill_models(Belief__V1__ModelInfo ***models, const struct wire_model *in, size_t count,
                       struct wire_arena *arena)
{
    Belief__V1__ModelInfo *list = wire_take_parts(arena, count, sizeof *list, models);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        fill_model(&list[i], &in[i]);
    return 0;
}

static int read_welcome(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Welcome *m = message;
    const struct wire_model *models = read_models(m->models, m->n_models, arena);
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
    if (fill_models(&m->models, welcome->models, welcome->model_count, arena))
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
        *model = model_of(m->model);
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
        fill_model(&parts->model, opened->model);
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

static int read_session_list(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__SessionList *m = message;
    struct wire_session_info *list = wire_take_array(arena, m->n_sessions, sizeof *list);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_sessions; i++) {
        const Belief__V1__SessionInfo *s = m->sessions[i];
        list[i] = (struct wire_session_info){
            .session = s->session, .model = s->model, .model_digest = s->model_digest, .identity = s->identity,
            .place = (enum wire_place)s->place, .epoch = s->epoch, .task = s->task, .seq = s->seq,
            .count = s->count, .digest = wire_bytes_of(s->digest), .durable_seq = s->durable_seq,
            .duplicates = s->duplicates, .gaps = s->gaps, .refused = s->refused, .silent_ms = s->silent_ms,
            .peer = s->peer, .last_reward_p = s->last_reward_p, .loop = s->loop};
    }
    out->session_list = (struct wire_session_list){
        .sessions = list, .session_count = m->n_sessions, .more = m->more};
    return 0;
}

static int fill_session_list(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__SessionList *m = message;
    const struct wire_session_list *sessions = &in->session_list;
    Belief__V1__SessionInfo *list = wire_take_parts(arena, sessions->session_count, sizeof *list, &m->sessions);
    if (!list)
        return -ENOMEM;
    m->n_sessions = sessions->session_count;
    for (size_t i = 0; i < sessions->session_count; i++) {
        const struct wire_session_info *s = &sessions->sessions[i];
        belief__v1__session_info__init(&list[i]);
        list[i].session = wire_text(s->session);
        list[i].model = wire_text(s->model);
        list[i].model_digest = wire_text(s->model_digest);
        list[i].identity = wire_text(s->identity);
        list[i].place = (Belief__V1__SessionInfo__Place)s->place;
        list[i].epoch = s->epoch;
        list[i].task = s->task;
        list[i].seq = s->seq;
        list[i].count = s->count;
        list[i].digest = wire_data_of(s->digest);
        list[i].durable_seq = s->durable_seq;
        list[i].duplicates = s->duplicates;
        list[i].gaps = s->gaps;
        list[i].refused = s->refused;
        list[i].silent_ms = s->silent_ms;
        list[i].peer = wire_text(s->peer);
        list[i].last_reward_p = s->last_reward_p;
        list[i].loop = s->loop;
    }
    m->more = sessions->more;
    return 0;
}

static int read_model_list(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__ModelList *m = message;
    const struct wire_model *models = read_models(m->models, m->n_models, arena);
    struct wire_alias *aliases = wire_take_array(arena, m->n_aliases, sizeof *aliases);
    struct wire_use *uses = wire_take_array(arena, m->n_uses, sizeof *uses);
    if (!models || !aliases || !uses)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_aliases; i++)
        aliases[i] = (struct wire_alias){.alias = m->aliases[i]->alias, .model = m->aliases[i]->model};
    for (size_t i = 0; i < m->n_uses; i++) {
        const Belief__V1__ModelList__Use *u = m->uses[i];
        uses[i] = (struct wire_use){.digest = u->digest, .sessions = u->sessions, .serving = u->serving};
    }
    out->model_list = (struct wire_model_list){
        .models = models, .model_count = m->n_models, .aliases = aliases, .alias_count = m->n_aliases,
        .uses = uses, .use_count = m->n_uses,
        .refused = (const char *const *)m->refused, .refused_count = m->n_refused};
    return 0;
}

static int fill_model_list(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__ModelList *m = message;
    const struct wire_model_list *list = &in->model_list;
    Belief__V1__ModelList__Alias *aliases = wire_take_parts(arena, list->alias_count, sizeof *aliases, &m->aliases);
    Belief__V1__ModelList__Use *uses = wire_take_parts(arena, list->use_count, sizeof *uses, &m->uses);
    if (!aliases || !uses || fill_models(&m->models, list->models, list->model_count, arena))
        return -ENOMEM;
    m->n_models = list->model_count;
    m->n_aliases = list->alias_count;
    for (size_t i = 0; i < list->alias_count; i++) {
        belief__v1__model_list__alias__init(&aliases[i]);
        aliases[i].alias = wire_text(list->aliases[i].alias);
        aliases[i].model = wire_text(list->aliases[i].model);
    }
    m->n_uses = list->use_count;
    for (size_t i = 0; i < list->use_count; i++) {
        belief__v1__model_list__use__init(&uses[i]);
        uses[i].digest = wire_text(list->uses[i].digest);
        uses[i].sessions = list->uses[i].sessions;
        uses[i].serving = list->uses[i].serving;
    }
    m->n_refused = list->refused_count;
    m->refused = (char **)list->refused;
    return 0;
}

static int read_metrics(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Metrics *m = message;
    (void)arena;
    out->metrics = (struct wire_metrics){.text = m->text};
    return 0;
}

static int fill_metrics(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Metrics *m = message;
    (void)arena;
    m->text = wire_text(in->metrics.text);
    return 0;
}

#define CODEC(kind, name) \
    [kind - WIRE_REPLIES_FIRST] = {&belief__v1__##name##__descriptor, read_##name, fill_##name}

const struct wire_codec wire_reply_codecs[] = {
    CODEC(WIRE_ERROR, error),
    CODEC(WIRE_WELCOME, welcome),
    CODEC(WIRE_OPENED, opened),
    CODEC(WIRE_ACTION, action),
    CODEC(WIRE_OBSERVED, observed),
    CODEC(WIRE_DONE, done),
    [WIRE_BELIEF - WIRE_REPLIES_FIRST] = {&belief__v1__belief_state__descriptor, read_belief, fill_belief},
    CODEC(WIRE_SESSION_STATE, session_state),
    CODEC(WIRE_SESSION_LIST, session_list),
    CODEC(WIRE_MODEL_LIST, model_list),
    CODEC(WIRE_METRICS, metrics),
};
