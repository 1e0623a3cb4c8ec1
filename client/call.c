// Rounds of requests over a link that may break; the contract is in call.h.
#include "call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ARENA_LIMIT = 64 << 20,       // a frame of LINK_FRAME_LIMIT decodes within
    ROOM_AT_FIRST = 1024,         // for a request; a larger one is measured
    ROUNDS_LIMIT = 16,            // a daemon that forgets a session each time it has opened it
};
static const int64_t SILENCE_NS = 2000000000;    // a link that owes an answer and says nothing is broken
static const int64_t BACKOFF_NS = 1000000;       // before the third attempt; doubles
static const int64_t BACKOFF_LIMIT_NS = 100000000;

// The link cannot be used any more. Never leaves this file.
enum { BROKEN = -EPIPE };

int call_fail(struct bel *bel, int result, const char *format, ...)
{
    if (!bel->why[0]) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(bel->why, sizeof bel->why, format, arguments);
        va_end(arguments);
    }
    return result;
}

int call_unexpected(struct bel *bel, const struct bel_session *session)
{
    return call_fail(bel, BEL_PROTOCOL, "%s: the daemon's answer is of another kind than the question",
                     session ? session->id : bel->address);
}

void call_copy_digest(uint8_t *digest, struct wire_bytes from)
{
    if (from.size == WIRE_DIGEST_SIZE)
        memcpy(digest, from.bytes, WIRE_DIGEST_SIZE);
    else
        memset(digest, 0, WIRE_DIGEST_SIZE);
}

// ---- Messages -------------------------------------------------------------------------------------------------

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

// Puts one request into the link's buffer.
static int put(struct bel *bel, const struct wire_envelope *request)
{
    struct frame_buffer *out = &bel->link.out;
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
        if (size < 0 || (size_t)size > FRAME_HEADER_SIZE + (size_t)bel->max_frame_bytes)
            return call_fail(bel, BEL_LIMIT, "the request is larger than the daemon's limit of %u bytes",
                             bel->max_frame_bytes);
        if ((size_t)size > out->capacity - out->end) {
            want = (size_t)size;
            continue;
        }
        frame_buffer_append(out, (size_t)size);
        if (bel->waiting++ == 0)
            bel->heard = link_now();
        return 0;
    }
}

// Waits for one reply.
static int get(struct bel *bel, int64_t deadline, struct wire_envelope *reply)
{
    const uint8_t *body;
    size_t size;
    int error = link_next(&bel->link, deadline, &body, &size);
    if (error)
        return error;
    do {
        wire_arena_reset(&bel->arena);
        error = wire_decode(reply, body, size, &bel->arena);
    } while (error == -ENOMEM && grow_arena(&bel->arena) == 0);
    return error;
}

// ---- The link -------------------------------------------------------------------------------------------------

static void hang_up(struct bel *bel)
{
    link_hang_up(&bel->link);
    bel->greeted = 0;
    bel->waiting = 0;
}

// Sorts what went wrong with the link: only a deadline leaves it standing, and not even that when the other end
// has been silent for too long.
static int link_failed(struct bel *bel, int error)
{
    if (error == -ETIMEDOUT && link_now() - bel->heard < SILENCE_NS)
        return call_fail(bel, BEL_TIMEOUT, "no answer from %s within %.0f ms", bel->address,
                         (double)bel->deadline_ns / 1e6);
    hang_up(bel);
    if (error == -ETIMEDOUT)
        return call_fail(bel, BEL_TIMEOUT, "%s has been silent for more than %.0f s; the link is given up",
                         bel->address, (double)SILENCE_NS / 1e9);
    if (error == -EBADMSG || error == -EMSGSIZE)
        return call_fail(bel, BEL_PROTOCOL, "%s does not speak belief.v1", bel->address);
    if (error == -ENOMEM)
        return call_fail(bel, BEL_NO_MEMORY, "no memory for a reply");
    snprintf(bel->link_why, sizeof bel->link_why, "the link to %s broke: %s", bel->address, strerror(-error));
    return BROKEN;
}

