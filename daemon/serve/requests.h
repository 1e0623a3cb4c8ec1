#pragma once
// What each request means: checked whole, then done whole or refused whole.

#include "server.h"

// Takes one frame's body. 0: there is no room for its reply yet; nothing was done.
int request_take(struct server *server, struct connection *connection, const uint8_t *body, size_t size,
                 uint64_t now_us);

// Last words: an Error without a request, then the connection closes. 0: there is no room yet.
__attribute__((format(printf, 6, 7)))
int request_farewell(struct server *server, struct connection *connection, enum wire_error_code code,
                     uint64_t limit, uint64_t now_us, const char *format, ...);

// The Error to a Step or Act whose batch has run; its room was reserved.
__attribute__((format(printf, 5, 6)))
void request_refuse_later(struct server *server, struct connection *connection, uint64_t request_id,
                          enum wire_error_code code, const char *format, ...);
