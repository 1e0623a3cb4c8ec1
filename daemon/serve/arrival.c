// Where a session is; the contract is in arrival.h. One server, and what it has in memory.
#include "arrival.h"

enum arrival arrival_look(struct server *server, const char *name, struct session **session, const char **why)
{
    (void)why;
    *session = session_find(&server->sessions, name);
    return *session ? ARRIVAL_HERE : ARRIVAL_NOWHERE;
}

void arrival_give_up(struct server *server, const char *name)
{
    (void)server, (void)name;
}

void arrival_park(const struct request *r, const char *name)
{
    (void)r, (void)name;
}

void arrival_left(struct server *server, const struct session *session)
{
    (void)server, (void)session;
}
