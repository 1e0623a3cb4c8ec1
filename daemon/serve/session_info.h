#pragma once
// What operators are told about a session.

#include "server.h"

// Strings point into the session; digest is the caller's memory. *info lives as long as both.
void session_info(struct wire_session_info *info, const struct server *server, struct session *session,
                  uint8_t digest[WIRE_DIGEST_SIZE], uint64_t now_us);

// The sessions of this server whose names come after `after` in byte order (only: that one, unless it is ""), the
// first of them, in that order. *found is the caller's to free. Returns how many, -ENOMEM.
long sessions_after(const struct server *server, const char *after, const char *only, struct session ***found);
