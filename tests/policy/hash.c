// One fixed scenario of what models of other kinds infer with: a hash of every bit of recurrent states and of products of
// factors, for each set of kernels that this machine can run; fails if two sets differ. The same lines must come from every set, compiler,
// optimisation and architecture. Nothing here calls libm but sqrt and fma.

#include "daemon/base/random.h"
#include "daemon/belief/factors.h"
#include "daemon/belief/recurrent.h"
#include "daemon/policy/gru.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 200, BATCH = 7, INPUTS = 9, WIDE = 37, LATENT = 5, TRANSITIONS = 23 };

enum { STAGES = 5 };
static uint64_t hash, of_first_set[STAGES];
static int reported, failed;

// FNV-1a, low byte first whatever the machine's order.
static void mix(uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        hash ^= value >> 8 * i & 0xff;
        hash *= 0x100000001b3;
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

static void report(const char *stage)
{
    printf("%-24s %016" PRIx64 "\n", stage, hash);
    if (reported < STAGES)
        of_first_set[reported] = hash;
    failed |= hash != of_first_set[reported++ % STAGES];
    hash = 0xcbf29ce484222325;
}

static void *aligned(size_t size)
{
    size = (size + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, size);
    if (!memory)
        exit(1);
    memset(memory, 0, size);
    return memory;
}

static void fill(float *x, size_t count, double reach, struct random_stream *stream)
{
    for (size_t i = 0; i < count; i++)
        x[i] = (float)random_between(stream, -reach, reach);
}

static void fill_network(struct network *network, struct random_stream *stream)
{
    for (size_t l = 0; l < network->layer_count; l++) {
        struct layer *layer = &network->layers[l];
        for (size_t i = 0; i < layer->inputs; i++)
            fill(layer->weight + i * kernel_padded(layer->outputs), layer->outputs, 0.5, stream);
        fill(layer->bias, layer->outputs, 0.3, stream);
    }
}

static void recurrent(const struct kernels *kernels)
{
    struct random_stream stream = random_stream(2026, 1, 0, 0);
    struct network embedding;
    struct gru gru;
    struct recurrent belief;
    if (network_init(&embedding, (size_t[]){INPUTS, 16}, 1, ACTIVATION_RELU) || gru_init(&gru, 16, WIDE))
        exit(1);
    recurrent_init(&belief, WIDE, aligned(recurrent_size(WIDE)));
    fill_network(&embedding, &stream);
    fill_network(&gru.input, &stream);
    fill_network(&gru.state, &stream);
    size_t stride = kernel_padded(WIDE);
    float *h = aligned(BATCH * stride * sizeof *h), *x = aligned(BATCH * 16 * sizeof *x);
    float in[BATCH * INPUTS], *scratch = aligned(gru_scratch(&gru, BATCH) * sizeof *scratch);
    for (int t = 0; t < STEPS; t++) {
        fill(in, BATCH * INPUTS, 3, &stream);
        network_forward(&embedding, kernels, x, 16, in, INPUTS, BATCH, scratch);
        gru_forward(&gru, kernels, h, stride, h, stride, x, 16, BATCH, scratch);
        recurrent_advance(&belief, h + 3 * stride, (uint64_t)t * 2 + 1);
    }
    mix_floats(x, BATCH * 16);
    report("relu embedding");
    for (size_t b = 0; b < BATCH; b++)
        mix_floats(h + b * stride, WIDE);
    report("recurrent states");
    static uint8_t bytes[8192];
    recurrent_encode(bytes, &belief);
    for (size_t i = 0; i < recurrent_encoded_size(WIDE); i++)
        mix(bytes[i]);
    report("recurrent encoding");
    network_release(&embedding);
    gru_release(&gru);
    free(belief.state), free(h), free(x), free(scratch);
}

static void factors(const struct kernels *kernels)
{
    struct random_stream stream = random_stream(2026, 2, 0, 0);
    struct belief belief;
    belief_init(&belief, FACTORS_FEATURES, factors_targets(LATENT),
                aligned(belief_size(FACTORS_FEATURES, factors_targets(LATENT))));
    float outputs[2 * LATENT], shown[2 * LATENT];
    double room[2 * LATENT];
    int32_t z[2 * LATENT + KERNEL_LANES];
    size_t where;
    for (int t = 0; t < TRANSITIONS; t++) {
        fill(outputs, 2 * LATENT, 6, &stream);
        if (factors_round(z, &where, outputs, LATENT, room, kernels))
            exit(1);
        for (size_t i = 0; i < FACTORS_FEATURES + 2 * LATENT; i++)
            mix((uint32_t)z[i]);
        belief_add(&belief, z);
        if (factors_posterior(shown, &belief, LATENT, room, kernels))
            exit(1);
        mix_floats(shown, 2 * LATENT);
    }
    report("factors and posteriors");
    mix(belief.digest.word[0]);
    mix(belief.digest.word[1]);
    report("digest of factors");
    free(belief.low);
}

int main(void)
{
    hash = 0xcbf29ce484222325;
    for (size_t k = 0; kernels_at(k); k++) {
        recurrent(kernels_at(k));
        factors(kernels_at(k));
    }
    return failed;
}
