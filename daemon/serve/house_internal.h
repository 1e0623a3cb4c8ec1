#pragma once
// What a server asks of its house, and what the house asks of a server. For the files of this folder; house*.c, mail.c
// and arrival.c implement the house_ functions, server.c and session*.c the server_ ones. Written by the server's side
// as what it needs.

#include "house.h"
#include "server.h"

// ---- A server of its house -------------------------------------------------------------------------------------------

const struct house_options *house_options(const struct house *house);
struct store *house_store(const struct house *house);                           // NULL: durability is off
struct store_queue *house_queue(const struct house *house, size_t index);       // NULL: durability is off
// Whose token is it? 1 and *identity; 0: no identities are configured; -ENOENT: nobody's. Any thread.
int house_identify(struct house *house, const char *token, struct identity *identity);
struct identities *house_identities(struct house *house);  // NULL: none are configured. A reference. Any thread

// Model files at start-up: one that cannot be served refuses the start.
int house_load_all(struct house *house, char *why, size_t why_size);

// Takes its place and gets its models. -ENOMEM.
int house_enter(struct house *house, struct server *server, size_t index);
void house_leave(struct house *house, struct server *server);

// Models as this server sees them (they change by mail, never within a call into the server). NULL: not served. An
// empty name is the default's; aliases count.
struct served *house_model(struct server *server, const char *name);
// Of a session that has it already, whether new ones may or not.
struct served *house_model_by_digest(struct server *server, const char *digest);

// ---- A house of its servers ------------------------------------------------------------------------------------------

// The models in server->serving have changed: the bounds of replies are measured again.
void server_measure(struct server *server);
