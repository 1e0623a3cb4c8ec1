#pragma once
// The event loop: sockets on one side, server.h on the other.

#include "config.h"
#include "server.h"

uint64_t loop_clock_us(void);  // monotonic

// Listens, writes "READY\n" to ready_fd (unless -1) and serves until SIGTERM or SIGINT, then drains. A second
// signal ends the process at once. A negative errno with a sentence when the start fails.
int loop_run(struct server *server, const struct config *config, int ready_fd, char *why, size_t why_size);
