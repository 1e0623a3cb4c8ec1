// Evaluation: what it tells is what playing each task alone tells, for any number of threads.

#include "learner/evaluate.h"

#include "client/worlds/world.h"
#include "daemon/base/random.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/agent/sample.h"
#include "tests/support/suite.h"

enum { TASKS = 70 };  // more than one batch

// A model of random numbers for the world, with both heads; or an oracle. Its robots stay near where they start.
static struct model *random_model(const struct world *world, int oracle)
{
    struct model_shape shape = sample_small;
    shape.world = world->name;
    shape.observation_dim = world->observation_dim;
    shape.action_dim = world->action_dim;
    shape.task_dim = world->task_dim;
    if (oracle) {
        shape.reads_task = 1;
        shape.landmark_count = 0;
        shape.heads[HEAD_TRANSITION].features = shape.heads[HEAD_REWARD].features = 0;
    }
    struct model *model = sample_model(&shape, 11);
    for (size_t i = 0; i < world->action_dim; i++) {
        model->action_low[i] = 0.05f * world->action_low;
        model->action_high[i] = 0.05f * world->action_high;
    }
    char why[200] = "";
    ck_assert_msg(model_finish(model, why, sizeof why) == 0, "%s", why);
    return model;
}

static struct evaluation run(const struct world *world, const struct model *model, enum evaluate_agent agent,
                             size_t tasks, uint64_t seed, unsigned threads)
{
    struct evaluation result = {.returns = malloc(tasks * world->episodes * sizeof(double))};
    for (size_t i = 0; i < tasks * world->episodes; i++)
        result.returns[i] = NAN;
    struct pool *pool = pool_start(threads);
    int error = evaluate(&result, world, model, agent, tasks, seed, pool);
    ck_assert_msg(error == 0, "%s", strerror(-error));
    pool_stop(pool);
    ck_assert_uint_eq(result.tasks, tasks);
    ck_assert_uint_eq(result.episodes, world->episodes);
    return result;
}

static void check_equal(const double *a, const double *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(a[i] == b[i] && isfinite(a[i]), "return %zu: %.17g and %.17g", i, a[i], b[i]);
}

static int differ(const double *a, const double *b, size_t count)
{
    return memcmp(a, b, count * sizeof *a) != 0;
}

START_TEST(the_result_does_not_depend_on_the_threads)
{
    static const struct {
        const char *name;
        size_t tasks;
    } worlds[] = {{"point", TASKS}, {"half-cheetah-vel", 5}};
    for (size_t w = 0; w < 2; w++) {
        const struct world *world = world_find(worlds[w].name);
        struct model *model = random_model(world, 0);
        size_t tasks = worlds[w].tasks;
        struct evaluation one = run(world, model, EVALUATE_BELIEF, tasks, 1, 1);
        for (unsigned threads = 2; threads <= 8; threads += 3) {
            struct evaluation many = run(world, model, EVALUATE_BELIEF, tasks, 1, threads);
            check_equal(many.returns, one.returns, tasks * world->episodes);
            check_equal(many.mean, one.mean, world->episodes);
            check_equal(many.standard_error, one.standard_error, world->episodes);
            free(many.returns);
        }
        free(one.returns);
        model_free(model);
    }
}
END_TEST

START_TEST(a_task_does_not_know_how_many_others_there_are)
{
    const struct world *world = world_find("point");
    struct model *model = random_model(world, 0);
    struct evaluation many = run(world, model, EVALUATE_BELIEF, TASKS, 1, 2);
    struct evaluation few = run(world, model, EVALUATE_BELIEF, 3, 1, 2);
    check_equal(few.returns, many.returns, 3 * world->episodes);
    free(many.returns);
    free(few.returns);
    model_free(model);
}
END_TEST

START_TEST(rewards_by_step_add_up_to_the_mean_returns_with_any_number_of_threads)
{
    const struct world *world = world_find("point-sparse");
    struct model *model = random_model(world, 0);
    size_t steps = world->episodes * world->horizon;
    double *rewards[2];
    for (unsigned threads = 1; threads <= 2; threads++) {
        struct pool *pool = pool_start(3 * threads - 2);
        struct evaluation result = {.returns = malloc(TASKS * world->episodes * sizeof(double)),
                                    .rewards = rewards[threads - 1] = malloc(steps * sizeof(double))};
        for (size_t t = 0; t < steps; t++)
            result.rewards[t] = NAN;
        ck_assert_int_eq(evaluate(&result, world, model, EVALUATE_BELIEF, TASKS, 5, pool), 0);
        for (size_t episode = 0; episode < world->episodes; episode++) {
            double sum = 0;
            for (size_t t = 0; t < world->horizon; t++)
                sum += result.rewards[episode * world->horizon + t];
            ck_assert_double_eq_tol(sum, result.mean[episode], 1e-9 * (1 + fabs(sum)));
        }
        free(result.returns);
        pool_stop(pool);
    }
    check_equal(rewards[0], rewards[1], steps);
    free(rewards[0]);
    free(rewards[1]);
    model_free(model);
}
END_TEST

