#include "fingerprint.h"

#include "daemon/base/random.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// FNV-1a over 32-bit words, whatever the byte order.
static void hash_words(uint64_t *hash, const void *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, (const char *)words + i * sizeof word, sizeof word);
        *hash = (*hash ^ word) * UINT64_C(0x100000001b3);
    }
}

static void hash_doubles(uint64_t *hash, const double *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        hash_words(hash, (uint32_t[]){(uint32_t)bits, (uint32_t)(bits >> 32)}, 2);
    }
}

static void *aligned(size_t size)
{
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, (size / KERNEL_ALIGNMENT + 1) * KERNEL_ALIGNMENT);
    assert(memory);
    memset(memory, 0, size);
    return memory;
}

static void fill(struct random_stream *stream, float *x, size_t count, double limit)
{
    for (size_t i = 0; i < count; i++)
        x[i] = (float)random_between(stream, -limit, limit);
}

static void hash_layer(uint64_t *hash, const struct kernels *kernels, struct random_stream *stream)
{
    size_t batch = 1 + random_below(stream, 20), inputs = 1 + random_below(stream, 100);
    size_t outputs = 1 + random_below(stream, 150), columns = kernel_padded(outputs);
    size_t in_stride = kernel_padded(inputs);
    float *in = aligned(batch * in_stride * sizeof *in), *weight = aligned(inputs * columns * sizeof *weight);
    float *bias = aligned(columns * sizeof *bias), *out = aligned(batch * columns * sizeof *out);
    fill(stream, in, batch * in_stride, 1.5);
    fill(stream, weight, inputs * columns, 0.5);
    fill(stream, bias, columns, 0.5);
    kernels->layer(out, columns, in, in_stride, weight, bias, batch, inputs, outputs, random_below(stream, 2));
    for (size_t b = 0; b < batch; b++)
        hash_words(hash, out + b * columns, outputs);
    free(in);
    free(weight);
    free(bias);
    free(out);
}

// Every exponent, both signs, then a dense sweep where tanh bends.
static void hash_tanh(uint64_t *hash, const struct kernels *kernels, struct random_stream *stream)
{
    float x[1000];
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < 1000; i++) {
            uint32_t bits = random_bits(stream);
            if ((bits >> 23 & 0xff) == 0xff)
                bits &= 0xff800000;  // infinity; NaNs may differ in their payload
            memcpy(&x[i], &bits, sizeof bits);
            if (round >= 10)
                x[i] = (float)random_between(stream, -10, 10);
        }
        kernels->tanh(x, 1000 - round);
        hash_words(hash, x, 1000 - round);
    }
}

// Adds, removes, merges; then the whole posterior from the sums that are left.
static void hash_posterior(uint64_t *hash, const struct kernels *kernels, struct random_stream *stream)
{
    size_t D = 1 + random_below(stream, 70), d = 1 + random_below(stream, 40), P = D + d;
    size_t entries = P * (P + 1) / 2, extra = random_below(stream, 20), rows = P + extra;
    size_t stride = kernel_padded(rows), out_stride = kernel_padded(d);
    uint64_t *low = aligned(2 * entries * sizeof *low), *other_low = low + entries;
    int64_t *high = aligned(2 * entries * sizeof *high), *other_high = high + entries;
    int32_t *z = aligned(kernel_padded(P) * sizeof *z);
    double *prior = aligned(entries * sizeof *prior), *panel = aligned(D * stride * sizeof *panel);
    double *mean = aligned(D * out_stride * sizeof *mean);

    for (size_t step = 0; step < 2 * P; step++) {
        int32_t limit = step < 4 ? 1 << 29 : 1 << 24;
        for (size_t i = 0; i < P; i++)
            z[i] = (int32_t)random_below(stream, 2 * limit + 1) - limit;
        kernels->sum_add(low, high, z, P, 1);
        if (step % 3 == 0)
            kernels->sum_add(other_low, other_high, z, P, step % 2 ? 1 : -1);
        if (step < 4)
            kernels->sum_add(low, high, z, P, -1);
    }
    kernels->sum_merge(low, high, other_low, other_high, entries, 1);
    for (size_t i = 0; i < entries; i++)
        hash_words(hash, (uint32_t[]){(uint32_t)low[i], (uint32_t)(low[i] >> 32), (uint32_t)high[i]}, 3);
    kernels->sum_merge(low, high, other_low, other_high, entries, -1);

    for (size_t i = 0; i < entries; i++)
        prior[i] = random_between(stream, -0.01, 0.01);
    for (size_t c = 0; c < P; c++)
        prior[c * P - c * (c - 1) / 2] += 1;  // c (c - 1) = 0 for c = 0
    kernels->sum_to_panel(panel, stride, prior, low, high, P, D, P);
    for (size_t c = 0; c < D; c++)
        for (size_t r = P; r < rows; r++)
            panel[c * stride + r] = random_between(stream, -1, 1);
    size_t failed = kernels->factor(panel, stride, D, rows);
    hash_words(hash, (uint32_t[]){(uint32_t)failed}, 1);
    if (!failed) {
        for (size_t c = 0; c < D; c++)
            hash_doubles(hash, panel + c * stride + c, rows - c);
        kernels->back_substitute(mean, out_stride, panel, stride, D, D, d);
        for (size_t c = 0; c < D; c++)
            hash_doubles(hash, mean + c * out_stride, d);
    }
    free(low);
    free(high);
    free(z);
    free(prior);
    free(panel);
    free(mean);
}

uint64_t kernels_fingerprint(const struct kernels *kernels)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    struct random_stream stream = random_stream(20260, 1, 2, 3);
    hash_tanh(&hash, kernels, &stream);
    for (int i = 0; i < 40; i++)
        hash_layer(&hash, kernels, &stream);
    for (int i = 0; i < 30; i++)
        hash_posterior(&hash, kernels, &stream);
    return hash;
}
