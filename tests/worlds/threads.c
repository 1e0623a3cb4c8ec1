// Instances in several threads: a model that they share is loaded once, released once, and never written; and where
// tasks change it, each changes its own.

#include "client/worlds/worlds.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, EPISODES = 2, STEPS = 15, DIM_LIMIT = 400, WORLDS_LIMIT = 64 };

struct run {
    uint32_t first_seed;
    float recorded[WORLDS_LIMIT][EPISODES][STEPS][1 + DIM_LIMIT];
};

static void *record(struct run *run, size_t which, uint32_t episode)
{
    const struct world *world = world_at(which);
    struct random_stream stream = random_stream(run->first_seed + episode, (uint32_t)which, 0, 0);
    struct world_instance *instance;
    char why[200];
    double task[WORLD_TASK_LIMIT];
    float observation[DIM_LIMIT], action[DIM_LIMIT];
    if (world->open(&instance, why, sizeof why))
        return NULL;
    world->sample_task(&stream, task);
    world->reset(instance, task, &stream, observation);
    for (int t = 0; t < STEPS; t++) {
        float *row = run->recorded[which][episode][t];
        for (size_t i = 0; i < world->action_dim; i++)
            action[i] = (float)random_between(&stream, -1, 1);
        int ended = world->step(instance, action, row, row + 1);
        if (ended < 0)
            return NULL;
        if (ended)
            break;
    }
    world->close(instance);
    return run;
}

// A fresh instance for each episode, so that the shared models come and go all the time.
static void *work(void *argument)
{
    for (uint32_t episode = 0; episode < EPISODES; episode++)
        for (size_t which = 0; world_at(which); which++)
            if (!record(argument, which, episode))
                return NULL;
    return argument;
}

START_TEST(threads_compute_the_bits_of_a_single_one)
{
    struct run *alone = calloc(THREADS, sizeof *alone), *together = calloc(THREADS, sizeof *together);
    pthread_t threads[THREADS];
    ck_assert(alone && together);
    for (uint32_t i = 0; i < THREADS; i++) {
        alone[i].first_seed = together[i].first_seed = 10 * i;
        ck_assert_ptr_nonnull(work(&alone[i]));
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &together[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_nonnull(result);
    }
    ck_assert_mem_eq(alone, together, THREADS * sizeof *alone);
    for (size_t which = 0; world_at(which); which++)
        ck_assert_msg(memcmp(alone[0].recorded[which], alone[1].recorded[which], sizeof alone[0].recorded[which]),
                      "%s: the seed changes nothing", world_at(which)->name);
    free(alone);
    free(together);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worlds in threads");
    SUITE_TEST(suite, threads_compute_the_bits_of_a_single_one);
    return suite_finish(suite);
}
