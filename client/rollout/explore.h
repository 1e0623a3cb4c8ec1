#pragma once
// Robots that explore for a learner: each meta-episode is a session of the model that an alias stands for when it
// begins; they draw around the mean action, tell what they drew, and finish the session, so that the learner has it.
//
// Chance follows from seed, the model's revision and the robot's number alone (client/worlds/explore.h), wherever the
// robot runs: a training over workers anywhere makes the experience that it would make by itself.

#include "client/bel.h"
#include "client/worlds/world.h"

#include <stdatomic.h>
#include <stdint.h>

struct explore_options {
    const struct world *world;
    const char *model;           // name or alias
    uint64_t seed;               // as the learner's
    size_t robots;               // of all workers: the learner's --envs
    size_t first, count;         // those that are ours
    int wait;                    // for the next revision before another round; otherwise goes on with what there is
    uint64_t rounds;             // then it ends; 0: never
    const atomic_int *stop;
};

struct explore_summary {
    uint64_t rounds;             // of each robot: as many steps as its world's meta-episode has
    uint64_t sessions, steps;    // finished; told
    uint64_t dropped;            // sessions that were begun and not finished
    uint64_t revision;           // of the last round
    double returned;             // mean return of an episode in the last round
};

// Until it is stopped, or has done its rounds. What passes by itself (no daemon for a while, a session that the daemon
// lost) it says on standard error, and plays the round again. 0, or a result of bel.h, or -EIO: the simulation, with a
// sentence.
int explore(struct bel *bel, const struct explore_options *options, struct explore_summary *summary, char *why,
            size_t why_size);
