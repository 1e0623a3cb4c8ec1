#pragma once
// The worlds that this library has. Users find them by name or number (world.h).

#include "world.h"

extern const struct world gridworld;
extern const struct world point_dense;
extern const struct world point_sparse;
extern const struct world half_cheetah;
extern const struct world half_cheetah_dir;
extern const struct world half_cheetah_vel;
extern const struct world half_cheetah_body;
extern const struct world hopper_params;
extern const struct world walker_params;
extern const struct world ant_dir;
extern const struct world ant_dir_2d;
extern const struct world ant_dir_radians;
extern const struct world ant_goal;
extern const struct world ant_body;
extern const struct world humanoid_dir;
extern const struct world reacher_goal;
extern const struct world pusher_goal;
