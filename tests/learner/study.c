// What is studied of a belief: that data drawn from the model itself is covered as often as it should be, that the
// identities hold, that a circle is drawn as a circle; and that nothing depends on the threads.

#include "daemon/belief/posterior.h"
#include "learner/study/compare.h"
#include "learner/study/distances.h"
#include "learner/study/outlook.h"
#include "tests/agent/sample.h"
#include "tests/learner/training.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char why[400];
static struct pool *pool;

static void start_pool(void)
{
    pool = pool_start(2);
    ck_assert_ptr_nonnull(pool);
}

static void stop_pool(void)
{
    pool_stop(pool);
}

// A random model for the point world, its prior's precision diagonal as learnt ones are, and a little more of a prior.
static struct model *point_model(void)
{
    const struct world *world = world_find("point");
    struct model_shape shape = sample_small;
    shape.observation_dim = world->observation_dim;
    shape.action_dim = world->action_dim;
    shape.task_dim = world->task_dim;
    struct model *model = sample_model(&shape, 5);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        struct head *head = &model->heads[kind];
        for (size_t i = 0; i < head->features * head->features; i++)
            head->precision[i] = i % (head->features + 1) ? 0 : 2 + (double)(i % 3);
        for (size_t i = 0; i < head->targets * head->targets; i++)
            head->scale[i] = i % (head->targets + 1) ? 0 : 0.02;
        head->degrees = (double)head->targets + 3;
    }
    ck_assert_msg(model_finish(model, why, sizeof why) == 0, "%s", why);
    return model;
}

// Rewards as the reward head's prior has them: M and Sigma drawn for each task, and y ~ N(M' phi, Sigma).
static void draw_rewards(struct trajectories *on, const struct model *model, uint64_t seed)
{
    const struct head *head = &model->heads[HEAD_REWARD];
    struct agent_scratch *scratch = agent_scratch_new(model);
    void *belief_memory, *memory = aligned_alloc(KERNEL_ALIGNMENT, (posterior_size(head->prior, 1) / KERNEL_ALIGNMENT + 1)
                                                                       * KERNEL_ALIGNMENT);
    struct agent_belief belief = sample_belief(model, &belief_memory);
    struct posterior prior;
    posterior_init(&prior, head->prior, 1, memory);
    ck_assert_int_eq(posterior_solve(&prior, head->prior, &belief.heads[HEAD_REWARD],
                                     POSTERIOR_MEAN | POSTERIOR_SCALE, NULL, 0), 0);
    for (size_t task = 0; task < on->tasks; task++) {
        struct random_stream stream = random_stream(seed, 1, (uint32_t)task, 0);
        double M[BELIEF_FEATURES_LIMIT], Sigma;
        posterior_sample(&prior, &stream, M, &Sigma);
        struct trajectory *t = &on->of[task];
        for (size_t i = 0; i < t->steps; i++) {
            struct observation_item item = {
                .observation = t->observation + i * model->observation_dim, .action = t->action + i * model->action_dim,
                .next_observation = t->next_observation + i * model->observation_dim,
                .reward = (float)head->target_mean[0]};
            agent_features(model, scratch, &item, 1);
            ck_assert_ptr_nonnull(item.z[HEAD_REWARD]);
            double y = sqrt(Sigma) * random_normal(&stream);
            for (size_t k = 0; k < head->features; k++)
                y += M[k] * ldexp(item.z[HEAD_REWARD][k], -BELIEF_FRACTION_BITS);
            ((float *)t->reward)[i] = (float)(head->target_mean[0] + head->target_scale[0] * y);
        }
    }
    agent_scratch_free(scratch);
    free(belief_memory);
    free(memory);
}

static void play(struct trajectories *on, const struct model *model, size_t tasks, uint64_t seed)
{
    ck_assert_msg(trajectories_play(on, world_find("point"), model, tasks, seed, pool, why, sizeof why) == 0, "%s", why);
}

