// A connection and its sessions; the contract is in bel.h.
#include "single.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { ARENA_SIZE = 64 << 10 };

static const char default_client[] = "libbelief 0.1.0";

// ---- Connection ----------------------------------------------------------------------------------------------

static int ping(struct bel *bel, int once)
{
    struct single single = {.request.kind = WIRE_PING, .take = single_take_done};
    return single_run(bel, &single, once);
}

// options' string, or NULL; *failed: no memory.
static char *copy(const char *text, int *failed)
{
    char *copied = text ? strdup(text) : NULL;
    *failed |= text && !copied;
    return copied;
}

static int take_options(struct bel *bel, const struct bel_options *options)
{
    int failed = 0;
    bel->client = copy(options->client ? options->client : default_client, &failed);
    bel->token = copy(options->token, &failed);
    bel->token_file = copy(options->token_file, &failed);
    bel->tls.ca_file = copy(options->ca_file, &failed);
    bel->tls.certificate = copy(options->certificate, &failed);
    bel->tls.key = copy(options->key, &failed);
    bel->tls.server_name = copy(options->server_name, &failed);
    bel->follow = !options->no_follow;
    bel->kept_limit = options->kept_limit ? options->kept_limit : BEL_KEPT_LIMIT;
    bel_set_deadline(bel, options->deadline_ms ? options->deadline_ms : BEL_DEADLINE_MS);
    if (bel->kept_limit < 2)
        bel->kept_limit = 2;  // a step, and what it started from
    return failed;
}

int bel_connect(struct bel **out, const char *address, const struct bel_options *options, char *why,
                size_t why_size)
{
    *out = NULL;
    if (!why)
        why_size = 0;
    struct bel *bel = calloc(1, sizeof *bel);
    void *memory = malloc(ARENA_SIZE);
    int result = BEL_NO_MEMORY;
    if (bel)
        wire_arena_init(&bel->arena, memory, ARENA_SIZE);
    if (!bel || !memory || take_options(bel, options ? options : &(struct bel_options){0}))
        goto fail;
    bel->hosts = host_new(bel, address);
    if (!bel->hosts)
        goto fail;
    result = ping(bel, 1);
    if (result)
        goto fail;
    *out = bel;
    return 0;

fail:
    snprintf(why, why_size, "%s", result == BEL_NO_MEMORY ? "no memory for a connection" : bel_error(bel));
    if (!bel)
        free(memory);
    bel_disconnect(bel);
    return result;
}

static void session_free(struct bel_session *session)
{
    struct bel_session **at = &session->bel->sessions;
    while (*at && *at != session)
        at = &(*at)->next;
    if (*at)
        *at = session->next;
    host_disown(session->host, session);
    call_model_release(&session->model);
    kept_release(&session->kept);
    free(session->action);
    free((float *)(uintptr_t)session->told_task.values);
    free(session);
}

void bel_disconnect(struct bel *bel)
{
    if (!bel)
        return;
    while (bel->sessions)
        session_free(bel->sessions);
    while (bel->hosts) {
        struct host *host = bel->hosts;
        bel->hosts = host->next;
        host_free(host);
    }
    call_models_release(bel->models, bel->model_count);
    call_model_release(&bel->wanted);
    char *texts[] = {bel->client, bel->token, bel->token_file, (char *)(uintptr_t)bel->tls.ca_file,
                     (char *)(uintptr_t)bel->tls.certificate, (char *)(uintptr_t)bel->tls.key,
                     (char *)(uintptr_t)bel->tls.server_name};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    free(bel->arena.memory);
    free(bel);
}

void bel_set_deadline(struct bel *bel, uint32_t deadline_ms)
{
    bel->deadline_ns = (int64_t)(deadline_ms ? deadline_ms : 1) * 1000000;
}

void bel_set_deadline_us(struct bel *bel, uint32_t deadline_us)
{
    bel->deadline_ns = (int64_t)(deadline_us ? deadline_us : 1) * 1000;
}

const char *bel_error(const struct bel *bel) { return bel->why; }
const char *bel_server(const struct bel *bel) { return bel->server; }
size_t bel_model_count(const struct bel *bel) { return bel->model_count; }

struct bel_counters bel_counters(const struct bel *bel)
{
    struct bel_counters counters = bel->counters;
    for (const struct bel_session *s = bel->sessions; s; s = s->next) {
        counters.kept += kept_volatile(&s->kept);
        counters.kept_undurable += kept_count(&s->kept, KEPT_OWED);
    }
    return counters;
}

const struct bel_model *bel_model_at(const struct bel *bel, size_t i)
{
    return i < bel->model_count ? &bel->models[i].model : NULL;
}

