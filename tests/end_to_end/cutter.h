#pragma once
// A bad network between clients and the daemon: passes bytes on in pieces of any size, and cuts each link after so
// many of them, wherever that is, with what was on its way lost.

#include <stdint.h>

struct cutter;

// Listens at the Unix socket `path` and connects to the daemon at `address`. Links carry on average
// mean_bytes until they are cut, both directions together.
struct cutter *cutter_start(const char *path, const char *address, uint32_t mean_bytes, uint64_t seed);
void cutter_stop(struct cutter *cutter);
unsigned cutter_cuts(struct cutter *cutter);  // so far
