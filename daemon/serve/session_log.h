#pragma once
// What a session puts into the experience log, and how far the disk is with it. Without a log (server->queue NULL) all of
// this succeeds and does nothing.
//
// The functions that put return 0, or -EAGAIN: the log cannot take it now, and nothing was put.

#include "server.h"

#include "daemon/store/store.h"

// Its row: who it is, epoch, task, model. At Open, Reset and Rebuild.
int session_log_row(struct server *server, struct session *session);
// Its whole state as it is now, in place of the one before. -ENOMEM, -EMSGSIZE too.
int session_log_state(struct server *server, struct session *session);
// It explored and is over; nobody opens it again.
int session_log_explored(struct server *server, struct session *session);
int session_log_forget_explored(struct server *server, uint64_t number);  // all of them up to that number
int session_log_forget(struct server *server, struct session *session);

// Would so many transitions of the model's dimensions be taken now?
int session_log_has_room(const struct server *server, const struct session *session, size_t count);
// A transition; session, count and digest are filled in here.
int session_log_transition(struct server *server, struct session *session, struct store_transition *transition);

// Writer 0's transitions up to this number are on disk. O(1).
uint64_t session_durable_seq(const struct server *server, struct session *session);
// Is everything on disk that it put?
int session_is_durable(const struct server *server, const struct session *session);
// Writer 0's number of a transition that the log could not take; and: more of writer 0 was seen since.
void session_note_undurable(struct session *session, uint64_t seq);
void session_undurable_came(struct session *session);
// It leaves for another server: positions are of another queue from now on. All that it put is on disk, unless the log
// refuses; then it is before anything that is put there, as the log takes again only when all that waited is on disk.
void session_log_move(const struct server *server, struct session *session);
