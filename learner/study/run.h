#pragma once
// Runs the cells of an experiment side by side, each a child process `bel-learn train` of its own.
//
// A finished cell is not run again, a begun one goes on from its checkpoint. A child that dies, or a disk that takes
// nothing, fails its cell; the others go on. When this program is killed, its children stop too, after a checkpoint.
// Another program may run the same experiment at the same time: a cell belongs to who holds its lock.

#include "cell.h"

#include <sys/types.h>

enum job_state {
    JOB_WAITING,
    JOB_RUNNING,
    JOB_FINISHED,
    JOB_STOPPED,     // by a signal, after its checkpoint
    JOB_FAILED,      // why tells
    JOB_STATES
};

struct job {
    const struct experiment_cell *cell;
    char directory[1024];
    enum job_state state;
    int was_finished;            // before this run
    int elsewhere;               // somebody else trains it
    int lock;
    pid_t child;
    struct cell_progress progress;
    char why[600];
};

struct run {
    const struct experiment *experiment;
    size_t count;
    struct job *jobs;
    unsigned side_by_side;
    int interrupted;
    double begun;                // by the monotonic clock, seconds
};

// What is there already: each job is waiting, finished or failed (its directory holds something else). only: a shell
// pattern that a cell's name must match, or NULL. replace: what differs is cleared away when its cell is begun.
int run_new(struct run *run, const struct experiment *experiment, const char *directory, const char *only, char *why,
            size_t why_size);
void run_release(struct run *run);

// Until nothing is left to do or SIGINT or SIGTERM came. watch is called after every change and each second or so.
void run_jobs(struct run *run, int replace, void (*watch)(void *context, const struct run *run), void *context);

size_t run_count(const struct run *run, enum job_state state);
const char *job_state_name(const struct job *job);
// Seconds until all is done, going by those that run; NaN: not known yet.
double run_seconds_left(const struct run *run);
double job_seconds_left(const struct job *job);
