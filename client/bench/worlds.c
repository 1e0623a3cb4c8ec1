// What a step of each world costs: random actions, from start to start, by processor time of one thread. A world of
// MuJoCo is held against its bare engine, in turns: the same starts and the same controls, and nothing else.
#include "worlds.h"

#include "client/worlds/mechanism.h"
#include "client/worlds/worlds.h"
#include "daemon/base/random.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DIM_LIMIT = 1024, HORIZON_LIMIT = 1000, CONTROL_LIMIT = 32 };

static const char usage[] =
    "bel-bench worlds: steps of the worlds, beside bare steps of their engine\n"
    "\n"
    "    bel-bench worlds [--world NAME] [--seconds S] [--json]\n"
    "\n"
    "  --world        only this one (all)\n"
    "  --seconds      of each world (1)\n"
    "  --json         one JSON line, last\n";

struct options {
    const struct world *world;
    double seconds;
    int json;
};

struct rate {
    double steps, seconds, engine_seconds;
};

static float actions[HORIZON_LIMIT][DIM_LIMIT];
static double controls[HORIZON_LIMIT][CONTROL_LIMIT];

static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// One episode by the world; its steps, or a negative errno.
static long run_world(const struct world *world, struct world_instance *instance, const double *task,
                      struct random_stream stream, struct rate *rate)
{
    static float observation[DIM_LIMIT];
    float reward;
    int robot = world->close == mechanism_close, ended = 0;
    long t = 0;
    double begun = thread_seconds();
    world->reset(instance, task, &stream, observation);
    for (; t < (long)world->horizon && !ended; t++) {
        ended = world->step(instance, actions[t], &reward, observation);
        if (ended < 0)
            return ended;
        if (robot)
            memcpy(controls[t], instance->simulation.data->ctrl,
                   (size_t)instance->simulation.model->nu * sizeof(double));
    }
    rate->seconds += thread_seconds() - begun;
    rate->steps += (double)t;
    return t;
}

// The same by its engine alone.
static void run_engine(const struct world *world, struct world_instance *instance, const double *task,
                       struct random_stream stream, long steps, struct rate *rate)
{
    static float observation[DIM_LIMIT];
    const struct simulation *simulation = &instance->simulation;
    double begun = thread_seconds();
    world->reset(instance, task, &stream, observation);
    for (long t = 0; t < steps; t++) {
        memcpy(simulation->data->ctrl, controls[t], (size_t)simulation->model->nu * sizeof(double));
        for (size_t i = 0; i < instance->mechanism->frame_skip; i++)
            mj_step(simulation->model, simulation->data);
    }
    rate->engine_seconds += thread_seconds() - begun;
}

static int measure(const struct world *world, double seconds, struct rate *rate, char *why, size_t why_size)
{
    struct world_instance *instance, *bare;
    int error = world->open(&instance, why, why_size);
    if (error)
        return error;
    if ((error = world->open(&bare, why, why_size))) {
        world->close(instance);
        return error;
    }
    struct random_stream stream = random_stream(1, 0, 0, 0);
    *rate = (struct rate){0};
    while (rate->seconds < seconds) {
        double task[WORLD_TASK_LIMIT];
        world->sample_task(&stream, task);
        for (size_t t = 0; t < world->horizon; t++)
            for (size_t i = 0; i < world->action_dim; i++)
                actions[t][i] = (float)random_between(&stream, world->action_low, world->action_high);
        long steps = run_world(world, instance, task, stream, rate);
        if (steps < 0) {
            snprintf(why, why_size, "%s: the simulation diverged", world->name);
            error = (int)steps;
            break;
        }
        if (world->close == mechanism_close)
            run_engine(world, bare, task, stream, steps, rate);
    }
    world->close(instance);
    world->close(bare);
    return error;
}

// -1: go on; otherwise an exit code.
static int read_options(struct options *options, int argc, char **argv)
{
    enum { WORLD = 1, SECONDS, JSON, HELP };
    static const struct option names[] = {{"world", required_argument, NULL, WORLD},
                                          {"seconds", required_argument, NULL, SECONDS},
                                          {"json", no_argument, NULL, JSON},
                                          {"help", no_argument, NULL, HELP},
                                          {0}};
    *options = (struct options){.seconds = 1};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        char *end;
        switch (option) {
        case WORLD:
            options->world = world_find(optarg);
            if (!options->world) {
                fprintf(stderr, "--world %s: unknown; bel-rollout --world list shows them\n", optarg);
                return 2;
            }
            break;
        case SECONDS:
            options->seconds = strtod(optarg, &end);
            if (*end || !(options->seconds > 0 && options->seconds <= 3600)) {
                fprintf(stderr, "--seconds %s: not a number above 0, up to 3600\n", optarg);
                return 2;
            }
            break;
        case JSON: options->json = 1; break;
        case HELP: fputs(usage, stdout); return 0;
        default: return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected\n", argv[optind]);
        return 2;
    }
    return -1;
}

int bench_worlds(int argc, char **argv)
{
    struct options options;
    int code = read_options(&options, argc, argv);
    if (code >= 0)
        return code;
    char *list = NULL, why[300];
    size_t size = 0;
    int failed = 0;
    FILE *json = open_memstream(&list, &size);
    if (!json)
        return 1;
    const struct world *world;
    printf("%-20s %12s  %s\n", "world", "steps/s", "of its bare engine");
    for (size_t i = 0; (world = world_at(i)); i++) {
        struct rate rate;
        if (options.world && world != options.world)
            continue;
        if (measure(world, options.seconds, &rate, why, sizeof why)) {
            fprintf(stderr, "%s\n", why);
            failed = 1;
            break;
        }
        double speed = rate.steps / rate.seconds, share = rate.engine_seconds / rate.seconds;
        fprintf(json, "%s{\"world\":\"%s\",\"steps_per_second\":%.1f", ftell(json) ? "," : "", world->name, speed);
        if (world->close == mechanism_close) {
            printf("%-20s %12.0f  %.3f\n", world->name, speed, share);
            fprintf(json, ",\"of_engine\":%.4f", share);
        } else {
            printf("%-20s %12.0f  no engine\n", world->name, speed);
        }
        fputs("}", json);
        fflush(stdout);
    }
    fclose(json);
    if (options.json && !failed)
        printf("{\"engine\":\"%s\",\"worlds\":[%s]}\n", mj_versionString(), list);
    free(list);
    return failed;
}
