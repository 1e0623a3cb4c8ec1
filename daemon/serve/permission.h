#pragma once
// May that request be taken: is it known who asks, is it for their role, on this socket, and not too often? And may they
// have that session?

#include "request.h"

// 0: the refusal was sent.
int permission_given(const struct request *r);

// Bytes of one message from somebody. Who is not known yet has a client's name and a token to tell, and no more
// memory of ours.
enum { STRANGER_BYTES = 8192 };
size_t permission_bytes(const struct identity *identity, const struct limits *limits);

// May who sends do that with a session of this owner ("": anybody's)?
int permission_for_session(const struct identity *identity, const char *owner, enum access access);

// Requests a second of one identity over all its connections of one server: a bucket that holds a second's worth.
struct guest {
    struct guest *next;                    // of the server
    char name[IDENTITY_NAME_LIMIT + 1];
    double tokens;
    uint64_t filled_us;
};
void guests_release(struct server *server);
