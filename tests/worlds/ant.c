// The ants: against their own formulas, written out a second time.

#include "client/worlds/ant.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OBSERVATION_LIMIT = 113 };

static const struct world *const all[] = {&ant_dir, &ant_dir_2d, &ant_dir_radians, &ant_goal, &ant_body};

static struct world_instance *begin(const struct world *world)
{
    struct world_instance *instance = NULL;
    char why[300] = "";
    int error = world->open(&instance, why, sizeof why);
    ck_assert_msg(!error, "%d %s", error, why);
    return instance;
}

static void direction_of(const struct world *world, const double *task, double *direction)
{
    direction[0] = world == &ant_dir_radians ? cos(*task) : world == &ant_body ? 1 : task[0];
    direction[1] = world == &ant_dir_radians ? sin(*task) : world == &ant_dir_2d ? task[1] : 0;
}

static double contact_cost(const struct world_instance *instance)
{
    double sum = 0;
    for (int i = 0; i < 14 * 6; i++) {
        double force = instance->simulation.data->cfrc_ext[i];
        force = force > 1 ? 1 : force < -1 ? -1 : force;
        sum += force * force;
    }
    return 5e-4 * sum;
}

START_TEST(rewards_and_ends_follow_from_the_states)
{
    for (size_t w = 0; w < sizeof all / sizeof *all; w++) {
        const struct world *world = all[w];
        struct world_instance *instance = begin(world);
        const mjData *data = instance->simulation.data;
        struct random_stream stream = random_stream(1, (uint32_t)w, 0, 0);
        int ends = 0, touches = 0;
        for (int episode = 0; episode < 12; episode++) {
            double task[WORLD_TASK_LIMIT], direction[2];
            float observation[OBSERVATION_LIMIT], reward, action[ANT_MOTORS];
            world->sample_task(&stream, task);
            direction_of(world, task, direction);
            world->reset(instance, task, &stream, observation);
            for (int t = 0, ended = 0; t < 60 && !ended; t++) {
                const double before[2] = {data->xpos[3], data->xpos[4]};
                double square = 0, expected;
                for (int i = 0; i < ANT_MOTORS; i++) {
                    action[i] = (float)random_between(&stream, -1.5, 1.5);
                    square += (double)action[i] * action[i];
                }
                ended = world->step(instance, action, &reward, observation);
                double x = data->xpos[3], y = data->xpos[4], contact = contact_cost(instance);
                touches += contact > 0;
                if (world == &ant_goal)
                    expected = -(fabs(x - task[0]) + fabs(y - task[1])) - 0.1 * square - contact;
                else
                    expected = ((x - before[0]) * direction[0] + (y - before[1]) * direction[1]) / 0.05 + 1
                               - 0.5 * square - contact;
                ck_assert_float_eq_tol(reward, (float)expected, 1e-4f);
                ck_assert_int_eq(ended, world != &ant_goal && (data->qpos[2] < 0.2 || data->qpos[2] > 1));
                ends += ended;
            }
        }
        ck_assert_int_gt(touches, 50);
        ck_assert_int_eq(ends > 0, world != &ant_goal);
        world->close(instance);
    }
}
END_TEST

