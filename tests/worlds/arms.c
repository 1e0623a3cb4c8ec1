// The arms with hidden goals: against their own formulas, written out a second time.

#include "client/worlds/mechanism.h"
#include "client/worlds/worlds.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OBSERVATION_LIMIT = 20, ACTION_LIMIT = 7 };

static struct world_instance *begin(const struct world *world)
{
    struct world_instance *instance = NULL;
    char why[300] = "";
    int error = world->open(&instance, why, sizeof why);
    ck_assert_msg(!error, "%d %s", error, why);
    return instance;
}

static const double *place_of(const struct world_instance *instance, const char *body)
{
    int id = mj_name2id(instance->simulation.model, mjOBJ_BODY, body);
    ck_assert_int_ge(id, 0);
    return instance->simulation.data->xpos + 3 * id;
}

static double distance(const double *a, const double *b)
{
    double x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
    return sqrt(x * x + y * y + z * z);
}

static double draw_action(const struct world *world, struct random_stream *stream, float *action)
{
    double square = 0;
    for (size_t i = 0; i < world->action_dim; i++) {
        action[i] = (float)random_between(stream, -1.5, 1.5);
        square += (double)action[i] * action[i];
    }
    return square;
}

START_TEST(the_reacher_pays_for_the_distance_of_its_fingertip)
{
    struct world_instance *instance = begin(&reacher_goal);
    const mjData *data = instance->simulation.data;
    struct random_stream stream = random_stream(1, 0, 0, 0);
    for (int episode = 0; episode < 20; episode++) {
        float observation[OBSERVATION_LIMIT], reward, action[ACTION_LIMIT];
        double task[2], most = 0;
        reacher_goal.sample_task(&stream, task);
        reacher_goal.reset(instance, task, &stream, observation);
        ck_assert_double_le(fmax(fabs(data->qpos[0]), fabs(data->qpos[1])), 0.1);
        ck_assert_double_le(fmax(fabs(data->qvel[0]), fabs(data->qvel[1])), 0.005);
        for (int t = 0; t < 50; t++) {
            double square = draw_action(&reacher_goal, &stream, action), ideal[2];
            ck_assert_int_eq(reacher_goal.step(instance, action, &reward, observation), 0);
            const double *tip = place_of(instance, "fingertip");
            const double goal[3] = {task[0], task[1], 0.01};
            ck_assert_float_eq_tol(reward, (float)(-distance(tip, goal) - square), 1e-5f);
            for (int i = 0; i < 2; i++) {
                ck_assert_float_eq(observation[i], (float)cos(data->qpos[i]));
                ck_assert_float_eq(observation[2 + i], (float)sin(data->qpos[i]));
                ck_assert_float_eq(observation[4 + i], (float)data->qvel[i]);
                ck_assert_double_eq(data->qpos[2 + i], task[i]);  // the target stays
            }
            // The observation is of now, the engine's place of the tip of its last stage.
            if (reacher_goal.ideal_task(observation, action, observation, ideal)) {
                mj_kinematics(instance->simulation.model, instance->simulation.data);
                most = fmax(most, hypot(ideal[0] - tip[0], ideal[1] - tip[1]));
            }
        }
        ck_assert_double_lt(most, 0.0101);  // an arm stretched beyond the disc reaches at most 0.21 m
    }
    reacher_goal.close(instance);
}
END_TEST

