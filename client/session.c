// A session's side of a lost link: what the daemon says it still has, and what it is sent again. The contract
// is in call.h.
#include "call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OWED_AT_ONCE = 64 };                       // transitions in one Observe
static const int64_t OWED_PAUSE_NS = 1000000000;  // a log that takes nothing is not asked more often

void session_adrift(struct bel_session *session)
{
    session->generation = 0;
}

int session_usable(const struct bel_session *session)
{
    if (session->state == SESSION_LOST)
        return call_fail(session->bel, BEL_LOST,
                         "%s: the daemon no longer has this session's belief; close it and open it anew",
                         session->id);
    if (session->state == SESSION_FENCED)
        return call_fail(session->bel, BEL_FENCED, "%s: somebody else has this session now", session->id);
    return CALL_PENDING;
}

static int lost(struct bel_session *session, uint64_t has)
{
    session->state = SESSION_LOST;
    return call_fail(session->bel, BEL_LOST,
                     "%s: the daemon no longer has this session's belief: it counts %llu transitions instead of "
                     "%llu; close it and open it anew to begin from the prior",
                     session->id, (unsigned long long)has, (unsigned long long)session->count);
}

// ---- Opening -------------------------------------------------------------------------------------------------

// The session's model. Only Welcome tells its provenance.
static int learn_model(struct bel_session *session, const struct wire_model *told)
{
    struct wire_model model = *told;
    const struct bel *bel = session->bel;
    for (size_t i = 0; !*model.provenance && i < bel->model_count; i++)
        if (strcmp(bel->models[i].model.digest, model.digest) == 0 &&
            strcmp(bel->models[i].model.name, model.name) == 0)
            model.provenance = bel->models[i].model.provenance;
    return call_model_copy(&session->model, &model);
}

// Transitions without an answer count too: they may be in the belief that is gone.
static int has_history(const struct bel_session *session)
{
    return session->count > 0 || session->task > 1 || kept_volatile(&session->kept) > 0;
}

// Does the daemon still have what it had? It may lack what was not on disk.
static int compare(struct bel_session *session, const struct wire_opened *opened, int in_flight)
{
    struct bel *bel = session->bel;
    const struct bel_model *model = &session->model.model;
    if (opened->model->observation_dim != model->observation_dim || opened->model->action_dim != model->action_dim)
        return call_fail(bel, BEL_PROTOCOL, "%s: the daemon's model %s has other dimensions now", session->id,
                         model->name);
    if (opened->seq > session->seq + (in_flight != 0)) {
        session->state = SESSION_FENCED;
        return call_fail(bel, BEL_FENCED, "%s: somebody else has continued this session", session->id);
    }
    int rebuilt = strcmp(opened->model->digest, model->digest) != 0;  // with another model: it may absorb less
    uint64_t expected = rebuilt ? 0 : kept_expected(&session->kept, opened->task, opened->seq);
    int gone = (!opened->resumed && has_history(session)) || opened->task < session->task ||
               opened->count < expected;
    // An empty one in its place, made by this very Open perhaps, leaves with it.
    if (session->state == SESSION_LEAVING && opened->count == 0)
        return 0;
    return gone || kept_reconcile(&session->kept, opened->seq) ? lost(session, opened->count) : 0;
}

int session_opened(struct bel_session *session, const struct wire_opened *opened, int in_flight)
{
    struct bel *bel = session->bel;
    int result = 0;
    session->opening = 0;
    session->epoch = opened->epoch;
    if (!session->known) {
        result = learn_model(session, opened->model);
        if (result)
            return call_fail(bel, result == -ENOMEM ? BEL_NO_MEMORY : BEL_PROTOCOL,
                             "%s: the daemon's model cannot be", session->id);
        session->known = 1;
        session->resumed = opened->resumed;
        session->seq = opened->seq;
    } else {
        result = compare(session, opened, in_flight);
        if (result)
            return result;
    }
    session->task = opened->task;
    session->count = opened->count;
    session->handle = opened->handle;
    session->generation = session->host->generation;
    session->stale = 0;
    session->owed_at = 0;
    session->kept.volatile_daemon = opened->durability == WIRE_DURABILITY_OFF;
    session_durable(session, opened->durable_seq);
    if (session->kept.volatile_daemon)
        kept_raise_floor(&session->kept, session->task, session->count);
    return 0;
}

