// The noise behind VariBAD's decoders. Their training only knows squared errors; for a density, the noise variance is
// found by maximum likelihood of one-step predictions on replay: expectation maximisation of a mixture over draws of
// the latent, of which only the common variance is free (Dempster, Laird and Rubin 1977).

#include "varibad.h"
#include "varibad_draws.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRAJECTORIES = 64, SAMPLES = 16, ROUNDS = 50 };
static const double VARIANCE_LOW = 1e-8;  // of standardised targets: what a simulator's rounding leaves

// One round: the variance of each target that makes what happened most likely, given which draws explain it.
static void maximise(double *log_sd, const float *means, const float *y, size_t rows, size_t targets)
{
    double square[MODEL_OBSERVATION_LIMIT] = {0}, weight[SAMPLES];
    for (size_t row = 0; row < rows; row++) {
        const float *mean = means + row * SAMPLES * targets;
        varibad_mixture(weight, mean, y + row * targets, log_sd, SAMPLES, targets);
        for (size_t k = 0; k < SAMPLES; k++)
            for (size_t i = 0; i < targets; i++) {
                double error = (double)y[row * targets + i] - (double)mean[k * targets + i];
                square[i] += weight[k] * error * error;
            }
    }
    for (size_t i = 0; i < targets; i++)
        log_sd[i] = 0.5 * log(fmax(square[i] / (double)rows, VARIANCE_LOW));
}

static int fit(struct train *train, enum head_kind kind, char *why, size_t why_size)
{
    struct varibad *own = train->inferring;
    const struct replay *r = &train->replay;
    size_t slots = replay_slots(r), used = slots < TRAJECTORIES ? slots : TRAJECTORIES, rows = 0;
    size_t targets = own->targets[kind].width, obs = r->observation_dim;
    float *means = calloc(used * r->steps * (SAMPLES + 1) * targets + 1, sizeof *means);
    float *y = means + used * r->steps * SAMPLES * targets;
    if (!means) {
        snprintf(why, why_size, "no memory to find the decoders' noise");
        return -ENOMEM;
    }
    int error = 0;
    for (size_t n = 0; n < used && !error; n++) {
        // The newest ones.
        size_t slot = (size_t)((r->added - 1 - n) % r->slots), at = slot * r->steps;
        const struct trajectory trajectory = {
            .steps = r->count[slot], .observation = r->observation + at * obs, .action = r->action + at * r->action_dim,
            .next_observation = r->next_observation + at * obs, .reward = r->reward + at,
        };
        error = varibad_draws(means + rows * SAMPLES * targets, y + rows * targets, train->model, kind, &trajectory,
                              SAMPLES, train->options.seed + n, why, why_size);
        rows += trajectory.steps;
    }
    for (size_t i = 0; i < targets; i++)
        own->log_sd[kind][i] = 0;
    for (int round = 0; round < ROUNDS && !error && rows; round++)
        maximise(own->log_sd[kind], means, y, rows, targets);
    free(means);
    return error;
}

int varibad_fit_noise(struct train *train, char *why, size_t why_size)
{
    const struct varibad *own = train->inferring;
    int error = 0;
    for (enum head_kind kind = 0; kind < HEAD_COUNT && !error; kind++)
        if (own->nets.decoder[kind].layer_count)
            error = fit(train, kind, why, why_size);
    return error;
}
