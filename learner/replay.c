// A ring of meta-episodes.

#include "replay.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int replay_init(struct replay *replay, size_t slots, size_t steps, size_t observation_dim, size_t action_dim)
{
    size_t rows = slots * steps;
    *replay = (struct replay){
        .slots = slots, .steps = steps, .observation_dim = observation_dim, .action_dim = action_dim,
        .count = calloc(slots, sizeof(uint32_t)),
        .observation = calloc(rows * observation_dim, sizeof(float)),
        .action = calloc(rows * action_dim, sizeof(float)),
        .next_observation = calloc(rows * observation_dim, sizeof(float)),
        .reward = calloc(rows, sizeof(float)),
    };
    if (replay->count && replay->observation && replay->action && replay->next_observation && replay->reward)
        return 0;
    replay_release(replay);
    return -ENOMEM;
}

void replay_release(struct replay *replay)
{
    free(replay->count);
    free(replay->observation);
    free(replay->action);
    free(replay->next_observation);
    free(replay->reward);
    *replay = (struct replay){0};
}

size_t replay_slots(const struct replay *replay)
{
    return replay->added < replay->slots ? (size_t)replay->added : replay->slots;
}

void replay_begin(struct replay *replay)
{
    replay->count[replay->added++ % replay->slots] = 0;
}

void replay_add(struct replay *replay, const float *observation, const float *action, const float *next_observation,
                float reward)
{
    size_t slot = (size_t)((replay->added - 1) % replay->slots);
    assert(replay->added > 0 && replay->count[slot] < replay->steps);
    size_t row = slot * replay->steps + replay->count[slot]++;
    memcpy(replay->observation + row * replay->observation_dim, observation,
           replay->observation_dim * sizeof *observation);
    memcpy(replay->action + row * replay->action_dim, action, replay->action_dim * sizeof *action);
    memcpy(replay->next_observation + row * replay->observation_dim, next_observation,
           replay->observation_dim * sizeof *next_observation);
    replay->reward[row] = reward;
}
