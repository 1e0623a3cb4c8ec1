#pragma once
// The data half of a belief: how many transitions, and the sum of their z z', z = [phi; y].
//
// Both are integers. Features and targets are rounded once to fixed point (2^-24), products and sums
// are exact, so a belief is the same bits in any order, after any retry, on any machine; sums of
// several writers add, and what was added can be taken away. docs/belief.md has the mathematics.
//
// What is not here: the prior and what follows from it (posterior.h), which writer sent what (the
// sessions above), how features are made (policy/network.h).

#include <stddef.h>
#include <stdint.h>

enum {
    BELIEF_FRACTION_BITS = 24,
    BELIEF_TARGET_LIMIT = 32,    // standard deviations; beyond it a transition is refused, not absorbed
    BELIEF_FEATURES_LIMIT = 256, // D
    BELIEF_TARGETS_LIMIT = 256,  // d
};

// More transitions than any session sees; keeps every entry below 2^114, where its high word is exact in a double.
#define BELIEF_COUNT_LIMIT ((uint64_t)1 << 56)

// 122 bits that tell sums apart: for two pairs (u, v) of fixed pseudo-random vectors u' S v, plus a
// multiple of the count, modulo the prime 2^61 - 1. Linear in the sum, so adding a transition costs
// O(D + d), merging beliefs adds digests, and a flipped bit in memory shows. Two different beliefs
// agree by accident with probability about 2^-120. Not a defence against somebody who constructs sums.
struct digest {
    uint64_t word[2];
};

struct belief {
    size_t features;      // D, the constant feature included
    size_t targets;       // d
    uint64_t count;       // transitions absorbed
    struct digest digest; // of count and sum, kept up to date
    uint64_t *low;        // packed lower triangle of S, low words, to be read as signed   (P (P + 1) / 2), P = D + d
    int64_t *high;        // high words: an entry is high 2^64 + low                       (the same)
    int wide;             // some high word may be other than zero; no result depends on it
};

// Entries of the packed triangle, and bytes of memory behind a belief (aligned to KERNEL_ALIGNMENT).
size_t belief_entries(size_t features, size_t targets);
size_t belief_size(size_t features, size_t targets);
void belief_init(struct belief *belief, size_t features, size_t targets, void *memory);
void belief_reset(struct belief *belief);  // no transition seen
void belief_copy(struct belief *to, const struct belief *from);  // same dimensions

// z = [phi; y] in fixed point. features (D) within [-1, 1], targets (d) in standard deviations.
// z has room for kernel_padded(D + d) numbers; the padding is zeroed.
// -EDOM: something is not finite (*where its index in z); -ERANGE: a target beyond the limit, or a
// feature beyond 1. Then z is not written.
int belief_round(int32_t *z, size_t *where, const float *features, size_t D, const double *targets, size_t d);

// O((D + d)^2 / 2). Removing is the exact inverse of adding.
void belief_add(struct belief *belief, const int32_t *z);
int belief_remove(struct belief *belief, const int32_t *z);                    // -EINVAL: nothing there
int belief_merge(struct belief *belief, const struct belief *other);           // -EINVAL: dimensions, count
int belief_subtract(struct belief *belief, const struct belief *other);        // -EINVAL: dimensions, count

int belief_equal(const struct belief *a, const struct belief *b);
// The digest from the sums alone; equals belief->digest unless memory was damaged.
struct digest belief_digest(const struct belief *belief);
int digest_equal(struct digest a, struct digest b);

// Versioned, little-endian, canonical: equal beliefs are equal bytes. encode needs
// belief_encoded_size() bytes. decode checks everything, the digest too, and writes only on success:
// -EBADMSG (not such an encoding), -ENOTSUP (unknown version), -EINVAL (other dimensions).
size_t belief_encoded_size(size_t features, size_t targets);
void belief_encode(uint8_t *out, const struct belief *belief);
int belief_decode(struct belief *belief, const uint8_t *bytes, size_t size);
