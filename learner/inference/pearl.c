// What a training keeps of PEARL's encoder, and what is served of it.

#include "pearl.h"

#include "inference.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <stdlib.h>

static int start(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    const struct options *o = &train->options;
    const struct world *world = train->world;
    struct pearl *own = train->inferring = calloc(1, sizeof *own);
    size_t hidden[] = {o->basis_hidden, o->basis_hidden};
    if (!own || pearl_net_init(&own->net, 2 * world->observation_dim + world->action_dim + 1, hidden, o->latent)
        || moments_init(&own->reward, 1, 0))
        return -ENOMEM;
    struct random_stream stream = random_stream(o->seed, RANDOM_PARAMETERS, 2, 0);
    pearl_net_start(&own->net, &stream);
    return 0;
}

static void stop(struct train *train)
{
    struct pearl *own = train->inferring;
    if (!own)
        return;
    pearl_net_release(&own->net);
    moments_release(&own->reward);
    free(own);
    train->inferring = NULL;
}

static void shape(struct train *train, struct model_shape *shape, int last)
{
    (void)last;
    shape->kind = MODEL_PEARL;
    shape->encoder.latent = train->options.latent;
    shape->encoder.hidden[0] = shape->encoder.hidden[1] = train->options.basis_hidden;
}

static void fill(struct train *train, struct model *model, int last)
{
    (void)last;
    const struct pearl *own = train->inferring;
    model->encoder.reward_mean = (float)own->reward.mean[0];
    model->encoder.reward_scale = (float)moments_sd(&own->reward, 0);
    fill_network(&model->encoder.factor, &own->net.net, own->net.trainee.parameters);
}

// Normalisers that move would move every factor.
static int learn(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    struct pearl *own = train->inferring;
    if (train_progress(train) >= train->options.freeze)
        return 0;
    train_add_moments(train, &own->reward, NULL);
    return 0;
}

static void state(struct train *train, struct train_list *list)
{
    struct pearl *own = train->inferring;
    list_trainee(list, "factor", &own->net.trainee);
    list_moments(list, "reward", &own->reward);
}

void pearl_row(const struct train *train, float *row, const float *observation, const float *action, float reward,
               const float *next_observation)
{
    const struct model *m = train->model;
    row = agent_put_observation(row, m, observation);
    row = agent_put_action(row, m, action);
    *row++ = (reward - m->encoder.reward_mean) / m->encoder.reward_scale;
    agent_put_observation(row, m, next_observation);
}

const struct inference inference_pearl = {
    .start = start, .stop = stop, .shape = shape, .fill = fill, .learn = learn, .state = state,
};
