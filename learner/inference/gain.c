// Features of all steps in one pass, then step after step one rank more.

#include "gain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct gain {
    struct basis_scratch *scratch;
    real *in;         // (T, inputs)
    double *phi;      // (T, D)
    double *inverse;  // Xi_t^-1   (D, D)
    double *u;        // Xi_t^-1 phi   (D)
};

struct gain *gain_new(const struct basis *basis, size_t T)
{
    size_t D = basis->features;
    struct gain *gain = calloc(1, sizeof *gain);
    if (!gain)
        return NULL;
    gain->scratch = basis_scratch_new(basis, T);
    gain->in = malloc(T * basis->net.sizes[0] * sizeof *gain->in);
    gain->phi = malloc((T * D + D * D + D) * sizeof *gain->phi);
    if (!gain->scratch || !gain->in || !gain->phi) {
        gain_free(gain);
        return NULL;
    }
    gain->inverse = gain->phi + T * D;
    gain->u = gain->inverse + D * D;
    return gain;
}

void gain_free(struct gain *gain)
{
    if (!gain)
        return;
    basis_scratch_free(gain->scratch);
    free(gain->in);
    free(gain->phi);
    free(gain);
}

real *gain_input(struct gain *gain)
{
    return gain->in;
}

static void start_from_prior(struct gain *gain, const struct basis *basis)
{
    size_t D = basis->features;
    memset(gain->inverse, 0, D * D * sizeof *gain->inverse);
    for (size_t i = 0; i < D; i++)
        gain->inverse[i * D + i] = exp(-(double)basis->trainee.parameters[basis->log_precision_at + i]);
}

// phi' Xi^-1 phi, and then Xi^-1 -= u u' / (1 + phi'u)   (Sherman and Morrison)
static double absorb(struct gain *gain, const double *phi, size_t D)
{
    double *inverse = gain->inverse, *u = gain->u, spread = 0;
    for (size_t i = 0; i < D; i++) {
        u[i] = 0;
        for (size_t j = 0; j < D; j++)
            u[i] += inverse[i * D + j] * phi[j];
        spread += phi[i] * u[i];
    }
    double share = 1 / (1 + spread);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < D; j++)
            inverse[i * D + j] -= share * u[i] * u[j];
    return spread;
}

void gain_add(struct gain *gain, const struct basis *basis, float *gains, const uint8_t *begins,
              const uint8_t *absorbed, size_t T)
{
    size_t D = basis->features;
    basis_features(basis, gain->phi, gain->in, T, gain->scratch);
    for (size_t t = 0; t < T; t++) {
        if (begins[t])
            start_from_prior(gain, basis);
        if (absorbed[t])
            gains[t] += (float)(0.5 * (double)basis->targets * log1p(fmax(absorb(gain, gain->phi + t * D, D), 0)));
    }
}
