// The half cheetahs: against their own formulas, and what becomes of them when the engine has trouble. That they are
// the published robot is shown in published.c.

#include "client/worlds/half_cheetah.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOINTS = HALF_CHEETAH_JOINTS, MOTORS = HALF_CHEETAH_MOTORS, OBSERVATION = 20 };

static const struct world *const both[] = {&half_cheetah_dir, &half_cheetah_vel};

static struct world_instance *begin(const struct world *world)
{
    struct world_instance *instance = NULL;
    char why[300] = "";
    int error = world->open(&instance, why, sizeof why);
    ck_assert_msg(!error, "%d %s", error, why);
    return instance;
}

static void draw_action(struct random_stream *stream, float *action)
{
    for (int i = 0; i < MOTORS; i++)
        action[i] = (float)random_between(stream, -1, 1);
}

START_TEST(an_observation_is_positions_velocities_and_the_trunk_as_the_step_left_it)
{
    struct world_instance *instance = begin(&half_cheetah_dir), *copy = begin(&half_cheetah_dir);
    struct random_stream stream = random_stream(2, 0, 0, 0);
    float observation[OBSERVATION], reward;
    double task = 1;
    half_cheetah_dir.reset(instance, &task, &stream, observation);
    for (int t = 0; t < 100; t++) {
        const mjData *data = instance->simulation.data;
        for (int i = 0; i < JOINTS - 1; i++)
            ck_assert_float_eq(observation[i], (float)data->qpos[1 + i]);
        for (int i = 0; i < JOINTS; i++)
            ck_assert_float_eq(observation[8 + i], (float)data->qvel[i]);
        int trunk = mj_name2id(instance->simulation.model, mjOBJ_BODY, "torso");
        for (int i = 0; i < 3; i++)
            ck_assert_float_eq(observation[17 + i], (float)data->xpos[3 * trunk + i]);

        // Four of the five engine steps from the same state end where the fifth computes the trunk.
        float action[MOTORS];
        draw_action(&stream, action);
        mj_copyData(copy->simulation.data, copy->simulation.model, data);
        for (int i = 0; i < MOTORS; i++)
            copy->simulation.data->ctrl[i] = action[i];
        ck_assert_int_eq(simulation_step(&copy->simulation, 4), 0);
        ck_assert_int_eq(half_cheetah_dir.step(instance, action, &reward, observation), 0);
        ck_assert_float_eq(observation[17], (float)copy->simulation.data->qpos[0]);
        ck_assert_float_eq(observation[18], 0);
        ck_assert_float_eq(observation[19], (float)(0.7 + copy->simulation.data->qpos[1]));
    }
    half_cheetah_dir.close(instance);
    half_cheetah_dir.close(copy);
}
END_TEST

START_TEST(rewards_follow_from_the_states)
{
    for (int w = 0; w < 2; w++) {
        struct world_instance *instance = begin(both[w]);
        struct random_stream stream = random_stream(3, (uint32_t)w, 0, 0);
        for (int episode = 0; episode < 6; episode++) {
            double task;
            float observation[OBSERVATION], reward;
            both[w]->sample_task(&stream, &task);
            both[w]->reset(instance, &task, &stream, observation);
            for (int t = 0; t < 50; t++) {
                float action[MOTORS];
                double cost = 0, before = instance->simulation.data->qpos[0];
                for (int i = 0; i < MOTORS; i++) {
                    action[i] = (float)random_between(&stream, -1.5, 1.5);
                    cost += 0.05 * action[i] * action[i];
                }
                ck_assert_int_eq(both[w]->step(instance, action, &reward, observation), 0);
                double speed = (instance->simulation.data->qpos[0] - before) / 0.05;
                double expected = (w == 0 ? task * speed : -fabs(speed - task)) - cost;
                ck_assert_float_eq_tol(reward, (float)expected, 1e-5f);
            }
        }
        both[w]->close(instance);
    }
}
END_TEST

