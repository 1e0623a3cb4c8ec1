#pragma once
// One request on its way: the handlers, one per kind, and what they share. For the files of this folder.

#include "server.h"

struct request {
    struct server *server;
    struct connection *connection;
    const struct wire_envelope *message;
    uint64_t deadline_us, now_us;
};

// Each answers its request (Step and Act: has their batch answer it), or refuses it and changes nothing. The room
// for the reply was reserved.
void request_take_open(const struct request *r);
void request_take_reset(const struct request *r);
void request_take_close(const struct request *r);
void request_take_step(const struct request *r);
void request_take_act(const struct request *r);
void request_take_observe(const struct request *r);
void request_take_get_belief(const struct request *r);
void request_take_save(const struct request *r);
void request_take_restore(const struct request *r);
void request_take_list_sessions(const struct request *r);
void request_take_models(const struct request *r);  // ListModels, LoadModel, UnloadModel, AliasModel, Reload, PublishModel
void request_take_drain(const struct request *r);
void request_take_snapshot(const struct request *r);
void request_take_hand_over(const struct request *r);

// Error.
__attribute__((format(printf, 5, 6)))
void request_refuse(const struct request *r, enum wire_error_code code, const char *field, uint64_t limit,
                    const char *format, ...);
// Done, with what the session's belief is now; session may be NULL.
void request_done(const struct request *r, const struct session *session);
void request_done_durably(const struct request *r, const struct session *session, uint64_t position);

// Opened.
void request_reply_opened(const struct request *r, struct session *session, int resumed);

// Everything that was asked of the connection and of the session (may be NULL) before is answered before.
void request_settle(const struct request *r, const struct session *session);

// What may be done with a session: everything by whom it belongs to (ACCESS_OWN), a look into it by learners and
// observers too (ACCESS_READ).
enum access { ACCESS_OWN, ACCESS_READ };

// The session that a request names: by handle, or where that is 0 by name and epoch (which who only reads may leave
// out). NULL: the refusal was sent, or the session is on its way here and the request is taken again when it comes.
struct session *request_session(const struct request *r, uint32_t handle, const char *name, uint64_t epoch,
                                enum access access);
// By name alone, for an operator or a look.
struct session *request_session_named(const struct request *r, const char *name, enum access access);
// What request_session_named does but for permission and BUSY; *nowhere: there is no such session, the name is this
// server's, and no refusal was sent.
struct session *request_find(const struct request *r, const char *name, int *nowhere);
// Was a session of that name handed over to another daemon? Then MOVED was sent, with the address.
int request_refuse_moved(const struct request *r, const char *name);
// 0: BUSY was sent, it is being handed over.
int request_session_is_free(const struct request *r, struct session *session);

// A task as Open and Reset tell it: what this model can be told? `wanted`: an oracle must be. Otherwise the refusal was
// sent.
int request_may_tell(const struct request *r, const struct model *model, struct wire_floats told_task, int wanted);

// A vector of the right length with finite numbers? Otherwise the refusal was sent.
int request_vector_is_valid(const struct request *r, struct wire_floats floats, size_t dim, const char *field);