START_TEST(trajectories_are_whole_and_the_same_in_any_pool)
{
    struct model *model = point_model();
    struct pool *alone = pool_start(1);
    struct trajectories two, one;
    play(&two, model, 5, 3);
    ck_assert_int_eq(trajectories_play(&one, two.world, model, 5, 3, alone, why, sizeof why), 0);
    size_t obs = model->observation_dim;
    for (size_t task = 0; task < 5; task++) {
        struct trajectory *a = &two.of[task], *b = &one.of[task];
        ck_assert_uint_eq(a->steps, two.steps);
        ck_assert_uint_eq(b->steps, a->steps);
        ck_assert_mem_eq(a->reward, b->reward, a->steps * sizeof(float));
        ck_assert_mem_eq(a->next_observation, b->next_observation, a->steps * obs * sizeof(float));
        double sum = 0;
        for (size_t i = 0; i < a->steps; i++) {
            sum += (double)a->reward[i];
            if (i % two.world->horizon)
                ck_assert_mem_eq(a->observation + i * obs, a->next_observation + (i - 1) * obs, obs * sizeof(float));
        }
        ck_assert_double_eq_tol(sum, two.returns[task], 1e-9);
    }
    ck_assert_mem_eq(two.task, one.task, 5 * two.world->task_dim * sizeof(double));
    ck_assert_mem_ne(two.task, two.task + two.world->task_dim, two.world->task_dim * sizeof(double));
    trajectories_release(&two);
    trajectories_release(&one);
    ck_assert_int_eq(trajectories_play(&one, world_find("half-cheetah-vel"), model, 2, 3, alone, why, sizeof why), -EINVAL);
    ck_assert_str_eq(why, "the model was not trained for half-cheetah-vel");
    pool_stop(alone);
    model_free(model);
}
END_TEST

START_TEST(an_outlooks_densities_add_up_to_the_evidence)
{
    struct model *model = point_model();
    struct trajectories on;
    play(&on, model, 1, 4);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        const struct head *head = &model->heads[kind];
        double log_density[400], mean[400 * 2], sd[400 * 2], sum = 0;
        struct prediction prediction = {log_density, mean, sd};
        ck_assert_uint_le(on.of[0].steps, 400);
        ck_assert_int_eq(predict_glibrl(&prediction, model, kind, &on.of[0], why, sizeof why), 0);
        for (size_t i = 0; i < on.of[0].steps; i++)
            sum += log_density[i];
        // The belief that was served, all at once.
        void *belief_memory, *memory = aligned_alloc(
            KERNEL_ALIGNMENT, (posterior_size(head->prior, 1) / KERNEL_ALIGNMENT + 1) * KERNEL_ALIGNMENT);
        struct agent_belief belief = sample_belief(model, &belief_memory);
        struct agent_scratch *scratch = agent_scratch_new(model);
        for (size_t i = 0; i < on.of[0].steps; i++) {
            struct observation_item item = {
                .belief = &belief, .observation = on.of[0].observation + i * model->observation_dim,
                .action = on.of[0].action + i * model->action_dim, .reward = on.of[0].reward[i],
                .next_observation = on.of[0].next_observation + i * model->observation_dim};
            agent_observe(model, scratch, &item, 1);
        }
        struct posterior posterior;
        posterior_init(&posterior, head->prior, 1, memory);
        ck_assert_int_eq(posterior_solve(&posterior, head->prior, &belief.heads[kind], POSTERIOR_SCALE, NULL, 0), 0);
        double evidence = posterior_log_evidence(&posterior, head->prior);
        for (size_t j = 0; j < head->targets; j++)
            evidence -= (double)on.of[0].steps * log(head->target_scale[j]);
        ck_assert_double_eq_tol(sum, evidence, 1e-8 * fabs(evidence));
        ck_assert(isfinite(mean[0]) && sd[0] > 0);
        agent_scratch_free(scratch);
        free(belief_memory);
        free(memory);
    }
    trajectories_release(&on);
    model_free(model);
}
END_TEST

