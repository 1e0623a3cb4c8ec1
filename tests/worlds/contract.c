// What world.h promises, asked of every world.

#include "client/worlds/worlds.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { DIM_LIMIT = 400, STEPS = 60, RECORD_LIMIT = 2 * (STEPS + 1) * DIM_LIMIT };

static struct world_instance *open_world(const struct world *world)
{
    struct world_instance *instance = NULL;
    char why[300] = "";
    int error = world->open(&instance, why, sizeof why);
    ck_assert_msg(!error && instance, "%s: %d %s", world->name, error, why);
    return instance;
}

static void draw_action(const struct world *world, struct random_stream *stream, float *action)
{
    for (size_t i = 0; i < world->action_dim; i++)
        action[i] = (float)random_between(stream, world->action_low, world->action_high);
}

// In the order of the list.
static const struct {
    const char *name;
    size_t observation_dim, action_dim, task_dim, horizon, episodes;
    double discount, step_seconds;
} published[] = {
    {"gridworld", 2, 5, 2, 15, 4, 0.95, 0},
    {"point", 2, 2, 2, 100, 1, 0.99, 0},
    {"point-sparse", 2, 2, 2, 100, 3, 0.99, 0},
    {"half-cheetah", 17, 6, 0, 1000, 1, 0.99, 0.05},
    {"half-cheetah-dir", 20, 6, 1, 200, 2, 0.97, 0.05},
    {"half-cheetah-vel", 20, 6, 1, 200, 2, 0.97, 0.05},
    {"half-cheetah-body", 17, 6, 10, 200, 2, 0.97, 0.05},
    {"hopper-params", 11, 3, 41, 200, 2, 0.97, 0.016},
    {"walker-params", 17, 6, 65, 200, 2, 0.97, 0.016},
    {"ant-dir", 27, 8, 1, 200, 2, 0.97, 0.05},
    {"ant-dir-2d", 27, 8, 2, 200, 2, 0.97, 0.05},
    {"ant-dir-radians", 27, 8, 1, 200, 2, 0.97, 0.05},
    {"ant-goal", 113, 8, 2, 200, 2, 0.97, 0.05},
    {"ant-body", 27, 8, 14, 200, 2, 0.97, 0.05},
    {"humanoid-dir", 376, 17, 2, 200, 2, 0.99, 0.015},
    {"reacher-goal", 6, 2, 2, 50, 2, 0.97, 0.02},
    {"pusher-goal", 20, 7, 2, 100, 2, 0.97, 0.05},
};

START_TEST(worlds_are_found_by_name_and_number)
{
    size_t count = sizeof published / sizeof *published;
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_nonnull(world_at(i));
        ck_assert_str_eq(world_at(i)->name, published[i].name);
        ck_assert_ptr_eq(world_find(published[i].name), world_at(i));
    }
    ck_assert_ptr_null(world_at(count));
    ck_assert_ptr_null(world_find("half-cheetah-"));
    ck_assert_ptr_null(world_find(""));
}
END_TEST

START_TEST(sizes_are_those_of_the_published_tasks)
{
    for (size_t i = 0; world_at(i); i++) {
        const struct world *world = world_at(i);
        ck_assert_uint_eq(world->observation_dim, published[i].observation_dim);
        ck_assert_uint_eq(world->action_dim, published[i].action_dim);
        ck_assert_uint_eq(world->task_dim, published[i].task_dim);
        ck_assert_uint_eq(world->horizon, published[i].horizon);
        ck_assert_uint_eq(world->episodes, published[i].episodes);
        ck_assert_double_eq(world->discount, published[i].discount);
        ck_assert_double_eq_tol(world->step_seconds, published[i].step_seconds, 1e-15);
        ck_assert_float_eq(world->action_low, world->discrete ? 0 : -1);
        ck_assert_float_eq(world->action_high, 1);
        ck_assert_uint_le(world->observation_dim, DIM_LIMIT - 1);
        ck_assert_ptr_nonnull(world->summary);
        // Names first, then none: one stands for all that are like it.
        ck_assert_int_eq(world->task_names[0] != NULL, world->task_dim > 0);
        for (size_t k = 1; k < WORLD_TASK_LIMIT; k++)
            ck_assert(!world->task_names[k] || (world->task_names[k - 1] && k < world->task_dim));
    }
}
END_TEST