static int from_code(enum wire_error_code code)
{
    switch (code) {
    case WIRE_BAD_FRAME: return BEL_PROTOCOL;
    case WIRE_TOO_LARGE: return BEL_LIMIT;
    case WIRE_UNSUPPORTED: return BEL_UNSUPPORTED;
    case WIRE_INVALID: return BEL_INVALID;
    case WIRE_UNKNOWN_SESSION: return BEL_LOST;
    case WIRE_UNKNOWN_MODEL: return BEL_UNKNOWN_MODEL;
    case WIRE_FENCED: return BEL_FENCED;
    case WIRE_OUT_OF_STEP: return BEL_OUT_OF_STEP;
    case WIRE_LIMIT: return BEL_LIMIT;
    case WIRE_DRAINING: return BEL_DRAINING;
    default: return BEL_INTERNAL;
    }
}

// The sentence of an Error, with session, field and limit where it has them.
static void describe(char *out, size_t room, const struct bel *bel, const struct bel_session *session,
                     const struct wire_error *error)
{
    char field[80] = "", limit[40] = "";
    if (error->field[0])
        snprintf(field, sizeof field, " (%s)", error->field);
    if (error->limit)
        snprintf(limit, sizeof limit, ", limit %llu", (unsigned long long)error->limit);
    snprintf(out, room, "%s%s%s%s: %s%s", session ? session->id : bel->address, session ? ": " : " says ",
             wire_error_name(error->code), field, error->message, limit);
}

static int refused(struct bel *bel, const struct bel_session *session, const struct wire_error *error)
{
    char sentence[sizeof bel->why];
    describe(sentence, sizeof sentence, bel, session, error);
    return call_fail(bel, from_code(error->code), "%s", sentence);
}

// ---- Rounds ---------------------------------------------------------------------------------------------------

// One kind of request for those entries of a call that want it.
struct round {
    int (*wants)(struct call *call, size_t i);
    void (*ask)(struct call *call, size_t i, struct wire_envelope *request);
    void (*take)(struct call *call, size_t i, const struct wire_envelope *reply);
    int follows_kept;  // kept steps of the session must be sent before
};

static int may_send(const struct bel *bel)
{
    return bel->waiting < bel->max_in_flight;
}

// Sends the kept steps that this link has not carried yet. Their replies are nobody's any more.
static int put_kept(struct bel *bel, struct bel_session *session, int *all)
{
    for (size_t k = 0; k < session->kept_count; k++) {
        struct kept_step *kept = session_kept(session, k);
        if (kept->generation == bel->generation)
            continue;
        *all = may_send(bel);
        if (!*all)
            return 0;
        struct wire_envelope request = {
            .request_id = bel->next_id++, .kind = WIRE_STEP,
            .step = {
                .handle = session->handle, .seq = kept->seq, .task = kept->task, .last = kept->last,
                .observation = {kept->observation, session->model.model.observation_dim},
                .action = {kept->action, session->model.model.action_dim}, .reward = kept->reward,
            },
        };
        int result = put(bel, &request);
        if (result)
            return result;
        kept->generation = bel->generation;
        bel->counters.resent++;
    }
    return 0;
}

// Sends as many requests as may be in flight, from entry *next on.
static int put_some(struct call *call, const struct round *round, uint64_t first, size_t *next)
{
    struct bel *bel = call->bel;
    for (; *next < call->count && may_send(bel); ++*next) {
        if (!round->wants(call, *next))
            continue;
        struct bel_session *session = call->session(call, *next);
        if (round->follows_kept && session) {
            int all = 1, result = put_kept(bel, session, &all);
            if (result || !all || !may_send(bel))
                return result;
        }
        struct wire_envelope request = {.request_id = first + *next};
        round->ask(call, *next, &request);
        int result = put(bel, &request);
        if (result)
            return result;
        if (session && round->follows_kept) {
            bel->counters.resent += session->sent > 0;
            session->sent = bel->generation;
        }
    }
    return 0;
}

