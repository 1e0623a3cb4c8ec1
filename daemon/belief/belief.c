// Sums of fixed-point transitions: rounding in, adding, taking away, comparing.

#include "belief.h"

#include "daemon/linalg/kernels.h"
#include "digest.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

// Both word arrays begin on an aligned address; kernel_padded counts the 16 words of two such lines.
static size_t padded_entries(size_t features, size_t targets)
{
    return kernel_padded(belief_entries(features, targets));
}

size_t belief_entries(size_t features, size_t targets)
{
    size_t P = features + targets;
    return P * (P + 1) / 2;
}

size_t belief_size(size_t features, size_t targets)
{
    return padded_entries(features, targets) * (sizeof(uint64_t) + sizeof(int64_t));
}

void belief_init(struct belief *belief, size_t features, size_t targets, void *memory)
{
    assert(features <= BELIEF_FEATURES_LIMIT && targets <= BELIEF_TARGETS_LIMIT);
    assert((uintptr_t)memory % KERNEL_ALIGNMENT == 0);
    digest_prepare();
    *belief = (struct belief){
        .features = features,
        .targets = targets,
        .low = memory,
        .high = (int64_t *)((uint64_t *)memory + padded_entries(features, targets)),
    };
    belief_reset(belief);
}

void belief_reset(struct belief *belief)
{
    belief->count = 0;
    belief->wide = 0;
    belief->digest = (struct digest){{0}};
    // Of an absent head there may be no memory at all.
    size_t size = belief_size(belief->features, belief->targets);
    if (size)
        memset(belief->low, 0, size);
}

static int same_dimensions(const struct belief *a, const struct belief *b)
{
    return a->features == b->features && a->targets == b->targets;
}

void belief_copy(struct belief *to, const struct belief *from)
{
    assert(same_dimensions(to, from));
    to->count = from->count;
    to->wide = from->wide;
    to->digest = from->digest;
    size_t size = belief_size(from->features, from->targets);
    if (size)
        memcpy(to->low, from->low, size);
}

static int beyond(const float *features, size_t D)
{
    int any = 0;
    for (size_t i = 0; i < D; i++)
        any |= !(fabsf(features[i]) <= 1);
    return any;
}

static int far(const double *targets, size_t d)
{
    int any = 0;
    for (size_t i = 0; i < d; i++)
        any |= !(fabs(targets[i]) <= BELIEF_TARGET_LIMIT);
    return any;
}

// Which number it is, the first one, and what is wrong with it.
static int refuse(size_t *where, const float *features, size_t D, const double *targets, size_t d)
{
    size_t i = 0;
    while (i < D && !beyond(features + i, 1))
        i++;
    while (i >= D && i < D + d && !far(targets + (i - D), 1))
        i++;
    *where = i;
    return isfinite(i < D ? (double)features[i] : targets[i - D]) ? -ERANGE : -EDOM;
}

int belief_round(int32_t *z, size_t *where, const float *features, size_t D, const double *targets, size_t d)
{
    if (beyond(features, D) | far(targets, d))
        return refuse(where, features, D, targets, d);
    // Scaling by a power of two is exact; lrint rounds to nearest, ties to even.
    const double unit = (double)(1 << BELIEF_FRACTION_BITS);
    for (size_t i = 0; i < D; i++)
        z[i] = (int32_t)lrint((double)features[i] * unit);
    for (size_t i = 0; i < d; i++)
        z[D + i] = (int32_t)lrint(targets[i] * unit);
    for (size_t i = D + d; i < kernel_padded(D + d); i++)
        z[i] = 0;
    return 0;
}

void belief_add(struct belief *belief, const int32_t *z)
{
    size_t P = belief->features + belief->targets;
    belief->wide |= kernels_best()->sum_add(belief->low, belief->high, z, P, 1);
    belief->digest = digest_sum(belief->digest, digest_of_transition(z, P));
    belief->count++;
}

int belief_remove(struct belief *belief, const int32_t *z)
{
    if (!belief->count)
        return -EINVAL;
    size_t P = belief->features + belief->targets;
    belief->wide |= kernels_best()->sum_add(belief->low, belief->high, z, P, -1);
    belief->digest = digest_difference(belief->digest, digest_of_transition(z, P));
    belief->count--;
    return 0;
}

int belief_merge(struct belief *belief, const struct belief *other)
{
    if (!same_dimensions(belief, other) || other->count > BELIEF_COUNT_LIMIT - belief->count)
        return -EINVAL;
    belief->wide = kernels_best()->sum_merge(belief->low, belief->high, other->low, other->high,
                                             belief_entries(belief->features, belief->targets), 1);
    belief->digest = digest_sum(belief->digest, other->digest);
    belief->count += other->count;
    return 0;
}

int belief_subtract(struct belief *belief, const struct belief *other)
{
    if (!same_dimensions(belief, other) || other->count > belief->count)
        return -EINVAL;
    belief->digest = digest_difference(belief->digest, other->digest);
    belief->count -= other->count;
    belief->wide = kernels_best()->sum_merge(belief->low, belief->high, other->low, other->high,
                                             belief_entries(belief->features, belief->targets), -1);
    return 0;
}

int belief_equal(const struct belief *a, const struct belief *b)
{
    size_t entries = belief_entries(a->features, a->targets);
    return same_dimensions(a, b) && a->count == b->count && digest_equal(a->digest, b->digest)
        && !memcmp(a->low, b->low, entries * sizeof *a->low) && !memcmp(a->high, b->high, entries * sizeof *a->high);
}