const char *bel_result_name(int result)
{
    switch (result) {
    case 0: return "BEL_OK";
    case BEL_TIMEOUT: return "BEL_TIMEOUT";
    case BEL_DISCONNECTED: return "BEL_DISCONNECTED";
    case BEL_INVALID: return "BEL_INVALID";
    case BEL_UNKNOWN_MODEL: return "BEL_UNKNOWN_MODEL";
    case BEL_FENCED: return "BEL_FENCED";
    case BEL_LOST: return "BEL_LOST";
    case BEL_OUT_OF_STEP: return "BEL_OUT_OF_STEP";
    case BEL_LIMIT: return "BEL_LIMIT";
    case BEL_DRAINING: return "BEL_DRAINING";
    case BEL_UNSUPPORTED: return "BEL_UNSUPPORTED";
    case BEL_PROTOCOL: return "BEL_PROTOCOL";
    case BEL_INTERNAL: return "BEL_INTERNAL";
    case BEL_NO_MEMORY: return "BEL_NO_MEMORY";
    case BEL_DENIED: return "BEL_DENIED";
    case BEL_UNDURABLE: return "BEL_UNDURABLE";
    case BEL_BUSY: return "BEL_BUSY";
    case BEL_RATE: return "BEL_RATE";
    case BEL_MOVED: return "BEL_MOVED";
    default: return "unknown";
    }
}

const char *bel_status_name(enum bel_status status)
{
    return wire_status_name((enum wire_status)status);
}

int bel_ping(struct bel *bel)
{
    return ping(bel, 0);
}

// ---- Everything on disk --------------------------------------------------------------------------------------

struct sync_entry {
    struct bel_session *session;
    int result;
};

static struct bel_session *sync_session(struct call *call, size_t i)
{
    return ((struct sync_entry *)call->context)[i].session;
}

static int *sync_result(struct call *call, size_t i)
{
    return &((struct sync_entry *)call->context)[i].result;
}

static void ask_sync(struct call *call, size_t i, struct wire_envelope *request)
{
    (void)call, (void)i;
    request->kind = WIRE_PING;
    request->ping.durable = 1;
}

static int take_sync(struct call *call, size_t i, const struct wire_envelope *reply)
{
    struct bel_session *session = sync_session(call, i);
    return reply->kind == WIRE_DONE ? single_take_synced(session) : call_unexpected(call->bel, session);
}

int bel_sync(struct bel *bel)
{
    size_t count = 0;
    for (const struct bel_session *s = bel->sessions; s; s = s->next)
        count++;
    bel->why[0] = 0;
    struct sync_entry *entries = calloc(count + 1, sizeof *entries);
    if (!entries)
        return call_fail(bel, BEL_NO_MEMORY, "no memory for a list of %zu sessions", count);
    struct call call = {
        .bel = bel, .context = entries, .session = sync_session, .result = sync_result, .ask = ask_sync,
        .take = take_sync};
    for (struct bel_session *s = bel->sessions; s; s = s->next) {
        s->sent = 0;
        single_begin_sync(s);
        entries[call.count++] = (struct sync_entry){s, session_usable(s)};
    }
    int result = call_run(&call, 0);
    free(entries);
    return result;
}

// ---- Sessions ------------------------------------------------------------------------------------------------

// Memory for an action and for the steps that are kept, now that the model is known.
static int session_memory(struct bel_session *session)
{
    size_t obs = session->model.model.observation_dim, act = session->model.model.action_dim;
    session->action = calloc(act, sizeof *session->action);
    if (!session->action || kept_init(&session->kept, obs, act, session->bel->kept_limit))
        return call_fail(session->bel, BEL_NO_MEMORY, "%s: no memory for a session", session->id);
    return 0;
}

// A session that is in no list yet. NULL: said why in *result.
static struct bel_session *session_new(struct bel *bel, const struct bel_open *open, int *result)
{
    size_t length = open->id ? strlen(open->id) : 0;
    if (length < 1 || length > WIRE_SESSION_LIMIT) {
        *result = call_fail(bel, BEL_INVALID, "a session's id has 1 to %d letters, not %zu (id)", WIRE_SESSION_LIMIT,
                            length);
        return NULL;
    }
    for (const struct bel_session *s = bel->sessions; s; s = s->next)
        if (strcmp(s->id, open->id) == 0) {
            *result = call_fail(bel, BEL_INVALID, "%s is open on this connection already (id)", s->id);
            return NULL;
        }
    struct bel_session *session = calloc(1, sizeof *session);
    float *told = open->task ? calloc(open->task_dim + 1, sizeof *told) : NULL;
    if (!session || (open->task && !told)) {
        free(session);
        free(told);
        *result = call_fail(bel, BEL_NO_MEMORY, "%s: no memory for a session", open->id);
        return NULL;
    }
    if (told)
        session->told_task = (struct wire_floats){memcpy(told, open->task, open->task_dim * sizeof *told), open->task_dim};
    session->bel = bel;
    session->host = bel->hosts;
    memcpy(session->id, open->id, length);
    if (getrandom(&session->opener, sizeof session->opener, GRND_NONBLOCK) < 0)
        session->opener = (uint64_t)link_now() ^ (uint64_t)getpid() << 32;  // early in a boot; it need only differ
    session->opener |= 1;
    session->hold_prior = open->hold_prior;
    session->explore = open->explore;
    session->model.model.name = open->model;  // what is wanted, until Opened says what it is
    session->next = bel->sessions;
    bel->sessions = session;
    return session;
}

