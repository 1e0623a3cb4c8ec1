// A daemon and the link to it; the contract is in host.h.
#include "host.h"

#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ARENA_LIMIT = 64 << 20,       // a frame of LINK_FRAME_LIMIT decodes within
    ROOM_AT_FIRST = 1024,         // for a request; a larger one is measured
    ASKED_AT_FIRST = 16,
    ASKED_LIMIT = 1 << 16,        // more are not sent at once, whatever a daemon allows
    TOKEN_LIMIT = 4096,
};
static const int64_t SILENCE_NS = 2000000000;  // a link that owes an answer and says nothing is broken

struct host *host_new(struct bel *bel, const char *address)
{
    struct host *host = calloc(1, sizeof *host);
    if (!host)
        return NULL;
    host->bel = bel;
    host->next_id = 1;
    host->address = strdup(address);
    host->asked = calloc(ASKED_AT_FIRST, sizeof *host->asked);
    host->asked_room = ASKED_AT_FIRST;
    int error = link_init(&host->link);
    host->link.options = &bel->tls;
    if (!error && host->address && host->asked)
        return host;
    host_free(host);
    return NULL;
}

void host_free(struct host *host)
{
    if (!host)
        return;
    link_release(&host->link);
    free(host->asked);
    free(host->address);
    free(host);
}

// ---- What was asked ------------------------------------------------------------------------------------------

static struct asked *asked_at(const struct host *host, size_t i)
{
    return &host->asked[(host->asked_first + i) % host->asked_room];
}

// Drops what was answered, and what stands between. There is room afterwards, for no more than asked_room wait.
static void compact(struct host *host)
{
    size_t left = 0;
    for (size_t i = 0; i < host->asked_count; i++)
        if (asked_at(host, i)->id)
            *asked_at(host, left++) = *asked_at(host, i);
    host->asked_count = left;
}

static void remember(struct host *host, const struct asked *asked)
{
    if (host->asked_count == host->asked_room)
        compact(host);
    *asked_at(host, host->asked_count++) = *asked;
    if (host->waiting++ == 0)
        host->heard = link_now();
}

// Who asked for this? Answers come mostly in the order of asking.
static int recall(struct host *host, uint64_t id, struct asked *asked)
{
    for (size_t i = 0; i < host->asked_count; i++) {
        struct asked *at = asked_at(host, i);
        if (at->id != id)
            continue;
        *asked = *at;
        at->id = 0;
        host->waiting--;
        while (host->asked_count && asked_at(host, 0)->id == 0) {
            host->asked_first = (host->asked_first + 1) % host->asked_room;
            host->asked_count--;
        }
        return 1;
    }
    return 0;
}

static int make_asked(struct host *host, uint32_t room)
{
    compact(host);
    struct asked *asked = calloc(room, sizeof *asked);
    if (!asked)
        return -ENOMEM;
    for (size_t i = 0; i < host->asked_count && i < room; i++)
        asked[i] = *asked_at(host, i);
    free(host->asked);
    host->asked = asked;
    host->asked_room = room;
    host->asked_first = 0;
    return 0;
}

void host_disown(struct host *host, const struct bel_session *session)
{
    for (size_t i = 0; i < host->asked_count; i++)
        if (asked_at(host, i)->session == session)
            asked_at(host, i)->session = NULL;
}

// ---- Messages ------------------------------------------------------------------------------------------------

static int grow_arena(struct wire_arena *arena)
{
    if (arena->size >= ARENA_LIMIT)
        return -ENOMEM;
    void *memory = malloc(2 * arena->size);
    if (!memory)
        return -ENOMEM;
    free(arena->memory);
    wire_arena_init(arena, memory, 2 * arena->size);
    return 0;
}

int host_put(struct host *host, const struct wire_envelope *request, const struct asked *asked)
{
    struct bel *bel = host->bel;
    struct frame_buffer *out = &host->link.out;
    size_t want = ROOM_AT_FIRST;
    for (;;) {
        uint8_t *room = frame_buffer_reserve(out, want);
        if (!room)
            return call_fail(bel, BEL_NO_MEMORY, "no memory for a request");
        wire_arena_reset(&bel->arena);
        long size = wire_encode(room, out->capacity - out->end, request, &bel->arena);
        if (size == -ENOMEM && grow_arena(&bel->arena) == 0)
            continue;
        if (size == -ENOMEM)
            return call_fail(bel, BEL_NO_MEMORY, "no memory for a request");
        if (size < 0 || (size_t)size > FRAME_HEADER_SIZE + (size_t)host->max_frame_bytes)
            return call_fail(bel, BEL_LIMIT, "the request is larger than the daemon's limit of %u bytes",
                             host->max_frame_bytes);
        if ((size_t)size > out->capacity - out->end) {
            want = (size_t)size;
            continue;
        }
        frame_buffer_append(out, (size_t)size);
        remember(host, asked);
        return 0;
    }
}