// ---- A world that writes down what happens to it: point robots whose episodes end when they are far from the goal.

static const struct world *inner;
static double tasks_seen[TASKS][2];
static atomic_uint task_count, opened, closed;
static unsigned open_limit;   // instances, after which there are no more; 0: no limit
static int diverges;          // instead of ending

static int recorded_open(struct world_instance **instance, char *why, size_t why_size)
{
    if (open_limit && atomic_load(&opened) == open_limit)
        return -ENOMEM;
    atomic_fetch_add(&opened, 1);
    return inner->open(instance, why, why_size);
}

static void recorded_close(struct world_instance *instance)
{
    atomic_fetch_add(&closed, 1);
    inner->close(instance);
}

static void recorded_sample(struct random_stream *stream, double *task)
{
    inner->sample_task(stream, task);
    unsigned i = atomic_fetch_add(&task_count, 1);
    if (i < TASKS)
        memcpy(tasks_seen[i], task, 2 * sizeof *task);
}

static int ending_step(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    int error = inner->step(instance, action, reward, observation);
    int far = *reward < -1.1f;
    return error ? error : far && diverges ? -EIO : far;
}

static struct world recording_world(void)
{
    inner = world_find("point");
    struct world world = *inner;
    world.episodes = 3;
    world.open = recorded_open;
    world.close = recorded_close;
    world.sample_task = recorded_sample;
    world.step = ending_step;
    atomic_store(&task_count, 0);
    atomic_store(&opened, 0);
    atomic_store(&closed, 0);
    return world;
}

// Return of one episode, played alone, with the belief as it is. This world's start needs no random numbers.
static double play_alone(const struct world *world, const struct model *model, struct agent_scratch *scratch,
                         const double *task, struct agent_belief *belief, size_t *steps)
{
    struct world_instance *instance;
    char why[200];
    ck_assert_int_eq(world->open(&instance, why, sizeof why), 0);
    float observation[2], next[2], action[2], told[2] = {(float)task[0], (float)task[1]}, reward;
    world->reset(instance, task, NULL, observation);
    double total = 0;
    int ended = 0;
    for (*steps = 0; *steps < world->horizon && !ended; ++*steps) {
        struct action_item decision = {.belief = belief, .observation = observation, .task = told, .action = action};
        agent_act(model, scratch, &decision, 1);
        ended = world->step(instance, action, &reward, next);
        total += reward;
        if (belief) {
            struct observation_item transition = {
                .belief = belief, .observation = observation, .action = action, .next_observation = next,
                .reward = reward,
            };
            agent_observe(model, scratch, &transition, 1);
        }
        memcpy(observation, next, sizeof next);
    }
    world->close(instance);
    return total;
}

START_TEST(a_return_is_that_of_the_task_played_alone)
{
    static const enum evaluate_agent agents[] = {EVALUATE_BELIEF, EVALUATE_PRIOR, EVALUATE_ORACLE};
    double *returns[3];
    for (size_t a = 0; a < 3; a++) {
        struct world world = recording_world();
        struct model *model = random_model(&world, agents[a] == EVALUATE_ORACLE);
        struct evaluation result = run(&world, model, agents[a], TASKS, 7, 1);
        ck_assert_uint_eq(atomic_load(&task_count), TASKS);
        struct agent_scratch *scratch = agent_scratch_new(model);
        struct agent_belief belief;
        size_t size = (agent_belief_size(model) / KERNEL_ALIGNMENT + 1) * KERNEL_ALIGNMENT;
        void *memory = aligned_alloc(KERNEL_ALIGNMENT, size);
        agent_belief_init(&belief, model, memory);
        size_t short_ones = 0, long_ones = 0;
        for (size_t task = 0; task < TASKS; task++) {
            // The belief is kept from episode to episode, and begins anew with a task.
            agent_belief_reset(&belief);
            for (size_t episode = 0; episode < world.episodes; episode++) {
                size_t steps;
                double alone = play_alone(&world, model, scratch, tasks_seen[task],
                                          agents[a] == EVALUATE_BELIEF ? &belief : NULL, &steps);
                double together = result.returns[task * world.episodes + episode];
                ck_assert_msg(alone == together, "agent %zu, task %zu, episode %zu: %.17g alone, %.17g", a, task,
                              episode, alone, together);
                short_ones += steps < world.horizon;
                long_ones += steps == world.horizon;
            }
        }
        // Nothing of this would be tested otherwise.
        if (agents[a] == EVALUATE_BELIEF)
            ck_assert_msg(short_ones && long_ones, "%zu episodes ended early, %zu did not", short_ones, long_ones);
        returns[a] = result.returns;
        free(memory);
        agent_scratch_free(scratch);
        model_free(model);
    }
    for (size_t a = 0; a < 3; a++)
        for (size_t b = 0; b < a; b++)
            ck_assert(differ(returns[a], returns[b], TASKS * 3));
    for (size_t a = 0; a < 3; a++)
        free(returns[a]);
}
END_TEST

