// In its steady state a training allocates nothing, and it is small.

#include "learner/train.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Every allocation of this program, of whichever library.
static atomic_size_t allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    allocations++;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

static struct train *train_of(const struct options *options)
{
    struct train *train;
    char why[400];
    ck_assert_msg(train_new(&train, options, why, sizeof why) == 0, "%s", why);
    return train;
}

static size_t allocations_of(struct train *train, int iterations)
{
    char why[400];
    size_t count = 0;
    for (int i = 0; i < iterations; i++) {
        size_t before = allocations;
        int error = train_iterate(train, why, sizeof why);
        count += allocations - before;
        ck_assert_msg(error == 0, "%s", why);  // an assertion allocates
    }
    return count;
}

START_TEST(the_counter_counts)
{
    size_t before = allocations;
    void *volatile some = malloc(10);
    free(some);
    some = aligned_alloc(64, 64);
    free(some);
    ck_assert_uint_eq(allocations - before, 2);
}
END_TEST

static const struct {
    enum learn_kind kind;
    enum learn_algorithm algorithm;
} trainings[] = {
    {LEARN_GLIBRL, LEARN_PPO}, {LEARN_VARIBAD, LEARN_PPO}, {LEARN_RL2, LEARN_PPO}, {LEARN_ORACLE, LEARN_PPO},
    {LEARN_NONE, LEARN_PPO}, {LEARN_GLIBRL, LEARN_SAC}, {LEARN_PEARL, LEARN_SAC}, {LEARN_ORACLE, LEARN_SAC},
};

START_TEST(an_iteration_allocates_nothing)
{
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        struct options o;
        options_defaults(&o, world_find("point"), trainings[i].kind, trainings[i].algorithm);
        // Probes are chosen for the last time after iteration 30; the basis learns until 35 of 40.
        int settled = o.kind == LEARN_GLIBRL ? 31 : 4;
        enum { MORE = 8 };
        o.threads = 2;
        o.envs = 4;
        o.epochs = 1;
        o.hidden = 16;
        o.warmup = o.encoder_warmup = 0;
        o.basis_updates = o.encoder_updates = 2;
        o.random_start = 100;
        o.update_ratio = 0.01;
        o.freeze = 0.875;
        o.gru = 32;
        o.encoder_trajectories = 6;
        o.elbo_terms = o.decodes = 10;
        o.frames = 40 * o.envs * o.world->horizon * o.world->episodes;
        if (o.kind == LEARN_GLIBRL)
            o.transition = 5;
        struct train *train = train_of(&o);
        allocations_of(train, settled);
        size_t more = allocations_of(train, MORE);
        ck_assert_msg(more == 0, "%s with %s: %zu allocations in %d iterations", learn_kind_name(o.kind),
                      learn_algorithm_name(o.algorithm), more, MORE);
        train_free(train);
    }
}
END_TEST

// Most memory that was ever resident, MB.
static double resident(void)
{
    char line[200];
    double kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kilobytes = strtod(line + 6, NULL);
    if (file)
        fclose(file);
    ck_assert(kilobytes > 0);
    return kilobytes / 1024;
}

START_TEST(half_cheetah_needs_less_than_200_megabytes)
{
    // With a replay that is full: of few meta-episodes it would be touched only in part.
    struct options o;
    options_defaults(&o, world_find("half-cheetah-vel"), LEARN_GLIBRL, LEARN_PPO);
    o.threads = 2;
    struct train *train = train_of(&o);
    size_t rows = train->replay.slots * train->replay.steps;
    memset(train->replay.observation, 0, rows * train->replay.observation_dim * sizeof(float));
    memset(train->replay.next_observation, 0, rows * train->replay.observation_dim * sizeof(float));
    memset(train->replay.action, 0, rows * train->replay.action_dim * sizeof(float));
    memset(train->replay.reward, 0, rows * sizeof(float));
    allocations_of(train, 2);
    printf("resident: %.0f MB\n", resident());
    ck_assert_double_lt(resident(), 200);
    train_free(train);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("steady");
    SUITE_TEST(suite, the_counter_counts);
    SUITE_TEST(suite, half_cheetah_needs_less_than_200_megabytes);
    SUITE_TEST(suite, an_iteration_allocates_nothing);
    return suite_finish(suite);
}
