#pragma once
// The half cheetah, open to its worlds, tests and tools; everybody else finds the worlds through world.h.

#include "mechanism.h"
#include "worlds.h"

enum {
    HALF_CHEETAH_JOINTS = 9,     // root x, root z, root pitch, then back and front thigh, shin, foot
    HALF_CHEETAH_MOTORS = 6,
    HALF_CHEETAH_FRAME_SKIP = 5  // engine steps per step
};

extern struct simulation_model half_cheetah_model;

// The 17 numbers without the trunk's place.
void half_cheetah_observe(const struct world_instance *instance, float *observation);

// Runs a step: how fast it went, the square of the action. 0 or -EIO, as mechanism_act.
int half_cheetah_run(struct world_instance *instance, const float *action, double *speed, double *square);
