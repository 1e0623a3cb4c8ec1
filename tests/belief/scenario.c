#include "scenario.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SURFACE = 8 };

void *aligned(size_t size)
{
    size = (size + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, size ? size : KERNEL_ALIGNMENT);
    if (!memory)
        exit(99);
    // Whatever is read before it is written shows.
    memset(memory, 0xff, size);
    return memory;
}

struct belief new_belief(size_t D, size_t d)
{
    struct belief belief;
    belief_init(&belief, D, d, aligned(belief_size(D, d)));
    return belief;
}

// A random positive definite matrix (n, n), or diagonal with `value` if that is not zero.
static void positive_definite(double *A, size_t n, double value, struct random_stream *stream)
{
    double *root = aligned(n * n * sizeof *root);
    for (size_t i = 0; i < n * n; i++)
        root[i] = random_normal(stream);
    for (size_t r = 0; r < n; r++) {
        for (size_t c = 0; c <= r; c++) {
            double sum = r == c;
            for (size_t k = 0; k < n; k++)
                sum += root[r * n + k] * root[c * n + k] / (double)n;
            A[r * n + c] = A[c * n + r] = value == 0 ? 0.5 * sum : r == c ? value : 0;
        }
    }
    free(root);
}

void scenario_init(struct scenario *s, const struct scenario_options *options)
{
    size_t D = options->D, d = options->d;
    *s = (struct scenario){
        .D = D,
        .d = d,
        .P = D + d,
        .law = options->law,
        .noise = options->noise,
        .degrees = (double)d + 1.5,
        .stream = random_stream(options->seed, 7, 0, 0),
        .precision = aligned(D * D * sizeof(double)),
        .mean = aligned(D * d * sizeof(double)),
        .scale = aligned(d * d * sizeof(double)),
        .weights = aligned(D * d * sizeof(double)),
        .directions = aligned(D * SURFACE * sizeof(double)),
    };
    positive_definite(s->precision, D, options->precision, &s->stream);
    positive_definite(s->scale, d, options->scale, &s->stream);
    for (size_t i = 0; i < D * d; i++) {
        s->mean[i] = options->mean * random_normal(&s->stream);
        s->weights[i] = random_normal(&s->stream) / sqrt((double)D);
    }
    for (size_t i = 0; i < D * SURFACE; i++)
        s->directions[i] = random_normal(&s->stream) / sqrt(SURFACE);
    struct prior_values values = {D, d, s->precision, s->mean, s->scale, s->degrees};
    if (prior_new(&s->prior, &values))
        exit(98);
    s->belief = new_belief(D, d);
    posterior_init(&s->posterior, s->prior, options->rows_limit,
                   aligned(posterior_size(s->prior, options->rows_limit)));
}

void scenario_release(struct scenario *s)
{
    free(s->precision), free(s->mean), free(s->scale), free(s->weights), free(s->directions);
    prior_free(s->prior);
    free(s->belief.low);
    free(s->posterior.panel);
}

void scenario_draw(struct scenario *s, int32_t *z)
{
    float features[BELIEF_FEATURES_LIMIT];
    double targets[BELIEF_TARGETS_LIMIT], surface[SURFACE];
    for (size_t i = 0; i < SURFACE; i++)
        surface[i] = random_normal(&s->stream);
    for (size_t i = 0; i < s->D; i++) {
        double x = s->law == FEATURES_IID ? random_normal(&s->stream) : 0;
        for (size_t k = 0; s->law == FEATURES_MANIFOLD && k < SURFACE; k++)
            x += s->directions[i * SURFACE + k] * surface[k];
        x = s->law == FEATURES_IID ? tanh(x) : fmin(1, fmax(-1, 0.25 * x + 1e-3 * random_normal(&s->stream)));
        features[i] = i + 1 < s->D ? (float)x : 1;
    }
    for (size_t j = 0; j < s->d; j++) {
        targets[j] = s->noise * random_normal(&s->stream);
        for (size_t i = 0; i < s->D; i++)
            targets[j] += s->weights[i * s->d + j] * features[i];
    }
    size_t where;
    if (belief_round(z, &where, features, s->D, targets, s->d)) {
        fprintf(stderr, "a drawn transition is out of range at %zu\n", where);
        exit(97);
    }
}

int32_t *scenario_draw_many(struct scenario *s, size_t count)
{
    size_t stride = kernel_padded(s->P);
    int32_t *z = aligned(count * stride * sizeof *z);
    for (size_t i = 0; i < count; i++)
        scenario_draw(s, z + i * stride);
    return z;
}

void in_units(double *out, const int32_t *z, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = z[i] * 0x1p-24;
}
