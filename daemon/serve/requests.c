// The requests one by one; the contract is in requests.h.
#include "requests.h"

#include "batch.h"
#include "log.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// One request on its way: everything that a handler needs.
struct request {
    struct server *server;
    struct connection *connection;
    const struct wire_envelope *message;
    uint64_t now_us;
};

enum { MESSAGE_LIMIT = 256, FIELD_LIMIT = 64 };

static void refuse_v(struct server *server, struct connection *connection, uint64_t request_id,
                     enum wire_error_code code, const char *field, uint64_t limit, const char *format,
                     va_list arguments)
{
    char message[MESSAGE_LIMIT];
    vsnprintf(message, sizeof message, format, arguments);
    struct wire_envelope reply = {.request_id = request_id, .kind = WIRE_ERROR};
    reply.error = (struct wire_error){code, field, message, limit};
    server_reply(server, connection, &reply);
}

void request_refuse(struct server *server, struct connection *connection, uint64_t request_id,
                    enum wire_error_code code, const char *field, uint64_t limit, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    refuse_v(server, connection, request_id, code, field, limit, format, arguments);
    va_end(arguments);
}

__attribute__((format(printf, 5, 6)))
static void refuse(const struct request *r, enum wire_error_code code, const char *field, uint64_t limit,
                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    refuse_v(r->server, r->connection, r->message->request_id, code, field, limit, format, arguments);
    va_end(arguments);
}

int request_farewell(struct server *server, struct connection *connection, enum wire_error_code code,
                     uint64_t limit, uint64_t now_us, const char *format, ...)
{
    if (connection->waiting > 0)
        batch_run_all(server);
    if (!frame_buffer_reserve(&connection->out, server->error_bound))
        return 0;
    va_list arguments;
    va_start(arguments, format);
    refuse_v(server, connection, 0, code, "", limit, format, arguments);
    va_end(arguments);
    connection_move(connection, CONNECTION_CLOSING, now_us);
    return 1;
}

// Everything that was asked of the session before is answered before.
static void settle(struct server *server, struct connection *connection, struct session *session)
{
    if (connection->waiting > 0 || (session && session->waiting != WAITING_FOR_NOTHING))
        batch_run_all(server);
}

// The session of a handle, or NULL and the refusal was sent.
static struct session *session_of(const struct request *r, uint32_t handle)
{
    const struct slot *slot = connection_slot(r->connection, handle);
    if (slot && slot->state == SLOT_HELD)
        return slot->session;
    settle(r->server, r->connection, NULL);
    if (slot)
        refuse(r, WIRE_FENCED, "handle", 0, "the session was opened again elsewhere");
    else
        refuse(r, WIRE_UNKNOWN_SESSION, "handle", 0, "handle %u names no session on this connection", handle);
    return NULL;
}

static int all_finite(struct wire_floats floats)
{
    int finite = 1;
    for (size_t i = 0; i < floats.count; i++)
        finite &= isfinite(floats.values[i]) != 0;
    return finite;
}

// A vector of the right length with finite numbers, or the refusal was sent.
static int vector_is_valid(const struct request *r, struct wire_floats floats, size_t dim, const char *field)
{
    if (floats.count == dim && all_finite(floats))
        return 1;
    settle(r->server, r->connection, NULL);
    if (floats.count != dim)
        refuse(r, WIRE_INVALID, field, dim, "%s has %zu numbers, not %zu", field, floats.count, dim);
    else
        refuse(r, WIRE_INVALID, field, 0, "%s has a number that is not finite", field);
    return 0;
}

static void reply_done(const struct request *r, const struct session *session)
{
    uint8_t digest[WIRE_DIGEST_SIZE];
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_DONE};
    if (session) {
        digest_bytes(digest, agent_belief_digest(&session->belief));
        reply.done = (struct wire_done){
            session->task, agent_belief_count(&session->belief), {digest, sizeof digest}};
    }
    server_reply(r->server, r->connection, &reply);
}

static void take_hello(const struct request *r)
{
    const struct server *server = r->server;
    log_event(LOG_DEBUG, "hello", LOG_TEXT("peer", r->connection->peer),
              LOG_TEXT("client", r->message->hello.client));
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_WELCOME};
    reply.welcome = (struct wire_welcome){
        .server = SERVER_NAME, .protocol = WIRE_PROTOCOL, .models = server->infos,
        .model_count = server->model_count,
        .max_frame_bytes = (uint32_t)server->limits.frame_bytes,
        .max_in_flight = (uint32_t)server->limits.in_flight};
    server_reply(r->server, r->connection, &reply);
}

