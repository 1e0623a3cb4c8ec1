#pragma once
// One request on its way: the handlers, one per kind, and what they share. For the files of this folder.

#include "server.h"

struct request {
    struct server *server;
    struct connection *connection;
    const struct wire_envelope *message;
    uint64_t now_us;
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

// Error.
__attribute__((format(printf, 5, 6)))
void request_refuse(const struct request *r, enum wire_error_code code, const char *field, uint64_t limit,
                    const char *format, ...);
// Done, with what the session's belief is now; session may be NULL.
void request_done(const struct request *r, const struct session *session);

// Everything that was asked of the connection and of the session (may be NULL) before is answered before.
void request_settle(const struct request *r, const struct session *session);

// The session of a handle, or NULL and the refusal was sent.
struct session *request_session(const struct request *r, uint32_t handle);

// A vector of the right length with finite numbers? Otherwise the refusal was sent.
int request_vector_is_valid(const struct request *r, struct wire_floats floats, size_t dim, const char *field);
