// What learners and those who explore for them ask, and what experience they are told, between generated and plain
// structs (wire_codec.h).
#include "wire_codec.h"

#include <errno.h>

int wire_read_get_model(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__GetModel *m = message;
    (void)arena;
    out->get_model = (struct wire_get_model){.model = m->model, .wait_ms = m->wait_ms, .unlike = m->unlike};
    return 0;
}

int wire_fill_get_model(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__GetModel *m = message;
    (void)arena;
    m->model = wire_text(in->get_model.model);
    m->wait_ms = in->get_model.wait_ms;
    m->unlike = in->get_model.unlike;
    return 0;
}

int wire_read_experience(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Experience *m = message;
    (void)arena;
    out->experience = (struct wire_experience){
        .model = m->model, .learner = m->learner, .follow = m->follow, .after = m->after, .seq = m->seq,
        .newest = m->newest, .wait_ms = m->wait_ms, .forget = m->forget};
    return 0;
}

int wire_fill_experience(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Experience *m = message;
    const struct wire_experience *experience = &in->experience;
    (void)arena;
    m->model = wire_text(experience->model);
    m->learner = wire_text(experience->learner);
    m->follow = experience->follow;
    m->after = experience->after;
    m->seq = experience->seq;
    m->newest = experience->newest;
    m->wait_ms = experience->wait_ms;
    m->forget = experience->forget;
    return 0;
}

int wire_read_publish_model(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__PublishModel *m = message;
    (void)arena;
    out->publish_model = (struct wire_publish_model){
        .file = wire_bytes_of(m->file), .alias = m->alias, .learner = m->learner};
    return 0;
}

int wire_fill_publish_model(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__PublishModel *m = message;
    (void)arena;
    m->file = wire_data_of(in->publish_model.file);
    m->alias = wire_text(in->publish_model.alias);
    m->learner = wire_text(in->publish_model.learner);
    return 0;
}

int wire_read_experienced(struct wire_envelope *out, const void *message, struct wire_arena *arena)
{
    const Belief__V1__Experienced *m = message;
    const struct wire_transition *list = wire_read_transitions(m->transitions, m->n_transitions, arena);
    if (!list)
        return -ENOMEM;
    out->experienced = (struct wire_experienced){
        .number = m->number, .session = m->session, .model_digest = m->model_digest, .count = m->count,
        .digest = wire_bytes_of(m->digest), .transitions = list, .transition_count = m->n_transitions,
        .more = m->more};
    return 0;
}

int wire_fill_experienced(void *message, const struct wire_envelope *in, struct wire_arena *arena)
{
    Belief__V1__Experienced *m = message;
    const struct wire_experienced *page = &in->experienced;
    if (wire_fill_transitions(&m->transitions, page->transitions, page->transition_count, arena))
        return -ENOMEM;
    m->number = page->number;
    m->session = wire_text(page->session);
    m->model_digest = wire_text(page->model_digest);
    m->count = page->count;
    m->digest = wire_data_of(page->digest);
    m->n_transitions = page->transition_count;
    m->more = page->more;
    return 0;
}