START_TEST(the_quantiles_are_those_of_the_tables)
{
    const struct { double level, freedom, x; } rows[] = {
        {0.9, 1, 6.313751515}, {0.95, 2, 4.302652730}, {0.5, 5, 0.726686844}, {0.95, 10, 2.228138852},
        {0.8, 30, 1.310415025}, {0.95, 1e8, 1.959963985}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_double_eq_tol(student_interval(rows[i].level, rows[i].freedom), rows[i].x, 1e-7 * rows[i].x);
}
END_TEST

START_TEST(contexts_fall_into_bins_without_gaps)
{
    for (size_t steps = 1; steps < 100000; steps = 3 * steps + 1) {
        size_t low[CALIBRATION_BINS], high[CALIBRATION_BINS], count = context_bins(low, high, steps);
        ck_assert_uint_ge(count, 1);
        ck_assert_uint_eq(low[0], 0);
        ck_assert_uint_eq(high[count - 1], steps);
        for (size_t i = 0; i + 1 < count; i++)
            ck_assert_uint_eq(high[i], low[i + 1]);
    }
}
END_TEST

START_TEST(what_the_model_says_of_its_own_data_is_right)
{
    // 200 tasks of 100 transitions, correlated within a task: 2 % is four standard errors and more.
    struct model *model = point_model();
    struct trajectories on, fit;
    play(&on, model, 200, 5);
    play(&fit, model, 200, 6);
    draw_rewards(&on, model, 5);
    draw_rewards(&fit, model, 6);
    struct judged held, other;
    struct calibration c;
    ck_assert_msg(judge(&held, model, HEAD_REWARD, &on, pool, why, sizeof why) == 0, "%s", why);
    ck_assert_int_eq(judge(&other, model, HEAD_REWARD, &fit, pool, why, sizeof why), 0);
    ck_assert_int_eq(calibrate(&c, &held, &other), 0);
    ck_assert_uint_eq(c.transitions + c.refused, on.tasks * on.steps);
    ck_assert_uint_eq(c.refused, 0);
    for (size_t level = 0; level < CALIBRATION_LEVELS; level++) {
        ck_assert_double_eq_tol(c.whole.covered[level], calibration_levels[level], 0.02);
        ck_assert_double_eq_tol(c.whole.corrected[level], calibration_levels[level], 0.03);
        ck_assert_double_eq_tol(c.bin[0].covered[level], calibration_levels[level], 0.12);
    }
    ck_assert_double_eq_tol(c.scale, 1, 0.05);
    // What is a third of itself is put right by one scale, and by no other.
    for (size_t i = 0; i < on.tasks * on.steps; i++)
        held.statistic[i] *= 3, other.statistic[i] *= 3;
    ck_assert_int_eq(calibrate(&c, &held, &other), 0);
    ck_assert_double_eq_tol(c.scale, 3, 0.15);
    ck_assert_double_lt(c.whole.covered[2], 0.6);
    ck_assert_double_eq_tol(c.whole.corrected[2], 0.9, 0.03);
    // Fitted on itself it is right but for one in all.
    ck_assert_int_eq(calibrate(&c, &held, &held), 0);
    ck_assert_double_eq_tol(c.whole.corrected[2], 0.9, 1e-3);
    judged_release(&held), judged_release(&other);
    trajectories_release(&on), trajectories_release(&fit);
    model_free(model);
}
END_TEST

START_TEST(distances_are_kernels_between_samples)
{
    struct model *model = point_model();
    struct trajectories on;
    play(&on, model, 6, 7);
    draw_rewards(&on, model, 7);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        struct distances d;
        ck_assert_msg(distances_check(&d, model, kind, &on, 3, 40, why, sizeof why) == 0, "%s", why);
        for (size_t i = 0; i < 3; i++) {
            ck_assert_double_gt(d.of[0][i].left, 0);
            ck_assert_double_lt(d.worst[i], 1e-5);  // two tasks are nearly one: differences of large sums
        }
        distances_release(&d);
    }
    trajectories_release(&on);
    model_free(model);
}
END_TEST

