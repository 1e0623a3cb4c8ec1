#pragma once
// One cell of an experiment on disk: a directory of its own, from which a later run sees what is done already.
//
//     description       what is trained there; another one is never mixed in
//     lock              held by whoever trains it
//     train.jsonl       of --log, and a TensorBoard event file
//     checkpoint        of --checkpoint
//     stderr            what the training said
//     model.safetensors
//     result.json       what `bel-learn train --json` printed; there once the training is finished, and whole

#include "experiment.h"

enum cell_state {
    CELL_NEW,
    CELL_BEGUN,      // goes on from its checkpoint
    CELL_FINISHED,
    CELL_DIFFERS,    // another training is in its directory
};

struct cell_progress {
    uint64_t frames;
    double seconds;
    double frames_per_second;
    double mean_return;          // per episode, evaluated or of the last lines of the log; NaN: none
};

// A directory and those it is in. 0 or a negative errno.
int cell_make_directories(const char *directory);

// What is in the directory. For CELL_DIFFERS, why tells what. A negative errno with a sentence: it cannot be read.
int cell_look(const char *directory, const struct experiment_cell *cell, char *why, size_t why_size);

// Makes the directory, takes the lock and writes the description; replace: another training that is there is cleared
// away first. Returns the descriptor that holds the lock; -EAGAIN: somebody else does; or a negative errno with a
// sentence.
int cell_begin(const char *directory, const struct experiment_cell *cell, int replace, char *why, size_t why_size);

// After the training said that it was done: is what it printed a whole result? Then it becomes result.json.
int cell_finish(const char *directory, char *why, size_t why_size);

// From the result, or the tail of the log. Nothing there: all zero.
void cell_progress(const char *directory, struct cell_progress *progress);
