// VariBAD's one-step predictions.

#include "learner/inference/varibad_draws.h"
#include "predictive.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int predict_varibad(struct prediction *prediction, const struct model *model, enum head_kind kind,
                    const struct trajectory *trajectory, size_t samples, uint64_t seed, char *why, size_t why_size)
{
    const struct decoder *decoder = &model->decoders[kind];
    size_t d = decoder->present ? decoder->targets : 1, steps = trajectory->steps;
    float *means = calloc(steps * (samples + 1) * d + 1, sizeof *means), *y = means + steps * samples * d;
    double *weight = calloc(samples + 1, sizeof *weight), jacobian = 0;
    int error = means && weight ? 0 : -ENOMEM;
    if (error)
        snprintf(why, why_size, "no memory for predictions of %zu steps", steps);
    else
        error = varibad_draws(means, y, model, kind, trajectory, samples, seed, why, why_size);
    for (size_t i = 0; i < d && !error; i++)
        jacobian += log(decoder->target_scale[i]);
    for (size_t t = 0; t < steps && !error; t++) {
        const float *mean = means + t * samples * d;
        prediction->log_density[t] = varibad_mixture(weight, mean, y + t * d, decoder->log_sd, samples, d) - jacobian;
        if (!isfinite(prediction->log_density[t])) {
            snprintf(why, why_size, "the prediction of transition %zu is not finite", t);
            error = -EDOM;
        }
        // The mixture's moments: its variance is the noise's and that of the means.
        for (size_t i = 0; i < d; i++) {
            double first = 0, second = 0, scale = decoder->target_scale[i];
            for (size_t k = 0; k < samples; k++)
                first += (double)mean[k * d + i] / (double)samples;
            for (size_t k = 0; k < samples; k++)
                second += pow((double)mean[k * d + i] - first, 2) / (double)samples;
            if (prediction->mean)
                prediction->mean[t * d + i] = decoder->target_mean[i] + scale * first;
            if (prediction->sd)
                prediction->sd[t * d + i] = scale * sqrt(second + exp(2 * decoder->log_sd[i]));
        }
    }
    free(means);
    free(weight);
    return error;
}
