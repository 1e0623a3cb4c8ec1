// A session as a message and back; the contract is in session_state.h.
#include "session_state.h"

#include "house_internal.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int portrait_init(struct portrait *portrait, const struct session *session)
{
    const struct served *served = session->served;
    const struct model *model = served->model;
    *portrait = (struct portrait){.writers = calloc(session->writer_count, sizeof *portrait->writers)};
    if (!portrait->writers)
        return -ENOMEM;
    for (size_t i = 0; i < session->writer_count; i++) {
        const struct writer *writer = &session->writers[i];
        _Static_assert(sizeof(struct seen_range) == 2 * sizeof(uint64_t), "first, last, first, last, ...");
        portrait->writers[i] = (struct wire_writer_state){
            writer->id, {&writer->seen.ranges->first, 2 * writer->seen.count}};
    }
    for (int part = 0; part < AGENT_PARTS; part++) {
        agent_belief_encode(served->sums[part], &session->belief, part);
        portrait->sums[part] = (struct wire_bytes){served->sums[part], served->sums_size[part]};
    }
    digest_bytes(portrait->digest, agent_belief_digest(&session->belief));
    portrait->state = (struct wire_session_state){
        .version = SESSION_STATE_VERSION, .session = session->name, .identity = session->identity,
        .model = model->name, .model_digest = model->digest, .epoch = session->epoch, .opener = session->opener,
        .task = session->task,
        .seq = session->seq, .last_transition = session->last_transition, .standing = session->standing,
        .hold_prior = session->hold_prior,
        .observation = {session->observation, session->standing ? model->observation_dim : 0},
        .action = {session->action, session->standing && session->action_known ? model->action_dim : 0},
        .writers = portrait->writers, .writer_count = session->writer_count,
        .sums = portrait->sums, .sums_count = AGENT_PARTS,
        .count = agent_belief_count(&session->belief), .digest = {portrait->digest, WIRE_DIGEST_SIZE},
        .duplicates = session->duplicates, .refused = session->refused,
        .hand_overs = session->hand_overs, .told_task = {session->told_task, model_told_dim(model)}};
    return 0;
}

void portrait_release(struct portrait *portrait)
{
    free(portrait->writers);
    portrait->writers = NULL;
}