static struct served *model_named(struct server *server, const char *name)
{
    if (!*name)
        return &server->models[0];
    for (size_t i = 0; i < server->model_count; i++)
        if (!strcmp(server->models[i].model->name, name))
            return &server->models[i];
    return NULL;
}

// The session to open, made if need be; or NULL and the refusal was sent.
static struct session *find_or_make(const struct request *r, int *resumed)
{
    struct server *server = r->server;
    const struct wire_open *open = &r->message->open;
    struct session *session = session_find(&server->sessions, open->session);
    *resumed = session != NULL;
    if (session) {
        if (*open->model && strcmp(open->model, session->served->model->name)) {
            refuse(r, WIRE_INVALID, "model", 0, "the session has model %s", session->served->model->name);
            return NULL;
        }
        return session;
    }
    struct served *served = model_named(server, open->model);
    if (!served) {
        refuse(r, WIRE_UNKNOWN_MODEL, "model", 0, "no model of that name is served");
        return NULL;
    }
    if (server->sessions.count >= server->limits.sessions) {
        refuse(r, WIRE_LIMIT, "session", server->limits.sessions, "no more than %zu sessions",
               server->limits.sessions);
        return NULL;
    }
    session = session_new(&server->sessions, open->session, served, &server->limits);
    if (!session)
        refuse(r, WIRE_LIMIT, "session", server->sessions.count, "no memory for another session");
    return session;
}

static void take_open(const struct request *r)
{
    struct server *server = r->server;
    const struct wire_open *open = &r->message->open;
    if (!session_name_valid(open->session)) {
        refuse(r, WIRE_INVALID, "session", WIRE_SESSION_LIMIT, "a session's name is 1 to %d of A-Z a-z 0-9 . _ : -",
               WIRE_SESSION_LIMIT);
        return;
    }
    if (server->draining) {
        refuse(r, WIRE_DRAINING, "", 0, "the daemon is stopping");
        return;
    }
    int resumed;
    struct session *session = find_or_make(r, &resumed);
    if (!session)
        return;
    settle(server, r->connection, session);
    // The holder on this connection keeps its handle; anybody else's is fenced.
    if (session->owner != r->connection) {
        struct slot *slot = connection_take_slot(r->connection, server->limits.sessions);
        if (!slot) {
            refuse(r, WIRE_LIMIT, "session", r->connection->slot_count, "no more sessions on this connection");
            if (!resumed)
                session_free(&server->sessions, session);
            return;
        }
        if (session->owner) {
            struct slot *old = connection_slot(session->owner, session->handle);
            *old = (struct slot){.state = SLOT_FENCED, .handle = old->handle};
            log_event(LOG_INFO, "fenced", LOG_TEXT("session", session->name),
                      LOG_TEXT("peer", session->owner->peer), LOG_TEXT("by", r->connection->peer));
        }
        slot->state = SLOT_HELD;
        slot->session = session;
        session->owner = r->connection;
        session->handle = slot->handle;
    }
    session->epoch++;
    session->hold_prior = open->hold_prior;
    log_event(LOG_DEBUG, "open", LOG_TEXT("session", session->name), LOG_TEXT("peer", r->connection->peer),
              LOG_TEXT("model", session->served->model->name), LOG_NUMBER("epoch", session->epoch));

    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    struct wire_model info = session->served->info;
    info.provenance = NULL;
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_OPENED};
    reply.opened = (struct wire_opened){
        .handle = session->handle, .epoch = session->epoch, .resumed = resumed, .task = session->task,
        .seq = session->seq, .count = agent_belief_count(&session->belief), .digest = {digest, sizeof digest},
        .model = &info};
    server_reply(server, r->connection, &reply);
}

// A transition's fate that needs no batch: nothing changes, nothing is answered but the status.
static void reply_status(const struct request *r, const struct session *session, uint64_t seq,
                         enum wire_status status)
{
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_ACTION};
    reply.action = (struct wire_action){
        .seq = seq, .status = status, .count = agent_belief_count(&session->belief),
        .digest = {digest, sizeof digest}, .task = session->task, .reward_p = 1, .transition_p = 1};
    server_reply(r->server, r->connection, &reply);
}