int session_unknown(struct bel_session *session)
{
    if (session->state == SESSION_LEAVING)
        return BEL_LOST;  // gone is gone
    if (has_history(session))
        return lost(session, 0);
    session->epoch = 0;
    session_adrift(session);
    return CALL_PENDING;
}

int session_moved(struct bel_session *session, const char *address)
{
    struct bel *bel = session->bel;
    if (!bel->follow)
        return call_fail(bel, BEL_MOVED, "%s: is at %s now", session->id, address);
    // What was said under TLS is not said in the clear because the other end asks for it.
    if (strncmp(session->host->address, "tls:", 4) == 0 && strncmp(address, "tcp:", 4) == 0)
        return call_fail(bel, BEL_MOVED, "%s: is at %s now, which has no TLS; it is not followed there", session->id,
                         address);
    struct host *host = bel->hosts, *last = NULL;
    size_t count = 0;
    for (; host && strcmp(host->address, address) != 0; host = host->next, count++)
        last = host;
    if (!host) {
        host = count < HOSTS_LIMIT ? host_new(bel, address) : NULL;
        if (!host)
            return call_fail(bel, BEL_NO_MEMORY, "%s: no room for one more daemon, %s; there are %zu", session->id,
                             address, count);
        last->next = host;
    }
    host_disown(session->host, session);
    session->host = host;
    session->epoch++;  // leaving raised it
    session->opening = 0;
    session_adrift(session);
    bel->counters.moves++;
    return CALL_PENDING;
}

// ---- What is kept --------------------------------------------------------------------------------------------

void session_durable(struct bel_session *session, uint64_t seq)
{
    struct kept_ring *ring = &session->kept;
    if (seq > ring->durable)
        ring->durable = seq;
    if (ring->count)
        kept_settle(ring);
}

static int refused(enum wire_status status)
{
    return status == WIRE_STATUS_NOT_FINITE || status == WIRE_STATUS_OUT_OF_RANGE ||
           status == WIRE_STATUS_OTHER_TASK || status == WIRE_STATUS_OUT_OF_ORDER;
}

// What became of an entry; an Action or an Observed says so.
static void tell(struct bel_session *session, struct kept *entry, enum wire_status status, uint64_t count)
{
    if (entry->state == KEPT_ANSWERED)
        return;
    int taken = status != WIRE_STATUS_UNDURABLE;
    // The log has it after all that was absorbed before, so who has it has so many. A duplicate came earlier
    // than that.
    entry->count = status == WIRE_STATUS_ABSORBED ? count : 0;
    entry->link = 0;
    kept_set(&session->kept, entry, taken ? KEPT_ANSWERED : KEPT_OWED);
    session->bel->counters.refused += refused(status);
    if (!taken)
        session->owed_at = link_now() + OWED_PAUSE_NS;
}

void session_keep(struct bel_session *session, struct kept entry, int status)
{
    if (entry.state == KEPT_ANSWERED)
        entry.state = KEPT_WAITING;  // until told, below
    struct kept *kept = kept_push(&session->kept, &entry);
    if (status >= 0)
        tell(session, kept, (enum wire_status)status, session->count);
}

void session_told(struct bel_session *session, const struct wire_action *action)
{
    struct kept *entry = kept_find(&session->kept, action->seq);
    if (entry)
        tell(session, entry, action->status, action->count);
    if (action->task >= session->task) {
        session->task = action->task;
        session->count = action->count;
    }
    if (session->kept.volatile_daemon)
        kept_raise_floor(&session->kept, action->task, action->count);
    session_durable(session, action->durable_seq);
}

void session_observed(struct bel_session *session, const struct wire_observed *observed)
{
    int taken = session->kept.volatile_daemon;
    for (size_t i = 0; i < observed->status_count; i++)
        taken |= observed->status[i] == WIRE_STATUS_ABSORBED;
    session->count = observed->count;
    if (taken)  // then the answer has waited for the disk, which had taken what came before
        kept_raise_floor(&session->kept, session->task, observed->count);
}