__attribute__((format(printf, 5, 6)))
static int fail(struct state_fault *fault, enum wire_error_code code, const char *field, uint64_t limit,
                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fault->code = code;
    fault->limit = limit;
    snprintf(fault->field, sizeof fault->field, "state.%s", field);
    vsnprintf(fault->message, sizeof fault->message, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static int check_numbers(struct wire_floats floats, size_t dim, int wanted, const char *field,
                         struct state_fault *fault)
{
    if (floats.count != dim && (wanted || floats.count != 0))
        return fail(fault, WIRE_INVALID, field, dim, "%s has %zu numbers, not %zu", field, floats.count, dim);
    for (size_t i = 0; i < floats.count; i++)
        if (!isfinite(floats.values[i]))
            return fail(fault, WIRE_INVALID, field, 0, "%s has a number that is not finite", field);
    return 0;
}

// Intervals, ascending and apart, of numbers from 1.
static int check_seen(const struct wire_writer_state *writer, uint64_t *total, struct state_fault *fault)
{
    const struct wire_seen *seen = &writer->seen;
    uint64_t before = 0;
    int is_good = seen->count % 2 == 0;
    for (size_t i = 0; is_good && i + 1 < seen->count; i += 2) {
        uint64_t first = seen->numbers[i], last = seen->numbers[i + 1];
        is_good = first > before && (i == 0 || first > before + 1) && last >= first && last <= INT64_MAX;
        before = last;
        *total += last - first + 1;
    }
    return is_good ? 0 : fail(fault, WIRE_INVALID, "writers", 0, "writer %u: not ascending intervals of numbers",
                              writer->writer);
}

static int check_writers(const struct wire_session_state *state, const struct limits *limits, int is_ours,
                         struct state_fault *fault)
{
    uint64_t total = 0;
    if (!is_ours && state->writer_count > limits->writers)
        return fail(fault, WIRE_LIMIT, "writers", limits->writers, "no more than %zu writers", limits->writers);
    for (size_t i = 0; i < state->writer_count; i++) {
        const struct wire_writer_state *writer = &state->writers[i];
        if (!is_ours && writer->seen.count / 2 > limits->gaps + 1)
            return fail(fault, WIRE_LIMIT, "writers", limits->gaps, "writer %u has more than %zu gaps",
                        writer->writer, limits->gaps);
        for (size_t j = 0; j < i; j++)
            if (state->writers[j].writer == writer->writer)
                return fail(fault, WIRE_INVALID, "writers", 0, "writer %u is there twice", writer->writer);
        int error = check_seen(writer, &total, fault);
        if (error)
            return error;
    }
    if (state->count > total)
        return fail(fault, WIRE_INVALID, "count", total, "more transitions in the belief than were seen");
    return 0;
}

static int check(const struct wire_session_state *state, const struct server *server, const struct model *model,
                 int is_ours, struct state_fault *fault)
{
    if (state->version != SESSION_STATE_VERSION)
        return fail(fault, WIRE_INVALID, "version", SESSION_STATE_VERSION, "version %u is not known", state->version);
    if (!session_name_valid(state->session))
        return fail(fault, WIRE_INVALID, "session", WIRE_SESSION_LIMIT,
                    "a session's name is 1 to %d of A-Z a-z 0-9 . _ : -", WIRE_SESSION_LIMIT);
    if (strlen(state->identity) > IDENTITY_NAME_LIMIT)
        return fail(fault, WIRE_INVALID, "identity", IDENTITY_NAME_LIMIT, "no more than %d bytes",
                    IDENTITY_NAME_LIMIT);
    if (state->epoch < 1 || state->epoch > EPOCH_LIMIT)
        return fail(fault, WIRE_INVALID, "epoch", EPOCH_LIMIT, "an epoch is 1 to 2^62");
    if (state->hand_overs >= state->epoch)
        return fail(fault, WIRE_INVALID, "hand_overs", state->epoch - 1, "fewer than the epoch, which each has raised");
    if (state->task < 1)
        return fail(fault, WIRE_INVALID, "task", 0, "tasks are numbered from 1");
    if (state->seq > INT64_MAX || state->last_transition > state->seq)
        return fail(fault, WIRE_INVALID, "seq", INT64_MAX, "the last observation is behind the last transition");
    if (state->sums_count != AGENT_PARTS)
        return fail(fault, WIRE_INVALID, "sums", AGENT_PARTS, "%zu sums, not %d", state->sums_count, AGENT_PARTS);
    int error = check_numbers(state->observation, model->observation_dim, state->standing, "observation", fault);
    if (!error)
        error = check_numbers(state->action, model->action_dim, 0, "action", fault);
    if (!error)
        error = check_numbers(state->told_task, model_told_dim(model), 1, "told_task", fault);
    if (!error)
        error = check_writers(state, &server->limits, is_ours, fault);
    return error;
}

static int take_sums(struct session *session, const struct wire_session_state *state, struct state_fault *fault)
{
    for (int part = 0; part < AGENT_PARTS; part++) {
        const struct wire_bytes *sums = &state->sums[part];
        int error = agent_belief_decode(&session->belief, part, sums->bytes, sums->size, state->count);
        if (error)
            return fail(fault, WIRE_INVALID, "sums", 0, "sums %d: %s", part,
                        error == -EINVAL    ? "of other dimensions than the model's"
                        : error == -ENOTSUP ? "an encoding that is not known"
                        : error == -ERANGE  ? "another count than the state's"
                                            : "damaged");
    }
    if (session->belief.recurrent.through > state->last_transition)
        return fail(fault, WIRE_INVALID, "sums", state->last_transition,
                    "the belief holds a transition behind the last one");
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    if (state->digest.size != sizeof digest || memcmp(state->digest.bytes, digest, sizeof digest) != 0)
        return fail(fault, WIRE_INVALID, "digest", 0, "the digest is not that of the sums");
    return 0;
}

static int take_writers(struct session *session, const struct wire_session_state *state, const struct limits *limits)
{
    for (size_t i = 0; i < state->writer_count; i++) {
        int error = 0;
        struct writer *writer = session_writer(session, state->writers[i].writer, limits, &error);
        if (!writer)
            return error;
        size_t count = state->writers[i].seen.count / 2;
        if (count > 0)
            memcpy(writer->seen.ranges, state->writers[i].seen.numbers, count * sizeof *writer->seen.ranges);
        writer->seen.count = count;
    }
    return 0;
}

// By name the model that new sessions get; by digest also an older one that others still have.
static struct served *model_of(struct server *server, const struct wire_session_state *state,
                               struct state_fault *fault)
{
    struct served *served = *state->model ? house_model(server, state->model) : NULL;
    if (served && !strcmp(served->model->digest, state->model_digest))
        return served;
    struct served *older = *state->model_digest ? house_model_by_digest(server, state->model_digest) : NULL;
    if (older)
        return older;
    if (served)
        fail(fault, WIRE_WRONG_MODEL, "model_digest", 0, "the model %s is another one here", served->model->name);
    else
        fail(fault, WIRE_UNKNOWN_MODEL, "model", 0, "no model of that name is served");
    return NULL;
}

static struct session *build(struct server *server, const struct wire_session_state *state, struct served *served,
                             int is_ours, struct state_fault *fault)
{
    if (check(state, server, served->model, is_ours, fault))
        return NULL;
    // What a session has already it keeps, whatever the limits are today.
    struct limits limits = server->limits;
    for (size_t i = 0; i < state->writer_count; i++)
        if (state->writers[i].seen.count / 2 > limits.gaps + 1)
            limits.gaps = state->writers[i].seen.count / 2 - 1;
    if (state->writer_count + 1 > limits.writers)
        limits.writers = state->writer_count + 1;
    struct session *session = session_make(state->session, served, &limits);
    if (!session || take_writers(session, state, &limits)) {
        session_destroy(session);
        fail(fault, WIRE_LIMIT, "session", 0, "no memory for another session");
        return NULL;
    }
    if (take_sums(session, state, fault)) {
        session_destroy(session);
        return NULL;
    }
    strcpy(session->identity, state->identity);
    session->epoch = state->epoch;
    session->opener = state->opener;
    session->hand_overs = state->hand_overs;
    session->task = state->task;
    session->seq = state->seq;
    session->last_transition = state->last_transition;
    session->standing = state->standing;
    session->hold_prior = state->hold_prior;
    session->action_known = state->action.count > 0;
    session->duplicates = state->duplicates;
    session->refused = state->refused;
    session_tell(session, state->told_task);
    if (state->observation.count > 0)
        memcpy(session->observation, state->observation.values, state->observation.count * sizeof(float));
    if (state->action.count > 0)
        memcpy(session->action, state->action.values, state->action.count * sizeof(float));
    return session;
}

struct session *session_from_state(struct server *server, const struct wire_session_state *state, int is_ours,
                                   struct state_fault *fault)
{
    struct served *served = model_of(server, state, fault);
    return served ? build(server, state, served, is_ours, fault) : NULL;
}

// The last state of the log, if it is of the model that the session has now.
static struct session *from_bytes(struct server *server, const struct store_session *row, const uint8_t *bytes,
                                  size_t size, struct served *served, char *why, size_t why_size)
{
    struct wire_envelope message = {0};
    struct wire_arena arena;
    struct state_fault fault;
    size_t room = wire_arena_bound(size, size / 4 + 64);  // a writer takes 4 bytes at least
    void *memory = malloc(room);
    struct session *session = NULL;
    wire_arena_init(&arena, memory, room);
    if (!memory)
        snprintf(why, why_size, "no memory for the session's state");
    else if (wire_decode_body(&message, WIRE_SESSION_STATE, bytes, size, &arena) ||
             strcmp(message.session_state.session, row->name))
        snprintf(why, why_size, "the session's state in the log is damaged");
    else if (strcmp(message.session_state.model_digest, row->model_digest))
        session = session_make(row->name, served, &server->limits);
    else if (!(session = build(server, &message.session_state, served, 1, &fault)))
        snprintf(why, why_size, "the session's state in the log: %s: %s", fault.field, fault.message);
    free(memory);
    return session;
}

struct session *session_recall(struct server *server, const struct store_session *row, const uint8_t *state,
                               size_t state_size, struct served *served, char *why, size_t why_size)
{
    if (!session_name_valid(row->name) || strlen(row->identity) > IDENTITY_NAME_LIMIT || row->task < 1) {
        snprintf(why, why_size, "the session's row in the log is damaged");
        return NULL;
    }
    snprintf(why, why_size, "no memory for the session");
    struct session *session = state ? from_bytes(server, row, state, state_size, served, why, why_size)
                                    : session_make(row->name, served, &server->limits);
    if (!session)
        return NULL;
    if (row->told_count != session_told_dim(session)) {
        snprintf(why, why_size, "the session's row in the log is damaged: it tells %zu numbers of the task, not %zu",
                 row->told_count, session_told_dim(session));
        session_destroy(session);
        return NULL;
    }
    session_tell(session, (struct wire_floats){row->told_task, row->told_count});
    strcpy(session->identity, row->identity);
    session->id = row->id;
    session->hold_prior = row->hold_prior;
    if (row->epoch >= session->epoch) {
        session->hand_overs = row->epoch == session->epoch ? session->hand_overs : 0;
        session->epoch = row->epoch;
        session->opener = row->opener;
    }
    if (row->task > session->task) {
        agent_belief_reset(&session->belief);
        session->task = row->task;
        session->standing = 0;
    }
    return session;
}
