// What can be read of a task off what a policy is shown, against plain loops over the same numbers.

#include "daemon/agent/agent.h"
#include "daemon/base/random.h"
#include "learner/study/readout.h"
#include "tests/agent/sample.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIT = 40, HELD = 30, MOST = 40 };

static char why[400];
static struct pool *pool;
static struct trajectories fit, held;

static struct model *model_of(const struct world *world, struct model_shape shape)
{
    shape.observation_dim = world->observation_dim;
    shape.action_dim = world->action_dim;
    shape.task_dim = world->task_dim;
    return sample_model(&shape, 5);
}

static void set_up(void)
{
    const struct world *world = world_find("point");
    struct model *driver = model_of(world, sample_small);
    pool = pool_start(2);
    ck_assert_ptr_nonnull(pool);
    ck_assert_msg(trajectories_play(&fit, world, driver, FIT, 3, pool, why, sizeof why) == 0, "%s", why);
    ck_assert_msg(trajectories_play(&held, world, driver, HELD, 4, pool, why, sizeof why) == 0, "%s", why);
    model_free(driver);
}

static void tear_down(void)
{
    trajectories_release(&fit);
    trajectories_release(&held);
    pool_stop(pool);
}

static size_t see(double *row, const struct model *model, const struct trajectory *t, size_t count)
{
    struct agent_scratch *scratch = agent_scratch_new(model);
    void *memory;
    struct agent_belief belief = sample_belief(model, &memory);
    float input[128], action[8];
    for (size_t i = 0; i < count; i++) {
        struct observation_item item = {.belief = &belief, .observation = t->observation + i * model->observation_dim,
            .action = t->action + i * model->action_dim, .reward = t->reward[i],
            .next_observation = t->next_observation + i * model->observation_dim};
        agent_observe(model, scratch, &item, 1);
    }
    struct action_item item = {.belief = &belief, .observation = t->observation, .action = action, .input = input};
    agent_act(model, scratch, &item, 1);
    size_t shown = model->input_dim - model->observation_dim;
    ck_assert_uint_lt(shown, MOST);
    for (size_t j = 0; j < shown; j++)
        row[j] = (double)input[model->observation_dim + j];
    agent_scratch_free(scratch);
    free(memory);
    return shown;
}

// Ridge with as many unknowns as numbers shown: (X'X + I) w = X'y by Gauss.
static double plain_share(const struct model *model, size_t count, size_t dim)
{
    static double x[FIT + HELD][MOST], y[FIT + HELD];
    size_t n = 0, d = fit.world->task_dim;
    for (size_t i = 0; i < FIT + HELD; i++) {
        const struct trajectories *of = i < FIT ? &fit : &held;
        size_t task = i < FIT ? i : i - FIT;
        n = see(x[i], model, &of->of[task], count);
        y[i] = of->task[task * d + dim];
    }
    for (size_t j = 0; j <= n; j++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < FIT; i++)
            mean += (j < n ? x[i][j] : y[i]) / FIT;
        for (size_t i = 0; i < FIT; i++)
            square += pow((j < n ? x[i][j] : y[i]) - mean, 2) / FIT;
        for (size_t i = 0; i < FIT + HELD; i++) {
            double *value = j < n ? &x[i][j] : &y[i];
            *value = square > 0 ? (*value - mean) / sqrt(square) : 0;
        }
    }
    double A[MOST][MOST + 1] = {{0}}, w[MOST] = {0};
    for (size_t a = 0; a < n; a++)
        for (size_t i = 0; i < FIT; i++) {
            for (size_t b = 0; b < n; b++)
                A[a][b] += x[i][a] * x[i][b];
            A[a][n] += x[i][a] * y[i];
        }
    for (size_t a = 0; a < n; a++)
        A[a][a] += READOUT_PENALTY;
    for (size_t p = 0; p < n; p++)
        for (size_t a = p + 1; a < n; a++) {
            double factor = A[a][p] / A[p][p];
            for (size_t b = p; b <= n; b++)
                A[a][b] -= factor * A[p][b];
        }
    for (size_t p = n; p-- > 0;) {
        w[p] = A[p][n];
        for (size_t b = p + 1; b < n; b++)
            w[p] -= A[p][b] * w[b];
        w[p] /= A[p][p];
    }
    double mean = 0, left = 0, all = 0;
    for (size_t i = FIT; i < FIT + HELD; i++)
        mean += y[i] / HELD;
    for (size_t i = FIT; i < FIT + HELD; i++) {
        double read = 0;
        for (size_t j = 0; j < n; j++)
            read += w[j] * x[i][j];
        left += (y[i] - read) * (y[i] - read);
        all += (y[i] - mean) * (y[i] - mean);
    }
    return 1 - left / all;
}

