#pragma once
// The end of a turn: all Steps and Acts that were read go through one feature pass and one policy pass of their
// model.

#include "server.h"

// The session's new_* and waiting fields are filled and the reply's room is reserved. Runs a full batch at once.
void batch_join(struct server *server, struct session *session, struct connection *connection, uint64_t request_id,
                uint64_t now_us);

// What clients are told of a transition.
enum wire_status batch_status(enum observe_status status);

void batch_run(struct server *server, struct served *served);
void batch_run_all(struct server *server);

// The answer to a Step that was answered before; its room was reserved.
void batch_repeat(struct server *server, struct session *session, struct connection *connection,
                  uint64_t request_id);
