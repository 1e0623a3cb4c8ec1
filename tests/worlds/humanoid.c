// The humanoid: against its own formulas, written out a second time.

#include "client/worlds/mechanism.h"
#include "client/worlds/worlds.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <math.h>

enum { OBSERVATION = 376, MOTORS = 17, BODIES = 14 };

static struct world_instance *begin(void)
{
    struct world_instance *instance = NULL;
    char why[300] = "";
    int error = humanoid_dir.open(&instance, why, sizeof why);
    ck_assert_msg(!error, "%d %s", error, why);
    return instance;
}

static double along(const struct world_instance *instance, const double *direction)
{
    const mjModel *model = instance->simulation.model;
    double sum = 0;
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 2; k++)
            sum += model->body_mass[i] * instance->simulation.data->xipos[3 * i + k] * direction[k];
    return sum / mj_getTotalmass(model);
}

START_TEST(rewards_and_ends_follow_from_the_states)
{
    struct world_instance *instance = begin();
    const mjData *data = instance->simulation.data;
    struct random_stream stream = random_stream(1, 0, 0, 0);
    int ends = 0, touches = 0;
    for (int episode = 0; episode < 10; episode++) {
        double task[2];
        float observation[OBSERVATION], reward, action[MOTORS];
        humanoid_dir.sample_task(&stream, task);
        humanoid_dir.reset(instance, task, &stream, observation);
        for (int t = 0, ended = 0; t < 100 && !ended; t++) {
            double before = along(instance, task), square = 0, forces = 0;
            for (int i = 0; i < MOTORS; i++) {
                action[i] = (float)random_between(&stream, -1.5, 1.5);
                square += 0.16 * action[i] * action[i];
            }
            ended = humanoid_dir.step(instance, action, &reward, observation);
            for (int i = 0; i < 6 * BODIES; i++)
                forces += data->cfrc_ext[i] * data->cfrc_ext[i];
            touches += forces > 0;
            double speed = (along(instance, task) - before) / 0.015, contact = 5e-7 * forces;
            double expected = 1.25 * speed + 5 - 0.1 * square - (contact > 10 ? 10 : contact);
            ck_assert_float_eq_tol(reward, (float)expected, 1e-4f);
            ck_assert_int_eq(ended, data->qpos[2] < 1 || data->qpos[2] > 2);
            for (int i = 0; i < MOTORS; i++)
                ck_assert_double_eq_tol(data->ctrl[i], 0.4 * action[i], 1e-7);
            ends += ended;
        }
    }
    ck_assert_int_gt(ends, 5);
    ck_assert_int_gt(touches, 50);
    humanoid_dir.close(instance);
}
END_TEST

START_TEST(an_observation_has_six_parts_in_the_published_order)
{
    struct world_instance *instance = begin();
    const mjData *data = instance->simulation.data;
    struct random_stream stream = random_stream(2, 0, 0, 0);
    double task[2] = {1, 0};
    float observation[OBSERVATION], reward, action[MOTORS] = {0.5f, -0.5f};
    humanoid_dir.reset(instance, task, &stream, observation);
    const struct {
        const double *values;
        int count;
    } parts[] = {{data->qpos + 2, 22}, {data->qvel, 23}, {data->cinert, 140}, {data->cvel, 84},
                 {data->qfrc_actuator, 23}, {data->cfrc_ext, 84}};
    for (int t = 0; t < 20; t++) {
        int at = 0, moved = 0;
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
            for (int i = 0; i < parts[p].count; i++) {
                ck_assert_float_eq(observation[at++], (float)parts[p].values[i]);
                moved += parts[p].values[i] != 0;
            }
        ck_assert_int_eq(at, OBSERVATION);
        ck_assert_int_gt(moved, 100);
        ck_assert_int_ge(humanoid_dir.step(instance, action, &reward, observation), 0);
    }
    humanoid_dir.close(instance);
}
END_TEST

START_TEST(the_ideal_task_is_the_direction_of_the_torso)
{
    float observation[OBSERVATION] = {0}, next[OBSERVATION] = {0}, action[MOTORS] = {0};
    double task[2] = {7, 7};
    ck_assert_int_eq(humanoid_dir.ideal_task(observation, action, next, task), 0);
    ck_assert_double_eq(task[0], 7);
    observation[22] = 0.2f, observation[23] = 0.4f;
    next[22] = 0.4f, next[23] = 0.4f;
    ck_assert_int_eq(humanoid_dir.ideal_task(observation, action, next, task), 1);
    ck_assert_double_eq_tol(task[0], 0.6, 1e-6);
    ck_assert_double_eq_tol(task[1], 0.8, 1e-6);
    next[22] = NAN;
    ck_assert_int_eq(humanoid_dir.ideal_task(observation, action, next, task), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("humanoid");
    SUITE_TEST(suite, rewards_and_ends_follow_from_the_states);
    SUITE_TEST(suite, an_observation_has_six_parts_in_the_published_order);
    SUITE_TEST(suite, the_ideal_task_is_the_direction_of_the_torso);
    return suite_finish(suite);
}