static void take_step(const struct request *r)
{
    const struct wire_step *step = &r->message->step;
    struct session *session = session_of(r, step->handle);
    if (!session)
        return;
    if (session->waiting != WAITING_FOR_NOTHING)
        batch_run(r->server, session->served);
    const struct model *model = session->served->model;
    size_t action_dim = step->action.count == 0 ? 0 : model->action_dim;
    if (!vector_is_valid(r, step->observation, model->observation_dim, "observation") ||
        !vector_is_valid(r, step->action, action_dim, "action") ||
        !vector_is_valid(r, (struct wire_floats){&step->reward, 1}, 1, "reward"))
        return;
    int follows = session->standing && step->seq == session->seq + 1 && step->seq > 0;
    if (follows && (step->task == 0 || step->task == session->task)) {
        session->waiting = step->last ? WAITING_LAST_STEP : WAITING_STEP;
        session->new_seq = step->seq;
        session->new_reward = step->reward;
        memcpy(session->new_observation, step->observation.values, model->observation_dim * sizeof(float));
        memcpy(session->executed, action_dim ? step->action.values : session->action,
               model->action_dim * sizeof(float));
        batch_join(r->server, session, r->connection, r->message->request_id, r->now_us);
        return;
    }
    settle(r->server, r->connection, NULL);
    if (step->seq == 0)
        refuse(r, WIRE_INVALID, "seq", 0, "a transition's number is at least 1");
    else if (session->last_step.valid && step->seq == session->seq)
        batch_repeat(r->server, session, r->connection, r->message->request_id);
    else if (seen_contains(&session->writers[0].seen, step->seq))
        reply_status(r, session, step->seq, WIRE_STATUS_DUPLICATE);
    else if (step->task > session->task)
        refuse(r, WIRE_INVALID, "task", session->task, "task %u has not begun; the current one is %u", step->task,
               session->task);
    else if (step->task != 0 && step->task < session->task)
        reply_status(r, session, step->seq, WIRE_STATUS_OTHER_TASK);
    else if (!session->standing)
        refuse(r, WIRE_OUT_OF_STEP, "seq", 0, "there is no observation to step from; an Act gives one");
    else
        refuse(r, WIRE_OUT_OF_STEP, "seq", 0, "the session's last observation is number %llu",
               (unsigned long long)session->seq);
}

static void take_act(const struct request *r)
{
    const struct wire_act *act = &r->message->act;
    struct session *session = session_of(r, act->handle);
    if (!session)
        return;
    if (session->waiting != WAITING_FOR_NOTHING)
        batch_run(r->server, session->served);
    const struct model *model = session->served->model;
    if (!vector_is_valid(r, act->observation, model->observation_dim, "observation"))
        return;
    if (act->seq <= session->last_transition && session->last_transition > 0) {
        settle(r->server, r->connection, NULL);
        refuse(r, WIRE_OUT_OF_STEP, "seq", 0, "the session's last transition is number %llu",
               (unsigned long long)session->last_transition);
        return;
    }
    session->waiting = WAITING_ACT;
    session->new_seq = act->seq;
    memcpy(session->new_observation, act->observation.values, model->observation_dim * sizeof(float));
    batch_join(r->server, session, r->connection, r->message->request_id, r->now_us);
}

// Are all transitions well formed? Numbers that are not finite are a matter of the single transition.
static int transitions_are_valid(const struct request *r, const struct session *session)
{
    const struct wire_observe *observe = &r->message->observe;
    const struct model *model = session->served->model;
    char field[FIELD_LIMIT];
    for (size_t i = 0; i < observe->transition_count; i++) {
        const struct wire_transition *t = &observe->transitions[i];
        const struct {
            const char *name;
            size_t count, dim;
        } vectors[] = {{"observation", t->observation.count, model->observation_dim},
                       {"action", t->action.count, model->action_dim},
                       {"next_observation", t->next_observation.count, model->observation_dim}};
        if (t->seq == 0) {
            snprintf(field, sizeof field, "transitions[%zu].seq", i);
            refuse(r, WIRE_INVALID, field, 0, "a transition's number is at least 1");
            return 0;
        }
        for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
            if (vectors[v].count == vectors[v].dim)
                continue;
            snprintf(field, sizeof field, "transitions[%zu].%s", i, vectors[v].name);
            refuse(r, WIRE_INVALID, field, vectors[v].dim, "%s has %zu numbers, not %zu", field, vectors[v].count,
                   vectors[v].dim);
            return 0;
        }
    }
    return 1;
}

