#pragma once
// The ant, open to its worlds, tests and tools; everybody else finds the worlds through world.h.

#include "mechanism.h"
#include "worlds.h"

enum {
    ANT_COORDINATES = 15, ANT_SPEEDS = 14,  // place and orientation (7 and 6), then hip and ankle of each leg
    ANT_MOTORS = 8,
    ANT_TORSO = 1,
    ANT_FRAME_SKIP = 5,                     // engine steps of 0.01 s
    ANT_OBSERVATION = 27
};

extern struct simulation_model ant_model;

// Positions without the torso's x and y (13), velocities (14).
void ant_observe(const struct world_instance *instance, float *observation);

// Runs a step: the torso's mean velocity along x and y, the square of the action, what contacts cost. 0 or -EIO, as
// mechanism_act.
int ant_run(struct world_instance *instance, const float *action, double *velocity, double *square,
            double *contact_cost);

// The reward for that speed. 1: the ant fell or flew, 0: it did not.
int ant_judge(const struct world_instance *instance, double speed, double square, double contact_cost, float *reward);