START_TEST(observations_are_positions_velocities_and_for_a_goal_place_and_contacts)
{
    for (size_t w = 0; w < sizeof all / sizeof *all; w++) {
        struct world_instance *instance = begin(all[w]);
        const mjData *data = instance->simulation.data;
        struct random_stream stream = random_stream(2, (uint32_t)w, 0, 0);
        int first = all[w] == &ant_goal ? 0 : 2, most = 0;
        float observation[OBSERVATION_LIMIT], reward, action[ANT_MOTORS];
        double task[WORLD_TASK_LIMIT];
        all[w]->sample_task(&stream, task);
        all[w]->reset(instance, task, &stream, observation);
        for (int t = 0; t < 40; t++) {
            double norm = 0;
            for (int i = first; i < 15; i++)
                ck_assert_float_eq(observation[i - first], (float)data->qpos[i]);
            for (int i = 0; i < 14; i++)
                ck_assert_float_eq(observation[15 - first + i], (float)data->qvel[i]);
            for (int i = 0; i < 84 && first == 0; i++) {
                double force = data->cfrc_ext[i];
                most += fabs(force) > 1;
                ck_assert_float_eq(observation[29 + i], (float)(force > 1 ? 1 : force < -1 ? -1 : force));
            }
            for (int i = 3; i < 7; i++)
                norm += data->qpos[i] * data->qpos[i];
            ck_assert_double_eq_tol(norm, 1, 1e-9);  // the noise of a start does not spoil the orientation
            for (int i = 0; i < ANT_MOTORS; i++)
                action[i] = (float)random_between(&stream, -1, 1);
            ck_assert_int_ge(all[w]->step(instance, action, &reward, observation), 0);
        }
        ck_assert(first == 2 || most > 0);
        all[w]->close(instance);
    }
}
END_TEST

START_TEST(tasks_have_their_distribution)
{
    enum { TASKS = 8000 };
    struct random_stream stream = random_stream(3, 0, 0, 0);
    int quarters[4] = {0}, rings[4] = {0}, forward[2] = {0}, dead[5] = {0};
    for (int n = 0; n < TASKS; n++) {
        double task[WORLD_TASK_LIMIT];
        ant_dir.sample_task(&stream, task);
        ck_assert(task[0] == 1 || task[0] == -1);
        forward[0] += task[0] > 0;
        ant_dir_radians.sample_task(&stream, task);
        ck_assert(task[0] == 1 || task[0] == -1);
        forward[1] += task[0] > 0;
        ant_dir_2d.sample_task(&stream, task);
        ck_assert_double_eq_tol(hypot(task[0], task[1]), 1, 1e-12);
        quarters[(task[0] > 0) + 2 * (task[1] > 0)]++;
        ant_goal.sample_task(&stream, task);
        double share = (task[0] * task[0] + task[1] * task[1]) / 9;  // of the disc's area
        ck_assert_double_lt(share, 1);
        rings[(int)(4 * share)]++;
        ant_body.sample_task(&stream, task);
        int which = 4;
        for (int leg = 0; leg < 4; leg++) {
            ck_assert_int_eq(task[6 + 2 * leg] == 0, task[7 + 2 * leg] == 0);
            if (task[6 + 2 * leg] == 0)
                which = leg;
        }
        dead[which]++;
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_lt(abs(forward[i] - TASKS / 2), 5 * 45);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_lt(abs(quarters[i] - TASKS / 4), 5 * 39);
        ck_assert_int_lt(abs(rings[i] - TASKS / 4), 5 * 39);
    }
    for (int i = 0; i < 5; i++)
        ck_assert_int_lt(abs(dead[i] - TASKS / 5), 5 * 36);
}
END_TEST

