// Where a training's time goes, for benchmarks: prints microseconds of CPU for each frame, as one JSON line.
//
//     phases [WORLD [ITERATIONS]]
//
// One thread, defaults of a belief agent. Of rollout, what bare steps of the world cost is told apart.

#include "learner/blas.h"
#include "learner/inference/inference.h"
#include "learner/policy/algorithm.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    blas_choose(argv);
    const struct world *world = world_find(argc > 1 ? argv[1] : "half-cheetah-vel");
    long iterations = argc > 2 ? atol(argv[2]) : 6;
    char why[400] = "there is no such world";
    struct options o;
    struct train *train;
    if (!world || iterations < 1)
        return fprintf(stderr, "phases: %s\n", why), 2;
    options_defaults(&o, world, LEARN_GLIBRL, LEARN_PPO);
    o.threads = 1;
    if (train_new(&train, &o, why, sizeof why) || train_iterate(train, why, sizeof why))
        return fprintf(stderr, "phases: %s\n", why), 1;

    double spent[4] = {0}, bare = 0;
    for (long i = 0; i < iterations; i++) {
        double at[5];
        bare += 1 / rollout_bare_rate(world, 0.2) / (double)iterations;
        int error = train_export(train, why, sizeof why);
        at[0] = cpu_seconds();
        error = error ? error : rollout_run(&train->rollout, train->model, o.seed, (uint64_t)i + 1, train->pool, why,
                                            sizeof why);
        at[1] = cpu_seconds();
        error = error ? error : train->algorithm->learn(train, why, sizeof why);
        at[2] = cpu_seconds();
        error = error ? error : train->inference->learn(train, why, sizeof why);
        at[3] = cpu_seconds();
        if (error)
            return fprintf(stderr, "phases: %s\n", why), 1;
        for (int k = 0; k < 3; k++)
            spent[k] += (at[k + 1] - at[k]) / ((double)iterations * (double)train->rows);
    }
    double all = spent[0] + spent[1] + spent[2];
    printf("{\"world\":\"%s\",\"blas\":\"%s\",\"bare_us\":%.2f,\"rollout_us\":%.2f,\"policy_us\":%.2f,"
           "\"inference_us\":%.2f,\"share_of_bare\":%.3f}\n",
           world->name, openblas_get_corename(), 1e6 * bare, 1e6 * spent[0], 1e6 * spent[1], 1e6 * spent[2], bare / all);
    train_free(train);
    return 0;
}
