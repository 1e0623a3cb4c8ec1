// Instances in several threads: the model they share is loaded once, released once, and never written.

#include "client/worlds/worlds.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <pthread.h>
#include <string.h>

enum { THREADS = 4, EPISODES = 3, STEPS = 40, OBSERVATION = 20 };

struct run {
    uint32_t first_seed;
    float recorded[EPISODES][STEPS][1 + OBSERVATION];
};

// A fresh instance for each episode, so that the shared model comes and goes all the time.
static void *work(void *argument)
{
    struct run *run = argument;
    for (uint32_t e = 0; e < EPISODES; e++) {
        const struct world *world = e % 2 ? &half_cheetah_dir : &half_cheetah_vel;
        struct random_stream stream = random_stream(run->first_seed + e, 0, 0, 0);
        struct world_instance *instance;
        char why[200];
        double task;
        float observation[OBSERVATION];
        if (world->open(&instance, why, sizeof why))
            return NULL;
        world->sample_task(&stream, &task);
        world->reset(instance, &task, &stream, observation);
        for (int t = 0; t < STEPS; t++) {
            float action[6];
            for (int i = 0; i < 6; i++)
                action[i] = (float)random_between(&stream, -1, 1);
            if (world->step(instance, action, &run->recorded[e][t][0], &run->recorded[e][t][1]))
                return NULL;
        }
        world->close(instance);
    }
    return run;
}

START_TEST(threads_compute_the_bits_of_a_single_one)
{
    static struct run alone[THREADS], together[THREADS];
    pthread_t threads[THREADS];
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
    ck_assert_mem_eq(alone, together, sizeof alone);
    ck_assert_mem_ne(alone[0].recorded, alone[1].recorded, sizeof alone[0].recorded);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worlds in threads");
    SUITE_TEST(suite, threads_compute_the_bits_of_a_single_one);
    return suite_finish(suite);
}
