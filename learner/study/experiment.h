#pragma once
// An experiment: one file that says which trainings are to be compared, and the cells it expands to, each one
// training with one seed.
//
//     [experiment]
//     title = HalfCheetah-Vel, everybody who must infer the speed
//     about = What the picture is to show.
//     budget = reduced: 3e6 frames where the paper has 1e8
//
//     [every cell]
//     worlds = half-cheetah-vel
//     seeds = 1..5
//     frames = 3e6
//
//     [cells]
//     models = glibrl varibad rl2 oracle none
//
//     [cells known-noise]
//     models = glibrl
//     prior-noise = 0.001
//
// Each [cells] section is the product of its worlds, models, algorithms and seeds; what it does not say, [every cell]
// says. Every other key is an option of `bel-learn train`, checked by the same code; at least one of the cells it is said
// for must read it. The second word of a section names a variant.

#include <stddef.h>
#include <stdint.h>

enum { EXPERIMENT_CELLS_LIMIT = 4096, CELL_SETTINGS = 64 };

struct cell_setting {
    char key[48], value[80];
    unsigned line;
    int unread;                      // by the cell's model and algorithm: stays out of its command
};

struct experiment_cell {
    char name[160];                  // of its directory: "half-cheetah-vel.glibrl.ppo.known-noise.1"
    char world[40], model[20], algorithm[20], variant[48], seed[24];
    size_t count;
    struct cell_setting settings[CELL_SETTINGS];  // all other options, in alphabetical order
    uint64_t frames;
    unsigned line;                   // of its section
};

struct experiment {
    char name[80];                   // the file's, without .ini
    char path[512];
    size_t count;
    struct experiment_cell *cells;   // seed by seed, so that the first comparison is whole early
};

// 0; or a negative errno with a sentence that names file, line, key and what would have been right.
int experiment_read(struct experiment **experiment, const char *path, char *why, size_t why_size);
void experiment_free(struct experiment *experiment);

// What a cell is, as lines of "key = value" (malloc'ed; NULL: no memory): also every default that its training reads, since
// the next program may have others. Equal descriptions, equal trainings.
char *cell_describe(const struct experiment_cell *cell);

// The arguments after "bel-learn train" that make the cell, without where things go. argv: room for CELL_ARGUMENTS
// pointers into the cell (and into option, CELL_SETTINGS texts). Returns how many.
enum { CELL_ARGUMENTS = 8 + 2 * CELL_SETTINGS };
size_t cell_arguments(const struct experiment_cell *cell, char option[CELL_SETTINGS][52], const char **argv);
