#pragma once
// Rebuild: a session moves to the model that its model's name stands for now. Its sum is made again, from the
// transitions of its task in the log, beside the one that goes on serving; what is absorbed meanwhile goes into both.

#include "request.h"

#include "daemon/store/store.h"

struct rebuild;

void request_take_rebuild(const struct request *r);

// A transition was put into the log, for a session with `rebuild` set.
void rebuild_also(struct rebuild *rebuild, const struct store_transition *row);
// The session leaves this server's table: nothing comes of it.
void rebuild_abandon(struct session *session);
