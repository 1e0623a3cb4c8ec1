// What operators ask on the control socket and what they are told, between generated and plain structs
// (wire_codec.h).
#include "wire_codec.h"

#include <errno.h>

static int read_list_sessions(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__ListSessions *m = message;
    (void)arena;
    out->list_sessions = (struct wire_list_sessions){.after = m->after, .limit = m->limit, .session = m->session};
    return 0;
}

static int fill_list_sessions(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__ListSessions *m = message;
    (void)arena;
    m->after = wire_text(in->list_sessions.after);
    m->limit = in->list_sessions.limit;
    m->session = wire_text(in->list_sessions.session);
    return 0;
}

static int read_load_model(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__LoadModel *m = message;
    (void)arena;
    out->load_model = (struct wire_load_model){.file = wire_bytes_of(m->file)};
    return 0;
}

static int fill_load_model(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__LoadModel *m = message;
    (void)arena;
    m->file = wire_data_of(in->load_model.file);
    return 0;
}

static int read_unload_model(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__UnloadModel *m = message;
    (void)arena;
    out->unload_model = (struct wire_unload_model){.model = m->model};
    return 0;
}

static int fill_unload_model(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__UnloadModel *m = message;
    (void)arena;
    m->model = wire_text(in->unload_model.model);
    return 0;
}

static int read_alias_model(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__AliasModel *m = message;
    (void)arena;
    out->alias_model = (struct wire_alias){.alias = m->alias, .model = m->model};
    return 0;
}

static int fill_alias_model(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__AliasModel *m = message;
    (void)arena;
    m->alias = wire_text(in->alias_model.alias);
    m->model = wire_text(in->alias_model.model);
    return 0;
}

static int read_rebuild(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Rebuild *m = message;
    (void)arena;
    out->rebuild = (struct wire_rebuild){.session = m->session};
    return 0;
}

static int fill_rebuild(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Rebuild *m = message;
    (void)arena;
    m->session = wire_text(in->rebuild.session);
    return 0;
}

static int read_hand_over(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__HandOver *m = message;
    (void)arena;
    out->hand_over = (struct wire_hand_over){
        .session = m->session, .phase = (enum wire_phase)m->phase, .to = m->to};
    return 0;
}

static int fill_hand_over(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__HandOver *m = message;
    (void)arena;
    m->session = wire_text(in->hand_over.session);
    m->phase = (Belief__V1__HandOver__Phase)in->hand_over.phase;
    m->to = wire_text(in->hand_over.to);
    return 0;
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
            .peer = s->peer, .last_reward_p = s->last_reward_p, .loop = s->loop,
            .kind = s->kind, .told_task = GET_FLOATS(s, told_task)};
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
        list[i].kind = wire_text(s->kind);
        list[i].loop = s->loop;
        SET_LIST(&list[i], told_task, s->told_task);
    }
    m->more = sessions->more;
    return 0;
}

static int read_model_list(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__ModelList *m = message;
    const struct wire_model *models = wire_read_models(m->models, m->n_models, arena);
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
    if (!aliases || !uses || wire_fill_models(&m->models, list->models, list->model_count, arena))
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

#define CODEC(name) {&belief__v1__##name##__descriptor, read_##name, fill_##name}
#define CODEC_WITHOUT_FIELDS(name) {&belief__v1__##name##__descriptor, NULL, NULL}

const struct wire_codec wire_control_codecs[] = {
    [WIRE_LIST_SESSIONS - WIRE_LIST_SESSIONS] = CODEC(list_sessions),
    [WIRE_LIST_MODELS - WIRE_LIST_SESSIONS] = CODEC_WITHOUT_FIELDS(list_models),
    [WIRE_LOAD_MODEL - WIRE_LIST_SESSIONS] = CODEC(load_model),
    [WIRE_UNLOAD_MODEL - WIRE_LIST_SESSIONS] = CODEC(unload_model),
    [WIRE_ALIAS_MODEL - WIRE_LIST_SESSIONS] = CODEC(alias_model),
    [WIRE_RELOAD - WIRE_LIST_SESSIONS] = CODEC_WITHOUT_FIELDS(reload),
    [WIRE_REBUILD - WIRE_LIST_SESSIONS] = CODEC(rebuild),
    [WIRE_SNAPSHOT - WIRE_LIST_SESSIONS] = CODEC_WITHOUT_FIELDS(snapshot),
    [WIRE_HAND_OVER - WIRE_LIST_SESSIONS] = CODEC(hand_over),
    [WIRE_DRAIN - WIRE_LIST_SESSIONS] = CODEC_WITHOUT_FIELDS(drain),
    [WIRE_GET_METRICS - WIRE_LIST_SESSIONS] = CODEC_WITHOUT_FIELDS(get_metrics),
};

const struct wire_codec wire_list_codecs[] = {
    [WIRE_SESSION_LIST - WIRE_SESSION_LIST] = CODEC(session_list),
    [WIRE_MODEL_LIST - WIRE_SESSION_LIST] = CODEC(model_list),
    [WIRE_METRICS - WIRE_SESSION_LIST] = CODEC(metrics),
    [WIRE_EXPERIENCED - WIRE_SESSION_LIST] =
        {&belief__v1__experienced__descriptor, wire_read_experienced, wire_fill_experienced},
};
