// What holds for every world of MuJoCo: trouble is reported, what is reserved is enough, a step allocates nothing.

#include "client/worlds/mechanism.h"
#include "client/worlds/worlds.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_LIMIT = 400, COORDINATES_LIMIT = 32 };

// The next of them at or after *i, or NULL.
static const struct world *next_robot(size_t *i)
{
    const struct world *world;
    while ((world = world_at(*i)) && world->close != mechanism_close)
        (*i)++;
    return world;
}

static struct world_instance *begin(const struct world *world)
{
    struct world_instance *instance = NULL;
    char why[300] = "";
    int error = world->open(&instance, why, sizeof why);
    ck_assert_msg(!error, "%s: %d %s", world->name, error, why);
    return instance;
}

static void draw_action(const struct world *world, struct random_stream *stream, float *action)
{
    for (size_t i = 0; i < world->action_dim; i++)
        action[i] = (float)random_between(stream, -1, 1);
}

START_TEST(a_diverged_simulation_is_reported_and_reset_recovers)
{
    static const double bad[] = {NAN, INFINITY, -1e12};
    const struct world *world;
    for (size_t w = 0; (world = next_robot(&w)); w++) {
        struct world_instance *instance = begin(world), *fresh = begin(world);
        struct random_stream tasks = random_stream(7, 0, 0, 0);
        double task[WORLD_TASK_LIMIT];
        float action[DIM_LIMIT] = {0}, observation[DIM_LIMIT], expected[DIM_LIMIT], reward, expected_reward;
        world->sample_task(&tasks, task);
        for (int what = 0; what < 2; what++)
            for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
                struct random_stream stream = random_stream(8, 0, 0, 0), same = stream;
                world->reset(instance, task, &stream, observation);
                (what ? instance->simulation.data->qvel : instance->simulation.data->qpos)[1] = bad[b];
                for (size_t i = 0; i < world->observation_dim; i++)
                    observation[i] = 6;
                reward = 5;
                ck_assert_int_eq(world->step(instance, action, &reward, observation), -EIO);
                ck_assert_int_eq(world->step(instance, action, &reward, observation), -EIO);  // still void
                ck_assert_float_eq(reward, 5);
                for (size_t i = 0; i < world->observation_dim; i++)
                    ck_assert_float_eq(observation[i], 6);

                stream = same;
                world->reset(instance, task, &stream, observation);
                world->reset(fresh, task, &same, expected);
                for (int t = 0; t < 10; t++) {
                    ck_assert_mem_eq(observation, expected, world->observation_dim * sizeof *expected);
                    int ended = world->step(instance, action, &reward, observation);
                    ck_assert_int_ge(ended, 0);
                    ck_assert_int_eq(world->step(fresh, action, &expected_reward, expected), ended);
                    ck_assert_mem_eq(&reward, &expected_reward, sizeof reward);
                }
            }
        world->close(instance);
        world->close(fresh);
    }
}
END_TEST

