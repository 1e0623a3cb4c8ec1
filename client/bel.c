// A connection and its sessions; the contract is in bel.h.
#include "single.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_SIZE = 64 << 10 };

static const char default_client[] = "libbelief 0.1.0";

// ---- Connection -----------------------------------------------------------------------------------------------

static int ping(struct bel *bel, int once)
{
    struct single single = {.request.kind = WIRE_PING, .take = single_take_done};
    return single_run(bel, &single, once);
}

int bel_connect(struct bel **out, const char *address, const struct bel_options *options, char *why,
                size_t why_size)
{
    *out = NULL;
    if (!why)
        why_size = 0;
    struct bel *bel = calloc(1, sizeof *bel);
    int result = BEL_NO_MEMORY;
    if (!bel || link_init(&bel->link))
        goto fail;
    bel->address = strdup(address);
    bel->client = strdup(options && options->client ? options->client : default_client);
    void *memory = malloc(ARENA_SIZE);
    wire_arena_init(&bel->arena, memory, ARENA_SIZE);
    if (!bel->address || !bel->client || !memory)
        goto fail;
    bel->next_id = 1;
    bel_set_deadline(bel, options && options->deadline_ms ? options->deadline_ms : BEL_DEADLINE_MS);
    result = ping(bel, 1);
    if (result)
        goto fail;
    *out = bel;
    return 0;

fail:
    snprintf(why, why_size, "%s", result == BEL_NO_MEMORY ? "no memory for a connection" : bel_error(bel));
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
    call_model_release(&session->model);
    free(session->memory);
    free(session);
}

void bel_disconnect(struct bel *bel)
{
    if (!bel)
        return;
    while (bel->sessions)
        session_free(bel->sessions);
    for (size_t i = 0; i < bel->model_count; i++)
        call_model_release(&bel->models[i]);
    free(bel->models);
    link_release(&bel->link);
    free(bel->arena.memory);
    free(bel->address);
    free(bel->client);
    free(bel);
}

void bel_set_deadline(struct bel *bel, uint32_t deadline_ms)
{
    bel->deadline_ns = (int64_t)(deadline_ms ? deadline_ms : 1) * 1000000;
}

const char *bel_error(const struct bel *bel) { return bel->why; }
const char *bel_server(const struct bel *bel) { return bel->server; }
size_t bel_model_count(const struct bel *bel) { return bel->model_count; }
struct bel_counters bel_counters(const struct bel *bel) { return bel->counters; }

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

// ---- Sessions -------------------------------------------------------------------------------------------------

// Memory for an action and for the steps that are kept, now that the model is known.
static int session_memory(struct bel_session *session)
{
    size_t obs = session->model.model.observation_dim, act = session->model.model.action_dim;
    float *at = calloc(act + BEL_UNANSWERED_LIMIT * (obs + act), sizeof *at);
    if (!at)
        return call_fail(session->bel, BEL_NO_MEMORY, "%s: no memory for a session", session->id);
    session->memory = session->action = at;
    at += act;
    for (size_t i = 0; i < BEL_UNANSWERED_LIMIT; i++, at += obs + act) {
        session->kept[i].observation = at;
        session->kept[i].action = at + obs;
    }
    return 0;
}

int bel_open(struct bel *bel, const struct bel_open *open, struct bel_session **out)
{
    *out = NULL;
    bel->why[0] = 0;
    size_t length = open->id ? strlen(open->id) : 0;
    if (length < 1 || length > WIRE_SESSION_LIMIT)
        return call_fail(bel, BEL_INVALID, "a session's id has 1 to %d letters, not %zu (id)",
                         WIRE_SESSION_LIMIT, length);
    for (const struct bel_session *s = bel->sessions; s; s = s->next)
        if (strcmp(s->id, open->id) == 0)
            return call_fail(bel, BEL_INVALID, "%s is open on this connection already (id)", s->id);
    struct bel_session *session = calloc(1, sizeof *session);
    if (!session)
        return call_fail(bel, BEL_NO_MEMORY, "%s: no memory for a session", open->id);
    session->bel = bel;
    memcpy(session->id, open->id, length);
    session->hold_prior = open->hold_prior;
    session->model.model.name = open->model;  // what is wanted, until Opened says what it is
    struct single single = {.session = session};
    int result = single_run(bel, &single, 0);
    if (!result)
        result = session_memory(session);
    if (result) {
        session_free(session);
        return result;
    }
    session->next = bel->sessions;
    bel->sessions = session;
    *out = session;
    return 0;
}

int bel_close(struct bel_session *session, int forget)
{
    if (!session)
        return 0;
    int result = 0;
    if (forget && session->state != SESSION_FENCED) {
        session->state = SESSION_LEAVING;
        session->kept_count = 0;
        struct single single = {
            .session = session, .request = {.kind = WIRE_CLOSE, .close.forget = 1}, .take = single_take_done};
        result = single_run(session->bel, &single, 0);
    }
    session_free(session);
    return result == BEL_LOST ? 0 : result;  // gone is gone
}

const char *bel_session_id(const struct bel_session *session) { return session->id; }
const struct bel_model *bel_session_model(const struct bel_session *session) { return &session->model.model; }
int bel_session_resumed(const struct bel_session *session) { return session->resumed; }
uint64_t bel_session_count(const struct bel_session *session) { return session->count; }
uint32_t bel_session_task(const struct bel_session *session) { return session->task; }
