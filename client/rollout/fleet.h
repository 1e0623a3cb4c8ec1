#pragma once
// Simulated robots that a daemon drives: each has a world of its own, a task that only the world knows, and a
// session. All step together, one round trip for all.

#include "client/bel.h"
#include "client/worlds/world.h"

#include <stdatomic.h>

enum { FLEET_COUNT_LIMIT = 1024, FLEET_EPISODES_LIMIT = 64 };

// What the belief said about the task when it had seen `step` steps (of all episodes together).
struct estimate {
    size_t step;
    double mean[WORLD_TASK_LIMIT], sd[WORLD_TASK_LIMIT];
};

struct robot {
    struct world_instance *instance;
    struct bel_session *session;
    double task[WORLD_TASK_LIMIT];
    float *observation, *next;       // (obs)
    float *action, *next_action;     // (act)
    int running;                     // the episode goes on
    double returns[FLEET_EPISODES_LIMIT];
    double reward_p, transition_p;   // of the last step: how surprising it was
    uint64_t sent, counted;          // transitions told; transitions in the belief at the end
    uint64_t refused;                // told, but not absorbed: not finite or out of range
    uint64_t absorbed;               // told, and answered so
    struct estimate now;             // newest; of no use before estimate_count > 0
    struct estimate *estimates;      // (estimate_count) those that are traced come first in time
    size_t estimate_count;
    float *achieved;                 // task for which each step would have been right, or NaN  (steps, task_dim)
    float starts[FLEET_EPISODES_LIMIT][2];  // where each episode began, or NaN
    float *where;                    // place after each step, or else what was achieved; or NaN  (steps, 2)
    float *memory;                   // behind the arrays of floats
};

struct fleet_options {
    const struct world *world;
    const char *model;               // NULL: the daemon's first for this world
    const char *name;                // begins the sessions' ids
    size_t count, episodes;
    uint64_t seed;
    int hold_prior;
    int trace;                       // keep estimates over time
    double pace;                     // times the world's own clock; 0: as fast as it goes
    const atomic_int *stop;          // not 0: end after this step
};

struct fleet {
    struct fleet_options options;
    struct bel *bel;
    const struct bel_model *model;
    struct robot *robots;            // (count)
    struct bel_step *steps;          // (count)
    int can_estimate;                // the model has landmarks
    int believes;                    // the model has a belief; an oracle is told the task instead, and "none" nothing
    size_t episode, step;            // where they are: step of the episode, from 0
    size_t total;                    // steps of all episodes that were made
    size_t episodes_done;
    double *round_trips;             // microseconds, of each batch  (total)
    uint64_t transitions, lost;      // of all robots; lost: told but neither counted nor refused, at the end
    char why[512];                   // when something failed
};

// Called after each step and at the start of each episode, with the robots to look at.
typedef void fleet_watch(void *context, struct fleet *fleet);

// Connects nobody: bel is the caller's and outlives the fleet. 0, or a negative result with fleet->why.
int fleet_open(struct fleet *fleet, struct bel *bel, const struct fleet_options *options);
// All episodes; returns 0 also when stopped. Then checks that the beliefs count what was told.
int fleet_run(struct fleet *fleet, fleet_watch *watch, void *context);
// Asks each belief which task it believes in, now.
int fleet_estimate(struct fleet *fleet);
// Forgets the sessions.
void fleet_close(struct fleet *fleet);

double fleet_return(const struct fleet *fleet, size_t episode);  // mean over robots; NaN: not finished
double fleet_median_us(const struct fleet *fleet);               // of the round trips so far; NaN: none
// Mean distance between the true task and the newest estimate; NaN: there is none.
double fleet_error(const struct fleet *fleet);
double estimate_error(const struct fleet *fleet, const struct robot *robot, const struct estimate *estimate);
