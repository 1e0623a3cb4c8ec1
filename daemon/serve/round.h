#pragma once
// A letter that goes round all servers and ends where it began: for what an operator asks of the whole daemon.

#include "server.h"

struct round {
    struct letter letter;
    size_t next, home;
    void (*visit)(struct round *round, struct server *server, uint64_t now_us);
    // At home, after all visits. NULL: the house ends; then it only frees.
    void (*done)(struct round *round, struct server *server, uint64_t now_us);
};

// visit and done are set. `server` is home.
void round_start(struct round *round, struct server *server, uint64_t now_us);