START_TEST(a_share_is_that_of_plain_loops_for_every_kind_of_belief)
{
    struct model_shape shapes[] = {sample_small, sample_principal(), sample_kind(MODEL_VARIBAD), sample_kind(MODEL_RL2),
                                   sample_kind(MODEL_PEARL)};
    struct model *model = model_of(fit.world, shapes[_i]);
    struct readout readout;
    ck_assert_msg(readout_make(&readout, model, &fit, &held, pool, why, sizeof why) == 0, "%s", why);
    ck_assert_uint_eq(readout.lines, 2);
    ck_assert_uint_eq(readout.after[0], 1);
    ck_assert_uint_eq(readout.after[readout.contexts - 1], fit.steps);
    for (size_t c = 0; c < readout.contexts; c += 3)
        for (size_t j = 0; j < 2; j++)
            ck_assert_double_eq_tol(readout.share[c * 2 + j], plain_share(model, readout.after[c], j), 1e-6);
    readout_release(&readout);
    model_free(model);
}
END_TEST

// Rewards tell where the goal is, so beliefs about them can be read; of other tasks than those that were played nothing is.
START_TEST(there_is_something_to_read_and_of_other_tasks_nothing)
{
    struct model *model = model_of(fit.world, sample_small);
    struct readout readout;
    ck_assert_int_eq(readout_make(&readout, model, &fit, &held, pool, why, sizeof why), 0);
    size_t last = 2 * (readout.contexts - 1);
    ck_assert_double_gt(readout.share[last], 0.5);
    readout_release(&readout);
    // By chance forty other tasks may be like these: the mean over many draws is what counts.
    enum { DRAWS = 30 };
    double mean = 0;
    for (uint32_t draw = 0; draw < DRAWS; draw++) {
        struct random_stream stream = random_stream(9, 1, draw, 0);
        for (size_t i = 0; i < FIT; i++)
            fit.world->sample_task(&stream, fit.task + 2 * i);
        ck_assert_int_eq(readout_make(&readout, model, &fit, &held, pool, why, sizeof why), 0);
        mean += (readout.share[last] + readout.share[last + 1]) / (2 * DRAWS);
        readout_release(&readout);
    }
    ck_assert_msg(mean < 0, "%g", mean);
    model_free(model);
}
END_TEST

START_TEST(who_shows_no_belief_is_refused)
{
    struct model_shape shapes[] = {sample_kind(MODEL_ORACLE), sample_kind(MODEL_NONE)};
    for (size_t i = 0; i < 2; i++) {
        struct model *model = model_of(fit.world, shapes[i]);
        struct readout readout;
        ck_assert_int_eq(readout_make(&readout, model, &fit, &held, pool, why, sizeof why), -ENOTSUP);
        ck_assert_ptr_nonnull(strstr(why, "shows its policy no belief"));
        model_free(model);
    }
}
END_TEST

START_TEST(numbers_without_a_name_are_one_line)
{
    const struct world *world = world_find("hopper-params");
    struct model_shape shape = sample_small;
    shape.heads[HEAD_TRANSITION].parts = REPRESENT_NOISE;
    struct model *model = model_of(world, shape);
    struct trajectories few, others;
    ck_assert_msg(trajectories_play(&few, world, model, 6, 3, pool, why, sizeof why) == 0, "%s", why);
    ck_assert_msg(trajectories_play(&others, world, model, 6, 4, pool, why, sizeof why) == 0, "%s", why);
    struct readout readout;
    ck_assert_msg(readout_make(&readout, model, &few, &others, pool, why, sizeof why) == 0, "%s", why);
    ck_assert_uint_eq(readout.lines, 1);
    ck_assert_uint_eq(readout.first[1], world->task_dim);
    for (size_t c = 0; c < readout.contexts; c++)
        ck_assert(isfinite(readout.share[c]) && readout.share[c] <= 1);
    readout_release(&readout);
    trajectories_release(&few);
    trajectories_release(&others);
    model_free(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("readout");
    suite_add(suite, "a_share_is_that_of_plain_loops_for_every_kind_of_belief",
              a_share_is_that_of_plain_loops_for_every_kind_of_belief, 5, set_up, tear_down);
    SUITE_TEST_WITH(suite, there_is_something_to_read_and_of_other_tasks_nothing, set_up, tear_down);
    SUITE_TEST_WITH(suite, who_shows_no_belief_is_refused, set_up, tear_down);
    SUITE_TEST_WITH(suite, numbers_without_a_name_are_one_line, set_up, tear_down);
    return suite_finish(suite);
}
