#pragma once
// The last meta-episodes that were collected, in a ring, for the basis to learn from.

#include <stddef.h>
#include <stdint.h>

struct replay {
    size_t slots, steps;           // capacity: meta-episodes, transitions of each
    size_t observation_dim, action_dim;
    uint64_t added;                // meta-episodes ever
    uint32_t *count;               // transitions in each slot           (slots)
    float *observation, *action, *next_observation, *reward;  // (slots, steps, ...)
};

int replay_init(struct replay *replay, size_t slots, size_t steps, size_t observation_dim, size_t action_dim);
void replay_release(struct replay *replay);
size_t replay_slots(const struct replay *replay);  // that hold something

// Opens the oldest slot; transitions go to the one opened last.
void replay_begin(struct replay *replay);
void replay_add(struct replay *replay, const float *observation, const float *action, const float *next_observation,
                float reward);
