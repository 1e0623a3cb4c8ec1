// Philox 4x32-10 and the distributions that the project draws from.

#include "random.h"

#include <math.h>

enum { ROUNDS = 10 };

// Ten rounds over the counter; constants from the paper.
static void philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53 * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

struct random_stream random_stream(uint64_t seed, uint32_t a, uint32_t b, uint32_t c)
{
    return (struct random_stream){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, a, b, c},
    };
}

uint32_t random_bits(struct random_stream *stream)
{
    if (!stream->left) {
        philox(stream->block, stream->counter, stream->key);
        stream->counter[0]++;
        stream->left = 4;
    }
    return stream->block[4 - stream->left--];
}

double random_uniform(struct random_stream *stream)
{
    uint64_t high = random_bits(stream) >> 5, low = random_bits(stream) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

double random_between(struct random_stream *stream, double low, double high)
{
    return low + (high - low) * random_uniform(stream);
}

uint32_t random_below(struct random_stream *stream, uint32_t limit)
{
    // Lemire's rejection: the low words below `fraction` would be too many by one.
    uint32_t fraction = -limit % limit;
    for (;;) {
        uint64_t product = (uint64_t)random_bits(stream) * limit;
        if ((uint32_t)product >= fraction)
            return (uint32_t)(product >> 32);
    }
}

double random_normal(struct random_stream *stream)
{
    if (stream->has_spare) {
        stream->has_spare = 0;
        return stream->spare_normal;
    }
    // Box and Muller; 1 - u is never zero.
    double radius = sqrt(-2 * log(1 - random_uniform(stream)));
    double angle = 2 * M_PI * random_uniform(stream);
    stream->spare_normal = radius * sin(angle);
    stream->has_spare = 1;
    return radius * cos(angle);
}

// Gamma with unit scale (Marsaglia and Tsang 2000, "A simple method for generating gamma variables").
static double gamma_variate(struct random_stream *stream, double shape)
{
    if (shape < 1)
        return gamma_variate(stream, shape + 1) * pow(1 - random_uniform(stream), 1 / shape);
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = random_normal(stream), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        if (log(1 - random_uniform(stream)) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

double random_chi_square(struct random_stream *stream, double degrees)
{
    return 2 * gamma_variate(stream, degrees / 2);
}