// Which transitions are new? Tries them on a copy of the writer's set, so that a refusal changes nothing. Statuses
// of new ones are ABSORBED until the belief says otherwise. 0, or -ENOSPC: too many gaps.
static int sort_out(const struct request *r, const struct session *session, const struct seen *before,
                    struct seen *after)
{
    const struct wire_observe *observe = &r->message->observe;
    struct server *server = r->server;
    int other_task = observe->task != 0 && observe->task != session->task;
    seen_init(after, server->ranges, server->limits.gaps + 1 + OBSERVE_LIMIT);
    if (before)
        seen_copy(after, before);
    for (size_t i = 0; i < observe->transition_count; i++) {
        int is_new = seen_add(after, observe->transitions[i].seq);
        server->statuses[i] = !is_new      ? WIRE_STATUS_DUPLICATE
                              : other_task ? WIRE_STATUS_OTHER_TASK
                                           : WIRE_STATUS_ABSORBED;
    }
    return after->count <= server->limits.gaps + 1 ? 0 : -ENOSPC;
}

// Absorbs those whose status says so, in passes of at most AGENT_BATCH_LIMIT.
static void absorb(const struct request *r, struct session *session)
{
    const struct wire_observe *observe = &r->message->observe;
    struct served *served = session->served;
    enum wire_status *statuses = r->server->statuses;
    size_t which[AGENT_BATCH_LIMIT], count = 0;
    for (size_t i = 0; i <= observe->transition_count; i++) {
        if (count == AGENT_BATCH_LIMIT || (i == observe->transition_count && count > 0)) {
            agent_observe(served->model, served->scratch, served->observations, count);
            for (size_t k = 0; k < count; k++)
                if (served->observations[k].status != OBSERVE_ABSORBED)
                    statuses[which[k]] = served->observations[k].status == OBSERVE_NOT_FINITE
                                             ? WIRE_STATUS_NOT_FINITE
                                             : WIRE_STATUS_OUT_OF_RANGE;
            count = 0;
        }
        if (i == observe->transition_count || statuses[i] != WIRE_STATUS_ABSORBED)
            continue;
        const struct wire_transition *t = &observe->transitions[i];
        which[count] = i;
        served->observations[count++] = (struct observation_item){
            .belief = &session->belief, .observation = t->observation.values, .action = t->action.values,
            .next_observation = t->next_observation.values, .reward = t->reward};
    }
}

// Transitions of the session's own writer that a robot made while it was away: its Steps go on after them.
static void move_past(struct session *session, const struct wire_observe *observe)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < observe->transition_count; i++)
        if (observe->transitions[i].seq > highest)
            highest = observe->transitions[i].seq;
    if (highest > session->last_transition)
        session->last_transition = highest;
    if (highest > session->seq) {
        session->seq = highest;
        session->standing = 0;
        session->last_step.valid = 0;
    }
}

static void take_observe(const struct request *r)
{
    const struct wire_observe *observe = &r->message->observe;
    struct server *server = r->server;
    struct session *session = session_of(r, observe->handle);
    if (!session)
        return;
    if (observe->transition_count > OBSERVE_LIMIT) {
        refuse(r, WIRE_LIMIT, "transitions", OBSERVE_LIMIT, "no more than %d transitions at once", OBSERVE_LIMIT);
        return;
    }
    if (observe->task > session->task) {
        refuse(r, WIRE_INVALID, "task", session->task, "task %u has not begun; the current one is %u",
               observe->task, session->task);
        return;
    }
    if (!transitions_are_valid(r, session))
        return;
    const struct seen *before = NULL;
    for (size_t i = 0; i < session->writer_count; i++)
        if (session->writers[i].id == observe->writer)
            before = &session->writers[i].seen;
    struct seen after;
    if (sort_out(r, session, before, &after)) {
        refuse(r, WIRE_LIMIT, "transitions", server->limits.gaps,
               "writer %u would have more than %zu gaps between its transitions", observe->writer,
               server->limits.gaps);
        return;
    }
    int error = 0;
    struct writer *writer = session_writer(session, observe->writer, &server->limits, &error);
    if (!writer) {
        if (error == -ENOSPC)
            refuse(r, WIRE_LIMIT, "writer", server->limits.writers, "no more than %zu writers",
                   server->limits.writers);
        else
            refuse(r, WIRE_LIMIT, "writer", session->writer_count, "no memory for another writer");
        return;
    }
    seen_copy(&writer->seen, &after);
    absorb(r, session);
    if (observe->writer == 0)
        move_past(session, observe);

    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_OBSERVED};
    reply.observed = (struct wire_observed){
        server->statuses, observe->transition_count, agent_belief_count(&session->belief), {digest, sizeof digest}};
    server_reply(server, r->connection, &reply);
}

