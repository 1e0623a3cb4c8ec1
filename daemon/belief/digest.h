#pragma once
// Private to this folder: the coefficients of a belief's digest, and arithmetic modulo 2^61 - 1.

#include "belief.h"

// Makes the coefficients if nobody has; belief_init calls it, so whoever holds a belief has them.
void digest_prepare(void);

// The digest of one transition's z (P): for both pairs (u'z)(v'z) + w.
struct digest digest_of_transition(const int32_t *z, size_t P);

// The same form from its other side: what a count and entry (r, c), r >= c, of the sums contribute.
struct digest digest_of_count(uint64_t count);
struct digest digest_of_entry(size_t r, size_t c, uint64_t low, int64_t high);

// Of a recurrent state (width <= BELIEF_FEATURES_LIMIT + BELIEF_TARGETS_LIMIT) and its two numbers: a linear form of
// the state's bits. Zero when all is zero.
struct digest digest_of_state(uint64_t count, uint64_t through, const float *state, size_t width);

struct digest digest_sum(struct digest a, struct digest b);
struct digest digest_difference(struct digest a, struct digest b);
