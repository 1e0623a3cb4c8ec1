// Calls with one request; the contract is in single.h.
#include "single.h"

static struct bel_session *single_session(struct call *call, size_t i)
{
    (void)i;
    return ((struct single *)call->context)->session;
}

static int *single_result(struct call *call, size_t i)
{
    (void)i;
    return &((struct single *)call->context)->result;
}

static void ask_single(struct call *call, size_t i, struct wire_envelope *request)
{
    (void)i;
    const struct single *single = call->context;
    uint64_t id = request->request_id;
    *request = single->request;
    request->request_id = id;
    uint32_t handle = single->session ? single->session->handle : 0;
    switch (request->kind) {
    case WIRE_OBSERVE: request->observe.handle = handle; break;
    case WIRE_RESET: request->reset.handle = handle; break;
    case WIRE_GET_BELIEF: request->get_belief.handle = handle; break;
    case WIRE_CLOSE: request->close.handle = handle; break;
    default: break;
    }
}

static int take_single(struct call *call, size_t i, const struct wire_envelope *reply)
{
    (void)i;
    struct single *single = call->context;
    return single->take(single, call, reply);
}

int single_run(struct bel *bel, struct single *single, int once)
{
    struct call call = {
        .bel = bel, .count = 1, .context = single, .session = single_session, .result = single_result,
        .ask = single->request.kind ? ask_single : NULL, .take = take_single, .deadline = single->deadline,
    };
    bel->why[0] = 0;
    single->result = CALL_PENDING;
    if (single->session) {
        single->session->sent = 0;
        if (single->session->known)
            single->result = session_usable(single->session);
    }
    return single->result == CALL_PENDING ? call_run(&call, once) : single->result;
}

int single_take_done(struct single *single, const struct call *call, const struct wire_envelope *reply)
{
    if (reply->kind != WIRE_DONE)
        return call_unexpected(call->bel, single->session);
    if (single->session && single->request.kind == WIRE_RESET) {
        single->session->task = reply->done.task;
        single->session->count = reply->done.count;
        if (single->request.reset.scope == WIRE_TASK)  // whose answer waited for the disk
            kept_raise_floor(&single->session->kept, reply->done.task, reply->done.count);
    }
    return 0;
}

void single_begin_sync(struct bel_session *session)
{
    session->owed_at = 0;
    session->asked_twice = 0;
}

int single_take_synced(struct bel_session *session)
{
    const struct kept *newest = kept_newest(&session->kept);
    size_t owed = kept_count(&session->kept, KEPT_OWED);
    if (session->kept.open > owed) {  // sent before, so it had its answer by now or never will; the daemon shall say
        session->stale = 1;
        return CALL_PENDING;
    }
    if (owed && !session->asked_twice) {  // an answer from before may have come first: now it is asked anew
        session->asked_twice = 1;
        session->owed_at = 0;
        return CALL_PENDING;
    }
    if (owed)
        return call_fail(session->bel, BEL_UNDURABLE, "%s: the daemon's log cannot take %zu transitions now",
                         session->id, owed);
    if (newest)
        session_durable(session, newest->seq);
    return 0;
}

static int take_synced(struct single *single, const struct call *call, const struct wire_envelope *reply)
{
    int result = single_take_done(single, call, reply);
    return result ? result : single_take_synced(single->session);
}

int single_sync(struct bel_session *session, int64_t deadline)
{
    struct single single = {.session = session, .deadline = deadline, .take = take_synced,
                            .request = {.kind = WIRE_PING, .ping.durable = 1}};
    single_begin_sync(session);
    return single_run(session->bel, &single, 0);
}
