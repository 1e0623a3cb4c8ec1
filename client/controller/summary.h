#pragma once
// What a run came to, for people and for programs.

#include "controller.h"

struct run {
    const char *world, *model;
    double rate;
    uint64_t seed;
    int realtime;
    uint64_t watchdogs;
    struct bel_counters counters;
};

void summary_print(const struct run *run, const struct outcome *outcome, int histogram);
int summary_print_json(const struct run *run, const struct outcome *outcome);  // -ENOMEM