START_TEST(the_plain_robot_is_the_same_without_its_place_and_pays_more_for_actions)
{
    struct world_instance *plain = begin(&half_cheetah), *dir = begin(&half_cheetah_dir);
    struct random_stream stream = random_stream(12, 0, 0, 0), again = stream, actions = random_stream(13, 0, 0, 0);
    float observation[OBSERVATION], shorter[OBSERVATION], reward, plain_reward;
    double forward = 1;
    half_cheetah_dir.reset(dir, &forward, &stream, observation);
    half_cheetah.reset(plain, NULL, &again, shorter);
    for (int t = 0; t < 200; t++) {
        ck_assert_mem_eq(observation, shorter, half_cheetah.observation_dim * sizeof *shorter);
        float action[MOTORS];
        double square = 0;
        draw_action(&actions, action);
        for (int i = 0; i < MOTORS; i++)
            square += action[i] * action[i];
        for (int i = 0; i < OBSERVATION; i++)
            shorter[i] = NAN;
        ck_assert_int_eq(half_cheetah_dir.step(dir, action, &reward, observation), 0);
        ck_assert_int_eq(half_cheetah.step(plain, action, &plain_reward, shorter), 0);
        ck_assert_float_eq_tol(plain_reward, reward - (float)(0.05 * square), 1e-5f);
        ck_assert(isnan(shorter[half_cheetah.observation_dim]));
    }
    half_cheetah.close(plain);
    half_cheetah_dir.close(dir);
}
END_TEST

START_TEST(the_engine_sees_clamped_actions_and_the_cost_raw_ones)
{
    struct world_instance *instance = begin(&half_cheetah_dir);
    const float inside[MOTORS] = {1, -1, 1, -1, 1, -1}, beyond[MOTORS] = {3, -3, 3, -3, 3, -3};
    const float absurd[MOTORS] = {1e9f, -1e9f, 1e9f, -1e9f, 1e9f, -1e9f};
    float expected[OBSERVATION], observation[OBSERVATION], reward, more, most;
    double task = 1;
    struct random_stream stream = random_stream(4, 0, 0, 0), again = stream, third = stream;
    half_cheetah_dir.reset(instance, &task, &stream, expected);
    ck_assert_int_eq(half_cheetah_dir.step(instance, inside, &reward, expected), 0);
    half_cheetah_dir.reset(instance, &task, &again, observation);
    ck_assert_int_eq(half_cheetah_dir.step(instance, beyond, &more, observation), 0);
    ck_assert_mem_eq(expected, observation, sizeof expected);
    ck_assert_float_eq_tol(reward - more, 0.05f * 6 * (9 - 1), 1e-5f);
    half_cheetah_dir.reset(instance, &task, &third, observation);
    ck_assert_int_eq(half_cheetah_dir.step(instance, absurd, &most, observation), 0);
    ck_assert_mem_eq(expected, observation, sizeof expected);
    ck_assert_float_eq_tol(most, -0.05f * 6e18f, 1e13f);
    half_cheetah_dir.close(instance);
}
END_TEST

START_TEST(starts_are_drawn_around_the_pose_of_the_model)
{
    struct world_instance *instance = begin(&half_cheetah_vel);
    struct random_stream stream = random_stream(5, 0, 0, 0);
    enum { STARTS = 4000 };
    double sum[2][JOINTS] = {{0}}, square[2][JOINTS] = {{0}}, task = 1;
    for (int n = 0; n < STARTS; n++) {
        float observation[OBSERVATION];
        half_cheetah_vel.reset(instance, &task, &stream, observation);
        const mjData *data = instance->simulation.data;
        ck_assert_double_eq(data->time, 0);
        ck_assert_float_eq(observation[17], (float)data->qpos[0]);  // not stale
        for (int i = 0; i < JOINTS; i++) {
            ck_assert_double_le(fabs(data->qpos[i]), 0.1);
            sum[0][i] += data->qpos[i];
            sum[1][i] += data->qvel[i];
            square[0][i] += data->qpos[i] * data->qpos[i];
            square[1][i] += data->qvel[i] * data->qvel[i];
        }
    }
    const double sd[2] = {0.1 / sqrt(3), 0.1};  // uniform, normal
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < JOINTS; i++) {
            ck_assert_double_eq_tol(sum[k][i] / STARTS, 0, 4.5 * sd[k] / sqrt(STARTS));
            ck_assert_double_eq_tol(sqrt(square[k][i] / STARTS), sd[k], 4.5 * sd[k] / sqrt(2 * STARTS));
        }
    half_cheetah_vel.close(instance);
}
END_TEST

