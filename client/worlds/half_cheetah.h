#pragma once
// The half cheetah's instance, open to tests and tools; everybody else finds the worlds through world.h.

#include "simulation.h"
#include "worlds.h"

enum {
    HALF_CHEETAH_JOINTS = 9,     // root x, root z, root pitch, then back and front thigh, shin, foot
    HALF_CHEETAH_MOTORS = 6,
    HALF_CHEETAH_FRAME_SKIP = 5  // engine steps per step
};

struct world_instance {
    struct simulation simulation;
    double task;   // direction or target speed
    int is_plain;  // of half-cheetah: nothing to know, and the trunk's place is not observed
};

// Places the robot as reset does, but where one wants it; the task stays. observation (observation_dim).
void half_cheetah_place(struct world_instance *instance, const double *qpos, const double *qvel,
                        float *observation);
