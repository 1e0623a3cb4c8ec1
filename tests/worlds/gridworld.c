// Gridworld is small enough to be checked in every cell.

#include "client/worlds/worlds.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

enum { STAY, UP, RIGHT, DOWN, LEFT };

static struct world_instance *instance;
static struct random_stream stream;

static void begin(double goal_x, double goal_y)
{
    char why[100];
    float observation[2] = {-1, -1};
    ck_assert_int_eq(gridworld.open(&instance, why, sizeof why), 0);
    stream = random_stream(1, 1, 1, 1);
    gridworld.reset(instance, (double[]){goal_x, goal_y}, &stream, observation);
    ck_assert_float_eq(observation[0], 0);
    ck_assert_float_eq(observation[1], 0);
}

static float act(int choice, float *observation)
{
    float scores[5] = {0}, reward = 9;
    scores[choice] = 1;
    ck_assert_int_eq(gridworld.step(instance, scores, &reward, observation), 0);
    return reward;
}

START_TEST(every_move_from_every_cell_goes_one_cell_and_stops_at_walls)
{
    static const int by[5][2] = {{0, 0}, {0, 1}, {1, 0}, {0, -1}, {-1, 0}};
    float observation[2];
    for (int x = 0; x < 5; x++)
        for (int y = 0; y < 5; y++)
            for (int choice = 0; choice < 5; choice++) {
                begin(4, 4);
                for (int i = 0; i < x; i++)
                    act(RIGHT, observation);
                for (int i = 0; i < y; i++)
                    act(UP, observation);
                float reward = act(choice, observation);
                int to_x = x + by[choice][0], to_y = y + by[choice][1];
                to_x = to_x < 0 ? 0 : to_x > 4 ? 4 : to_x;
                to_y = to_y < 0 ? 0 : to_y > 4 ? 4 : to_y;
                ck_assert_float_eq(observation[0], (float)to_x);
                ck_assert_float_eq(observation[1], (float)to_y);
                ck_assert_float_eq(reward, to_x == 4 && to_y == 4 ? 1.f : -0.1f);
                gridworld.close(instance);
            }
}
END_TEST

START_TEST(the_goal_pays_at_every_step_and_does_not_end_the_episode)
{
    float observation[2];
    begin(2, 0);
    ck_assert_float_eq(act(RIGHT, observation), -0.1f);
    for (int i = 0; i < 3; i++)
        ck_assert_float_eq(act(i ? STAY : RIGHT, observation), 1);
    ck_assert_float_eq(act(LEFT, observation), -0.1f);
    ck_assert_float_eq(act(RIGHT, observation), 1);
    gridworld.close(instance);
}
END_TEST

START_TEST(the_largest_score_is_done_and_the_first_of_equals)
{
    static const struct {
        float scores[5];
        float x, y;  // after it, from (1, 1)
    } cases[] = {
        {{0, 0, 0, 0, 0}, 1, 1},       {{-5, -4, -4, -6, -7}, 1, 2}, {{-1e30f, 0, 3, 2, 3}, 2, 1},
        {{0, 0, 0, 1e-30f, 0}, 1, 0},  {{1, 2, 3, 4, 5}, 0, 1},      {{1, 2, 2, 2, 2}, 1, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float observation[2], reward;
        begin(4, 4);
        act(RIGHT, observation);
        act(UP, observation);
        ck_assert_int_eq(gridworld.step(instance, cases[i].scores, &reward, observation), 0);
        ck_assert_float_eq(observation[0], cases[i].x);
        ck_assert_float_eq(observation[1], cases[i].y);
        gridworld.close(instance);
    }
}
END_TEST

START_TEST(goals_are_21_cells_each_as_likely)
{
    int counts[5][5] = {{0}}, cells = 0;
    const int draws = 42000;
    struct random_stream tasks = random_stream(3, 1, 4, 1);
    for (int i = 0; i < draws; i++) {
        double task[2];
        gridworld.sample_task(&tasks, task);
        ck_assert_double_eq(task[0], (double)(int)task[0]);
        ck_assert_double_eq(task[1], (double)(int)task[1]);
        counts[(int)task[0]][(int)task[1]]++;
    }
    // chi-square with 20 degrees of freedom: 45.3 is exceeded once in 1000 streams, and this stream is fixed
    double chi_square = 0, expected = draws / 21.0;
    for (int x = 0; x < 5; x++)
        for (int y = 0; y < 5; y++) {
            if (x < 2 && y < 2) {
                ck_assert_int_eq(counts[x][y], 0);
                continue;
            }
            cells += counts[x][y] > 0;
            chi_square += (counts[x][y] - expected) * (counts[x][y] - expected) / expected;
        }
    ck_assert_int_eq(cells, 21);
    ck_assert_double_lt(chi_square, 45.3);
}
END_TEST

START_TEST(the_ideal_task_is_the_cell_arrived_at_and_would_have_paid)
{
    for (int x = 0; x < 5; x++)
        for (int y = 0; y < 5; y++) {
            double task[2] = {-1, -1};
            const float before[2] = {0, 0}, action[5] = {1}, after[2] = {(float)x, (float)y};
            int told = gridworld.ideal_task(before, action, after, task);
            ck_assert_int_eq(told, x > 1 || y > 1);
            if (!told)
                continue;
            float observation[2], reward = 0;
            begin(task[0], task[1]);
            for (int i = 0; i < x; i++)
                reward = act(RIGHT, observation);
            for (int i = 0; i < y; i++)
                reward = act(UP, observation);
            ck_assert_float_eq(reward, 1);
            gridworld.close(instance);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gridworld");
    SUITE_TEST(suite, every_move_from_every_cell_goes_one_cell_and_stops_at_walls);
    SUITE_TEST(suite, the_goal_pays_at_every_step_and_does_not_end_the_episode);
    SUITE_TEST(suite, the_largest_score_is_done_and_the_first_of_equals);
    SUITE_TEST(suite, goals_are_21_cells_each_as_likely);
    SUITE_TEST(suite, the_ideal_task_is_the_cell_arrived_at_and_would_have_paid);
    return suite_finish(suite);
}