START_TEST(tasks_are_two_directions_and_uniform_speeds)
{
    struct random_stream stream = random_stream(6, 0, 0, 0);
    int forward = 0, bins[10] = {0};
    for (int i = 0; i < 10000; i++) {
        double task;
        half_cheetah_dir.sample_task(&stream, &task);
        ck_assert(task == 1 || task == -1);
        forward += task > 0;
        half_cheetah_vel.sample_task(&stream, &task);
        ck_assert(task >= 0 && task < 3);
        bins[(int)(task / 3 * 10)]++;
    }
    ck_assert_int_lt(abs(forward - 5000), 5 * 50);
    for (int i = 0; i < 10; i++)
        ck_assert_int_lt(abs(bins[i] - 1000), 5 * 30);
}
END_TEST

START_TEST(the_ideal_task_makes_of_a_transition_the_best_one)
{
    for (int w = 0; w < 2; w++) {
        struct world_instance *instance = begin(both[w]);
        struct random_stream stream = random_stream(7, 0, 0, 0);
        int told = 0, untold = 0;
        for (int episode = 0; episode < 10; episode++) {
            float observation[OBSERVATION], next[OBSERVATION], reward;
            double task = 1;
            both[w]->reset(instance, &task, &stream, observation);
            for (int t = 0; t < 100; t++) {
                float action[MOTORS];
                draw_action(&stream, action);
                double before = instance->simulation.data->qpos[0], ideal = 7;
                ck_assert_int_eq(both[w]->step(instance, action, &reward, next), 0);
                double speed = (instance->simulation.data->qpos[0] - before) / 0.05;
                // float places are rounded; the first observation of an episode is not behind, see half_cheetah.c
                double tolerance = t == 0 ? 0.2 * fabs((double)observation[8]) + 1e-4 : 1e-4;
                if (both[w]->ideal_task(observation, action, next, &ideal)) {
                    told++;
                    if (w == 0)
                        ck_assert_double_eq(ideal, speed > 0 ? 1 : -1);
                    else
                        ck_assert_double_eq_tol(ideal, fmax(0, fmin(3, speed)), tolerance);
                } else {
                    untold++;
                    ck_assert_double_eq(ideal, 7);
                    if (w == 0)
                        ck_assert_double_le(fabs(speed), 0.25 + tolerance);
                    else
                        ck_assert(speed < -0.25 + tolerance || speed > 3.25 - tolerance);
                }
                memcpy(observation, next, sizeof next);
            }
        }
        ck_assert_int_gt(told, 100);
        ck_assert_int_gt(untold, 10);
        both[w]->close(instance);
    }
}
END_TEST

// Steps with what the engine cannot integrate, in a fresh directory where a log file would show.
START_TEST(a_diverged_simulation_is_reported_and_reset_recovers)
{
    char directory[] = "/tmp/half-cheetah-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
    struct world_instance *instance = begin(&half_cheetah_vel), *fresh = begin(&half_cheetah_vel);
    static const double bad[] = {NAN, INFINITY, 1e12, -1e12};
    const float action[MOTORS] = {0.5f, -0.5f, 0.5f, -0.5f, 0.5f, -0.5f};
    double task = 2;
    for (int what = 0; what < 2; what++)
        for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
            struct random_stream stream = random_stream(8, 0, 0, 0), same = stream;
            float observation[OBSERVATION], expected[OBSERVATION], reward = 5, expected_reward;
            half_cheetah_vel.reset(instance, &task, &stream, observation);
            (what ? instance->simulation.data->qvel : instance->simulation.data->qpos)[3] = bad[b];
            memset(observation, 0, sizeof observation);
            ck_assert_int_eq(half_cheetah_vel.step(instance, action, &reward, observation), -EIO);
            ck_assert_int_eq(half_cheetah_vel.step(instance, action, &reward, observation), -EIO);  // still void
            ck_assert_float_eq(reward, 5);
            for (int i = 0; i < OBSERVATION; i++)
                ck_assert_float_eq(observation[i], 0);

            stream = same;
            half_cheetah_vel.reset(instance, &task, &stream, observation);
            half_cheetah_vel.reset(fresh, &task, &same, expected);
            ck_assert_mem_eq(observation, expected, sizeof expected);
            for (int t = 0; t < 20; t++) {
                ck_assert_int_eq(half_cheetah_vel.step(instance, action, &reward, observation), 0);
                ck_assert_int_eq(half_cheetah_vel.step(fresh, action, &expected_reward, expected), 0);
                ck_assert_mem_eq(observation, expected, sizeof expected);
                ck_assert_mem_eq(&reward, &expected_reward, sizeof reward);
            }
        }
    half_cheetah_vel.close(instance);
    half_cheetah_vel.close(fresh);
    ck_assert_int_eq(access("MUJOCO_LOG.TXT", F_OK), -1);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(directory), 0);  // nothing else was left there either
}
END_TEST