static void take_reset(const struct request *r)
{
    const struct wire_reset *reset = &r->message->reset;
    struct session *session = session_of(r, reset->handle);
    if (!session)
        return;
    if (reset->scope != WIRE_EPISODE && reset->scope != WIRE_TASK) {
        refuse(r, WIRE_INVALID, "scope", 0, "a scope is EPISODE or TASK");
        return;
    }
    if (reset->scope == WIRE_TASK && (reset->task == 0 || reset->task > session->task)) {
        refuse(r, WIRE_INVALID, "task", session->task, "task names the one that ends; the current one is %u",
               session->task);
        return;
    }
    if (reset->scope == WIRE_EPISODE || reset->task == session->task)
        session->standing = 0;
    if (reset->scope == WIRE_TASK && reset->task == session->task) {
        agent_belief_reset(&session->belief);
        session->task++;
    }
    reply_done(r, session);
}

static int look_into(struct wire_head *out, struct inspection *inspection, const struct model *model,
                     const struct belief *belief, enum head_kind kind, const struct wire_get_belief *get)
{
    const struct head *head = &model->heads[kind];
    struct posterior *posterior = &inspection->posterior;
    unsigned parts = POSTERIOR_SCALE | (get->weights ? POSTERIOR_MEAN | POSTERIOR_VARIANCE : 0);
    int error = posterior_solve(posterior, head->prior, belief, parts, NULL, 0);
    if (error)
        return error;
    size_t D = head->features, d = head->targets;
    *out = (struct wire_head){
        .name = kind == HEAD_TRANSITION ? "transition" : "reward", .features = (uint32_t)D, .targets = (uint32_t)d,
        .log_evidence = posterior_log_evidence(posterior, head->prior)};
    if (get->weights) {
        for (size_t j = 0; j < d; j++)
            inspection->noise[j] = posterior_noise(posterior, j);
        out->mean = (struct wire_doubles){posterior->mean, D * d};
        out->variance = (struct wire_doubles){posterior->variance, D};
        out->noise = (struct wire_doubles){inspection->noise, d};
    }
    if (get->sums) {
        belief_encode(inspection->sums, belief);
        out->sums = (struct wire_bytes){inspection->sums, inspection->sums_size};
    }
    return 0;
}

enum { ESTIMATE_DRAWS = 128 };

static void take_get_belief(const struct request *r)
{
    const struct wire_get_belief *get = &r->message->get_belief;
    struct session *session = session_of(r, get->handle);
    if (!session)
        return;
    struct served *served = session->served;
    const struct model *model = served->model;
    struct wire_head heads[HEAD_COUNT];
    size_t head_count = 0;
    int error = 0;
    for (int h = 0; h < HEAD_COUNT && !error; h++)
        if (model->heads[h].present)
            error = look_into(&heads[head_count++], &served->heads[h], model, &session->belief.heads[h],
                              (enum head_kind)h, get);
    struct wire_envelope reply = {.request_id = r->message->request_id, .kind = WIRE_BELIEF};
    uint8_t digest[WIRE_DIGEST_SIZE];
    digest_bytes(digest, agent_belief_digest(&session->belief));
    reply.belief = (struct wire_belief){
        .count = agent_belief_count(&session->belief), .digest = {digest, sizeof digest}, .task = session->task,
        .heads = heads, .head_count = head_count};
    if (!error && get->estimate && model->landmark_count > 0) {
        error = agent_estimate(model, served->scratch, &session->belief, ESTIMATE_DRAWS, served->estimate_mean,
                               served->estimate_sd);
        reply.belief.estimate_mean = (struct wire_doubles){served->estimate_mean, model->task_dim};
        reply.belief.estimate_sd = (struct wire_doubles){served->estimate_sd, model->task_dim};
    }
    if (error)
        refuse(r, WIRE_INTERNAL, "", 0, "the belief of session %s is damaged", session->name);
    else
        server_reply(r->server, r->connection, &reply);
}