int host_result(enum wire_error_code code)
{
    switch (code) {
    case WIRE_BAD_FRAME: return BEL_PROTOCOL;
    case WIRE_TOO_LARGE: return BEL_LIMIT;
    case WIRE_UNSUPPORTED: return BEL_UNSUPPORTED;
    case WIRE_INVALID: return BEL_INVALID;
    case WIRE_UNKNOWN_SESSION: return BEL_LOST;
    case WIRE_UNKNOWN_MODEL: case WIRE_WRONG_MODEL: return BEL_UNKNOWN_MODEL;
    case WIRE_FENCED: return BEL_FENCED;
    case WIRE_OUT_OF_STEP: return BEL_OUT_OF_STEP;
    case WIRE_LIMIT: return BEL_LIMIT;
    case WIRE_DRAINING: return BEL_DRAINING;
    case WIRE_PERMISSION: case WIRE_UNAUTHENTICATED: return BEL_DENIED;
    case WIRE_MOVED: return BEL_MOVED;
    case WIRE_UNDURABLE: return BEL_UNDURABLE;
    case WIRE_DEADLINE: return BEL_TIMEOUT;
    case WIRE_BUSY: return BEL_BUSY;
    case WIRE_RATE: return BEL_RATE;
    default: return BEL_INTERNAL;
    }
}

void host_describe(char *out, size_t room, const struct host *host, const struct bel_session *session,
                   const struct wire_error *error)
{
    char field[80] = "", limit[40] = "";
    if (error->field[0])
        snprintf(field, sizeof field, " (%s)", error->field);
    if (error->limit)
        snprintf(limit, sizeof limit, ", limit %llu", (unsigned long long)error->limit);
    snprintf(out, room, "%s%s%s%s: %s%s", session ? session->id : host->address, session ? ": " : " says ",
             wire_error_name(error->code), field, error->message, limit);
}

// ---- The link ------------------------------------------------------------------------------------------------

void host_hang_up(struct host *host)
{
    link_hang_up(&host->link);
    host->greeted = 0;
    host->waiting = host->asked_count = 0;
}

// Sorts what went wrong with the link: only a deadline leaves it standing, and not even that when the other end
// has been silent for too long.
static int link_failed(struct host *host, int error)
{
    struct bel *bel = host->bel;
    if (error == -ETIMEDOUT && link_now() - host->heard < SILENCE_NS)
        return call_fail(bel, BEL_TIMEOUT, "no answer from %s within %g ms", host->address,
                         (double)bel->deadline_ns / 1e6);
    host_hang_up(host);
    if (error == -ETIMEDOUT)
        return call_fail(bel, BEL_TIMEOUT, "%s has been silent for more than %.0f s; the link is given up",
                         host->address, (double)SILENCE_NS / 1e9);
    if (error == -EBADMSG || error == -EMSGSIZE)
        return call_fail(bel, BEL_PROTOCOL, "%s does not speak belief.v1", host->address);
    if (error == -ENOMEM)
        return call_fail(bel, BEL_NO_MEMORY, "no memory for a reply");
    if (error == -EACCES)
        return call_fail(bel, BEL_DENIED, "%s does not accept our certificate", host->address);
    snprintf(host->why, sizeof host->why, "the link to %s broke: %s", host->address, strerror(-error));
    return HOST_BROKEN;
}

// One frame, decoded.
static int next_reply(struct host *host, int64_t deadline, struct wire_envelope *reply)
{
    struct wire_arena *arena = &host->bel->arena;
    const uint8_t *body;
    size_t size;
    int error = link_flush(&host->link, deadline);
    if (!error)
        error = link_next(&host->link, deadline, &body, &size);
    if (error)
        return error;
    do {
        wire_arena_reset(arena);
        error = wire_decode(reply, body, size, arena);
    } while (error == -ENOMEM && grow_arena(arena) == 0);
    return error;
}

int host_get(struct host *host, int64_t deadline, struct wire_envelope *reply, struct asked *asked)
{
    for (;;) {
        int error = next_reply(host, deadline, reply);
        if (error)
            return link_failed(host, error);
        host->heard = link_now();
        if (reply->request_id == 0 && reply->kind == WIRE_ERROR) {  // about the connection
            int ours = reply->error.code == WIRE_BAD_FRAME || reply->error.code == WIRE_TOO_LARGE;
            host_describe(host->why, sizeof host->why, host, NULL, &reply->error);
            host_hang_up(host);
            return ours ? host_result(reply->error.code) : HOST_BROKEN;
        }
        if (recall(host, reply->request_id, asked))
            return 0;
        if (reply->request_id < host->link_id || reply->request_id >= host->next_id) {
            host_hang_up(host);
            return call_fail(host->bel, BEL_PROTOCOL, "%s answered request %llu, which was not asked", host->address,
                             (unsigned long long)reply->request_id);
        }
        host->bel->counters.late_replies++;  // to something that was answered already
    }
}

