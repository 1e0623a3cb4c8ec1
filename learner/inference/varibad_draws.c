// Draws of the latent along a trajectory, and what the decoder makes of them.

#include "varibad_draws.h"

#include "daemon/agent/agent.h"
#include "daemon/base/random.h"
#include "learner/rollout.h"
#include "learner/zeroes.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct draws {
    const struct model *model;
    const struct decoder *decoder;
    struct agent_belief belief;
    void *belief_memory;
    struct agent_scratch *agent;
    float *input, *action;        // the policy's: raw input, answer
    float *rows, *out, *scratch;  // the decoder's (samples, strides)
    size_t row_stride, out_stride;
};

static void release(struct draws *d)
{
    free(d->belief_memory);
    agent_scratch_free(d->agent);
    free(d->input);
    free(d->action);
    free(d->rows);
    free(d->out);
    free(d->scratch);
}

static int init(struct draws *d, const struct model *model, enum head_kind kind, size_t samples)
{
    const struct decoder *decoder = &model->decoders[kind];
    *d = (struct draws){
        .model = model, .decoder = decoder, .row_stride = kernel_padded(network_inputs(&decoder->network)),
        .out_stride = kernel_padded(decoder->targets),
    };
    d->belief_memory = zeroes(agent_belief_size(model), 1);
    d->agent = agent_scratch_new(model);
    d->input = zeroes(model->input_dim, sizeof(float));
    d->action = zeroes(model->action_dim, sizeof(float));
    d->rows = zeroes(samples * d->row_stride, sizeof(float));
    d->out = zeroes(samples * d->out_stride, sizeof(float));
    d->scratch = zeroes(network_scratch(&decoder->network, samples), sizeof(float));
    if (!d->belief_memory || !d->agent || !d->input || !d->action || !d->rows || !d->out || !d->scratch)
        return -ENOMEM;
    agent_belief_init(&d->belief, model, d->belief_memory);
    return 0;
}

// [m, s, a] and, for the reward, s', as the decoder was trained on them.
static void fill_row(const struct model *model, float *row, const float *m, const float *s, const float *a,
                     const float *next)
{
    memcpy(row, m, model->encoder.latent * sizeof *row);
    row = agent_put_observation(row + model->encoder.latent, model, s);
    row = agent_put_action(row, model, a);
    if (next)
        agent_put_observation(row, model, next);
}

// Before transition t: the belief, draws of m, and the decoder's answers. Then the transition is absorbed.
static int step(struct draws *d, float *means, float *y, const struct trajectory *trajectory, size_t t, int reward,
                size_t samples, struct random_stream *stream)
{
    const struct model *model = d->model;
    size_t obs = model->observation_dim, L = model->encoder.latent, targets = d->decoder->targets;
    const float *s = trajectory->observation + t * obs, *next = trajectory->next_observation + t * obs;
    const float *a = trajectory->action + t * model->action_dim;
    struct action_item act = {.belief = &d->belief, .observation = s, .action = d->action, .input = d->input};
    agent_act(model, d->agent, &act, 1);
    if (act.error)
        return act.error;
    const float *mean = d->input + obs, *log_variance = mean + L;
    for (size_t k = 0; k < samples; k++) {
        float m[MODEL_OBSERVATION_LIMIT];
        for (size_t i = 0; i < L; i++)
            m[i] = mean[i] + expf(0.5F * log_variance[i]) * (float)random_normal(stream);
        fill_row(model, d->rows + k * d->row_stride, m, s, a, reward ? next : NULL);
    }
    network_forward(&d->decoder->network, kernels_best(), d->out, d->out_stride, d->rows, d->row_stride, samples,
                    d->scratch);
    for (size_t k = 0; k < samples; k++)
        memcpy(means + k * targets, d->out + k * d->out_stride, targets * sizeof *means);
    for (size_t i = 0; i < targets; i++) {
        double value = reward ? (double)trajectory->reward[t] : (double)next[i] - (double)s[i];
        y[i] = (float)((value - d->decoder->target_mean[i]) / d->decoder->target_scale[i]);
    }
    struct observation_item seen = {
        .belief = &d->belief, .observation = s, .action = a, .next_observation = next, .reward = trajectory->reward[t],
    };
    agent_observe(model, d->agent, &seen, 1);
    return seen.status == OBSERVE_ABSORBED ? 0 : -EDOM;
}

int varibad_draws(float *means, float *y, const struct model *model, enum head_kind kind,
                  const struct trajectory *trajectory, size_t samples, uint64_t seed, char *why, size_t why_size)
{
    if (model->kind != MODEL_VARIBAD || !model->decoders[kind].present) {
        snprintf(why, why_size, "a %s model has no decoder of the %s", model_kind_name(model->kind),
                 kind == HEAD_REWARD ? "reward" : "transition");
        return -ENOTSUP;
    }
    struct draws draws;
    int error = init(&draws, model, kind, samples);
    if (error)
        snprintf(why, why_size, "no memory for draws of a latent");
    struct random_stream stream = random_stream(seed, RANDOM_LATENT, (uint32_t)kind, 0);
    size_t targets = model->decoders[kind].targets;
    for (size_t t = 0; t < trajectory->steps && !error; t++) {
        error = step(&draws, means + t * samples * targets, y + t * targets, trajectory, t, kind == HEAD_REWARD,
                     samples, &stream);
        if (error)
            snprintf(why, why_size, "transition %zu of the trajectory is not finite, or makes the belief so", t);
    }
    release(&draws);
    return error;
}

double varibad_mixture(double *weight, const float *means, const float *y, const double *log_sd, size_t samples,
                       size_t targets)
{
    static const double LOG_TWO_PI = 1.8378770664093453;
    double highest = -INFINITY, sum = 0;
    for (size_t k = 0; k < samples; k++) {
        double log_density = -0.5 * (double)targets * LOG_TWO_PI;
        for (size_t i = 0; i < targets; i++) {
            double z = ((double)y[i] - (double)means[k * targets + i]) * exp(-log_sd[i]);
            log_density -= 0.5 * z * z + log_sd[i];
        }
        weight[k] = log_density;
        highest = fmax(highest, log_density);
    }
    for (size_t k = 0; k < samples; k++) {
        weight[k] = exp(weight[k] - highest);
        sum += weight[k];
    }
    for (size_t k = 0; k < samples; k++)
        weight[k] /= sum;
    return highest + log(sum / (double)samples);
}