START_TEST(an_engine_error_ends_the_program_with_a_sentence)
{
    char directory[] = "/tmp/half-cheetah-XXXXXX", said[200] = "";
    int ends[2], status;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct world_instance *instance;
        char why[200];
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        if (chdir(directory) || dup2(ends[1], STDERR_FILENO) < 0 ||
            half_cheetah_dir.open(&instance, why, sizeof why))
            _exit(1);
        mju_error("the test asked for it");
        _exit(2);
    }
    close(ends[1]);
    size_t size = 0;
    for (ssize_t n; (n = read(ends[0], said + size, sizeof said - 1 - size)) > 0;)
        size += (size_t)n;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_msg(strstr(said, "MuJoCo cannot go on: ") && strstr(said, "the test asked for it"), "said: %s",
                  said);
    ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(contacts_and_rows_stay_within_what_the_model_reserves)
{
    struct world_instance *instance = begin(&half_cheetah_dir);
    const mjData *data = instance->simulation.data;
    struct random_stream stream = random_stream(9, 0, 0, 0);
    int contacts = 0, rows = 0;
    double task = 1;
    for (int episode = 0; episode < 30; episode++) {
        float observation[OBSERVATION], action[MOTORS], reward;
        half_cheetah_dir.reset(instance, &task, &stream, observation);
        if (episode % 2) {  // deep in the floor, every joint beyond a limit, in any posture
            double qpos[JOINTS], qvel[JOINTS] = {0};
            for (int i = 0; i < JOINTS; i++)
                qpos[i] = random_below(&stream, 2) ? 1.3 : -1.3;
            qpos[1] = -2;
            qpos[2] = random_between(&stream, -3, 3);
            mechanism_place(instance, qpos, qvel, observation);
            contacts = data->ncon > contacts ? (int)data->ncon : contacts;
            rows = data->nefc > rows ? (int)data->nefc : rows;
        }
        for (int t = 0; t < 60; t++) {
            for (int i = 0; i < MOTORS; i++)
                action[i] = random_below(&stream, 2) ? 1 : -1;
            if (half_cheetah_dir.step(instance, action, &reward, observation)) {
                ck_assert_int_eq(data->warning[mjWARN_CONTACTFULL].number, 0);
                ck_assert_int_eq(data->warning[mjWARN_CNSTRFULL].number, 0);
                break;  // expelled from the floor too fast
            }
            contacts = data->ncon > contacts ? (int)data->ncon : contacts;
            rows = data->nefc > rows ? (int)data->nefc : rows;
        }
    }
    ck_assert_int_eq(contacts, 16);  // the most there can be
    ck_assert_int_eq(rows, 70);
    half_cheetah_dir.close(instance);
}
END_TEST

START_TEST(instances_of_both_worlds_share_one_model)
{
    enum { MANY = 64 };
    struct world_instance *instances[MANY];
    for (int i = 0; i < MANY; i++) {
        instances[i] = begin(both[i % 2]);
        ck_assert_ptr_eq(instances[i]->simulation.model, instances[0]->simulation.model);
        ck_assert(i == 0 || instances[i]->simulation.data != instances[0]->simulation.data);
    }
    const mjData *data = instances[0]->simulation.data;
#if mjVERSION_HEADER < 230
    size_t bytes = (size_t)data->nbuffer + (size_t)data->nstack * sizeof(mjtNum), limit = 1 << 19;
#else
    size_t bytes = (size_t)data->nbuffer + (size_t)data->narena;  // an arena is mostly never touched
    size_t limit = 1 << 21;
#endif
    printf("MuJoCo %s: %zu bytes of simulation data each\n", mj_versionString(), bytes);
    ck_assert_uint_lt(bytes, limit);
    for (int i = 0; i < MANY; i++)
        both[i % 2]->close(instances[i]);
}
END_TEST

static size_t allocations;

