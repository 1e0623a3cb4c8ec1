#pragma once
// The event loops: sockets on one side, server.h on the other. Each loop is a thread with a server of its own. The first
// listens and deals connections out, to the loop that has the fewest.

#include "config.h"
#include "house.h"

struct loops;

uint64_t loop_clock_us(void);  // monotonic

// So many loops, still; NULL: no memory, or no event loop to be had. loops_wake with it as context is for the house's
// options, and may be called as long as it exists.
struct loops *loops_new(size_t count);
void loops_free(struct loops *loops);
void loops_wake(void *loops, size_t index);
void loops_drain(void *loops);  // as SIGTERM; any thread

// Makes the house's servers, listens, writes "READY\n" to ready_fd (unless -1) and serves until SIGTERM or SIGINT, then
// drains; SIGHUP reads models, identities and certificates again. A second signal ends the process at once. A negative
// errno with a sentence when the start fails. The servers are gone when it returns.
int loops_run(struct loops *loops, struct house *house, const struct config *config, int ready_fd, char *why,
              size_t why_size);