// All of the entries' sessions are open, or all are freed.
static int open_all(struct bel *bel, const struct bel_open *opens, struct bel_session **sessions,
                    struct sync_entry *entries, size_t count)
{
    int result = 0;
    size_t made = 0;
    for (; made < count && !result; made++)
        if (!(sessions[made] = session_new(bel, &opens[made], &result)))
            break;
        else
            entries[made] = (struct sync_entry){sessions[made], CALL_PENDING};
    struct call call = {
        .bel = bel, .count = count, .context = entries, .session = sync_session, .result = sync_result};
    if (!result)
        result = call_run(&call, 0);
    for (size_t i = 0; i < made && !result; i++)
        result = session_memory(sessions[i]);
    for (size_t i = 0; i < made && result; i++)
        session_free(sessions[i]);
    for (size_t i = 0; i < count && result; i++)
        sessions[i] = NULL;
    return result;
}

int bel_open_many(struct bel *bel, const struct bel_open *opens, struct bel_session **sessions, size_t count)
{
    bel->why[0] = 0;
    struct sync_entry *entries = calloc(count + 1, sizeof *entries);
    if (!entries)
        return call_fail(bel, BEL_NO_MEMORY, "no memory for a list of %zu sessions", count);
    int result = open_all(bel, opens, sessions, entries, count);
    free(entries);
    return result;
}

int bel_open(struct bel *bel, const struct bel_open *open, struct bel_session **out)
{
    struct sync_entry entry;
    bel->why[0] = 0;
    *out = NULL;
    return open_all(bel, open, out, &entry, 1);
}

int bel_close(struct bel_session *session, int forget)
{
    if (!session)
        return 0;
    int result = 0;
    if (forget && session->state != SESSION_FENCED) {
        session->state = SESSION_LEAVING;
        session->kept.count = session->kept.open = 0;
        struct single single = {
            .session = session, .request = {.kind = WIRE_CLOSE, .close.forget = 1}, .take = single_take_done};
        result = single_run(session->bel, &single, 0);
    } else if (!forget && session->state == SESSION_LIVE && (session->kept.open || kept_volatile(&session->kept))) {
        // Afterwards nobody has what a crash takes.
        result = single_sync(session, 0);
    }
    session_free(session);
    return forget && result == BEL_LOST ? 0 : result;  // gone is gone
}

static void ask_finish(struct call *call, size_t i, struct wire_envelope *request)
{
    request->kind = WIRE_CLOSE;
    request->close.handle = sync_session(call, i)->handle;
    request->close.finish = 1;
}

static int take_finished(struct call *call, size_t i, const struct wire_envelope *reply)
{
    return reply->kind == WIRE_DONE ? 0 : call_unexpected(call->bel, sync_session(call, i));
}

static int finish_all(struct bel *bel, struct bel_session *const *sessions, struct sync_entry *entries, size_t count)
{
    struct call call = {
        .bel = bel, .count = count, .context = entries, .session = sync_session, .result = sync_result,
        .ask = ask_finish, .take = take_finished};
    bel->why[0] = 0;
    for (size_t i = 0; i < count; i++) {
        sessions[i]->sent = 0;
        entries[i] = (struct sync_entry){sessions[i], session_usable(sessions[i])};
    }
    int result = call_run(&call, 0);
    for (size_t i = 0; i < count; i++)
        session_free(sessions[i]);
    return result;
}

int bel_finish_many(struct bel *bel, struct bel_session *const *sessions, size_t count)
{
    struct sync_entry *entries = calloc(count + 1, sizeof *entries);
    if (!entries) {
        bel->why[0] = 0;
        return call_fail(bel, BEL_NO_MEMORY, "no memory for a list of %zu sessions", count);
    }
    int result = finish_all(bel, sessions, entries, count);
    free(entries);
    return result;
}

int bel_finish(struct bel_session *session)
{
    struct sync_entry entry;
    return finish_all(session->bel, &session, &entry, 1);
}

const char *bel_session_id(const struct bel_session *session) { return session->id; }
const struct bel_model *bel_session_model(const struct bel_session *session) { return &session->model.model; }
int bel_session_resumed(const struct bel_session *session) { return session->resumed; }
uint64_t bel_session_count(const struct bel_session *session) { return session->count; }
uint32_t bel_session_task(const struct bel_session *session) { return session->task; }
