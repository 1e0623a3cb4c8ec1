// Drives a half cheetah by lines, so that another program can compare it with another simulator.
//
//     trace WORLD
//     place TASK QPOS(9) QVEL(9)   ->   observation(20) qpos(9) qvel(9)
//     step ACTION(6)               ->   reward observation(20) qpos(9) qvel(9)

#include "client/worlds/half_cheetah.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOINTS = HALF_CHEETAH_JOINTS, OBSERVATION = 20, NUMBERS_LIMIT = 1 + 2 * JOINTS };

static void print_state(const struct world_instance *instance, const float *observation)
{
    for (int i = 0; i < OBSERVATION; i++)
        printf("%.9g ", (double)observation[i]);
    for (int i = 0; i < JOINTS; i++)
        printf("%.17g ", instance->simulation.data->qpos[i]);
    for (int i = 0; i < JOINTS; i++)
        printf("%.17g ", instance->simulation.data->qvel[i]);
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const struct world *world = argc == 2 ? world_find(argv[1]) : NULL;
    if (world != &half_cheetah_dir && world != &half_cheetah_vel) {
        fprintf(stderr, "usage: trace half-cheetah-dir|half-cheetah-vel\n");
        return 2;
    }
    struct world_instance *instance;
    char why[300];
    if (world->open(&instance, why, sizeof why)) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    char line[2000];
    while (fgets(line, sizeof line, stdin)) {
        double numbers[NUMBERS_LIMIT];
        int count = 0;
        char *rest = line, *word = strsep(&rest, " ");
        for (char *end; rest && count < NUMBERS_LIMIT; count++, rest = end) {
            numbers[count] = strtod(rest, &end);
            if (end == rest)
                break;
        }
        float observation[OBSERVATION], reward, action[HALF_CHEETAH_MOTORS];
        if (!strcmp(word, "place") && count == NUMBERS_LIMIT) {
            mechanism_set_task(instance, numbers);
            mechanism_place(instance, numbers + 1, numbers + 1 + JOINTS, observation);
        } else if (!strcmp(word, "step") && count == HALF_CHEETAH_MOTORS) {
            for (int i = 0; i < count; i++)
                action[i] = (float)numbers[i];
            if (world->step(instance, action, &reward, observation)) {
                fprintf(stderr, "the simulation diverged\n");
                return 1;
            }
            printf("%.9g ", (double)reward);
        } else {
            fprintf(stderr, "not understood: %s and %d numbers\n", word, count);
            return 2;
        }
        print_state(instance, observation);
    }
    world->close(instance);
    return 0;
}
