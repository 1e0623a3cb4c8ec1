// What recurrent encoders read of a history.

#include "glibrl.h"
#include "varibad.h"

size_t history_inputs(const struct world *world)
{
    return world->observation_dim + world->action_dim + 1;
}

void history_row(const struct train *train, float *out, const float *action, float reward,
                 const float *next_observation)
{
    const struct model *m = train->model;
    // [s', a] is [s, a] of the observation that follows.
    basis_row(train, HEAD_TRANSITION, out, next_observation, action, NULL);
    out[m->observation_dim + m->action_dim] = (reward - m->encoder.reward_mean) / m->encoder.reward_scale;
}

void history_normalise(struct train *train, const struct moments *rewards)
{
    struct model *m = train->model;
    fill_normaliser(m, train);
    m->encoder.reward_mean = (float)rewards->mean[0];
    m->encoder.reward_scale = (float)moments_sd(rewards, 0);
}
