// A session's whole state, between generated and plain structs (wire_codec.h).
#include "wire_codec.h"

#include <errno.h>

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
        .duplicates = m->duplicates, .refused = m->refused};
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
    return 0;
}