// Asks all entries that want it and waits for their replies. 0: all were answered; BROKEN; or the result of all
// that still want.
static int run_round(struct call *call, const struct round *round)
{
    struct bel *bel = call->bel;
    uint64_t first = bel->next_id;
    size_t next = 0, wanting = 0;
    for (size_t i = 0; i < call->count; i++)
        wanting += round->wants(call, i) != 0;
    bel->next_id += call->count;

    while (wanting) {
        int result = put_some(call, round, first, &next);
        if (result)
            return result;
        int error = link_flush(&bel->link, call->deadline);
        struct wire_envelope reply;
        if (!error)
            error = get(bel, call->deadline, &reply);
        if (error)
            return link_failed(bel, error);
        bel->heard = link_now();

        if (reply.request_id == 0 && reply.kind == WIRE_ERROR) {  // about the connection
            int ours = reply.error.code == WIRE_BAD_FRAME || reply.error.code == WIRE_TOO_LARGE;
            describe(bel->link_why, sizeof bel->link_why, bel, NULL, &reply.error);
            hang_up(bel);
            return ours ? from_code(reply.error.code) : BROKEN;
        }
        if (reply.request_id < bel->link_id || reply.request_id >= bel->next_id || bel->waiting == 0) {
            hang_up(bel);
            return call_fail(bel, BEL_PROTOCOL, "%s answered request %llu, which was not asked", bel->address,
                             (unsigned long long)reply.request_id);
        }
        bel->waiting--;
        uint64_t i = reply.request_id - first;  // wraps for earlier ones
        if (i >= call->count || i >= next || !round->wants(call, i)) {
            bel->counters.late_replies++;
            continue;
        }

        struct bel_session *session = call->session(call, i);
        int *entry = call->result(call, i);
        wanting--;
        if (reply.kind != WIRE_ERROR) {
            round->take(call, i, &reply);
        } else if (reply.error.code == WIRE_DRAINING) {
            describe(bel->link_why, sizeof bel->link_why, bel, session, &reply.error);
            hang_up(bel);
            return BEL_DRAINING;
        } else if (reply.error.code == WIRE_UNKNOWN_SESSION && session) {
            session_adrift(session);  // it stays pending; opening it again tells what became of it
        } else {
            *entry = refused(bel, session, &reply.error);
            if (session && *entry == BEL_FENCED)
                session->state = SESSION_FENCED;
        }
        if (*entry == BEL_PROTOCOL) {
            hang_up(bel);
            return BEL_PROTOCOL;
        }
    }
    return 0;
}

// ---- Hello ----------------------------------------------------------------------------------------------------

static void release_models(struct bel *bel)
{
    for (size_t i = 0; i < bel->model_count; i++)
        call_model_release(&bel->models[i]);
    free(bel->models);
    bel->models = NULL;
    bel->model_count = 0;
}

static int take_welcome(struct call *call, size_t i, const struct wire_envelope *reply)
{
    (void)i;
    struct bel *bel = call->bel;
    const struct wire_welcome *welcome = &reply->welcome;
    if (reply->kind != WIRE_WELCOME || welcome->max_in_flight == 0 || welcome->max_frame_bytes == 0)
        return call_fail(bel, BEL_PROTOCOL, "%s does not greet as beliefd does", bel->address);
    if (welcome->protocol != WIRE_PROTOCOL)
        return call_fail(bel, BEL_PROTOCOL, "%s speaks version %u of the protocol, this library version %d",
                         bel->address, welcome->protocol, WIRE_PROTOCOL);
    release_models(bel);
    bel->models = calloc(welcome->model_count + 1, sizeof *bel->models);
    if (!bel->models)
        return call_fail(bel, BEL_NO_MEMORY, "no memory for the list of models");
    for (; bel->model_count < welcome->model_count; bel->model_count++) {
        int error = call_model_copy(&bel->models[bel->model_count], &welcome->models[bel->model_count]);
        if (error)
            return call_fail(bel, error == -ENOMEM ? BEL_NO_MEMORY : BEL_PROTOCOL,
                             "%s describes a model that cannot be",
                             bel->address);
    }
    snprintf(bel->server, sizeof bel->server, "%s", welcome->server);
    bel->max_frame_bytes = welcome->max_frame_bytes;
    bel->max_in_flight = welcome->max_in_flight;
    bel->greeted = 1;
    return 0;
}

static void ask_hello(struct call *call, size_t i, struct wire_envelope *request)
{
    (void)i;
    request->kind = WIRE_HELLO;
    request->hello.client = call->bel->client;
}

static struct bel_session *no_session(struct call *call, size_t i)
{
    (void)call, (void)i;
    return NULL;
}

static int *context_result(struct call *call, size_t i)
{
    (void)i;
    return call->context;
}

static int wants_result(struct call *call, size_t i)
{
    return *call->result(call, i) == CALL_PENDING;
}

static void take_result(struct call *call, size_t i, const struct wire_envelope *reply)
{
    *call->result(call, i) = call->take(call, i, reply);
}

static int greet(struct bel *bel, int64_t deadline)
{
    static const struct round round = {wants_result, ask_hello, take_result, 0};
    int result = CALL_PENDING;
    struct call call = {
        .bel = bel, .count = 1, .context = &result, .deadline = deadline,
        .session = no_session, .result = context_result, .take = take_welcome,
    };
    int error = run_round(&call, &round);
    return error ? error : result;
}

