#pragma once
// Where is the session of that name? Here; on another server; in the experience log; nowhere. The last three
// take a while to find out or to bring it, so the request that asked is parked and taken again.

#include "request.h"

enum arrival {
    ARRIVAL_HERE,      // *session
    ARRIVAL_NOWHERE,   // no such session anywhere, and the name is this server's now: it may make it
    ARRIVAL_COMING,    // park the request
    ARRIVAL_FULL,      // as many sessions are in memory as may be
    ARRIVAL_FAILED,    // *why tells: the log is damaged, its model cannot be had, ...
};

// After ARRIVAL_NOWHERE without making the session, arrival_give_up.
enum arrival arrival_look(struct server *server, const char *name, struct session **session, const char **why);
void arrival_give_up(struct server *server, const char *name);
// Takes the request again when the session named has come or is known not to exist. The connection's other requests go
// on meanwhile (those for the same name are parked behind it). A connection that ends takes its parked requests with it.
void arrival_park(const struct request *r, const char *name);

// A session that leaves this server's memory: its name is free, or in the log, as soon as what it put there is on disk.
void arrival_left(struct server *server, const struct session *session);

// For the life of a server: before the first look; when the log got on; at its end.
int arrival_start(struct server *server);  // -ENOMEM
void arrival_settle(struct server *server, uint64_t now_us);
void arrival_stop(struct server *server);
