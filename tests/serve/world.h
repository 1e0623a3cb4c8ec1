#pragma once
// A daemon without sockets that can die: a house with an experience log in a directory of its own, one server, and
// beside each robot what its belief must be.

#include "peer.h"

struct world {
    char directory[64];           // of log and models
    char model_paths[2][96];      // "small" and "other"
    struct house_options options; // as of the next start
    struct house *house;          // NULL: it is dead
    struct server *server;
};

// Not started yet: durability `interval`, generous limits.
void world_init(struct world *world);
void world_init_of(struct world *world, enum model_kind kind);  // models of another kind than glibrl
void world_release(struct world *world);
void world_start(struct world *world);
// Without a farewell. What was put into the log and not committed is committed, as the disk might have done it.
void world_kill(struct world *world);
void world_restart(struct world *world);
void world_spill(struct world *world);                       // until every session is on disk alone

// A robot of the first model with a client, its session, and its own record.
struct life {
    struct world *world;
    struct caller caller;
    struct robot robot;
    const char *name;
    uint32_t handle;
    uint64_t epoch, seq;
    uint32_t task;
    const struct model *model;    // a copy of the world's
    struct agent_belief expected;
    void *expected_memory;
    struct agent_scratch *scratch;
};
void life_begin(struct life *life, struct world *world, const char *name, uint64_t seed);
void life_end(struct life *life);
void life_leave(struct life *life);                        // its connection ends
void life_forget_caller(struct life *life);                // its connection went with the server
struct wire_opened life_open(struct life *life);           // connects, if need be, and opens
void life_act(struct life *life);                          // the next number
struct wire_action life_step(struct life *life);           // the next number; must be absorbed
struct wire_action life_step_as(struct life *life, uint64_t seq, enum wire_status status);
// Transitions first .. last of another stream (writer) in one Observe. Returns the reply.
struct wire_envelope life_observe(struct life *life, uint32_t writer, uint64_t first, uint64_t last);
void life_expect(struct life *life, uint32_t writer, uint64_t seq);  // is in the record from now on
void life_reset(struct life *life);
void life_check(struct life *life, struct wire_bytes digest);
void life_durable(struct life *life);                      // waits until all is on disk
