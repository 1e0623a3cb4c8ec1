#pragma once
// A daemon at an address, and what was asked of it. A connection has one host, its home; a session that moves to
// another daemon makes that a further one.
//
// Request ids of a host grow for ever. Every request that is on its way stands in `asked`, so that each reply
// finds its session, however late it comes.

#include "bel.h"
#include "link.h"
#include "proto/wire.h"

// Results beside those of bel.h; they never leave the library.
enum {
    HOST_BROKEN = -EPIPE,         // the link cannot be used any more
    HOSTS_LIMIT = 64,             // daemons that the sessions of one connection may be at
};

struct asked {
    uint64_t id;                  // 0: was answered
    struct bel_session *session;  // NULL: none, or it has gone
    enum wire_kind kind;
    int kept;                     // sent from what is kept; no call waits for the reply
    uint64_t seq;                 // of a kept Step or Act
};

struct host {
    struct bel *bel;
    struct host *next;
    char *address;
    struct link link;
    uint64_t generation;          // number of the link among all of the connection's; 0: none yet
    int greeted;                  // Hello was answered on this link
    uint64_t next_id;             // of the next request
    uint64_t link_id;             // smaller ids were not sent on this link
    struct asked *asked;          // (asked_room) a ring, in the order of asking
    size_t asked_first, asked_count, asked_room;
    size_t waiting;               // of them without a reply
    int64_t heard;                // when a frame last came, or waiting became 1
    uint32_t max_frame_bytes, max_in_flight;
    char why[512];                // last failure of the link during this call
};

struct host *host_new(struct bel *bel, const char *address);  // NULL: no memory
void host_free(struct host *host);                            // NULL is fine

// Connects and greets, as far as that is not done. BEL_DENIED, BEL_TIMEOUT, BEL_PROTOCOL, ...; HOST_BROKEN with
// `why`.
int host_connect(struct host *host, int64_t deadline);
void host_hang_up(struct host *host);

static inline int host_may_send(const struct host *host) { return host->waiting < host->max_in_flight; }

// Puts one request into the link's buffer. asked tells who asks; its id is the request's. BEL_LIMIT,
// BEL_NO_MEMORY.
int host_put(struct host *host, const struct wire_envelope *request, const struct asked *asked);
// Sends what was put and waits for one reply, that was asked for: *asked. Replies nobody can have asked for end
// the link. HOST_BROKEN, or a result.
int host_get(struct host *host, int64_t deadline, struct wire_envelope *reply, struct asked *asked);
// The session goes: replies to what it asked are nobody's.
void host_disown(struct host *host, const struct bel_session *session);

int host_result(enum wire_error_code code);
// The sentence of an Error, with session, field and limit where it has them.
void host_describe(char *out, size_t room, const struct host *host, const struct bel_session *session,
                   const struct wire_error *error);