// ---- Hello ---------------------------------------------------------------------------------------------------

static int take_models(struct bel *bel, const struct host *host, const struct wire_welcome *welcome)
{
    struct call_model *models = calloc(welcome->model_count + 1, sizeof *models);
    if (!models)
        return call_fail(bel, BEL_NO_MEMORY, "no memory for the list of models");
    size_t count = 0;
    int error = 0;
    for (; !error && count < welcome->model_count; count++)
        error = call_model_copy(&models[count], &welcome->models[count]);
    call_models_release(error ? models : bel->models, error ? count : bel->model_count);
    if (error)
        return call_fail(bel, error == -ENOMEM ? BEL_NO_MEMORY : BEL_PROTOCOL, "%s describes a model that cannot be",
                         host->address);
    bel->models = models;
    bel->model_count = count;
    return 0;
}

static int take_welcome(struct host *host, const struct wire_envelope *reply)
{
    struct bel *bel = host->bel;
    const struct wire_welcome *welcome = &reply->welcome;
    if (reply->kind == WIRE_ERROR) {
        char sentence[sizeof bel->why];
        host_describe(sentence, sizeof sentence, host, NULL, &reply->error);
        return call_fail(bel, host_result(reply->error.code), "%s", sentence);
    }
    if (reply->kind != WIRE_WELCOME || welcome->max_in_flight == 0 || welcome->max_frame_bytes == 0)
        return call_fail(bel, BEL_PROTOCOL, "%s does not greet as beliefd does", host->address);
    if (welcome->protocol != WIRE_PROTOCOL)
        return call_fail(bel, BEL_PROTOCOL, "%s speaks version %u of the protocol, this library version %d",
                         host->address, welcome->protocol, WIRE_PROTOCOL);
    uint32_t in_flight = welcome->max_in_flight < ASKED_LIMIT ? welcome->max_in_flight : ASKED_LIMIT;
    if (make_asked(host, in_flight < ASKED_AT_FIRST ? ASKED_AT_FIRST : in_flight))
        return call_fail(bel, BEL_NO_MEMORY, "no memory for a list of requests");
    int result = host == bel->hosts ? take_models(bel, host, welcome) : 0;  // those of the home are shown
    if (result)
        return result;
    if (host == bel->hosts)
        snprintf(bel->server, sizeof bel->server, "%s", welcome->server);
    host->max_frame_bytes = welcome->max_frame_bytes;
    host->max_in_flight = in_flight;
    host->greeted = 1;
    return 0;
}

// The token as it is now: a file may have been replaced. 0, or a result with its sentence.
static int read_token(struct bel *bel, char *token)
{
    token[0] = 0;
    if (bel->token)
        snprintf(token, TOKEN_LIMIT + 1, "%s", bel->token);
    if (!bel->token_file)
        return 0;
    int file = open(bel->token_file, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, token, TOKEN_LIMIT);
    int error = errno;
    if (file >= 0)
        close(file);
    if (size < 0)
        return call_fail(bel, BEL_INVALID, "%s: %s (token_file)", bel->token_file, strerror(error));
    while (size && (token[size - 1] == '\n' || token[size - 1] == '\r' || token[size - 1] == ' '))
        size--;
    token[size] = 0;
    return 0;
}

static int greet(struct host *host, int64_t deadline)
{
    char token[TOKEN_LIMIT + 1];
    struct wire_envelope reply;
    struct asked asked;
    int result = read_token(host->bel, token);
    if (!result && host_may_send(host)) {  // else it was asked already, and there was no answer in time
        uint64_t id = host->next_id++;
        result = host_put(
            host, &(struct wire_envelope){.request_id = id, .kind = WIRE_HELLO, .hello = {host->bel->client, token}},
            &(struct asked){.id = id, .kind = WIRE_HELLO});
    }
    if (!result)
        result = host_get(host, deadline, &reply, &asked);
    if (!result)
        result = take_welcome(host, &reply);
    if (result && result != BEL_TIMEOUT)
        host_hang_up(host);
    return result;
}

int host_connect(struct host *host, int64_t deadline)
{
    struct bel *bel = host->bel;
    if (host->link.stage != LINK_UP) {
        int error = link_dial(&host->link, host->address, deadline, host->why, sizeof host->why);
        if (error == -EINVAL || error == -EACCES || error == -EPROTO || error == -ETIMEDOUT)
            return error == -EACCES ? BEL_DENIED : error;
        if (error)
            return HOST_BROKEN;
        bel->counters.reconnects += host->generation > 0;
        host->generation = ++bel->links;
        host->link_id = host->next_id;
        host->max_in_flight = 1;          // until it has said more
        host->max_frame_bytes = LINK_FRAME_LIMIT;
    }
    if (host->greeted)
        return 0;
    int broke = host->why[0] != 0, result = greet(host, deadline);
    return result == BEL_TIMEOUT && broke ? BEL_DISCONNECTED : result;  // it is not back in time
}