// Weights of tasks on a curve within a space of many dimensions.
static struct task_weights weights_on(struct trajectories *on, int circle)
{
    struct task_weights w = {.tasks = on->tasks, .D = 4, .d = 2};
    w.weights = calloc(w.tasks * 8 + 16, sizeof(double));
    w.gram = w.weights + w.tasks * 8;
    for (size_t i = 0; i < 4; i++)
        w.gram[i * 4 + i] = 1;
    double u[8] = {0.5, -0.5, 0.5, 0.5}, v[8] = {0, 0, 0, 0, 0.6, 0, 0.8, 0};  // orthonormal
    for (size_t task = 0; task < w.tasks; task++) {
        const double *x = on->task + task * 2;
        for (size_t i = 0; i < 8; i++)
            w.weights[task * 8 + i] = 1 + 3 * (circle ? x[0] * u[i] + x[1] * v[i] : x[0] * u[i]);
    }
    return w;
}

START_TEST(tasks_on_a_circle_are_mapped_to_a_circle_and_those_on_a_line_to_a_line)
{
    struct model *model = point_model();
    struct trajectories on;
    play(&on, model, 30, 8);
    for (int circle = 0; circle < 2; circle++) {
        struct task_weights w = weights_on(&on, circle);
        for (enum map_metric metric = MAP_WEIGHTS; metric <= MAP_PREDICTIONS; metric++) {
            struct task_map map;
            ck_assert_int_eq(task_map_make(&map, metric, &w, &on), 0);
            ck_assert_double_eq_tol(map.explained[0] + circle * map.explained[1], 1, 1e-9);
            for (size_t i = 0; i < on.tasks; i++)
                for (size_t j = 0; j < i; j++) {
                    double square = 0;
                    for (size_t k = 0; k < 8; k++)
                        square += pow(w.weights[i * 8 + k] - w.weights[j * 8 + k], 2);
                    double far = hypot(map.place[2 * i] - map.place[2 * j], map.place[2 * i + 1] - map.place[2 * j + 1]);
                    ck_assert_double_eq_tol(far, sqrt(square), 1e-6);
                }
            if (circle) {
                ck_assert_double_lt(map.circle_error, 1e-9);
                ck_assert_double_eq_tol(map.circle[2], 3, 1e-8);
                ck_assert_double_gt(map.likeness, 0.9);
            }
            char path[64];
            temporary(path);
            ck_assert_int_eq(task_map_draw(&map, &on, path), 0);
            FILE *file = fopen(path, "r");
            ck_assert_ptr_nonnull(file);
            char line[4000];
            size_t dots = 0;
            while (fgets(line, sizeof line, file))
                dots += strstr(line, "<ellipse") != NULL;
            fclose(file);
            unlink(path);
            ck_assert_uint_eq(dots, on.tasks + (size_t)circle);
            task_map_release(&map);
        }
        task_weights_release(&w);
    }
    trajectories_release(&on);
    model_free(model);
}
END_TEST

