#pragma once
// Questions to a daemon, one at a time, as frames. Usually at its control socket, which also answers the messages of
// operators.

#include "client/link.h"
#include "proto/wire.h"

struct control_options {
    const char *token_file;   // NULL: none; its first line is the bearer token
    struct tls_options tls;   // for tls: addresses
    double timeout;           // seconds for the connection, and for each answer
};

struct control {
    const char *address;      // the caller's
    struct link link;
    struct wire_arena arena;  // holds the last reply
    uint64_t id;
    double timeout;
    enum wire_error_code code;  // of the last refusal
    char field[64];             // of it
    char why[512];              // sentence of the last failure
};

// Connects and says Hello; options stay the caller's as long as this is open. On failure: a sentence in `why`, and nothing to close. -EREMOTEIO: the daemon refuses.
int control_open(struct control *control, const char *address, const struct control_options *options);
void control_close(struct control *control);

// Asks and waits. What the reply points to is valid until the next question. `wanted` is the kind of a good answer.
//   -EREMOTEIO: the daemon refused, `code` and `why` tell; nothing has changed
//   otherwise (-ETIMEDOUT, -ECONNRESET, -EPROTO, ...): not known whether it did what was asked
int control_ask(struct control *control, const struct wire_envelope *request, enum wire_kind wanted,
                struct wire_envelope *reply);
