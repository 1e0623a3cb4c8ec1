// A posterior as the floats that a policy reads.

#include "representation.h"

#include "group.h"

#include <math.h>

size_t representation_count(const struct representation *r)
{
    size_t points = r->kind == REPRESENTATION_FUNCTION ? r->probe_count : r->features;
    if (r->kind == REPRESENTATION_NONE)
        return 0;
    size_t means = r->kind == REPRESENTATION_PRINCIPAL ? r->component_count : points * r->targets;
    size_t spread = r->kind == REPRESENTATION_NATURAL ? points * (points + 1) / 2 : points;
    return (r->parts & REPRESENT_MEAN ? means : 0) + (r->parts & REPRESENT_SD ? spread : 0)
        + (r->parts & REPRESENT_NOISE ? r->targets : 0) + !!(r->parts & REPRESENT_COUNT);
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

// An entry of S over n; the signed low word keeps the digits of small ones.
static float average(const struct belief *belief, size_t row, size_t column)
{
    size_t P = belief->features + belief->targets, entry = column * P - column * (column - 1) / 2 + row - column;
    double sum = (double)belief->high[entry] * 0x1p64 + (double)(int64_t)belief->low[entry];
    return (float)(sum * 0x1p-48 / (belief->count ? (double)belief->count : 1));
}

static float *write_natural(float *out, const struct representation *r, const struct belief *belief)
{
    size_t D = r->features, d = r->targets;
    for (size_t i = 0; r->parts & REPRESENT_MEAN && i < D; i++)
        for (size_t j = 0; j < d; j++)
            *out++ = average(belief, D + j, i);
    for (size_t i = 0; r->parts & REPRESENT_SD && i < D; i++)
        for (size_t j = 0; j <= i; j++)
            *out++ = average(belief, i, j);
    return out;
}

static float *write_principal(float *out, const struct representation *r, struct posterior *p)
{
    size_t K = r->component_count, count = r->features * r->targets;
    double along[REPRESENTATION_COMPONENTS_LIMIT], *moved = p->scratch;
    if (!(r->parts & REPRESENT_MEAN))
        return out;
    for (size_t i = 0; i < count; i++)
        moved[i] = p->mean[i] - r->origin[i];
    lanes_for(p->kernels)->combine(along, r->components, kernel_padded(K), count, 0, K, moved);
    return write_values(out, along, K);
}

static float *write_solved(float *out, const struct representation *r, struct posterior *p)
{
    int weights = r->kind == REPRESENTATION_WEIGHT;
    size_t points = weights ? r->features : r->probe_count;
    if (r->parts & REPRESENT_MEAN)
        out = write_values(out, weights ? p->mean : p->row_mean, points * r->targets);
    if (r->parts & REPRESENT_SD)
        out = write_log_roots(out, p, weights ? p->variance : p->row_variance, points);
    return out;
}

static void write(float *out, const struct representation *r, struct posterior *p, const struct belief *belief)
{
    out = r->kind == REPRESENTATION_NATURAL     ? write_natural(out, r, belief)
          : r->kind == REPRESENTATION_PRINCIPAL ? write_principal(out, r, p)
                                                : write_solved(out, r, p);
    if (r->parts & REPRESENT_NOISE) {
        double *noise = p->scratch + kernel_padded(r->targets);
        for (size_t j = 0; j < r->targets; j++)
            noise[j] = posterior_noise(p, j);
        out = write_log_roots(out, p, noise, r->targets);
    }
    if (r->parts & REPRESENT_COUNT) {
        double seen = 1 + (double)belief->count;
        write_log_roots(out, p, &seen, 1);
    }
}

static unsigned parts_to_solve(const struct representation *r, int judge)
{
    unsigned parts = judge ? SOLVE_FACTOR : 0;
    if (r->kind != REPRESENTATION_NONE && r->parts & REPRESENT_NOISE)
        parts |= SOLVE_SCALE_DIAGONAL;
    if ((r->kind == REPRESENTATION_WEIGHT || r->kind == REPRESENTATION_PRINCIPAL) && r->parts & REPRESENT_MEAN)
        parts |= POSTERIOR_MEAN;
    if (r->kind == REPRESENTATION_WEIGHT && r->parts & REPRESENT_SD)
        parts |= POSTERIOR_VARIANCE;
    return parts;
}

// Probe features that are rows of interest.
static size_t probes_to_solve(const struct representation *r)
{
    return r->kind == REPRESENTATION_FUNCTION && r->parts & (REPRESENT_MEAN | REPRESENT_SD) ? r->probe_count : 0;
}

// Whether there is anything to solve for, beside a transition to be judged.
static int wants_solve(const struct representation *r)
{
    return parts_to_solve(r, 0) || probes_to_solve(r);
}

static void to_doubles(double *transition, const int32_t *z, size_t count)
{
    const double unit = 1.0 / (1 << BELIEF_FRACTION_BITS);
    for (size_t i = 0; i < count; i++)
        transition[i] = z[i] * unit;
}

int representation_write(float *out, const struct representation *r, struct posterior *p, const struct prior *prior,
                         const struct belief *belief, const int32_t *z, struct predictive *surprise)
{
    if (!wants_solve(r) && !z) {
        if (r->kind != REPRESENTATION_NONE)
            write(out, r, p, belief);
        return 0;
    }
    double transition[BELIEF_FEATURES_LIMIT + BELIEF_TARGETS_LIMIT];
    if (z)
        to_doubles(transition, z, p->D + p->d);
    size_t probes = probes_to_solve(r), first;
    struct interest interest = {.rows = r->probes, .count = probes + !!z, .last = z ? transition : NULL,
                                .targets = z ? transition + p->D : NULL};
    int error = posterior_solve_interest(p, prior, belief, parts_to_solve(r, !!z), &interest, &first);
    if (error)
        return error;
    if (r->kind != REPRESENTATION_NONE)
        write(out, r, p, belief);
    if (!z)
        return 0;
    if (p->refined) {
        *surprise = posterior_assess_absorbed(p, probes, transition + p->D);
        return 0;
    }
    // Nothing was refined, so the panel's row is good: w' w
    double distance = 0;
    for (size_t c = p->D; c < p->D + p->d; c++) {
        double w = p->panel[c * p->stride + first + probes];
        distance += w * w;
    }
    *surprise = posterior_assess_whitened(p, probes, distance);
    return 0;
}

static void write_alone(const struct representation *r, struct posterior *p, const struct prior *prior,
                        struct representation_item *item)
{
    item->error = representation_write(item->out, r, p, prior, item->belief, item->z, item->surprise);
}

static void write_together(const struct representation *r, struct posterior *p, struct posterior_group *group,
                           const struct prior *prior, struct representation_item *items, size_t count)
{
    const struct belief *beliefs[KERNEL_GROUP_LIMIT];
    const int32_t *last[KERNEL_GROUP_LIMIT];
    int judge = 0;
    for (size_t s = 0; s < count; s++) {
        beliefs[s] = items[s].belief;
        last[s] = items[s].z;
        judge |= !!items[s].z;
    }
    if (!wants_solve(r) && !judge) {
        for (size_t s = 0; s < count; s++)
            write_alone(r, p, prior, &items[s]);
        return;
    }
    struct group_interest interest = {.parts = parts_to_solve(r, judge), .rows = r->probes,
                                      .count = probes_to_solve(r), .last = judge ? last : NULL};
    unsigned solved = group_solve(group, prior, beliefs, count, &interest);
    for (size_t s = 0; s < count; s++) {
        if (!(solved >> s & 1)) {
            write_alone(r, p, prior, &items[s]);
            continue;
        }
        double distance;
        group_take(group, p, prior, beliefs[s], s, &interest, &distance);
        if (r->kind != REPRESENTATION_NONE)
            write(items[s].out, r, p, beliefs[s]);
        if (last[s])
            *items[s].surprise = posterior_assess_whitened(p, interest.count, distance);
        items[s].error = 0;
    }
}

void representation_write_many(const struct representation *r, struct posterior *p, struct posterior_group *group,
                               const struct prior *prior, struct representation_item *items, size_t count)
{
    // A group costs as much as some three sessions alone, however full it is.
    size_t most = group->kernels->group, worthwhile = (most + 2) / 3 + 1;
    while (count >= worthwhile) {
        size_t next = count < most ? count : most;
        write_together(r, p, group, prior, items, next);
        items += next;
        count -= next;
    }
    for (; count; items++, count--)
        write_alone(r, p, prior, items);
}
