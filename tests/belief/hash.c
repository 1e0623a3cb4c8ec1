// One fixed scenario, one line per stage: a hash of every bit that the promise covers. The same lines must come
// from every compiler, optimisation, instruction set and architecture.
//
// Nothing here calls libm but sqrt and fma; p-values and evidences are not hashed, they may differ in last bits.

#include "daemon/base/random.h"
#include "daemon/belief/representation.h"
#include "daemon/linalg/kernels.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STEPS = 300, PROBES = 5, D_MOST = 40, d_MOST = 40, MANY = 11,
    FLOATS_MOST = D_MOST * d_MOST + PROBES * d_MOST + 2 * D_MOST + d_MOST,
};

static uint64_t hash;

// FNV-1a over numbers, low byte first whatever the machine's order.
static void mix(uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        hash ^= value >> 8 * i & 0xff;
        hash *= 0x100000001b3;
    }
}

static void mix_doubles(const double *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        mix(bits);
    }
}

static void mix_floats(const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        mix(bits);
    }
}

static void report(const char *stage, size_t D, size_t d, int refined)
{
    printf("%-24s D %2zu d %2zu refined %d %016" PRIx64 "\n", stage, D, d, refined, hash);
    hash = 0xcbf29ce484222325;
}

static void *aligned(size_t size)
{
    size = (size + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, size);
    if (!memory)
        exit(1);
    return memory;
}

// Transitions whose features lie near a plane if `flat`, so that solves are refined.
static void draw(struct random_stream *stream, int32_t *z, size_t D, size_t d, int flat)
{
    float features[D_MOST];
    double targets[d_MOST], a = random_between(stream, -0.5, 0.5), b = random_between(stream, -0.5, 0.5);
    for (size_t i = 0; i < D; i++) {
        double x = random_between(stream, -1, 1), along = (i % 2 ? a : b) + (i % 3 ? a : -b);
        double mixed = flat ? along * 0.5 + x * 0.001 : x;
        features[i] = i + 1 < D ? (float)mixed : 1;
    }
    for (size_t j = 0; j < d; j++) {
        double noise = random_between(stream, -1, 1) * 0.01, signal = (double)features[j % D] - (double)features[(j * 5 + 1) % D];
        targets[j] = signal + noise;
    }
    size_t where;
    if (belief_round(z, &where, features, D, targets, d))
        exit(1);
}