static int put_waiting(struct bel_session *session, struct kept *entry)
{
    struct host *host = session->host;
    const struct bel_model *model = &session->model.model;
    struct wire_floats observation = {entry->observation, model->observation_dim};
    struct wire_envelope request = {.request_id = host->next_id++};
    if (entry->acting) {
        request.kind = WIRE_ACT;
        request.act = (struct wire_act){
            .handle = session->handle, .seq = entry->seq, .observation = observation};
    } else {
        request.kind = WIRE_STEP;
        request.step = (struct wire_step){
            .handle = session->handle, .seq = entry->seq, .task = entry->task, .last = entry->last,
            .observation = observation, .action = {entry->action, model->action_dim}, .reward = entry->reward};
    }
    int result = host_put(host, &request,
                          &(struct asked){request.request_id, session, request.kind, 1, entry->seq});
    if (result)
        return result;
    entry->link = host->generation;
    session->bel->counters.resent++;
    return 0;
}

// One Observe with owed transitions of one task, from the oldest on that is not on its way. *put: there were
// some.
static int put_owed(struct bel_session *session, int *put)
{
    struct host *host = session->host;
    const struct bel_model *model = &session->model.model;
    struct wire_transition list[OWED_AT_ONCE];
    struct wire_envelope request = {
        .request_id = host->next_id, .kind = WIRE_OBSERVE,
        .observe = {.handle = session->handle, .transitions = list}};
    size_t size = (2 * model->observation_dim + model->action_dim) * sizeof(float) + 64;
    size_t most = host->max_frame_bytes / size < OWED_AT_ONCE ? host->max_frame_bytes / size : OWED_AT_ONCE;
    size_t *count = &request.observe.transition_count;
    for (size_t i = 1; i < session->kept.count && *count < most; i++) {
        struct kept *entry = kept_at(&session->kept, i), *before = kept_at(&session->kept, i - 1);
        if (entry->state != KEPT_OWED || entry->link == host->generation)
            continue;
        if (*count && entry->task != request.observe.task)
            break;
        request.observe.task = entry->task;
        entry->link = host->generation;
        entry->request = request.request_id;
        list[(*count)++] = (struct wire_transition){
            .seq = entry->seq, .reward = entry->reward,
            .observation = {before->observation, model->observation_dim},
            .action = {entry->action, model->action_dim},
            .next_observation = {entry->observation, model->observation_dim}};
    }
    *put = *count > 0;
    if (!*put)
        return 0;
    host->next_id++;
    session->bel->counters.resent += *count;
    return host_put(host, &request, &(struct asked){request.request_id, session, WIRE_OBSERVE, 1, 0});
}

int session_put_kept(struct bel_session *session, int *all)
{
    struct host *host = session->host;
    struct kept_ring *ring = &session->kept;
    if (!ring->open)
        return 0;
    for (size_t i = 0; i < ring->count; i++) {
        struct kept *entry = kept_at(ring, i);
        if (entry->state != KEPT_WAITING || entry->link == host->generation)
            continue;
        *all = host_may_send(host);
        int result = *all ? put_waiting(session, entry) : 0;
        if (result || !*all)
            return result;
    }
    int more = link_now() >= session->owed_at, result = 0;
    while (more && !result && host_may_send(host))
        result = put_owed(session, &more);
    return result;
}

// A kept Step or Act was turned away.
static void take_step_error(struct bel_session *session, uint64_t seq, enum wire_error_code code)
{
    struct kept *entry = kept_find(&session->kept, seq);
    if (!entry || entry->state != KEPT_WAITING)
        return;
    entry->link = 0;
    int out_of_place = code == WIRE_INVALID || (code == WIRE_OUT_OF_STEP && !session->stale);
    if (code == WIRE_INTERNAL || (out_of_place && entry->acting))
        kept_set(&session->kept, entry, KEPT_ANSWERED);
    else if (out_of_place)
        kept_set(&session->kept, entry, KEPT_OWED);  // a whole transition needs no place
    else if (code == WIRE_FENCED)
        session->state = SESSION_FENCED;
    else
        session->stale = 1;
}