START_TEST(the_weights_of_tasks_are_their_posterior_means)
{
    struct model *model = point_model();
    struct trajectories on;
    play(&on, model, 3, 9);
    struct task_weights w;
    ck_assert_int_eq(task_weights_make(&w, model, HEAD_TRANSITION, &on, pool, why, sizeof why), 0);
    // The constant feature's mean square is one, and the mean of phi phi' is symmetric.
    ck_assert_double_eq_tol(w.gram[w.D * w.D - 1], 1, 1e-12);
    for (size_t i = 0; i < w.D; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_double_eq_tol(w.gram[i * w.D + j], w.gram[j * w.D + i], 1e-12);
    double weights[6 * 8];
    double log_density[400];
    struct prediction prediction = {.log_density = log_density};
    ck_assert_int_eq(predict_glibrl(&prediction, model, HEAD_TRANSITION, &on.of[2], why, sizeof why), 0);
    ck_assert_uint_le(w.D * w.d, 48);
    memcpy(weights, w.weights + 2 * w.D * w.d, w.D * w.d * sizeof *weights);
    task_weights_release(&w);
    // A model that takes the two tasks in another order has the same.
    struct trajectory swapped = on.of[2];
    on.of[2] = on.of[0], on.of[0] = swapped;
    ck_assert_int_eq(task_weights_make(&w, model, HEAD_TRANSITION, &on, pool, why, sizeof why), 0);
    ck_assert_mem_eq(weights, w.weights, w.D * w.d * sizeof *weights);
    task_weights_release(&w);
    trajectories_release(&on);
    model_free(model);
}
END_TEST

START_TEST(curves_are_means_over_tasks)
{
    struct model *model = point_model();
    struct trajectories on;
    play(&on, model, 4, 10);
    struct curve curve;
    ck_assert_int_eq(curve_make(&curve, model, HEAD_REWARD, &on, pool, why, sizeof why), 0);
    ck_assert_uint_eq(curve.counted, on.tasks * on.steps);
    ck_assert_uint_eq(curve.missing, 0);
    double expected[CALIBRATION_BINS] = {0};
    for (size_t task = 0; task < on.tasks; task++) {
        double log_density[400];
        struct prediction prediction = {.log_density = log_density};
        ck_assert_int_eq(predict_glibrl(&prediction, model, HEAD_REWARD, &on.of[task], why, sizeof why), 0);
        for (size_t bin = 0; bin < curve.bins; bin++)
            for (size_t t = curve.low[bin]; t < curve.high[bin]; t++)
                expected[bin] += log_density[t] / (double)(curve.high[bin] - curve.low[bin]) / (double)on.tasks;
    }
    for (size_t bin = 0; bin < curve.bins; bin++)
        ck_assert_double_eq_tol(curve.mean[bin], expected[bin], 1e-9);
    struct named_curve named = {"one", &curve};
    ck_assert_int_eq(curves_draw(&named, 1, "one curve", "no-such-directory/curve.svg"), -ENOENT);
    char path[64];
    temporary(path);
    ck_assert_int_eq(curves_draw(&named, 1, "one curve", path), 0);
    ck_assert_int_eq(unlink(path), 0);
    trajectories_release(&on);
    model_free(model);
}
END_TEST

START_TEST(a_head_that_is_not_there_is_refused)
{
    struct model *model = point_model();
    struct trajectories on;
    play(&on, model, 2, 11);
    struct curve curve;
    struct judged judged;
    model->heads[HEAD_TRANSITION].present = 0;
    ck_assert_int_eq(judge(&judged, model, HEAD_TRANSITION, &on, pool, why, sizeof why), -ENOTSUP);
    ck_assert_str_eq(why, "small has no transition head");
    model->heads[HEAD_TRANSITION].present = 1;
    model->kind = MODEL_RL2;
    ck_assert_int_eq(curve_make(&curve, model, HEAD_REWARD, &on, pool, why, sizeof why), -ENOTSUP);
    ck_assert_str_eq(why, "a model of kind rl2 predicts nothing");
    model->kind = MODEL_GLIBRL;
    trajectories_release(&on);
    model_free(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("study");
    SUITE_TEST_WITH(suite, trajectories_are_whole_and_the_same_in_any_pool, start_pool, stop_pool);
    SUITE_TEST_WITH(suite, an_outlooks_densities_add_up_to_the_evidence, start_pool, stop_pool);
    SUITE_TEST(suite, the_quantiles_are_those_of_the_tables);
    SUITE_TEST(suite, contexts_fall_into_bins_without_gaps);
    SUITE_TEST_WITH(suite, what_the_model_says_of_its_own_data_is_right, start_pool, stop_pool);
    SUITE_TEST_WITH(suite, distances_are_kernels_between_samples, start_pool, stop_pool);
    SUITE_TEST_WITH(suite, tasks_on_a_circle_are_mapped_to_a_circle_and_those_on_a_line_to_a_line, start_pool,
                    stop_pool);
    SUITE_TEST_WITH(suite, the_weights_of_tasks_are_their_posterior_means, start_pool, stop_pool);
    SUITE_TEST_WITH(suite, curves_are_means_over_tasks, start_pool, stop_pool);
    SUITE_TEST_WITH(suite, a_head_that_is_not_there_is_refused, start_pool, stop_pool);
    return suite_finish(suite);
}