static void take_close(const struct request *r)
{
    const struct wire_close *close = &r->message->close;
    struct session *session = session_of(r, close->handle);
    if (!session)
        return;
    log_event(LOG_DEBUG, close->forget ? "forget" : "close", LOG_TEXT("session", session->name),
              LOG_TEXT("peer", r->connection->peer));
    slot_release(connection_slot(r->connection, close->handle));
    session->owner = NULL;
    session->idle_since_us = r->now_us;
    reply_done(r, session);
    if (close->forget)
        session_free(&r->server->sessions, session);
}

// Bytes of the largest reply to a request that is answered at once.
static size_t reply_bound(const struct request *r)
{
    const struct server *server = r->server;
    size_t bound = server->error_bound;
    switch (r->message->kind) {
    case WIRE_HELLO:
        bound = server->welcome_bound;
        break;
    case WIRE_OPEN:
        for (size_t i = 0; i < server->model_count; i++) {
            size_t opened = 512 + 12 * server->models[i].model->action_dim;
            bound = opened > bound ? opened : bound;
        }
        break;
    case WIRE_OBSERVE:
        bound += r->message->observe.transition_count < OBSERVE_LIMIT ? r->message->observe.transition_count
                                                                      : OBSERVE_LIMIT;
        break;
    case WIRE_GET_BELIEF: {
        const struct slot *slot = connection_slot(r->connection, r->message->get_belief.handle);
        if (slot && slot->state == SLOT_HELD && slot->session->served->belief_bound > bound)
            bound = slot->session->served->belief_bound;
        break;
    }
    default:
        break;
    }
    return bound;
}

// Steps and Acts: the reply needs no allocation, and it will fit behind those that are promised already.
static int take_control(const struct request *r)
{
    struct connection *connection = r->connection;
    size_t bound = r->server->error_bound;
    for (size_t i = 0; i < r->server->model_count; i++)
        if (r->server->models[i].action_bound > bound)
            bound = r->server->models[i].action_bound;
    if (frame_buffer_room(&connection->out) < connection->promised + bound)
        return 0;
    if (r->message->kind == WIRE_STEP)
        take_step(r);
    else
        take_act(r);
    return 1;
}

static int take_other(const struct request *r)
{
    settle(r->server, r->connection, NULL);
    if (!frame_buffer_reserve(&r->connection->out, reply_bound(r)))
        return 0;
    switch (r->message->kind) {
    case WIRE_HELLO:
        take_hello(r);
        break;
    case WIRE_OPEN:
        take_open(r);
        break;
    case WIRE_OBSERVE:
        take_observe(r);
        break;
    case WIRE_RESET:
        take_reset(r);
        break;
    case WIRE_GET_BELIEF:
        take_get_belief(r);
        break;
    case WIRE_CLOSE:
        take_close(r);
        break;
    case WIRE_PING:
        reply_done(r, NULL);
        break;
    default:
        refuse(r, WIRE_UNSUPPORTED, "body", 0, "this daemon knows no such request");
        break;
    }
    return 1;
}

int request_take(struct server *server, struct connection *connection, const uint8_t *body, size_t size,
                 uint64_t now_us)
{
    struct wire_envelope message;
    wire_arena_reset(&server->arena);
    int error = wire_decode(&message, body, size, &server->arena);
    if (error) {
        log_event(LOG_WARNING, "bad_frame", LOG_TEXT("peer", connection->peer), LOG_NUMBER("bytes", size));
        return request_farewell(server, connection, WIRE_BAD_FRAME, 0, now_us,
                                error == -ENOMEM ? "a frame with more parts than it may have"
                                                 : "these bytes are not an Envelope");
    }
    const struct request request = {server, connection, &message, now_us};
    return message.kind == WIRE_STEP || message.kind == WIRE_ACT ? take_control(&request) : take_other(&request);
}
