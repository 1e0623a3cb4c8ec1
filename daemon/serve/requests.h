#pragma once
// What each request means: checked whole, then done whole or refused whole.

#include "server.h"

// Takes one message, whichever door it came through. It is answered through connection->door->reply with its
// request_id: at once, with its batch, or when what it waits for (the disk, a session on its way) is there. The
// message is the caller's again when this returns. deadline_us: by the clock of now_us; 0: none. One whose deadline
// has passed is refused and nothing is done.
void request_take_message(struct server *server, struct connection *connection, const struct wire_envelope *message,
                          uint64_t deadline_us, uint64_t now_us);

// The same for one that was taken before and had to wait: it is counted, and weighed against its identity's rate, once.
void request_take_again(struct server *server, struct connection *connection, const struct wire_envelope *message,
                        uint64_t deadline_us, uint64_t now_us);

// Bytes of the largest reply to it, as a frame.
size_t request_reply_bound(const struct server *server, const struct wire_envelope *message);

// Last words: an Error without a request, then the connection closes. 0: there is no room yet.
__attribute__((format(printf, 6, 7)))
int request_farewell(struct server *server, struct connection *connection, enum wire_error_code code,
                     uint64_t limit, uint64_t now_us, const char *format, ...);

// The Error to a Step or Act whose batch has run; its room was reserved.
__attribute__((format(printf, 5, 6)))
void request_refuse_later(struct server *server, struct connection *connection, uint64_t request_id,
                          enum wire_error_code code, const char *format, ...);