// The reward of a transition in its ideal task is the best of all tasks, but for what the reckoned velocity is off.
START_TEST(the_ideal_task_makes_of_a_transition_the_best_one)
{
    for (int w = 0; w < 4; w++) {
        const struct world *world = all[w];
        struct world_instance *instance = begin(world);
        const mjData *data = instance->simulation.data;
        struct random_stream stream = random_stream(4, (uint32_t)w, 0, 0);
        float observation[OBSERVATION_LIMIT], next[OBSERVATION_LIMIT], reward;
        double task[2], ideal[2];
        int told = 0, untold = 0;
        double lost = 0;
        for (int episode = 0; episode < 10; episode++) {
            world->sample_task(&stream, task);
            world->reset(instance, task, &stream, observation);
            for (int t = 0, ended = 0; t < 100 && !ended; t++) {
                const double before[2] = {data->xpos[3], data->xpos[4]};
                float action[ANT_MOTORS];
                for (int i = 0; i < ANT_MOTORS; i++)
                    action[i] = (float)random_between(&stream, -1, 1);
                ended = world->step(instance, action, &reward, next);
                double vx = (data->xpos[3] - before[0]) / 0.05, vy = (data->xpos[4] - before[1]) / 0.05;
                if (!world->ideal_task(observation, action, next, ideal)) {
                    untold++;
                } else if (world == &ant_goal) {
                    told++;
                    lost += hypot(data->xpos[3] - ideal[0], data->xpos[4] - ideal[1]);
                } else {
                    double direction[2], best = world == &ant_dir ? fabs(vx) : world == &ant_dir_2d ? hypot(vx, vy)
                                                : vx * cos(1) + fabs(vy) * sin(1);
                    direction_of(world, ideal, direction);
                    told++;
                    lost += best - (vx * direction[0] + vy * direction[1]);
                }
                memcpy(observation, next, sizeof next);
            }
        }
        ck_assert_int_gt(told, 100);
        ck_assert(untold > 10 || world == &ant_goal);
        ck_assert_double_lt(lost / told, 0.1);
        world->close(instance);
    }
    float far[OBSERVATION_LIMIT] = {3.3f, 0}, action[ANT_MOTORS] = {0};
    double ideal[2] = {7, 7};
    ck_assert_int_eq(ant_goal.ideal_task(far, action, far, ideal), 0);
    far[0] = 3.1f;
    ck_assert_int_eq(ant_goal.ideal_task(far, action, far, ideal), 1);
    ck_assert_double_eq_tol(ideal[0], 3, 1e-6);
    far[0] = NAN;
    ck_assert_int_eq(ant_goal.ideal_task(far, action, far, ideal), 0);
}
END_TEST

static const double sound[14] = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1};

// Forward on both, with the same actions; the largest difference of positions after some steps.
static double apart_after(const struct world *world, const double *task, const struct world *other,
                          const double *other_task)
{
    struct world_instance *one = begin(world), *two = begin(other);
    struct random_stream stream = random_stream(5, 0, 0, 0), same = stream;
    float observation[OBSERVATION_LIMIT], reward, action[ANT_MOTORS];
    double apart = 0;
    world->reset(one, task, &stream, observation);
    other->reset(two, other_task, &same, observation);
    for (int t = 0; t < 20; t++) {
        for (int i = 0; i < ANT_MOTORS; i++)
            action[i] = (float)random_between(&stream, -1, 1);
        ck_assert_int_ge(world->step(one, action, &reward, observation), 0);
        ck_assert_int_ge(other->step(two, action, &reward, observation), 0);
    }
    for (int i = 0; i < ANT_COORDINATES; i++)
        apart = fmax(apart, fabs(one->simulation.data->qpos[i] - two->simulation.data->qpos[i]));
    world->close(one);
    other->close(two);
    return apart;
}

START_TEST(a_body_without_trouble_is_the_plain_ant_and_each_trouble_shows)
{
    static const double changed[14] = {0.4, 0.15, 0.15, 0.1, 0.1, 1.7, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6};
    double forward = 1;
    ck_assert_double_lt(apart_after(&ant_body, sound, &ant_dir, &forward), 1e-6);
    for (int k = 0; k < 14; k++) {
        double one[14], other[14];
        memcpy(one, sound, sizeof one);
        one[0] = 0.2;  // a payload, so that its place matters
        memcpy(other, one, sizeof other);
        other[k] = changed[k];
        double apart = apart_after(&ant_body, one, &ant_body, other);
        ck_assert_msg(apart > 1e-3, "number %d changes positions by only %g", k, apart);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ants");
    SUITE_TEST(suite, rewards_and_ends_follow_from_the_states);
    SUITE_TEST(suite, observations_are_positions_velocities_and_for_a_goal_place_and_contacts);
    SUITE_TEST(suite, tasks_have_their_distribution);
    SUITE_TEST(suite, the_ideal_task_makes_of_a_transition_the_best_one);
    SUITE_TEST(suite, a_body_without_trouble_is_the_plain_ant_and_each_trouble_shows);
    return suite_finish(suite);
}
