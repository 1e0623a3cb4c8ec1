#pragma once
// A network that does everything wrong, between clients and the daemon. It knows frames, so that it can do to them what a
// bad proxy would: cut a link in the middle of one, send one twice, let one overtake another, hold one back, and pass
// bytes on in pieces of any size. In both directions.

#include <stdint.h>

enum fault { FAULT_CUT, FAULT_TWICE, FAULT_OVERTAKE, FAULT_DELAY, FAULT_PIECES, FAULT_KINDS };

struct faults;

// Listens at the Unix socket `path` and connects to the daemon's Unix socket `to`, which may be gone for a while. On
// average one frame in `one_in` suffers.
struct faults *faults_start(const char *path, const char *to, uint32_t one_in, uint64_t seed);
void faults_stop(struct faults *faults);
uint64_t faults_count(struct faults *faults, enum fault kind);  // so far; any thread
