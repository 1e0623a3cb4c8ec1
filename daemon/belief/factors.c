// Factors in, posterior out; the contract is in factors.h.

#include "factors.h"

#include "lanes.h"

#include <errno.h>
#include <math.h>

int factors_round(int32_t *z, size_t *where, float *outputs, size_t latent, double *room,
                  const struct kernels *kernels)
{
    for (size_t i = 0; i < 2 * latent; i++)
        if (isnan(outputs[i])) {
            *where = i;
            return -EDOM;
        }
    for (size_t i = 0; i < latent; i++) {
        outputs[i] *= 1.0f / FACTORS_MEAN_LIMIT;
        outputs[latent + i] *= 0.5f;
    }
    kernels->tanh(outputs, 2 * latent);
    const float one = 1;
    for (size_t i = 0; i < latent; i++) {
        double m = FACTORS_MEAN_LIMIT * (double)outputs[i];
        double w = FACTORS_PRECISION_LIMIT * (0.5 + 0.5 * (double)outputs[latent + i]);
        room[i] = w;
        room[latent + i] = 0.5 * w * m;
    }
    return belief_round(z, where, &one, FACTORS_FEATURES, room, factors_targets(latent));
}

// Entry (1 + target, 0) of the sums: the constant times that target.
static double sum_of(const struct belief *belief, size_t target)
{
    size_t entry = FACTORS_FEATURES + target;
    return fma((double)belief->high[entry], 0x1p64, (double)(int64_t)belief->low[entry]) * 0x1p-48;
}

int factors_posterior(float *out, const struct belief *belief, size_t latent, double *room,
                       const struct kernels *kernels)
{
    for (size_t i = 0; i < latent; i++) {
        room[i] = 1 + sum_of(belief, i);
        if (room[i] < 1)
            return -EDOM;
        out[i] = (float)(2 * sum_of(belief, latent + i) / room[i]);
    }
    lanes_for(kernels)->logarithm(room, room, latent);
    for (size_t i = 0; i < latent; i++)
        out[latent + i] = (float)-room[i];
    return 0;
}
