// The list of worlds. A new one is a file with a const struct world, and a line in worlds.h and here.

#include "worlds.h"

#include <string.h>

static const struct world *const worlds[] = {
    &gridworld,
    &point_dense,
    &point_sparse,
    &half_cheetah,
    &half_cheetah_dir,
    &half_cheetah_vel,
    &half_cheetah_body,
    &hopper_params,
    &walker_params,
    &ant_dir,
    &ant_dir_2d,
    &ant_dir_radians,
    &ant_goal,
    &ant_body,
    &humanoid_dir,
    &reacher_goal,
    &pusher_goal,
};

const struct world *world_at(size_t i)
{
    return i < sizeof worlds / sizeof *worlds ? worlds[i] : NULL;
}

const struct world *world_find(const char *name)
{
    for (size_t i = 0; i < sizeof worlds / sizeof *worlds; i++)
        if (!strcmp(worlds[i]->name, name))
            return worlds[i];
    return NULL;
}
