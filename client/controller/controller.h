#pragma once
// A fixed-rate loop between a robot and beliefd, and what came of it.

#include "client/bel.h"
#include "robot.h"
#include "ticker.h"

#include <stdatomic.h>

// What the robot is told at a tick for which there is no advice in time.
enum fallback {
    FALLBACK_HOLD,   // nothing: it goes on with the command it has, until its watchdog lets go
    FALLBACK_ZERO,   // zeros, at once
    FALLBACK_LAST,   // the last advice once more, so that its watchdog is content
};

struct controller_options {
    double rate;             // ticks a second
    double seconds;          // how long
    double deadline_us;      // of a tick, from when it was due, for the answer to be here
    enum fallback fallback;
    const atomic_int *stop;  // not 0: end after this tick
};

struct outcome {
    struct ticker ticker;            // how punctual the ticks were
    struct samples reaction;         // from sensing to the command that answers it
    uint64_t ticks;
    uint64_t missed;                 // ticks with news from the robot, and no advice in time
    uint64_t fallbacks;              // commands by fallback
    uint64_t transitions, reported;  // that the robot made; that were told to the daemon
    uint64_t absorbed, refused;      // of them in the belief; of no belief: not finite or out of range
    uint64_t durable, lost;          // on the daemon's disk; neither absorbed nor refused
    uint64_t episodes;               // finished
    double return_sum;               // of them
    uint64_t resumed;                // times that advice came back after the link had been lost
    double longest_outage_ms;
    int logged;                      // the daemon keeps a log
    char why[512];                   // when something failed
};

// Runs until its time is up, then waits until all is told and on disk. session: open, of a model with the robot's
// dimensions. 0, or a negative result with outcome->why. The outcome is to be released in any case.
int controller_run(struct outcome *outcome, const struct controller_options *options, struct bel *bel,
                   struct bel_session *session, struct robot *robot);
void outcome_release(struct outcome *outcome);