START_TEST(all_agents_meet_the_same_tasks_and_another_seed_others)
{
    struct world world = recording_world();
    struct model *model = random_model(&world, 0), *oracle = random_model(&world, 1);
    double first[TASKS][2];
    free(run(&world, model, EVALUATE_BELIEF, TASKS, 7, 1).returns);
    memcpy(first, tasks_seen, sizeof first);
    for (size_t i = 1; i < TASKS; i++)
        ck_assert(first[i][0] != first[i - 1][0]);

    atomic_store(&task_count, 0);
    free(run(&world, oracle, EVALUATE_ORACLE, TASKS, 7, 1).returns);
    ck_assert_int_eq(memcmp(first, tasks_seen, sizeof first), 0);

    atomic_store(&task_count, 0);
    free(run(&world, model, EVALUATE_PRIOR, TASKS, 8, 1).returns);
    for (size_t i = 0; i < TASKS; i++)
        ck_assert(first[i][0] != tasks_seen[i][0]);
    model_free(model);
    model_free(oracle);
}
END_TEST

START_TEST(mean_and_standard_error_are_those_of_the_returns)
{
    const struct world *world = world_find("point");
    struct model *model = random_model(world, 0);
    struct evaluation result = run(world, model, EVALUATE_BELIEF, TASKS, 3, 2);
    for (size_t episode = 0; episode < world->episodes; episode++) {
        // Differences of all pairs: their mean square is twice the variance.
        long double sum = 0, squares = 0;
        for (size_t i = 0; i < TASKS; i++) {
            sum += result.returns[i * world->episodes + episode];
            for (size_t j = 0; j < i; j++) {
                long double difference = (long double)result.returns[i * world->episodes + episode] -
                                         result.returns[j * world->episodes + episode];
                squares += difference * difference;
            }
        }
        double error = (double)sqrtl(squares / TASKS / (TASKS - 1) / TASKS);
        ck_assert_double_eq_tol(result.mean[episode], (double)(sum / TASKS), 1e-14 * fabs((double)sum));
        ck_assert_double_eq_tol(result.standard_error[episode], error, 1e-12 * error);
    }
    free(result.returns);
    result = run(world, model, EVALUATE_BELIEF, 1, 3, 2);
    ck_assert(result.mean[0] == result.returns[0] && isnan(result.standard_error[0]));
    free(result.returns);
    model_free(model);
}
END_TEST

START_TEST(what_goes_wrong_in_a_world_is_told_and_nothing_is_left_open)
{
    struct world world = recording_world();
    struct model *model = random_model(&world, 0);
    struct pool *pool = pool_start(2);
    static double returns[TASKS * 3];
    struct evaluation result = {.returns = returns};
    diverges = 1;
    ck_assert_int_eq(evaluate(&result, &world, model, EVALUATE_BELIEF, TASKS, 1, pool), -EIO);
    ck_assert_uint_eq(atomic_load(&opened), atomic_load(&closed));
    diverges = 0;
    atomic_store(&opened, 0);
    atomic_store(&closed, 0);
    open_limit = 50;
    ck_assert_int_eq(evaluate(&result, &world, model, EVALUATE_BELIEF, TASKS, 1, pool), -ENOMEM);
    ck_assert_uint_eq(atomic_load(&opened), 50);
    ck_assert_uint_eq(atomic_load(&closed), 50);
    pool_stop(pool);
    model_free(model);
}
END_TEST

START_TEST(a_model_that_does_not_fit_is_refused)
{
    const struct world *world = world_find("point"), *other = world_find("half-cheetah-vel");
    struct model *model = random_model(world, 0), *oracle = random_model(world, 1);
    struct pool *pool = pool_start(1);
    static double returns[TASKS * 8];
    struct evaluation result = {.returns = returns};
    ck_assert_int_eq(evaluate(&result, other, model, EVALUATE_BELIEF, 1, 1, pool), -EINVAL);
    ck_assert_int_eq(evaluate(&result, world, model, EVALUATE_ORACLE, 1, 1, pool), -EINVAL);
    ck_assert_int_eq(evaluate(&result, world, oracle, EVALUATE_PRIOR, 1, 1, pool), -EINVAL);
    ck_assert_int_eq(evaluate(&result, world, model, EVALUATE_BELIEF, 0, 1, pool), -EINVAL);
    ck_assert_int_eq(evaluate(&result, world, model, EVALUATE_BELIEF, 1, 1, pool), 0);
    pool_stop(pool);
    model_free(model);
    model_free(oracle);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evaluate");
    SUITE_TEST(suite, the_result_does_not_depend_on_the_threads);
    SUITE_TEST(suite, a_task_does_not_know_how_many_others_there_are);
    SUITE_TEST(suite, rewards_by_step_add_up_to_the_mean_returns_with_any_number_of_threads);
    SUITE_TEST(suite, a_return_is_that_of_the_task_played_alone);
    SUITE_TEST(suite, all_agents_meet_the_same_tasks_and_another_seed_others);
    SUITE_TEST(suite, mean_and_standard_error_are_those_of_the_returns);
    SUITE_TEST(suite, what_goes_wrong_in_a_world_is_told_and_nothing_is_left_open);
    SUITE_TEST(suite, a_model_that_does_not_fit_is_refused);
    return suite_finish(suite);
}