static void take_observe_error(struct bel_session *session, uint64_t request, enum wire_error_code code)
{
    for (size_t i = 0; i < session->kept.count; i++) {
        struct kept *entry = kept_at(&session->kept, i);
        if (entry->state != KEPT_OWED || entry->request != request)
            continue;
        entry->link = 0;
        if (code == WIRE_INVALID) {  // it never can be taken
            kept_set(&session->kept, entry, KEPT_ANSWERED);
            session->bel->counters.refused++;
        }
    }
    session->owed_at = link_now() + OWED_PAUSE_NS;
    if (code == WIRE_FENCED)
        session->state = SESSION_FENCED;
    else if (code == WIRE_UNKNOWN_SESSION || code == WIRE_MOVED || code == WIRE_BUSY)
        session->stale = 1;
}

static void take_observed(struct bel_session *session, uint64_t request, const struct wire_observed *observed)
{
    size_t next = 0;
    for (size_t i = 0; i < session->kept.count && next < observed->status_count; i++) {
        struct kept *entry = kept_at(&session->kept, i);
        if (entry->state == KEPT_OWED && entry->request == request)
            tell(session, entry, observed->status[next++], 0);
    }
    session_observed(session, observed);
    kept_settle(&session->kept);
}

void session_take_kept(struct bel_session *session, const struct asked *asked, const struct wire_envelope *reply)
{
    if (reply->kind == WIRE_ACTION)
        session_told(session, &reply->action);
    else if (reply->kind == WIRE_OBSERVED)
        take_observed(session, asked->id, &reply->observed);
    else if (reply->kind == WIRE_ERROR && asked->kind == WIRE_OBSERVE)
        take_observe_error(session, asked->id, reply->error.code);
    else if (reply->kind == WIRE_ERROR)
        take_step_error(session, asked->seq, reply->error.code);
}

// ---- Models --------------------------------------------------------------------------------------------------

enum { DIM_LIMIT = 1 << 16 };  // more is no robot

static const char *place_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *placed = memcpy(*at, text, size);
    *at += size;
    return placed;
}

static const float *place_floats(float **at, struct wire_floats floats)
{
    if (!floats.count)
        return NULL;
    float *placed = memcpy(*at, floats.values, floats.count * sizeof(float));
    *at += floats.count;
    return placed;
}

int call_model_copy(struct call_model *to, const struct wire_model *from)
{
    size_t act = from->action_dim;
    if (from->observation_dim < 1 || from->observation_dim > DIM_LIMIT || act < 1 || act > DIM_LIMIT ||
        from->task_dim > DIM_LIMIT || from->action_low.count != act || from->action_high.count != act ||
        (from->action_log_sd.count && from->action_log_sd.count != act))
        return -EPROTO;
    size_t text = strlen(from->name) + strlen(from->world) + strlen(from->digest) + strlen(from->provenance) +
                  strlen(from->kind) + 5;
    float *floats = malloc(3 * act * sizeof(float) + text);
    if (!floats)
        return -ENOMEM;
    char *letters = (char *)(floats + 3 * act);
    to->memory = floats;
    to->model = (struct bel_model){
        .name = place_text(&letters, from->name), .world = place_text(&letters, from->world),
        .digest = place_text(&letters, from->digest), .provenance = place_text(&letters, from->provenance),
        .observation_dim = from->observation_dim, .action_dim = from->action_dim, .task_dim = from->task_dim,
        .action_low = place_floats(&floats, from->action_low),
        .action_high = place_floats(&floats, from->action_high),
        .action_log_sd = place_floats(&floats, from->action_log_sd),
        .transition_features = from->transition_features, .reward_features = from->reward_features,
        .revision = from->revision,
        .kind = place_text(&letters, from->kind), .discrete = from->discrete,
    };
    return 0;
}

void call_model_release(struct call_model *model)
{
    free(model->memory);
    *model = (struct call_model){0};
}

void call_models_release(struct call_model *models, size_t count)
{
    for (size_t i = 0; i < count; i++)
        call_model_release(&models[i]);
    free(models);
}
