#pragma once
// Counter-based random numbers (Philox 4x32-10, Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3"). A stream is a key and a position; there is no hidden state and no shared
// generator, so a number depends only on who asks for it and never on who asked before.

#include <stddef.h>
#include <stdint.h>

struct random_stream {
    uint32_t key[2];
    uint32_t counter[4];  // counter[0] is the position, counter[1..3] tell the stream
    uint32_t block[4];    // numbers of the current position that are not handed out yet
    unsigned left;        // how many
    double spare_normal;  // second normal of a pair
    int has_spare;
};

// A stream for a purpose: same five numbers, same stream.
struct random_stream random_stream(uint64_t seed, uint32_t a, uint32_t b, uint32_t c);

uint32_t random_bits(struct random_stream *stream);
double random_uniform(struct random_stream *stream);               // in [0, 1), 53 bits
double random_between(struct random_stream *stream, double low, double high);
uint32_t random_below(struct random_stream *stream, uint32_t limit);  // 0 .. limit-1, unbiased
double random_normal(struct random_stream *stream);                // mean 0, sd 1
double random_chi_square(struct random_stream *stream, double degrees);  // degrees > 0