// A link that has been greeted.
static int connect_link(struct bel *bel, int64_t deadline)
{
    if (bel->link.fd < 0 || bel->link.dialling) {
        int error = link_dial(&bel->link, bel->address, deadline, bel->link_why, sizeof bel->link_why);
        if (error)
            return error == -EINVAL ? BEL_INVALID : error == -ETIMEDOUT ? BEL_TIMEOUT : BROKEN;
        bel->counters.reconnects += bel->generation > 0;
        bel->generation++;
        bel->link_id = bel->next_id;
        bel->max_in_flight = 1;          // until it has said more
        bel->max_frame_bytes = LINK_FRAME_LIMIT;
    }
    if (bel->greeted)
        return 0;
    int result = greet(bel, deadline);
    int broke = bel->link_why[0] != 0;
    return result == BEL_TIMEOUT && broke ? BEL_DISCONNECTED : result;  // it is not back in time
}

// ---- Sessions -------------------------------------------------------------------------------------------------

static int wants_open(struct call *call, size_t i)
{
    struct bel_session *session = call->session(call, i);
    return session && wants_result(call, i) && session->generation != call->bel->generation;
}

static void ask_open(struct call *call, size_t i, struct wire_envelope *request)
{
    const struct bel_session *session = call->session(call, i);
    request->kind = WIRE_OPEN;
    request->open = (struct wire_open){
        .session = session->id, .model = session->model.model.name, .hold_prior = session->hold_prior};
}

static void take_opened(struct call *call, size_t i, const struct wire_envelope *reply)
{
    struct bel_session *session = call->session(call, i);
    int *result = call->result(call, i);
    if (reply->kind != WIRE_OPENED || !reply->opened.model)
        *result = call_fail(call->bel, BEL_PROTOCOL, "%s: the daemon's answer to Open is not Opened", session->id);
    else
        *result = session_opened(session, &reply->opened, call->rounds > 0);
    if (*result == 0 && call->ask)
        *result = CALL_PENDING;
}

// ---- Calls ----------------------------------------------------------------------------------------------------

static int attempt(struct call *call)
{
    static const struct round opening = {wants_open, ask_open, take_opened, 0};
    const struct round asking = {wants_result, call->ask, take_result, 1};
    int result = connect_link(call->bel, call->deadline);
    if (!result)
        result = run_round(call, &opening);
    if (!result && call->ask)
        result = run_round(call, &asking);
    return result;
}

static size_t pending(struct call *call)
{
    size_t count = 0;
    for (size_t i = 0; i < call->count; i++)
        count += wants_result(call, i) != 0;
    return count;
}

static void pause_for(int64_t ns)
{
    nanosleep(&(struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}, NULL);
}

int call_run(struct call *call, int once)
{
    struct bel *bel = call->bel;
    bel->link_why[0] = 0;
    call->started = link_now();
    call->deadline = call->started + bel->deadline_ns;
    int result = 0;
    int64_t backoff = BACKOFF_NS;
    while (pending(call)) {
        result = attempt(call);
        int apart = result == BROKEN || result == BEL_DRAINING;
        if (result && (!apart || once))
            break;
        if (call->rounds++ == 0)
            continue;  // a new link is tried at once; from then on each attempt waits longer
        if (!apart && call->rounds > ROUNDS_LIMIT) {
            result = call_fail(bel, BEL_INTERNAL, "%s forgets sessions as soon as it has opened them",
                               bel->address);
            break;
        }
        int64_t left = call->deadline - link_now();
        if (apart && left <= 0)
            break;
        if (apart) {
            pause_for(backoff < left ? backoff : left);
            backoff = 2 * backoff < BACKOFF_LIMIT_NS ? 2 * backoff : BACKOFF_LIMIT_NS;
        }
    }
    if (result)
        call_fail(bel, 0, "%s", bel->link_why);
    if (result == BROKEN)
        result = BEL_DISCONNECTED;
    bel->counters.timeouts += result == BEL_TIMEOUT;

    int first = 0;
    for (size_t i = 0; i < call->count; i++) {
        int *entry = call->result(call, i);
        if (*entry == CALL_PENDING)
            *entry = result;
        if (!first)
            first = *entry;
    }
    return first;
}
