#pragma once
// What a running experiment shows: on a terminal a table that is drawn over itself, elsewhere a plain line when a cell
// begins or ends, and one each minute.

#include "run.h"

#include <stdio.h>

struct live {
    FILE *out;
    int terminal, colour;
    size_t drawn;                // lines that the next drawing goes over
    double next;                 // plain line
    size_t count;                // of seen
    enum job_state *seen;        // states as last told
};

int live_init(struct live *live, FILE *out, const struct run *run);  // -ENOMEM
void live_release(struct live *live);
void live_watch(void *live, const struct run *run);                   // of run_jobs
// All cells, once; for --list and the end.
void live_list(FILE *out, const struct run *run);