static void *count_allocation(size_t size)
{
    allocations++;
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

START_TEST(the_engine_allocates_nothing_in_a_step)
{
    mju_user_malloc = count_allocation;
    mju_user_free = free;
    struct world_instance *instance = begin(&half_cheetah_vel);
    ck_assert_uint_gt(allocations, 0);
    struct random_stream stream = random_stream(10, 0, 0, 0);
    for (int episode = 0; episode < 3; episode++) {
        float observation[OBSERVATION], action[MOTORS], reward;
        double task = 1;
        half_cheetah_vel.reset(instance, &task, &stream, observation);
        allocations = 0;  // 3.0.1 makes two in a reset, 2.2.2 none
        for (int t = 0; t < 100; t++) {
            draw_action(&stream, action);
            ck_assert_int_eq(half_cheetah_vel.step(instance, action, &reward, observation), 0);
        }
        ck_assert_uint_eq(allocations, 0);
    }
    half_cheetah_vel.close(instance);
}
END_TEST

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// The same trajectory by the world and by bare engine steps, in turn; the fastest round of each counts. A busy
// machine gets more rounds to find one that was not disturbed.
START_TEST(a_step_costs_what_the_engine_costs)
{
    enum { ROUNDS = 24, ROUNDS_LIMIT = 400, STEPS = 200 };
    struct world_instance *instance = begin(&half_cheetah_vel), *bare = begin(&half_cheetah_vel);
    static float actions[STEPS][MOTORS];
    double best[2] = {INFINITY, INFINITY}, task = 1;
    struct random_stream stream = random_stream(11, 0, 0, 0);
    for (int t = 0; t < STEPS; t++)
        draw_action(&stream, actions[t]);
    for (int round = 0; round < ROUNDS || (round < ROUNDS_LIMIT && best[1] / best[0] < 0.97); round++) {
        float observation[OBSERVATION], reward;
        struct random_stream start = random_stream(12, 0, 0, 0), same = start;
        half_cheetah_vel.reset(instance, &task, &start, observation);
        half_cheetah_vel.reset(bare, &task, &same, observation);
        double begun = cpu_seconds();
        for (int t = 0; t < STEPS; t++)
            half_cheetah_vel.step(instance, actions[t], &reward, observation);
        double between = cpu_seconds();
        for (int t = 0; t < STEPS; t++) {
            for (int i = 0; i < MOTORS; i++)
                bare->simulation.data->ctrl[i] = actions[t][i];
            for (int i = 0; i < HALF_CHEETAH_FRAME_SKIP; i++)
                mj_step(bare->simulation.model, bare->simulation.data);
        }
        best[0] = fmin(best[0], between - begun);
        best[1] = fmin(best[1], cpu_seconds() - between);
        ck_assert_mem_eq(instance->simulation.data->qpos, bare->simulation.data->qpos, JOINTS * sizeof(double));
    }
    printf("half-cheetah: %.0f steps/s, %.3f of bare engine steps\n", STEPS / best[0], best[1] / best[0]);
    ck_assert_double_gt(best[1] / best[0], 0.97);
    half_cheetah_vel.close(instance);
    half_cheetah_vel.close(bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("half cheetah");
    SUITE_TEST(suite, an_observation_is_positions_velocities_and_the_trunk_as_the_step_left_it);
    SUITE_TEST(suite, rewards_follow_from_the_states);
    SUITE_TEST(suite, the_plain_robot_is_the_same_without_its_place_and_pays_more_for_actions);
    SUITE_TEST(suite, the_engine_sees_clamped_actions_and_the_cost_raw_ones);
    SUITE_TEST(suite, starts_are_drawn_around_the_pose_of_the_model);
    SUITE_TEST(suite, tasks_are_two_directions_and_uniform_speeds);
    SUITE_TEST(suite, the_ideal_task_makes_of_a_transition_the_best_one);
    SUITE_TEST(suite, a_diverged_simulation_is_reported_and_reset_recovers);
    SUITE_TEST(suite, an_engine_error_ends_the_program_with_a_sentence);
    SUITE_TEST(suite, contacts_and_rows_stay_within_what_the_model_reserves);
    SUITE_TEST(suite, instances_of_both_worlds_share_one_model);
    SUITE_TEST(suite, the_engine_allocates_nothing_in_a_step);
    SUITE_TEST(suite, a_step_costs_what_the_engine_costs);
    return suite_finish(suite);
}
