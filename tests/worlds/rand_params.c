// The hopper and the walker with random parameters: against their own definition, written out a second time.

#include "client/worlds/mechanism.h"
#include "client/worlds/worlds.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <math.h>
#include <string.h>

enum { DIM_LIMIT = 20, COORDINATES_LIMIT = 9 };

static const struct world *const both[] = {&hopper_params, &walker_params};

static struct world_instance *begin(const struct world *world)
{
    struct world_instance *instance = NULL;
    char why[300] = "";
    int error = world->open(&instance, why, sizeof why);
    ck_assert_msg(!error, "%d %s", error, why);
    return instance;
}

START_TEST(a_task_multiplies_masses_inertias_dampings_and_frictions)
{
    for (int w = 0; w < 2; w++) {
        struct world_instance *instance = begin(both[w]);
        const mjModel *mean = instance->simulation.source->shared, *model = instance->simulation.model;
        size_t masses = (size_t)mean->nbody, dofs = (size_t)mean->nv, geoms = (size_t)mean->ngeom;
        ck_assert_uint_eq(both[w]->task_dim, masses + 3 * masses + dofs + 3 * geoms);
        double task[WORLD_TASK_LIMIT];
        struct random_stream stream = random_stream(1, 0, 0, 0);
        for (int round = 0; round < 3; round++) {
            size_t k = 0;
            both[w]->sample_task(&stream, task);
            mechanism_set_task(instance, task);
            for (size_t i = 0; i < masses; i++, k++)
                ck_assert_double_eq_tol(model->body_mass[i], mean->body_mass[i] * exp(task[k] * log(1.5)), 1e-12);
            for (size_t i = 0; i < 3 * masses; i++, k++)
                ck_assert_double_eq_tol(model->body_inertia[i], mean->body_inertia[i] * exp(task[k] * log(1.5)), 1e-12);
            for (size_t i = 0; i < dofs; i++, k++)
                ck_assert_double_eq_tol(model->dof_damping[i], mean->dof_damping[i] * exp(task[k] * log(1.3)), 1e-12);
            for (size_t i = 0; i < 3 * geoms; i++, k++)
                ck_assert_double_eq_tol(model->geom_friction[i], mean->geom_friction[i] * exp(task[k] * log(1.5)),
                                        1e-12);
            ck_assert_mem_eq(model->body_subtreemass, mean->body_subtreemass, masses * sizeof(double));  // as published
            ck_assert_mem_eq(model->dof_invweight0, mean->dof_invweight0, dofs * sizeof(double));
        }
        memset(task, 0, sizeof task);
        mechanism_set_task(instance, task);
        ck_assert_mem_eq(model->body_mass, mean->body_mass, masses * sizeof(double));
        ck_assert_mem_eq(model->geom_friction, mean->geom_friction, 3 * geoms * sizeof(double));
        ck_assert_double_eq(model->opt.timestep, 0.004);
        both[w]->close(instance);
    }
}
END_TEST

START_TEST(observations_rewards_and_falls_follow_from_the_states)
{
    for (int w = 0; w < 2; w++) {
        struct world_instance *instance = begin(both[w]);
        const mjData *data = instance->simulation.data;
        int nq = (int)instance->simulation.model->nq, nv = (int)instance->simulation.model->nv, falls = 0, clipped = 0;
        struct random_stream stream = random_stream(2, (uint32_t)w, 0, 0);
        for (int episode = 0; episode < 30; episode++) {
            double task[WORLD_TASK_LIMIT];
            float observation[DIM_LIMIT], reward, action[DIM_LIMIT];
            both[w]->sample_task(&stream, task);
            both[w]->reset(instance, task, &stream, observation);
            for (int t = 0, ended = 0; t < 200 && !ended; t++) {
                double before = data->qpos[0], cost = 0;
                for (size_t i = 0; i < both[w]->action_dim; i++) {
                    action[i] = (float)random_between(&stream, -1.5, 1.5);
                    cost += 1e-3 * action[i] * action[i];
                }
                ended = both[w]->step(instance, action, &reward, observation);
                ck_assert_float_eq_tol(reward, (float)((data->qpos[0] - before) / 0.016 + 1 - cost), 1e-5f);
                for (int i = 1; i < nq; i++)
                    ck_assert_float_eq(observation[i - 1], (float)data->qpos[i]);
                for (int i = 0; i < nv; i++) {
                    double v = data->qvel[i];
                    clipped += fabs(v) > 10;
                    ck_assert_float_eq(observation[nq - 1 + i], (float)(v > 10 ? 10 : v < -10 ? -10 : v));
                }
                double z = data->qpos[1], pitch = fabs(data->qpos[2]), fast = 0;
                for (int i = 0; i < nv; i++)
                    fast = fmax(fast, fabs(data->qvel[i]));
                int fallen = w == 0 ? z <= 0.7 || pitch >= 0.2 || fast >= 100 : z <= 0.8 || z >= 2 || pitch >= 1;
                ck_assert_int_eq(ended, fallen);
                falls += ended;
            }
        }
        ck_assert_int_gt(falls, 20);
        ck_assert_int_gt(clipped, 0);
        both[w]->close(instance);
    }
}
END_TEST

