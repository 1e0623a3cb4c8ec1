#pragma once
// Tables of what agents reach: of one world, and of all worlds of an experiment together.

#include "results.h"

#include <stdio.h>

enum { REPORT_RUNS = 64, REPORT_AGENTS = 64 };

// One agent's finished runs in one world.
struct finished {
    const struct result *runs[REPORT_RUNS];
    size_t count;
    char label[120];
};

// One world.
struct table {
    struct finished agents[REPORT_AGENTS];
    size_t count, episodes;
    double none, oracle;         // interquartile mean returns; NaN: not there
};

void table_read(struct table *table, const struct results *results, size_t first, size_t end);
int table_has_gap(const struct table *table);    // the oracle returns more than no belief
int table_lacks_gap(const struct table *table);  // both were trained, and it does not
int table_has_best(const struct table *table);  // there are entries in bold

// Each a Markdown table, or nothing. 0 or -ENOMEM.
int table_write(FILE *out, const struct table *table);
int table_write_together(FILE *out, const struct results *results);

void report_count(FILE *out, double value);  // "1.5M"
