#pragma once
// A robot that lives in a process of its own and waits for nobody: at each of its ticks it executes the command
// it has, the physics goes on, and its sensors tell what came of it. Here it is one of the simulated worlds
// (client/worlds); for a real one, put its driver behind these functions.
//
// A command stays in force until the next one, but a command that is older than the watchdog allows is dropped
// and the robot goes limp (zeros), as a real one should.

#include "client/worlds/world.h"

#include <stdint.h>

struct robot;

struct robot_options {
    const struct world *world;
    double rate;               // ticks a second
    double watchdog_seconds;
    uint64_t seed;             // its hidden task, and its starts
    uint64_t episode_ticks;    // then it is put back to a start
};

// What its sensors told at one tick.
struct robot_state {
    uint64_t tick;             // from 1, without gaps
    int first;                 // begins an episode: only the observation means something
    int last;                  // ends it
    float reward;              // of what was executed
    int64_t sensed;            // when  (ns, CLOCK_MONOTONIC)
    float *executed;           // since the tick before  (act)
    float *observation;        // (obs)
};

enum { ROBOT_MEMORY = 1 << 14 };  // ticks that it remembers for who reads late: 33 s at 500 Hz

// Its task, which nobody else knows, for a model that must be told it  (task_dim of the world)
void robot_task(const struct robot_options *options, double *task);

// Starts the process and waits until the robot stands. 0, or a negative errno with a sentence.
int robot_start(struct robot **robot, const struct robot_options *options, char *why, size_t why_size);
void robot_begin(struct robot *robot, int64_t when);    // its first tick (ns, CLOCK_MONOTONIC)
void robot_command(struct robot *robot, const float *action);
// The oldest state that was not read yet; its arrays are the caller's. 1; 0: none yet; -EOVERFLOW: it was read
// too late, states are missing; -ECHILD: the robot is gone.
int robot_read(struct robot *robot, struct robot_state *state);
void robot_halt(struct robot *robot);                   // it stands still; what it told can still be read
void robot_stop(struct robot *robot);                   // ends the process; NULL is fine
uint64_t robot_watchdogs(const struct robot *robot);    // ticks without a fresh command