START_TEST(the_pusher_pays_for_the_objects_distance_and_its_own)
{
    struct world_instance *instance = begin(&pusher_goal);
    const mjData *data = instance->simulation.data;
    struct random_stream stream = random_stream(2, 0, 0, 0);
    for (int episode = 0; episode < 20; episode++) {
        float observation[OBSERVATION_LIMIT], reward, action[ACTION_LIMIT];
        double task[2];
        pusher_goal.sample_task(&stream, task);
        pusher_goal.reset(instance, task, &stream, observation);
        const double *object = place_of(instance, "object"), *hand = place_of(instance, "tips");
        const double goal[3] = {task[0], task[1], -0.323};
        ck_assert_double_eq_tol(distance(place_of(instance, "goal"), goal), 0, 1e-12);
        ck_assert_double_gt(hypot(object[0] - goal[0], object[1] - goal[1]), 0.17);
        ck_assert(object[0] >= 0.25 && object[0] <= 0.65 && object[1] >= -0.35 && object[1] <= -0.05);
        for (int t = 0; t < 100; t++) {
            double cost = 0.1 * 4 * draw_action(&pusher_goal, &stream, action), ideal[2];  // torques up to 2 N m
            ck_assert_int_eq(pusher_goal.step(instance, action, &reward, observation), 0);
            double expected = -distance(object, goal) - 0.5 * distance(object, hand) - cost;
            ck_assert_float_eq_tol(reward, (float)expected, 1e-5f);
            for (int i = 0; i < 7; i++) {
                ck_assert_float_eq(observation[i], (float)data->qpos[i]);
                ck_assert_float_eq(observation[7 + i], (float)data->qvel[i]);
                ck_assert_double_eq(data->ctrl[i], 2 * (double)action[i]);
            }
            for (int i = 0; i < 3; i++) {
                ck_assert_float_eq(observation[14 + i], (float)hand[i]);
                ck_assert_float_eq(observation[17 + i], (float)object[i]);
            }
            if (pusher_goal.ideal_task(observation, action, observation, ideal))
                ck_assert_double_lt(hypot(ideal[0] - object[0], ideal[1] - object[1]), 0.02 + 1e-6);
            else
                ck_assert_double_gt(hypot(object[0] - 0.45, object[1] + 0.05), 0.17 - 1e-6);
        }
    }
    pusher_goal.close(instance);
}
END_TEST

// The hand is brought down to the table beside the object, and the shoulder turns.
START_TEST(the_hand_pushes_the_object)
{
    struct world_instance *instance = begin(&pusher_goal);
    const mjModel *model = instance->simulation.model;
    const double *hand = place_of(instance, "tips");
    struct random_stream stream = random_stream(3, 0, 0, 0);
    int pushes = 0;
    for (int posture = 0; posture < 2000; posture++) {
        double qpos[11] = {0}, qvel[11] = {0};
        float observation[OBSERVATION_LIMIT], reward, action[ACTION_LIMIT] = {0};
        for (int i = 0; i < 7; i++)
            qpos[i] = random_between(&stream, model->jnt_range[2 * i], model->jnt_range[2 * i + 1]);
        mechanism_place(instance, qpos, qvel, observation);
        if (fabs(hand[2] + 0.275) > 0.02)
            continue;
        int left = (int)random_below(&stream, 2);
        double away[2] = {-(hand[1] + 0.6), hand[0]}, length = hypot(away[0], away[1]);  // where the shoulder turns it
        qpos[7] = hand[1] + (left ? 1 : -1) * 0.2 * away[1] / length + 0.05;
        qpos[8] = hand[0] + (left ? 1 : -1) * 0.2 * away[0] / length - 0.45;
        mechanism_place(instance, qpos, qvel, observation);
        float x = observation[17], y = observation[18];
        action[0] = left ? 1 : -1;
        for (int t = 0; t < 40; t++)
            ck_assert_int_eq(pusher_goal.step(instance, action, &reward, observation), 0);
        double way = ((observation[17] - x) * away[0] + (observation[18] - y) * away[1]) / length;
        pushes += (left ? way : -way) > 0.02;
    }
    ck_assert_int_gt(pushes, 5);
    pusher_goal.close(instance);
}
END_TEST

START_TEST(goals_are_spread_evenly_over_their_discs)
{
    enum { TASKS = 8000 };
    struct random_stream stream = random_stream(4, 0, 0, 0);
    int rings[2][4] = {{0}}, quarters[2][4] = {{0}};
    for (int n = 0; n < TASKS; n++) {
        double task[2];
        for (int w = 0; w < 2; w++) {
            (w ? &pusher_goal : &reacher_goal)->sample_task(&stream, task);
            double x = w ? task[0] - 0.45 : task[0], y = w ? task[1] + 0.05 : task[1], radius = w ? 0.15 : 0.2;
            double share = (x * x + y * y) / (radius * radius);
            ck_assert_double_lt(share, 1);
            rings[w][(int)(4 * share)]++;
            quarters[w][(x > 0) + 2 * (y > 0)]++;
        }
    }
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < 4; i++) {
            ck_assert_int_lt(abs(rings[w][i] - TASKS / 4), 5 * 39);
            ck_assert_int_lt(abs(quarters[w][i] - TASKS / 4), 5 * 39);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arms");
    SUITE_TEST(suite, the_reacher_pays_for_the_distance_of_its_fingertip);
    SUITE_TEST(suite, the_pusher_pays_for_the_objects_distance_and_its_own);
    SUITE_TEST(suite, the_hand_pushes_the_object);
    SUITE_TEST(suite, goals_are_spread_evenly_over_their_discs);
    return suite_finish(suite);
}
