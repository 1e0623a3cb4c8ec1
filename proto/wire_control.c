// What operators ask on the control socket, between generated and plain structs (wire_codec.h).
#include "wire_codec.h"

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

#define CODEC(kind, name) \
    [kind - WIRE_CONTROL_FIRST] = {&belief__v1__##name##__descriptor, read_##name, fill_##name}
#define CODEC_WITHOUT_FIELDS(kind, name) \
    [kind - WIRE_CONTROL_FIRST] = {&belief__v1__##name##__descriptor, NULL, NULL}

const struct wire_codec wire_control_codecs[] = {
    CODEC(WIRE_LIST_SESSIONS, list_sessions),
    CODEC_WITHOUT_FIELDS(WIRE_LIST_MODELS, list_models),
    CODEC(WIRE_LOAD_MODEL, load_model),
    CODEC(WIRE_UNLOAD_MODEL, unload_model),
    CODEC(WIRE_ALIAS_MODEL, alias_model),
    CODEC_WITHOUT_FIELDS(WIRE_RELOAD, reload),
    CODEC(WIRE_REBUILD, rebuild),
    CODEC_WITHOUT_FIELDS(WIRE_SNAPSHOT, snapshot),
    CODEC(WIRE_HAND_OVER, hand_over),
    CODEC_WITHOUT_FIELDS(WIRE_DRAIN, drain),
    CODEC_WITHOUT_FIELDS(WIRE_GET_METRICS, get_metrics),
};
