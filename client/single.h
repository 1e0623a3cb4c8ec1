#pragma once
// A call with one request: about a session, or about none.

#include "call.h"

struct single {
    struct bel_session *session;   // NULL: none
    struct wire_envelope request;  // its handle is filled in when it is known; no kind: opening the session is all
    int64_t deadline;              // 0: the connection's, from now
    int result;
    int (*take)(struct single *single, const struct call *call, const struct wire_envelope *reply);
    void *out;                     // for take
};

// Runs it. `once`: does not go on trying when there is no link.
int single_run(struct bel *bel, struct single *single, int once);

// The take of requests that are answered with Done.
int single_take_done(struct single *single, const struct call *call, const struct wire_envelope *reply);

// Everything that the session told is on the daemon's disk when it returns 0. BEL_UNDURABLE. deadline as above.
int single_sync(struct bel_session *session, int64_t deadline);
// Before a Ping{durable} of the session.
void single_begin_sync(struct bel_session *session);
// After the Done to a Ping{durable} of the session: the result, or CALL_PENDING: ask once more.
int single_take_synced(struct bel_session *session);