START_TEST(a_fall_ends_the_episode_just_beyond_each_limit)
{
    static const struct {
        int world, coordinate;
        double inside, outside;
    } edges[] = {{0, 1, 0.72, 0.68}, {0, 2, 0.18, 0.22}, {0, 2, -0.18, -0.22},
                 {1, 1, 0.82, 0.78}, {1, 1, 1.98, 2.02}, {1, 2, 0.97, 1.03}, {1, 2, -0.97, -1.03}};
    for (size_t e = 0; e < sizeof edges / sizeof *edges; e++) {
        const struct world *world = both[edges[e].world];
        struct world_instance *instance = begin(world);
        // No gravity and not a moment to move.
        double task[WORLD_TASK_LIMIT] = {0}, qpos[COORDINATES_LIMIT] = {0}, qvel[COORDINATES_LIMIT] = {0};
        float observation[DIM_LIMIT], action[DIM_LIMIT] = {0}, reward;
        mechanism_set_task(instance, task);
        instance->simulation.own->opt.gravity[2] = 0;
        instance->simulation.own->opt.disableflags |= mjDSBL_CONTACT | mjDSBL_LIMIT;
        for (int outside = 0; outside < 2; outside++) {
            qpos[1] = 1.25;
            qpos[edges[e].coordinate] = outside ? edges[e].outside : edges[e].inside;
            mechanism_place(instance, qpos, qvel, observation);
            ck_assert_int_eq(world->step(instance, action, &reward, observation), outside);
            ck_assert_float_eq_tol(reward, 1, 1e-6f);  // being alive is paid to the last
        }
        world->close(instance);
    }
}
END_TEST

START_TEST(starts_are_drawn_around_the_pose_of_the_model)
{
    enum { STARTS = 4000 };
    for (int w = 0; w < 2; w++) {
        struct world_instance *instance = begin(both[w]);
        const mjModel *model = instance->simulation.model;
        const mjData *data = instance->simulation.data;
        struct random_stream stream = random_stream(5, 0, 0, 0);
        double task[WORLD_TASK_LIMIT] = {0}, square[2] = {0};
        for (int n = 0; n < STARTS; n++) {
            float observation[DIM_LIMIT];
            both[w]->reset(instance, task, &stream, observation);
            for (int i = 0; i < (int)model->nq; i++) {
                double off = data->qpos[i] - model->qpos0[i];
                ck_assert_double_le(fabs(off), 0.005 + 1e-15);
                ck_assert_double_le(fabs(data->qvel[i]), 0.005);
                square[0] += off * off / (STARTS * (double)model->nq);
                square[1] += data->qvel[i] * data->qvel[i] / (STARTS * (double)model->nq);
            }
        }
        for (int k = 0; k < 2; k++)
            ck_assert_double_eq_tol(sqrt(square[k]), 0.005 / sqrt(3), 0.02 * 0.005);
        both[w]->close(instance);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("random parameters");
    SUITE_TEST(suite, a_task_multiplies_masses_inertias_dampings_and_frictions);
    SUITE_TEST(suite, observations_rewards_and_falls_follow_from_the_states);
    SUITE_TEST(suite, a_fall_ends_the_episode_just_beyond_each_limit);
    SUITE_TEST(suite, starts_are_drawn_around_the_pose_of_the_model);
    return suite_finish(suite);
}
