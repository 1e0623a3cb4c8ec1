#pragma once
// What tests of whole trainings have in common: begin, go on, compare every bit.

#include "learner/train.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHY = 400 };

static inline struct train *train_of(const struct options *options)
{
    struct train *train;
    char why[WHY];
    ck_assert_msg(train_new(&train, options, why, sizeof why) == 0, "%s", why);
    return train;
}

static inline void iterate(struct train *train, int iterations)
{
    char why[WHY];
    for (int i = 0; i < iterations; i++)
        ck_assert_msg(train_iterate(train, why, sizeof why) == 0, "%s", why);
}

// Two trainings are the same in every bit of every array.
static inline void check_same(struct train *a, struct train *b)
{
    struct train_array ours, theirs;
    for (size_t i = 0; train_state(a, i, &ours); i++) {
        ck_assert_int_eq(train_state(b, i, &theirs), 1);
        ck_assert_str_eq(ours.name, theirs.name);
        ck_assert_uint_eq(ours.count, theirs.count);
        size_t size = ours.count * (strcmp(ours.dtype + 1, "64") ? 4 : 8);
        const uint8_t *x = ours.data, *y = theirs.data;
        size_t same = 0;  // each assertion is a system call
        while (same < size && x[same] == y[same])
            same++;
        ck_assert_msg(same == size, "%s differs at byte %zu of %zu", ours.name, same, size);
    }
}

static inline void temporary(char path[64])
{
    snprintf(path, 64, "/tmp/learner-test-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}
