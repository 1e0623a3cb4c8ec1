// Parts that several messages have, between generated and plain structs (wire_codec.h): models, transitions, and a
// session's whole state.
#include "wire_codec.h"

#include <errno.h>

struct wire_model wire_read_model(const Belief__V1__ModelInfo *m)
{
    return (struct wire_model){
        .name = m->name, .world = m->world, .digest = m->digest,
        .observation_dim = m->observation_dim, .action_dim = m->action_dim, .task_dim = m->task_dim,
        .action_low = GET_FLOATS(m, action_low), .action_high = GET_FLOATS(m, action_high),
        .action_log_sd = GET_FLOATS(m, action_log_sd),
        .transition_features = m->transition_features, .reward_features = m->reward_features,
        .provenance = m->provenance, .revision = m->revision, .kind = m->kind, .discrete = m->discrete};
}

void wire_fill_model(Belief__V1__ModelInfo *m, const struct wire_model *model)
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
    m->revision = model->revision;
    m->kind = wire_text(model->kind);
    m->discrete = model->discrete;
}

struct wire_model *wire_read_models(Belief__V1__ModelInfo *const *models, size_t count, struct wire_arena *arena)
{
    struct wire_model *list = wire_take_array(arena, count, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        list[i] = wire_read_model(models[i]);
    return list;
}

int wire_fill_models(Belief__V1__ModelInfo ***models, const struct wire_model *in, size_t count,
                       struct wire_arena *arena)
{
    Belief__V1__ModelInfo *list = wire_take_parts(arena, count, sizeof *list, models);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        wire_fill_model(&list[i], &in[i]);
    return 0;
}

struct wire_transition *wire_read_transitions(Belief__V1__Transition *const *transitions, size_t count,
                                              struct wire_arena *arena)
{
    struct wire_transition *list = wire_take_array(arena, count, sizeof *list);
    for (size_t i = 0; list && i < count; i++) {
        const Belief__V1__Transition *t = transitions[i];
        list[i] = (struct wire_transition){
            .seq = t->seq, .observation = GET_FLOATS(t, observation), .action = GET_FLOATS(t, action),
            .reward = t->reward, .next_observation = GET_FLOATS(t, next_observation),
            .first = t->first, .last = t->last, .task = t->task, .status = (enum wire_status)t->status};
    }
    return list;
}

int wire_fill_transitions(Belief__V1__Transition ***transitions, const struct wire_transition *in, size_t count,
                          struct wire_arena *arena)
{
    Belief__V1__Transition *list = wire_take_parts(arena, count, sizeof *list, transitions);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct wire_transition *t = &in[i];
        belief__v1__transition__init(&list[i]);
        list[i].seq = t->seq;
        list[i].reward = t->reward;
        SET_LIST(&list[i], observation, t->observation);
        SET_LIST(&list[i], action, t->action);
        SET_LIST(&list[i], next_observation, t->next_observation);
        list[i].first = t->first;
        list[i].last = t->last;
        list[i].task = t->task;
        list[i].status = (Belief__V1__Status)t->status;
    }
    return 0;
}

int wire_read_state(struct wire_session_state *out, const Belief__V1__SessionState *m, struct wire_arena *arena)
{
    struct wire_writer_state *writers = wire_take_array(arena, m->n_writers, sizeof *writers);
    struct wire_bytes *sums = wire_take_array(arena, m->n_sums, sizeof *sums);
    if (!writers || !sums)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_writers; i++) {
        const Belief__V1__WriterState *w = m->writers[i];
        writers[i] = (struct wire_writer_state){w->writer, {w->seen, w->n_seen}};
    }
    for (size_t i = 0; i < m->n_sums; i++)
        sums[i] = wire_bytes_of(m->sums[i]);
    *out = (struct wire_session_state){
        .version = m->version, .session = m->session, .identity = m->identity,
        .model = m->model, .model_digest = m->model_digest,
        .epoch = m->epoch, .task = m->task, .seq = m->seq, .last_transition = m->last_transition,
        .standing = m->standing, .hold_prior = m->hold_prior,
        .observation = GET_FLOATS(m, observation), .action = GET_FLOATS(m, action),
        .writers = writers, .writer_count = m->n_writers, .sums = sums, .sums_count = m->n_sums,
        .count = m->count, .digest = wire_bytes_of(m->digest),
        .duplicates = m->duplicates, .refused = m->refused, .opener = m->opener,
        .hand_overs = m->hand_overs, .told_task = GET_FLOATS(m, told_task)};
    return 0;
}

int wire_fill_state(Belief__V1__SessionState *m, const struct wire_session_state *in, struct wire_arena *arena)
{
    Belief__V1__WriterState *writers = wire_take_parts(arena, in->writer_count, sizeof *writers, &m->writers);
    ProtobufCBinaryData *sums = wire_take_array(arena, in->sums_count, sizeof *sums);
    if (!writers || !sums)
        return -ENOMEM;
    m->n_writers = in->writer_count;
    for (size_t i = 0; i < in->writer_count; i++) {
        const struct wire_writer_state *w = &in->writers[i];
        belief__v1__writer_state__init(&writers[i]);
        writers[i].writer = w->writer;
        writers[i].n_seen = w->seen.count;
        writers[i].seen = (uint64_t *)w->seen.numbers;
    }
    m->n_sums = in->sums_count;
    m->sums = sums;
    for (size_t i = 0; i < in->sums_count; i++)
        sums[i] = wire_data_of(in->sums[i]);
    m->version = in->version;
    m->session = wire_text(in->session);
    m->identity = wire_text(in->identity);
    m->model = wire_text(in->model);
    m->model_digest = wire_text(in->model_digest);
    m->epoch = in->epoch;
    m->task = in->task;
    m->seq = in->seq;
    m->last_transition = in->last_transition;
    m->standing = in->standing;
    m->hold_prior = in->hold_prior;
    SET_LIST(m, observation, in->observation);
    SET_LIST(m, action, in->action);
    m->count = in->count;
    m->digest = wire_data_of(in->digest);
    m->duplicates = in->duplicates;
    m->refused = in->refused;
    m->opener = in->opener;
    m->hand_overs = in->hand_overs;
    SET_LIST(m, told_task, in->told_task);
    return 0;
}
