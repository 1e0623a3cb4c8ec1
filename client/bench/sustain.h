#pragma once
// How many transitions a second a daemon absorbs, answers and brings to disk with one processor, and which of its
// threads pays how much of it.

#include "duel.h"

struct sustain {
    uint64_t transitions;             // of 64 sessions; all absorbed, all on disk at the end
    double seconds;                   // from the first request until the last transition is on disk
    double loop_seconds, log_seconds; // processor time of the loops and all others, and of the log's thread
};

// 64 clients step for a while, then one waits for the disk.
void sustain_measure(struct sustain *out, const struct duel_server *server, double seconds);