START_TEST(tasks_lie_in_the_range_they_are_said_to)
{
    for (size_t i = 0; world_at(i); i++) {
        const struct world *world = world_at(i);
        struct random_stream stream = random_stream(1, 2, 3, (uint32_t)i);
        double low[WORLD_TASK_LIMIT], high[WORLD_TASK_LIMIT];
        for (size_t k = 0; k < world->task_dim; k++) {
            low[k] = INFINITY;
            high[k] = -INFINITY;
        }
        for (int n = 0; n < 5000; n++) {
            double task[WORLD_TASK_LIMIT];
            world->sample_task(&stream, task);
            for (size_t k = 0; k < world->task_dim; k++) {
                ck_assert_double_ge(task[k], world->task_low[k] - 1e-12);
                ck_assert_double_le(task[k], world->task_high[k] + 1e-12);
                low[k] = fmin(low[k], task[k]);
                high[k] = fmax(high[k], task[k]);
            }
        }
        for (size_t k = 0; k < world->task_dim; k++) {  // and fill it
            double range = world->task_high[k] - world->task_low[k];
            ck_assert_double_lt(low[k], world->task_low[k] + 0.03 * range);
            ck_assert_double_gt(high[k], world->task_high[k] - 0.03 * range);
        }
    }
}
END_TEST

START_TEST(a_finite_family_is_all_that_is_sampled)
{
    for (size_t i = 0; world_at(i); i++) {
        const struct world *world = world_at(i);
        ck_assert_int_eq(world->task_count != 0, world->task_at != NULL);
        struct random_stream stream = random_stream(1, 2, 4, (uint32_t)i);
        int met[64] = {0};
        ck_assert_uint_le(world->task_count, 64);
        for (size_t n = 0; n < 100 * world->task_count; n++) {
            double sampled[WORLD_TASK_LIMIT], listed[WORLD_TASK_LIMIT];
            world->sample_task(&stream, sampled);
            int matches = 0;
            for (size_t k = 0; k < world->task_count; k++) {
                world->task_at(k, listed);
                int same = memcmp(sampled, listed, world->task_dim * sizeof *listed) == 0;
                met[k] += same;
                matches += same;
            }
            ck_assert_int_eq(matches, 1);
        }
        for (size_t k = 0; k < world->task_count; k++)
            ck_assert_int_gt(met[k], 0);
    }
}
END_TEST

START_TEST(a_world_of_choices_does_the_largest_number)
{
    for (size_t i = 0; world_at(i); i++) {
        const struct world *world = world_at(i);
        if (!world->discrete)
            continue;
        struct world_instance *instance = open_world(world);
        for (size_t choice = 0; choice < world->action_dim; choice++) {
            struct random_stream stream = random_stream(1, 2, 5, (uint32_t)i);
            double task[WORLD_TASK_LIMIT];
            float first[DIM_LIMIT], second[DIM_LIMIT], rewards[2];
            float action[DIM_LIMIT] = {0}, scores[DIM_LIMIT];
            world->sample_task(&stream, task);
            for (size_t k = 0; k < world->action_dim; k++)
                scores[k] = k == choice ? 7 : -3.5f * (float)k;
            action[choice] = 1;
            struct random_stream start = stream;
            world->reset(instance, task, &start, first);
            ck_assert_int_eq(world->step(instance, action, &rewards[0], first), 0);
            start = stream;
            world->reset(instance, task, &start, second);
            ck_assert_int_eq(world->step(instance, scores, &rewards[1], second), 0);
            ck_assert_mem_eq(first, second, world->observation_dim * sizeof *first);
            ck_assert_float_eq(rewards[0], rewards[1]);
        }
        world->close(instance);
    }
}
END_TEST

// Task, start and some steps, written one after the other; where an episode ends early, the next one's start too.
static size_t record(const struct world *world, struct world_instance *instance, uint64_t seed, size_t steps,
                     float *bytes)
{
    struct random_stream stream = random_stream(seed, 4, 5, 6);
    double task[WORLD_TASK_LIMIT];
    float *end = bytes;
    world->sample_task(&stream, task);
    world->reset(instance, task, &stream, end);
    end += world->observation_dim;
    for (size_t t = 0; t < steps; t++) {
        float action[DIM_LIMIT];
        draw_action(world, &stream, action);
        int ended = world->step(instance, action, end, end + 1);
        ck_assert_msg(ended == 0 || ended == 1, "%s: %d", world->name, ended);
        end += 1 + world->observation_dim;
        if (ended) {
            world->reset(instance, task, &stream, end);
            end += world->observation_dim;
        }
    }
    return (size_t)(end - bytes) * sizeof *bytes;
}

START_TEST(the_same_stream_gives_the_same_bits)
{
    static float first[RECORD_LIMIT], second[RECORD_LIMIT];
    for (size_t i = 0; world_at(i); i++) {
        const struct world *world = world_at(i);
        struct world_instance *one = open_world(world), *other = open_world(world);
        size_t size = record(world, one, 11, STEPS, first);
        ck_assert_msg(record(world, other, 12, STEPS, second) != size || memcmp(first, second, size),
                      "%s: the seed changes nothing", world->name);
        record(world, other, 11, STEPS, second);  // in another instance, and after another episode
        ck_assert_mem_eq(first, second, size);
        record(world, one, 11, STEPS, second);    // and again in the first
        ck_assert_mem_eq(first, second, size);
        world->close(one);
        world->close(other);
    }
}
END_TEST

