// Gridworld is small enough to be checked in every cell.

#include "client/worlds/worlds.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <stdlib.h>

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

// Bayes-optimal play. What is known of the goal is a set: the cells where it has not been looked for yet, each as
// likely. Reaching the goal at step t of an episode and staying pays 1.1 (16 - t) - 1.5 there, for 15 steps of -0.1
// and 1.1 more from then on.
//
// No player does better than this. In the first episode a step looks into one cell at most; step 1 leads to one that
// cannot be the goal, so at best 14 of the 21 goals are reached, at steps 2, 3, ..., 15. In a later episode a goal is at
// best reached by a shortest way, known or not. A plan that meets both bounds is therefore optimal, for the sum as for
// each episode and under any discount; the search below finds one: a way through 14 fresh cells that leaves seven
// which one shortest way passes, so that a goal not found in the first episode costs nothing in the second.

enum { SIDE = 5, CELLS = SIDE * SIDE, STEPS = 15, EPISODES = 4 };

static const int by[5][2] = {{0, 0}, {0, 1}, {1, 0}, {0, -1}, {-1, 0}};

static int cell_after(int cell, int choice)
{
    int x = cell % SIDE + by[choice][0], y = cell / SIDE + by[choice][1];
    return x >= 0 && x < SIDE && y >= 0 && y < SIDE ? y * SIDE + x : -1;
}

static int distance(int from, int to)
{
    return abs(from % SIDE - to % SIDE) + abs(from / SIDE - to / SIDE);
}

static uint32_t all_goals(void)
{
    uint32_t goals = 0;
    for (size_t i = 0; i < gridworld.task_count; i++) {
        double task[2];
        gridworld.task_at(i, task);
        goals |= 1u << (int)(task[1] * SIDE + task[0]);
    }
    return goals;
}

// Does one shortest way from the start pass all of them? Then the nearest lies on a shortest way to the next, and so on.
static int on_one_way(uint32_t cells)
{
    int at = 0;
    for (int away = 1; away <= 2 * (SIDE - 1); away++)
        for (int cell = 0; cell < CELLS; cell++)
            if (cells >> cell & 1 && distance(0, cell) == away) {
                if (distance(0, at) + distance(at, cell) != away)
                    return 0;
                at = cell;
            }
    return 1;
}

// A way of the first episode, from way[taken] on.
static int search(int way[STEPS + 1], int taken, uint32_t unseen)
{
    if (taken == STEPS)
        return on_one_way(unseen);
    for (int choice = 1; choice < 5; choice++) {
        int cell = cell_after(way[taken], choice);
        if (cell < 0 || (taken > 0 && !(unseen >> cell & 1)))
            continue;
        way[taken + 1] = cell;
        if (search(way, taken + 1, unseen & ~(1u << cell)))
            return 1;
    }
    return 0;
}

// One step nearer to a cell, or staying there.
static int towards(int from, int to)
{
    for (int choice = 0; choice < 5; choice++) {
        int cell = cell_after(from, choice);
        if (cell >= 0 && distance(cell, to) == (from == to ? 0 : distance(from, to) - 1))
            return choice;
    }
    return STAY;
}

static int lowest(uint32_t cells)
{
    int nearest = -1;
    for (int cell = 0; cell < CELLS; cell++)
        if (cells >> cell & 1 && (nearest < 0 || distance(0, cell) < distance(0, nearest)))
            nearest = cell;
    return nearest;
}

// The four returns of one task.
static void play(const int way[STEPS + 1], size_t task_number, double returns[EPISODES])
{
    double task[2];
    float observation[2];
    uint32_t unseen = all_goals();
    int goal = -1;
    gridworld.task_at(task_number, task);
    begin(task[0], task[1]);
    for (int episode = 0; episode < EPISODES; episode++) {
        gridworld.reset(instance, task, &stream, observation);
        returns[episode] = 0;
        for (int step = 0; step < STEPS; step++) {
            int cell = (int)(observation[1] * SIDE + observation[0]);
            int next = goal >= 0 ? goal : episode == 0 ? way[step + 1] : lowest(unseen);
            float reward = act(towards(cell, next), observation);
            returns[episode] += (double)reward;
            int arrived = (int)(observation[1] * SIDE + observation[0]);
            unseen &= ~(1u << arrived);
            if (reward > 0)
                goal = arrived;
        }
    }
    gridworld.close(instance);
}

START_TEST(bayes_optimal_play_meets_the_upper_bound)
{
    int way[STEPS + 1] = {0};
    ck_assert_msg(search(way, 0, all_goals()), "there is no way through 14 fresh cells that leaves seven in a row");

    double bound_first = -1.5, bound_later = -1.5, mean[EPISODES] = {0}, goals = (double)gridworld.task_count;
    for (int t = 2; t <= STEPS; t++)
        bound_first += 1.1 * (16 - t) / goals;
    for (size_t i = 0; i < gridworld.task_count; i++) {
        double task[2], returns[EPISODES];
        gridworld.task_at(i, task);
        bound_later += 1.1 * (16 - task[0] - task[1]) / goals;
        play(way, i, returns);
        for (int episode = 0; episode < EPISODES; episode++)
            mean[episode] += returns[episode] / goals;
    }
    ck_assert_double_eq_tol(bound_first, 4, 1e-12);
    ck_assert_double_eq_tol(bound_later, 11.0714285714, 1e-9);
    ck_assert_double_eq_tol(mean[0], bound_first, 1e-6);
    for (int episode = 1; episode < EPISODES; episode++)
        ck_assert_double_eq_tol(mean[episode], bound_later, 1e-6);
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
    SUITE_TEST(suite, bayes_optimal_play_meets_the_upper_bound);
    return suite_finish(suite);
}
