// Rounds of requests over links that may break; the contract is in call.h.
#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROUNDS_LIMIT = 16 };      // a daemon that forgets a session each time it has opened it
static const int64_t BACKOFF_NS = 1000000;       // before the third attempt; doubles
static const int64_t BACKOFF_LIMIT_NS = 100000000;

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
                     session ? session->id : bel->hosts->address);
}

void call_copy_digest(uint8_t *digest, struct wire_bytes from)
{
    if (from.size == WIRE_DIGEST_SIZE)
        memcpy(digest, from.bytes, WIRE_DIGEST_SIZE);
    else
        memset(digest, 0, WIRE_DIGEST_SIZE);
}

// ---- Rounds --------------------------------------------------------------------------------------------------

// One kind of request for those entries of a call that want it.
struct round {
    int (*wants)(struct call *call, struct host *host, size_t i);
    void (*ask)(struct call *call, size_t i, struct wire_envelope *request);
    void (*take)(struct call *call, size_t i, const struct wire_envelope *reply);
    int opens;         // it opens sessions; otherwise what is kept of a session is sent before
};

static struct host *host_of(struct call *call, size_t i)
{
    struct bel_session *session = call->session(call, i);
    return session ? session->host : call->bel->hosts;
}

static int is_pending(struct call *call, struct host *host, size_t i)
{
    return *call->result(call, i) == CALL_PENDING && host_of(call, i) == host;
}

static int is_adrift(const struct bel_session *session)
{
    return session && (session->generation != session->host->generation || session->stale);
}

static int wants_open(struct call *call, struct host *host, size_t i)
{
    return is_pending(call, host, i) && is_adrift(call->session(call, i));
}

static int wants_answer(struct call *call, struct host *host, size_t i)
{
    const struct bel_session *session = call->session(call, i);
    return is_pending(call, host, i) && (!session || session->generation == host->generation);
}

// Sends as many requests as may be in flight, from entry *next on.
static int put_some(struct call *call, struct host *host, const struct round *round, uint64_t first, size_t *next)
{
    for (; *next < call->count && host_may_send(host); ++*next) {
        if (!round->wants(call, host, *next))
            continue;
        struct bel_session *session = call->session(call, *next);
        if (!round->opens && session) {
            int all = 1, result = session_put_kept(session, &all);
            if (result || !all || !host_may_send(host))
                return result;
        }
        if (round->opens && session->opening == host->generation)
            continue;  // an earlier call has asked, and ended before the answer; it will do
        struct wire_envelope request = {.request_id = first + *next};
        round->ask(call, *next, &request);
        int result = host_put(host, &request, &(struct asked){request.request_id, session, request.kind, 0, 0});
        if (result)
            return result;
        if (session && !round->opens) {
            call->bel->counters.resent += session->sent > 0;
            session->sent = host->generation;
        }
    }
    return 0;
}

// An Error to entry i. 0, or what it says about the whole link.
static int take_error(struct call *call, struct host *host, const struct round *round, size_t i,
                      const struct wire_error *error)
{
    struct bel *bel = call->bel;
    struct bel_session *session = call->session(call, i);
    int *entry = call->result(call, i), result = host_result(error->code);
    char sentence[sizeof bel->why];
    host_describe(sentence, sizeof sentence, host, session, error);
    if (session && round->opens)
        session->opening = 0;
    switch (result) {
    case BEL_DRAINING:
        memcpy(host->why, sentence, sizeof host->why);
        host_hang_up(host);
        return BEL_DRAINING;
    case BEL_BUSY: case BEL_RATE:
        memcpy(host->why, sentence, sizeof host->why);
        call->turned_away = result;
        if (session)
            session->sent = 0;  // it is as if it had not been
        return 0;
    case BEL_MOVED:
        if (session)
            *entry = session_moved(session, error->address);
        break;
    case BEL_LOST:
        if (session && round->opens)
            *entry = session_unknown(session);
        else if (session)
            session_adrift(session);  // it stays pending; opening it again tells what became of it
        break;
    case BEL_OUT_OF_STEP:
        // What it had to follow was turned away, or came later than itself: opening again tells. Once in a call.
        if (session && (session->stale || !session->turned_back)) {
            session->turned_back = 1;
            session_adrift(session);
            break;
        }
        // fallthrough
    default:
        *entry = call_fail(bel, result, "%s", sentence);
        if (session)
            session->sent = 0;
    }
    if (*entry == CALL_PENDING && !session)
        *entry = call_fail(bel, BEL_PROTOCOL, "%s", sentence);
    if (session && *entry == BEL_FENCED)
        session->state = SESSION_FENCED;
    return 0;
}

// A reply that nobody waits for.
static void take_late(struct call *call, const struct asked *asked, const struct wire_envelope *reply)
{
    struct bel_session *session = asked->session;
    if (asked->kind == WIRE_OPEN && session && session->opening == session->host->generation) {
        if (reply->kind == WIRE_OPENED && reply->opened.model)
            session_opened(session, &reply->opened, 1);  // what is wrong about it, its next call tells
        else
            session->opening = 0;
        return;
    }
    if (asked->kept) {
        if (asked->session)
            session_take_kept(asked->session, asked, reply);
        return;
    }
    call->bel->counters.late_replies++;
    if (asked->session && reply->kind == WIRE_ACTION)
        session_told(asked->session, &reply->action);
}