// In any posture, pushed into the ground, and let go; and after plain starts. With tasks of all kinds.
START_TEST(contacts_and_rows_stay_within_what_the_models_reserve)
{
    const struct world *world;
    for (size_t w = 0; (world = next_robot(&w)); w++) {
        struct world_instance *instance = begin(world);
        const mjModel *model = instance->simulation.model;
        const mjData *data = instance->simulation.data;
        struct random_stream stream = random_stream(9, 0, 0, 0);
        int contacts = 0, rows = 0;
        for (int episode = 0; episode < 60; episode++) {
            float observation[DIM_LIMIT], action[DIM_LIMIT], reward;
            double task[WORLD_TASK_LIMIT], qpos[COORDINATES_LIMIT], qvel[COORDINATES_LIMIT] = {0};
            world->sample_task(&stream, task);
            world->reset(instance, task, &stream, observation);
            if (episode % 2) {
                memcpy(qpos, data->qpos, (size_t)model->nq * sizeof *qpos);
                for (int j = 0; j < (int)model->njnt; j++) {
                    double *q = qpos + model->jnt_qposadr[j];
                    if (model->jnt_type[j] == mjJNT_FREE)
                        for (int k = 2; k < 7; k++)
                            q[k] = k == 2 ? random_between(&stream, -1, 1) : random_normal(&stream);
                    else if (model->jnt_limited[j])
                        *q = model->jnt_range[2 * j + random_below(&stream, 2)] * 1.1;
                    else
                        *q = random_between(&stream, -2, 2);
                }
                mechanism_place(instance, qpos, qvel, observation);
            }
            for (int t = 0; t < 30; t++) {
                contacts = data->ncon > contacts ? (int)data->ncon : contacts;
                rows = data->nefc > rows ? (int)data->nefc : rows;
                for (size_t i = 0; i < world->action_dim; i++)
                    action[i] = random_below(&stream, 2) ? 1 : -1;
                if (world->step(instance, action, &reward, observation) < 0)
                    break;  // expelled from the ground too fast
            }
            ck_assert_int_eq(data->warning[mjWARN_CONTACTFULL].number, 0);
            ck_assert_int_eq(data->warning[mjWARN_CNSTRFULL].number, 0);
        }
        printf("%s: at most %d contacts and %d rows\n", world->name, contacts, rows);
        ck_assert_int_gt(rows, 0);
#if mjVERSION_HEADER < 230
        ck_assert_int_lt(contacts, model->nconmax);
        ck_assert_int_lt(rows, model->njmax);
        ck_assert_int_lt(2 * data->maxuse_stack, model->nstack);
#endif
        world->close(instance);
    }
}
END_TEST

START_TEST(an_instance_needs_little_memory)
{
    const struct world *world;
    for (size_t w = 0; (world = next_robot(&w)); w++) {
        struct world_instance *instance = begin(world);
        const mjData *data = instance->simulation.data;
#if mjVERSION_HEADER < 230
        size_t bytes = (size_t)data->nbuffer + (size_t)data->nstack * sizeof(mjtNum), limit = 5 << 20;
#else
        size_t bytes = (size_t)data->nbuffer + (size_t)data->narena;  // an arena is mostly never touched
        size_t limit = 16 << 20;
#endif
        printf("%s: %zu bytes of simulation data\n", world->name, bytes);
        ck_assert_uint_lt(bytes, limit);
        world->close(instance);
    }
}
END_TEST

static size_t allocations;

static void *count_allocation(size_t size)
{
    allocations++;
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

START_TEST(the_engine_allocates_nothing_in_a_start_or_a_step)
{
    mju_user_malloc = count_allocation;
    mju_user_free = free;
    const struct world *world;
    for (size_t w = 0; (world = next_robot(&w)); w++) {
        struct world_instance *instance = begin(world);
        ck_assert_uint_gt(allocations, 0);
        struct random_stream stream = random_stream(10, 0, 0, 0);
        for (int episode = 0; episode < 3; episode++) {
            float observation[DIM_LIMIT], action[DIM_LIMIT], reward;
            double task[WORLD_TASK_LIMIT];
            world->sample_task(&stream, task);
            allocations = 0;
            world->reset(instance, task, &stream, observation);  // on another task
#if mjVERSION_HEADER >= 230
            allocations = 0;  // 3.0.1 makes two in a reset
#endif
            for (int t = 0; t < 50; t++) {
                draw_action(world, &stream, action);
                if (world->step(instance, action, &reward, observation))
                    break;
            }
            ck_assert_uint_eq(allocations, 0);
        }
        world->close(instance);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("robots");
    SUITE_TEST(suite, a_diverged_simulation_is_reported_and_reset_recovers);
    SUITE_TEST(suite, contacts_and_rows_stay_within_what_the_models_reserve);
    SUITE_TEST(suite, an_instance_needs_little_memory);
    SUITE_TEST(suite, the_engine_allocates_nothing_in_a_start_or_a_step);
    return suite_finish(suite);
}
