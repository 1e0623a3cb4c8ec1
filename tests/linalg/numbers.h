#pragma once
// What the suites of this folder share: numbers at random, in memory that shows who wrote where nobody may.

#include "daemon/base/random.h"
#include "daemon/linalg/kernels.h"
#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 60 };

// check reports each of its assertions that holds, too slow for a million of them.
#define CHECK(fact, ...)                \
    do {                                \
        if (!(fact))                    \
            ck_abort_msg(__VA_ARGS__);  \
    } while (0)

// What memory holds that nobody may touch.
static const unsigned char UNTOUCHED = 0xA5;

static inline void *memory_new(size_t size)
{
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, (size / KERNEL_ALIGNMENT + 1) * KERNEL_ALIGNMENT);
    ck_assert_ptr_nonnull(memory);
    memset(memory, UNTOUCHED, size);
    return memory;
}

static inline int is_untouched(const void *memory, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((const unsigned char *)memory)[i] != UNTOUCHED)
            return 0;
    return 1;
}

static inline float *random_floats(struct random_stream *stream, size_t count, double limit)
{
    float *x = memory_new(count * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)random_between(stream, -limit, limit);
    return x;
}

static inline double *random_doubles(struct random_stream *stream, size_t count)
{
    double *x = memory_new(count * sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = random_between(stream, -1, 1);
    return x;
}
