// Drives a world of MuJoCo by lines, so that another program can compare it with another simulator.
//
//     trace --engine               ->   the engine's version
//     trace WORLD                  ->   observation_dim action_dim task_dim nq nv
//     place TASK QPOS QVEL         ->   observation qpos qvel
//     step ACTION                  ->   ended reward observation qpos qvel

#include "client/worlds/mechanism.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS_LIMIT = 256, DIM_LIMIT = 400, LINE_LIMIT = 1 << 14 };

static void print_state(const struct world *world, const struct world_instance *instance, const float *observation)
{
    const struct simulation *simulation = &instance->simulation;
    for (size_t i = 0; i < world->observation_dim; i++)
        printf("%.9g ", (double)observation[i]);
    for (int i = 0; i < (int)simulation->model->nq; i++)
        printf("%.17g ", simulation->data->qpos[i]);
    for (int i = 0; i < (int)simulation->model->nv; i++)
        printf("%.17g ", simulation->data->qvel[i]);
    printf("\n");
    fflush(stdout);
}

static size_t read_numbers(char *text, double *numbers)
{
    size_t count = 0;
    for (char *end; text && count < NUMBERS_LIMIT; count++, text = end) {
        numbers[count] = strtod(text, &end);
        if (end == text)
            break;
    }
    return count;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--engine"))
        return puts(mj_versionString()) < 0;
    const struct world *world = argc == 2 ? world_find(argv[1]) : NULL;
    if (!world || world->close != mechanism_close) {
        fprintf(stderr, "usage: trace WORLD, one of MuJoCo\n");
        return 2;
    }
    struct world_instance *instance;
    char why[300];
    if (world->open(&instance, why, sizeof why)) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    size_t nq = (size_t)instance->simulation.model->nq, nv = (size_t)instance->simulation.model->nv;
    printf("%zu %zu %zu %zu %zu\n", world->observation_dim, world->action_dim, world->task_dim, nq, nv);
    fflush(stdout);
    static char line[LINE_LIMIT];
    while (fgets(line, sizeof line, stdin)) {
        double numbers[NUMBERS_LIMIT];
        char *rest = line, *word = strsep(&rest, " ");
        size_t count = read_numbers(rest, numbers);
        float observation[DIM_LIMIT], reward, action[DIM_LIMIT];
        if (!strcmp(word, "place") && count == world->task_dim + nq + nv) {
            mechanism_set_task(instance, numbers);
            mechanism_place(instance, numbers + world->task_dim, numbers + world->task_dim + nq, observation);
        } else if (!strcmp(word, "step") && count == world->action_dim) {
            for (size_t i = 0; i < count; i++)
                action[i] = (float)numbers[i];
            int ended = world->step(instance, action, &reward, observation);
            if (ended < 0) {
                fprintf(stderr, "the simulation diverged\n");
                return 1;
            }
            printf("%d %.9g ", ended, (double)reward);
        } else {
            fprintf(stderr, "not understood: %s and %zu numbers\n", word, count);
            return 2;
        }
        print_state(world, instance, observation);
    }
    world->close(instance);
    return 0;
}