// Which entry of this round is it an answer to? count: none.
static uint64_t find_entry(struct call *call, const struct round *round, uint64_t first, const struct asked *asked)
{
    uint64_t i = asked->id - first;  // wraps for earlier ones
    if (asked->kept || i < call->count)
        return asked->kept ? call->count : i;
    for (i = 0; i < call->count && round->opens && asked->kind == WIRE_OPEN; i++)
        if (asked->session && call->session(call, i) == asked->session && *call->result(call, i) == CALL_PENDING)
            return i;
    return call->count;
}

// Asks all entries that want it and waits for their replies. 0: all were answered; or a result for all that are
// still pending.
static int run_round(struct call *call, struct host *host, const struct round *round)
{
    uint64_t first = host->next_id;
    size_t next = 0, wanting = 0;
    for (size_t i = 0; i < call->count; i++)
        wanting += round->wants(call, host, i) != 0;
    host->next_id += call->count;

    while (wanting) {
        struct wire_envelope reply;
        struct asked asked;
        int result = put_some(call, host, round, first, &next);
        if (!result)
            result = host_get(host, call->deadline, &reply, &asked);
        if (result)
            return result;
        uint64_t i = find_entry(call, round, first, &asked);
        if (i == call->count) {
            take_late(call, &asked, &reply);
            continue;
        }
        wanting--;
        if (reply.kind == WIRE_ERROR)
            result = take_error(call, host, round, i, &reply.error);
        else
            round->take(call, i, &reply);
        if (!result && *call->result(call, i) == BEL_PROTOCOL) {
            host_hang_up(host);
            result = BEL_PROTOCOL;
        }
        if (result)
            return result;
    }
    return 0;
}

// ---- What is asked -------------------------------------------------------------------------------------------

static void ask_open(struct call *call, size_t i, struct wire_envelope *request)
{
    struct bel_session *session = call->session(call, i);
    request->kind = WIRE_OPEN;
    request->open = (struct wire_open){
        .session = session->id, .model = session->model.model.name, .hold_prior = session->hold_prior,
        .epoch = session->epoch, .opener = session->opener, .explore = session->explore};
    // A session that was opened knows its task, and it may be a later one.
    if (session->epoch == 0)
        request->open.told_task = session->told_task;
    session->opening = session->host->generation;
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

static void take_answer(struct call *call, size_t i, const struct wire_envelope *reply)
{
    *call->result(call, i) = call->take(call, i, reply);
}

static int attempt(struct call *call, struct host *host)
{
    static const struct round opening = {wants_open, ask_open, take_opened, 1};
    const struct round asking = {wants_answer, call->ask, take_answer, 0};
    int result = host_connect(host, call->deadline);
    if (!result)
        result = run_round(call, host, &opening);
    if (!result && call->ask)
        result = run_round(call, host, &asking);
    return result;
}

// ---- Calls ---------------------------------------------------------------------------------------------------

static size_t pending(struct call *call, struct host *host)
{
    size_t count = 0;
    for (size_t i = 0; i < call->count; i++)
        count += host ? is_pending(call, host, i) : *call->result(call, i) == CALL_PENDING;
    return count;
}

// The entries at this host get this result.
static void give_up(struct call *call, struct host *host, int result)
{
    struct bel *bel = call->bel;
    call_fail(bel, 0, "%s", host->why);
    bel->counters.timeouts += result == BEL_TIMEOUT;
    for (size_t i = 0; i < call->count; i++)
        if (is_pending(call, host, i))
            *call->result(call, i) = result == HOST_BROKEN ? BEL_DISCONNECTED : result;
}

static void pause_for(int64_t ns)
{
    nanosleep(&(struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}, NULL);
}

// One attempt at each host that has something to do. Returns whether somebody should be given time.
static int attempt_all(struct call *call, int once)
{
    int apart = 0;
    for (struct host *host = call->bel->hosts; host; host = host->next) {
        if (!pending(call, host))
            continue;
        call->turned_away = 0;
        int result = attempt(call, host);
        int patience = result == HOST_BROKEN || result == BEL_DRAINING;
        if (!result && call->turned_away && pending(call, host)) {
            result = call->turned_away;
            patience = 1;
        }
        if (result && (!patience || once || call->deadline <= link_now()))
            give_up(call, host, result);
        else
            apart |= patience;
    }
    return apart;
}

int call_run(struct call *call, int once)
{
    struct bel *bel = call->bel;
    for (struct host *host = bel->hosts; host; host = host->next)
        host->why[0] = 0;
    call->started = link_now();
    if (!call->deadline)
        call->deadline = call->started + bel->deadline_ns;
    int64_t backoff = BACKOFF_NS;
    while (pending(call, NULL)) {
        int apart = attempt_all(call, once);
        if (call->rounds++ == 0 || !pending(call, NULL))
            continue;  // a new link is tried at once; from then on each attempt waits longer
        int64_t left = call->deadline - link_now();
        if (!apart && left <= 0) {
            call_fail(bel, 0, "sessions are gone as soon as they were opened, again and again");
            for (struct host *host = bel->hosts; host; host = host->next)
                give_up(call, host, BEL_TIMEOUT);
        } else if (apart || call->rounds > ROUNDS_LIMIT) {
            pause_for(backoff < left ? backoff : left > 0 ? left : 0);
            backoff = 2 * backoff < BACKOFF_LIMIT_NS ? 2 * backoff : BACKOFF_LIMIT_NS;
        }
    }
    for (size_t i = 0; i < call->count; i++)
        if (*call->result(call, i))
            return *call->result(call, i);
    return 0;
}
