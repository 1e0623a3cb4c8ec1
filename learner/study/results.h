#pragma once
// What experiments left behind, read back for the report: cells, and the agents that they are runs of.
//
// A directory counts as a cell if it has a result.json or a description; what was made by hand with
// `bel-learn train --log DIR --json > DIR/result.json` counts too.

#include <stddef.h>
#include <stdint.h>

enum { RESULT_EPISODES = 8 };

struct curve_point {
    double frames, cpu_seconds, reward;  // reward: training return, mean of the episodes of that iteration
};

struct result {
    char name[200];
    char world[40], model[20], algorithm[20], variant[48];
    uint64_t seed;
    int finished;
    double frames, seconds, cpu_seconds;
    size_t episodes;                     // 0: not evaluated
    double returns[RESULT_EPISODES];     // evaluated
    double mean_return;                  // of all episodes
    char command[2000], commit[64], core[40];
    double tasks, evaluation_seed;
    size_t steps;                        // 0: not told
    double *rewards;                     // of each step of a task, evaluated  (steps)
    size_t point_count;
    struct curve_point *points;          // of train.jsonl
};

struct results {
    char name[200], directory[1024];
    int has_file;                        // experiment.ini, from which these are; they may be empty
    char title[1000], about[1000], budget[1000];
    size_t count;
    struct result *cells;                // by world, model, algorithm, variant, seed
};

// The experiments in a directory: itself, or those below it. Appended to *all (realloc'ed). 0 or a negative errno
// with a sentence; what cannot be understood is an error, what is not there yet is not.
int results_read(struct results **all, size_t *count, const char *directory, char *why, size_t why_size);
void results_free(struct results *all, size_t count);

// The cells of one agent in one world are neighbours: first .. end. Returns end.
size_t results_agent_end(const struct results *results, size_t first);
size_t results_world_end(const struct results *results, size_t first);

// "glibrl", "glibrl sac", "glibrl, few features": as short as the experiment allows.
void results_label(const struct results *results, const struct result *cell, char *label, size_t size);