static void run(size_t D, size_t d, double precision, int flat)
{
    struct random_stream stream = random_stream(2026, (uint32_t)D, (uint32_t)d, (uint32_t)flat);
    double *Xi0 = calloc(D * D, sizeof *Xi0), *M0 = calloc(D * d, sizeof *M0), *Omega0 = calloc(d * d, sizeof *Omega0);
    double probes[PROBES * D_MOST];
    for (size_t i = 0; i < D; i++)
        Xi0[i * D + i] = precision * (1 + (double)i / 8);
    for (size_t i = 0; i < D * d; i++)
        M0[i] = random_between(&stream, -0.1, 0.1);
    for (size_t j = 0; j < d; j++)
        Omega0[j * d + j] = 0.001 * (1 + (double)j);
    for (size_t i = 0; i < PROBES * D; i++)
        probes[i] = random_between(&stream, -1, 1);
    struct prior *prior;
    if (prior_new(&prior, &(struct prior_values){D, d, Xi0, M0, Omega0, (double)d + 2}))
        exit(1);
    struct belief belief;
    struct posterior posterior;
    belief_init(&belief, D, d, aligned(belief_size(D, d)));
    posterior_init(&posterior, prior, PROBES + 1, aligned(posterior_size(prior, PROBES + 1)));
    struct posterior_group group;
    posterior_group_init(&group, prior, PROBES + 1, aligned(posterior_group_size(prior, PROBES + 1)));
    struct representation_item items[MANY];
    static float many[MANY][FLOATS_MOST];

    int32_t z[2 * 64 + 16];
    float out[FLOATS_MOST];
    struct representation weights = {.kind = REPRESENTATION_WEIGHT, .parts = 7, .features = D, .targets = d};
    struct representation function = {.kind = REPRESENTATION_FUNCTION, .parts = 7, .features = D, .targets = d,
                                      .probe_count = PROBES, .probes = probes};
    double *components = aligned(D * d * kernel_padded(PROBES) * sizeof *components);
    for (size_t i = 0; i < D * d * kernel_padded(PROBES); i++)
        components[i] = random_between(&stream, -1, 1);
    struct representation principal = {.kind = REPRESENTATION_PRINCIPAL, .parts = 5, .features = D, .targets = d,
                                       .component_count = PROBES, .components = components, .origin = M0};
    hash = 0xcbf29ce484222325;
    const int marks[] = {1, 7, STEPS};
    int step = 0;
    for (int m = 0; m < 3; m++) {
        for (; step < marks[m]; step++) {
            draw(&stream, z, D, d, flat);
            for (size_t i = 0; i < D + d; i++)
                mix((uint32_t)z[i]);
            belief_add(&belief, z);
        }
        report("transitions", D, d, 0);
        for (size_t i = 0; i < belief_entries(D, d); i++) {
            mix(belief.low[i]);
            mix((uint64_t)belief.high[i]);
        }
        mix(belief.digest.word[0]);
        mix(belief.digest.word[1]);
        report("sum and digest", D, d, 0);

        if (posterior_solve(&posterior, prior, &belief, POSTERIOR_MEAN | POSTERIOR_SCALE | POSTERIOR_VARIANCE, probes, PROBES))
            exit(1);
        mix_doubles(posterior.mean, D * d);
        mix_doubles(posterior.variance, D);
        mix_doubles(posterior.row_mean, PROBES * d);
        mix_doubles(posterior.row_variance, PROBES);
        report("means and variances", D, d, posterior.refined);
        mix_doubles(posterior.scale, d * d);
        mix_doubles(posterior.scale_factor, d * d);
        report("scale and its factor", D, d, posterior.refined);
        mix_doubles(&posterior.log_det_precision, 1);
        mix_doubles(&posterior.log_det_scale, 1);
        report("log determinants", D, d, posterior.refined);

        struct predictive surprise;
        if (representation_write(out, &weights, &posterior, prior, &belief, NULL, NULL))
            exit(1);
        mix_floats(out, representation_count(&weights));
        report("weight space", D, d, posterior.refined);
        if (representation_write(out, &principal, &posterior, prior, &belief, NULL, NULL))
            exit(1);
        mix_floats(out, representation_count(&principal));
        report("principal space", D, d, posterior.refined);
        if (representation_write(out, &function, &posterior, prior, &belief, z, &surprise))
            exit(1);
        mix_floats(out, representation_count(&function));
        report("function space", D, d, posterior.refined);
        for (size_t i = 0; i < MANY; i++)
            items[i] = (struct representation_item){many[i], &belief, i % 2 ? z : NULL, &surprise, 0};
        representation_write_many(&function, &posterior, &group, prior, items, MANY);
        for (size_t i = 0; i < MANY; i++)
            mix_floats(many[i], representation_count(&function));
        report("function space of many", D, d, posterior.refined);

        size_t size = belief_encoded_size(D, d);
        uint8_t *bytes = malloc(size);
        belief_encode(bytes, &belief);
        for (size_t i = 0; i < size; i++)
            mix(bytes[i]);
        report("encoding", D, d, 0);
        free(bytes);
    }
    prior_free(prior);
    free(Xi0), free(M0), free(Omega0), free(belief.low), free(posterior.panel), free(group.panel),
        free(components);
}

int main(void)
{
    run(16, 20, 1, 0);
    run(32, 39, 0.5, 0);
    run(32, 1, 1, 0);
    run(7, 3, 1e-6, 0);
    run(24, 5, 1e-6, 1);
    return 0;
}
