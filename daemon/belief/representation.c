// A posterior as the floats that a policy reads.

#include "representation.h"

#include "solve.h"

#include <math.h>

size_t representation_count(const struct representation *r)
{
    size_t points = r->kind == REPRESENTATION_FUNCTION ? r->probe_count : r->features;
    if (r->kind == REPRESENTATION_NONE)
        return 0;
    return (r->parts & REPRESENT_MEAN ? points * r->targets : 0) + (r->parts & REPRESENT_SD ? points : 0)
        + (r->parts & REPRESENT_NOISE ? r->targets : 0);
}

static float *write_values(float *out, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)values[i];
    return out + count;
}

// ln sqrt x
static float *write_log_roots(float *out, const struct posterior *p, const double *x, size_t count)
{
    double *logarithms = p->scratch;
    lanes_for(p->kernels)->logarithm(logarithms, x, count);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(0.5 * logarithms[i]);
    return out + count;
}

static void write(float *out, const struct representation *r, struct posterior *p)
{
    int weights = r->kind == REPRESENTATION_WEIGHT;
    size_t points = weights ? r->features : r->probe_count;
    if (r->parts & REPRESENT_MEAN)
        out = write_values(out, weights ? p->mean : p->row_mean, points * r->targets);
    if (r->parts & REPRESENT_SD)
        out = write_log_roots(out, p, weights ? p->variance : p->row_variance, points);
    if (r->parts & REPRESENT_NOISE) {
        double *noise = p->scratch + kernel_padded(r->targets);
        for (size_t j = 0; j < r->targets; j++)
            noise[j] = posterior_noise(p, j);
        write_log_roots(out, p, noise, r->targets);
    }
}

static unsigned parts_to_solve(const struct representation *r, int judge)
{
    unsigned parts = judge ? SOLVE_FACTOR : 0;
    if (r->kind != REPRESENTATION_NONE && r->parts & REPRESENT_NOISE)
        parts |= SOLVE_SCALE_DIAGONAL;
    if (r->kind == REPRESENTATION_WEIGHT && r->parts & REPRESENT_MEAN)
        parts |= POSTERIOR_MEAN;
    if (r->kind == REPRESENTATION_WEIGHT && r->parts & REPRESENT_SD)
        parts |= POSTERIOR_VARIANCE;
    return parts;
}

int representation_write(float *out, const struct representation *r, struct posterior *p, const struct prior *prior,
                         const struct belief *belief, const int32_t *z, struct predictive *surprise)
{
    if (r->kind == REPRESENTATION_NONE && !z)
        return 0;
    double transition[BELIEF_FEATURES_LIMIT + BELIEF_TARGETS_LIMIT];
    const double unit = 1.0 / (1 << BELIEF_FRACTION_BITS);
    for (size_t i = 0; z && i < p->D + p->d; i++)
        transition[i] = z[i] * unit;

    int at_probes = r->kind == REPRESENTATION_FUNCTION && r->parts & (REPRESENT_MEAN | REPRESENT_SD);
    size_t probes = at_probes ? r->probe_count : 0;
    struct interest interest = {.rows = r->probes, .count = probes + !!z, .last = z ? transition : NULL,
                                .targets = z ? transition + p->D : NULL};
    size_t first;
    int error = posterior_solve_interest(p, prior, belief, parts_to_solve(r, !!z), &interest, &first);
    if (error)
        return error;
    if (r->kind != REPRESENTATION_NONE)
        write(out, r, p);
    // The panel's rows are good as long as nothing was refined.
    if (z)
        *surprise = p->refined ? posterior_assess_absorbed(p, probes, transition + p->D)
                               : posterior_assess_whitened(p, probes, first + probes);
    return 0;
}