START_TEST(interleaved_instances_do_not_disturb_each_other)
{
    static float alone[RECORD_LIMIT];
    for (size_t i = 0; world_at(i); i++) {
        const struct world *world = world_at(i);
        struct world_instance *one = open_world(world), *other = open_world(world);
        record(world, one, 21, STEPS, alone);

        struct random_stream stream = random_stream(21, 4, 5, 6), noise = random_stream(22, 4, 5, 6);
        double task[WORLD_TASK_LIMIT], other_task[WORLD_TASK_LIMIT];
        float observation[DIM_LIMIT], ignored[DIM_LIMIT], reward, action[DIM_LIMIT];
        const float *expected = alone + world->observation_dim;
        world->sample_task(&stream, task);
        world->sample_task(&noise, other_task);
        world->reset(one, task, &stream, observation);
        world->reset(other, other_task, &noise, ignored);
        for (size_t t = 0; t < STEPS; t++) {
            draw_action(world, &noise, action);
            if (world->step(other, action, &reward, ignored))
                world->reset(other, other_task, &noise, ignored);
            draw_action(world, &stream, action);
            int ended = world->step(one, action, &reward, observation);
            ck_assert_mem_eq(&reward, expected, sizeof reward);
            ck_assert_mem_eq(observation, expected + 1, world->observation_dim * sizeof *observation);
            expected += 1 + world->observation_dim;
            if (ended) {
                world->reset(one, task, &stream, observation);
                expected += world->observation_dim;
            }
        }
        world->close(one);
        world->close(other);
    }
}
END_TEST

START_TEST(an_observation_is_written_whole_and_nothing_beside_it)
{
    for (size_t i = 0; world_at(i); i++) {
        const struct world *world = world_at(i);
        struct world_instance *instance = open_world(world);
        struct random_stream stream = random_stream(31, 0, 0, 0);
        double task[WORLD_TASK_LIMIT];
        float observation[DIM_LIMIT + 1], reward = NAN, action[DIM_LIMIT];
        for (size_t k = 0; k <= DIM_LIMIT; k++)
            observation[k] = NAN;
        world->sample_task(&stream, task);
        world->reset(instance, task, &stream, observation);
        for (size_t k = 0; k <= DIM_LIMIT; k++) {
            ck_assert_int_eq(!isnan(observation[k]), k < world->observation_dim);
            observation[k] = NAN;
        }
        draw_action(world, &stream, action);
        ck_assert_int_eq(world->step(instance, action, &reward, observation), 0);
        ck_assert_float_finite(reward);
        for (size_t k = 0; k <= DIM_LIMIT; k++)
            ck_assert_int_eq(!isnan(observation[k]), k < world->observation_dim);
        world->close(instance);
    }
}
END_TEST

START_TEST(an_action_that_is_no_number_voids_the_step)
{
    static float expected[RECORD_LIMIT], again[RECORD_LIMIT];
    for (size_t i = 0; world_at(i); i++) {
        const struct world *world = world_at(i);
        struct world_instance *instance = open_world(world);
        size_t size = record(world, instance, 41, 3, expected);
        static const float bad[] = {NAN, INFINITY, -INFINITY};
        for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
            for (size_t k = 0; k < world->action_dim; k++) {
                float action[DIM_LIMIT] = {0}, reward = 7, observation[DIM_LIMIT];
                for (size_t j = 0; j < world->observation_dim; j++)
                    observation[j] = 8;
                action[k] = bad[b];
                ck_assert_int_eq(world->step(instance, action, &reward, observation), -EIO);
                ck_assert_float_eq(reward, 7);
                for (size_t j = 0; j < world->observation_dim; j++)
                    ck_assert_float_eq(observation[j], 8);
                record(world, instance, 41, 3, again);
                ck_assert_mem_eq(expected, again, size);
            }
        }
        world->close(instance);
    }
}
END_TEST

START_TEST(closing_nothing_does_nothing)
{
    for (size_t i = 0; world_at(i); i++)
        world_at(i)->close(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("worlds");
    SUITE_TEST(suite, worlds_are_found_by_name_and_number);
    SUITE_TEST(suite, sizes_are_those_of_the_published_tasks);
    SUITE_TEST(suite, tasks_lie_in_the_range_they_are_said_to);
    SUITE_TEST(suite, a_finite_family_is_all_that_is_sampled);
    SUITE_TEST(suite, a_world_of_choices_does_the_largest_number);
    SUITE_TEST(suite, the_same_stream_gives_the_same_bits);
    SUITE_TEST(suite, interleaved_instances_do_not_disturb_each_other);
    SUITE_TEST(suite, an_observation_is_written_whole_and_nothing_beside_it);
    SUITE_TEST(suite, an_action_that_is_no_number_voids_the_step);
    SUITE_TEST(suite, closing_nothing_does_nothing);
    return suite_finish(suite);
}
