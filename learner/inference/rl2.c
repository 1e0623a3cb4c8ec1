// RL2's side of a training (Duan et al. 2016): a recurrent encoder whose state is all that the policy gets. It has no
// loss of its own: the policy's reaches it through policy/recurrent.c.

#include "rl2.h"

#include "daemon/base/random.h"
#include "varibad.h"

#include <errno.h>
#include <stdlib.h>

static int start(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    const struct options *o = &train->options;
    struct rl2 *own = train->inferring = calloc(1, sizeof *own);
    if (!own)
        return -ENOMEM;
    sequence_init(&own->sequence, history_inputs(train->world), o->embedding, o->gru);
    if (trainee_init(&own->trainee, own->sequence.count) || moments_init(&own->reward, 1, 0))
        return -ENOMEM;
    struct random_stream stream = random_stream(o->seed, RANDOM_PARAMETERS, 4, 0);
    sequence_start(&own->sequence, own->trainee.parameters, &stream);
    return 0;
}

static int ready(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    struct rl2 *own = train->inferring;
    own->recurrent = recurrent_new(train);
    return own->recurrent ? 0 : -ENOMEM;
}

static void stop(struct train *train)
{
    struct rl2 *own = train->inferring;
    if (!own)
        return;
    recurrent_free(own->recurrent);
    trainee_release(&own->trainee);
    moments_release(&own->reward);
    free(own);
    train->inferring = NULL;
}

static int learn(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    struct rl2 *own = train->inferring;
    train_add_moments(train, &own->reward, NULL);
    return 0;
}

static void shape(struct train *train, struct model_shape *shape, int last)
{
    (void)last;
    const struct rl2 *own = train->inferring;
    shape->kind = MODEL_RL2;
    shape->encoder.embedding = own->sequence.gru.inputs;
    shape->encoder.width = own->sequence.gru.hidden;
}

static void fill(struct train *train, struct model *model, int last)
{
    (void)last;
    const struct rl2 *own = train->inferring;
    fill_sequence(&model->encoder, &own->sequence, own->trainee.parameters);
    model->encoder.reward_mean = (float)own->reward.mean[0];
    model->encoder.reward_scale = (float)moments_sd(&own->reward, 0);
    // A state is within [-1, 1] by itself. A normaliser that moves would move what gradients go through.
    for (size_t i = model->observation_dim; i < model->input_dim; i++) {
        model->input_mean[i] = 0;
        model->input_scale[i] = 1;
    }
}

static int update_actor(struct train *train, struct actor *actor, const struct experience *experience,
                        const struct ppo_settings *settings, double rate, struct random_stream *stream,
                        struct ppo_report *report)
{
    struct rl2 *own = train->inferring;
    return recurrent_update(own->recurrent, train, &own->sequence, &own->trainee, actor, experience, settings, rate,
                            stream, report);
}

static void state(struct train *train, struct train_list *list)
{
    struct rl2 *own = train->inferring;
    list_trainee(list, "encoder", &own->trainee);
    list_moments(list, "reward.target", &own->reward);
}

const struct inference inference_rl2 = {
    .start = start, .ready = ready, .stop = stop, .shape = shape, .fill = fill, .learn = learn,
    .update_actor = update_actor, .state = state,
};
