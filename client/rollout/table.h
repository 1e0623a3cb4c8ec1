#pragma once
// The robots while they run: a table that is redrawn in place on a terminal, otherwise a line now and then.

#include "fleet.h"

struct table {
    int live;              // stdout is a terminal
    int unicode, colour;
    size_t drawn;          // lines to go up before drawing again
    double next;           // earliest moment of the next drawing, seconds
    const char *heading;   // which run this is
};

void table_init(struct table *table, const char *heading);
void table_watch(void *table, struct fleet *fleet);  // a fleet_watch
// Draws for the last time; what stands there stays.
void table_end(struct table *table, struct fleet *fleet);
