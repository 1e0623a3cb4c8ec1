#pragma once
// Replies that wait for the disk: one queue per server, in the order of the log's positions, as encoded frames. While
// the log is stuck nobody is kept waiting: an Action says how far the disk is, an Opened goes out (the epoch is only in
// memory then), and everything else is answered UNDURABLE: it was taken, and asking again is harmless.

#include "server.h"

// Sends the reply when the log is at `position`: at once if it is there, or if there is no log. It never overtakes one
// that the connection waits for.
void durable_reply(struct server *server, struct connection *connection, const struct wire_envelope *reply,
                   uint64_t position, uint64_t durable_seq, uint64_t now_us);
// The answer to a Step or Act: tells how far the disk is; it waits only where the daemon is to do so always.
void durable_reply_action(struct server *server, struct connection *connection, struct wire_envelope *reply,
                          struct session *session);
// Those whose time has come. Asks the log to hurry for the others.
void durable_release(struct server *server, uint64_t now_us);
// Replies to a connection that ends.
void durable_drop(struct server *server, const struct connection *connection);
