// Transitions of the log into a session that comes back; the contract is in session_state.h.
#include "session_state.h"

#include "batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void session_replay_skip(const struct session *session, uint32_t *writer, uint64_t *seq)
{
    const struct writer *known = session_find_writer(session, *writer);
    uint64_t hole = known ? seen_next_hole(&known->seen, *seq + 1) : 0;
    if (hole > *seq + 1)
        *seq = hole - 1;
}

// Rows may be of more writers, and leave more holes, than the limits allow today.
struct writer *session_writer_with_room(struct session *session, uint32_t id)
{
    struct limits limits = {.writers = session->writer_count + 1, .gaps = 7};
    int error;
    struct writer *writer = session_writer(session, id, &limits, &error);
    if (!writer || writer->seen.count + 2 <= writer->seen.limit)
        return writer;
    size_t limit = 2 * writer->seen.limit + 2;
    struct seen_range *ranges = realloc(writer->seen.ranges, limit * sizeof *ranges);
    if (!ranges)
        return NULL;
    writer->seen.ranges = ranges;
    writer->seen.limit = limit;
    return writer;
}

// The session stands where its highest transition led to.
static void stand(struct session *session, const struct store_transition *row)
{
    if (row->seq > session->last_transition)
        session->last_transition = row->seq;
    if (row->seq <= session->seq)
        return;
    session->seq = row->seq;
    session->standing = !row->last;
    session->action_known = 0;
    memcpy(session->observation, row->next_observation, row->observation_dim * sizeof(float));
}

static int absorb(struct session *session, size_t count, char *why, size_t why_size)
{
    struct served *served = session->served;
    if (count == 0)
        return 0;
    agent_observe(served->model, served->scratch, served->observations, count);
    for (size_t i = 0; i < count; i++) {
        if (served->observations[i].status != OBSERVE_ABSORBED) {
            snprintf(why, why_size, "a transition that was absorbed is not absorbed any more");
            return -EUCLEAN;
        }
    }
    return 0;
}

int session_replay(struct server *server, struct session *session, const struct store_transition *rows, size_t count,
                   char *why, size_t why_size)
{
    struct served *served = session->served;
    const struct model *model = served->model;
    batch_run(server, served);  // its scratch is free
    size_t ready = 0;
    for (size_t i = 0; i < count; i++) {
        const struct store_transition *row = &rows[i];
        if (row->seq < 1 || row->observation_dim != model->observation_dim || row->action_dim != model->action_dim) {
            snprintf(why, why_size, "writer %u, transition %llu is of other dimensions than the model's", row->writer,
                     (unsigned long long)row->seq);
            return -EUCLEAN;
        }
        struct writer *writer = session_writer_with_room(session, row->writer);
        if (!writer) {
            snprintf(why, why_size, "no memory for the session");
            return -ENOMEM;
        }
        if (row->writer == 0)
            stand(session, row);
        int is_new = seen_add(&writer->seen, row->seq);
        if (row->first && row->seq > 1)
            seen_add(&writer->seen, row->seq - 1);
        if (!is_new)
            continue;
        session->state_age++;
        if (row->status != WIRE_STATUS_ABSORBED)
            session->refused++;
        if (row->status != WIRE_STATUS_ABSORBED || row->task != session->task)
            continue;
        // Absorbed into an exact belief, before a Rebuild that has not come to an end.
        if (row->writer != 0 && model_is_recurrent(model)) {
            snprintf(why, why_size, "writer %u's transitions are not absorbed any more", row->writer);
            return -EUCLEAN;
        }
        served->observations[ready++] = (struct observation_item){
            .belief = &session->belief, .observation = row->observation, .action = row->action,
            .next_observation = row->next_observation, .reward = row->reward, .number = row->seq};
        if (ready == AGENT_BATCH_LIMIT) {
            int error = absorb(session, ready, why, why_size);
            if (error)
                return error;
            ready = 0;
        }
    }
    return absorb(session, ready, why, why_size);
}

void session_replay_end(struct session *session)
{
    session->durable_seq = session->last_transition;
}
