// The point robots, against the formulas written down once more.

#include "client/worlds/worlds.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <math.h>
#include <stdlib.h>

static const struct world *const both[] = {&point_dense, &point_sparse};

static struct world_instance *begin(const struct world *world, const double *goal)
{
    struct world_instance *instance;
    struct random_stream stream = random_stream(1, 1, 1, 1);
    char why[100];
    float observation[2] = {9, 9};
    ck_assert_int_eq(world->open(&instance, why, sizeof why), 0);
    world->reset(instance, goal, &stream, observation);
    ck_assert_float_eq(observation[0], 0);
    ck_assert_float_eq(observation[1], 0);
    return instance;
}

START_TEST(a_step_moves_by_a_tenth_of_the_clipped_action)
{
    for (int w = 0; w < 2; w++) {
        struct random_stream stream = random_stream(5, 0, 0, 0);
        struct world_instance *instance = begin(both[w], (double[]){0, 1});
        double x = 0, y = 0;
        for (int t = 0; t < 100; t++) {
            float action[2] = {(float)random_between(&stream, -2, 2), (float)random_between(&stream, -2, 2)};
            float observation[2], reward;
            ck_assert_int_eq(both[w]->step(instance, action, &reward, observation), 0);
            x += 0.1 * (action[0] > 1 ? 1 : action[0] < -1 ? -1 : (double)action[0]);
            y += 0.1 * (action[1] > 1 ? 1 : action[1] < -1 ? -1 : (double)action[1]);
            ck_assert_float_eq(observation[0], (float)x);
            ck_assert_float_eq(observation[1], (float)y);
            double distance = sqrt(x * x + (y - 1) * (y - 1));
            double expected = w == 0 ? -distance : distance <= 0.2 ? 1 - distance : 0;
            ck_assert_float_eq_tol(reward, (float)expected, 1e-6f);
        }
        both[w]->close(instance);
    }
}
END_TEST

START_TEST(the_sparse_world_pays_only_near_the_goal)
{
    struct world_instance *instance = begin(&point_sparse, (double[]){1, 0});
    float observation[2], reward, right[2] = {1, 0}, nudge[2] = {0.1f, 0};
    for (int t = 1; t <= 7; t++) {
        point_sparse.step(instance, right, &reward, observation);
        ck_assert_float_eq(reward, 0);
    }
    for (int t = 0; t < 9; t++) {  // from 0.7 to 0.79
        point_sparse.step(instance, nudge, &reward, observation);
        ck_assert_float_eq(reward, 0);
    }
    nudge[0] = 0.11f;              // 0.801: just within reach
    point_sparse.step(instance, nudge, &reward, observation);
    ck_assert_float_eq_tol(reward, 0.801f, 1e-5f);
    point_sparse.step(instance, right, &reward, observation);
    ck_assert_float_eq_tol(reward, 0.901f, 1e-5f);
    point_sparse.step(instance, (float[2]){0.99f, 0}, &reward, observation);
    ck_assert_float_eq_tol(reward, 1, 1e-5f);
    point_sparse.close(instance);
}
END_TEST

START_TEST(goals_are_spread_evenly_over_the_upper_half_circle)
{
    for (int w = 0; w < 2; w++) {
        struct random_stream stream = random_stream(6, 0, 0, 0);
        int bins[10] = {0};
        for (int i = 0; i < 20000; i++) {
            double task[2];
            both[w]->sample_task(&stream, task);
            ck_assert_double_eq_tol(hypot(task[0], task[1]), 1, 1e-15);
            ck_assert_double_ge(task[1], 0);
            int bin = (int)(atan2(task[1], task[0]) / M_PI * 10);
            bins[bin > 9 ? 9 : bin]++;
        }
        for (int i = 0; i < 10; i++)  // 2000 expected, standard deviation 42
            ck_assert_int_lt(abs(bins[i] - 2000), 5 * 42);
    }
}
END_TEST

START_TEST(arriving_at_a_goal_shows_that_goal)
{
    const float before[2] = {0, 0}, action[2] = {0, 0};
    struct random_stream stream = random_stream(7, 0, 0, 0);
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < 1000; i++) {
            double goal[2], task[2] = {9, 9}, radius = random_between(&stream, 0.81, 1.19);
            both[w]->sample_task(&stream, goal);
            const float after[2] = {(float)(radius * goal[0]), (float)(radius * goal[1])};
            ck_assert_int_eq(both[w]->ideal_task(before, action, after, task), 1);
            ck_assert_double_eq_tol(task[0], goal[0], 1e-6);
            ck_assert_double_eq_tol(task[1], goal[1], 1e-6);
        }
}
END_TEST

START_TEST(a_place_out_of_reach_of_all_goals_shows_none)
{
    static const float far[][2] = {{0, 0}, {0.5f, 0.5f}, {0, 1.21f}, {0, -1}, {1, -0.21f}, {-1, -0.21f}, {NAN, 0}};
    static const float near[][3] = {{1, -0.19f, 1}, {-1, -0.19f, -1}};
    const float before[2] = {0, 0}, action[2] = {0, 0};
    double task[2] = {9, 9};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++)
        ck_assert_int_eq(point_dense.ideal_task(before, action, far[i], task), 0);
    ck_assert_double_eq(task[0], 9);
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {  // below the ends of the half circle: the end
        ck_assert_int_eq(point_dense.ideal_task(before, action, near[i], task), 1);
        ck_assert_double_eq_tol(task[0], near[i][2], 1e-12);
        ck_assert_double_eq_tol(task[1], 0, 1e-12);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("point");
    SUITE_TEST(suite, a_step_moves_by_a_tenth_of_the_clipped_action);
    SUITE_TEST(suite, the_sparse_world_pays_only_near_the_goal);
    SUITE_TEST(suite, goals_are_spread_evenly_over_the_upper_half_circle);
    SUITE_TEST(suite, arriving_at_a_goal_shows_that_goal);
    SUITE_TEST(suite, a_place_out_of_reach_of_all_goals_shows_none);
    return suite_finish(suite);
}
