// Learning to look around: choices for actions, families of finitely many tasks, returns that run on through a task's
// episodes, and rewards for what a step taught and for entropy.

#include "learner/evaluate.h"
#include "learner/inference/gain.h"
#include "learner/inference/glibrl.h"
#include "learner/policy/on_policy.h"
#include "learner/train.h"
#include "tests/learner/training.h"

#include <stdlib.h>
#include <string.h>

static struct options small(const char *world, enum learn_kind kind)
{
    struct options o;
    options_defaults(&o, world_find(world), kind, LEARN_PPO);
    o.threads = 1;
    o.envs = 21;
    o.epochs = 2;
    o.hidden = 16;
    o.basis_hidden = 16;
    o.features = kind == LEARN_GLIBRL ? 8 : 0;
    o.probes = 4;
    o.probe_pool = 100;
    o.warmup = 5;
    o.replay = 40;
    o.gain = 0;
    o.frames = 20 * o.envs * o.world->horizon * o.world->episodes;
    return o;
}

START_TEST(choices_are_a_one_among_zeros_with_the_density_of_the_softmax)
{
    struct options o = small("gridworld", LEARN_GLIBRL);
    struct train *train = train_of(&o);
    iterate(train, 3);
    char why[WHY];
    ck_assert_int_eq(train_export(train, why, sizeof why), 0);
    ck_assert_int_eq(rollout_run(&train->rollout, train->model, 9, 9, train->pool, why, sizeof why), 0);
    const struct rollout *r = &train->rollout;
    const struct actor *actor = &((struct on_policy *)train->acting)->actor;
    size_t A = train->world->action_dim, chosen[5] = {0};
    float *activations = calloc(net_activations(&actor->net, 1), sizeof *activations);
    for (size_t row = 0; row < r->N * r->T; row++) {
        const float *action = r->action + row * A;
        size_t ones = 0;
        for (size_t i = 0; i < A; i++) {
            ck_assert(action[i] == 0 || action[i] == 1);
            ones += action[i] == 1;
            chosen[i] += action[i] == 1;
        }
        ck_assert_uint_eq(ones, 1);
        ck_assert_mem_eq(action, r->met + row * A, A * sizeof *action);
        // The learner's own network, by BLAS, against the served one that drew.
        float input[64];
        train_policy_row(train, input, r->input + row * r->input_dim, r->task + row * train->world->task_dim);
        const float *score = net_forward(&actor->net, actor->trainee.parameters, activations, input, 1);
        ck_assert_double_eq_tol(choice_log_density(action, score, A), (double)r->log_density[row], 1e-3);
    }
    // The first policies are nearly uniform: no choice is forgotten, none is preferred by more than chance.
    for (size_t i = 0; i < A; i++)
        ck_assert(chosen[i] > r->N * r->T / 10 && chosen[i] < r->N * r->T / 3);
    free(activations);
    train_free(train);
}
END_TEST

START_TEST(a_choice_is_served_as_the_likeliest)
{
    struct options o = small("gridworld", LEARN_NONE);
    struct train *train = train_of(&o);
    iterate(train, 2);
    char why[WHY];
    ck_assert_int_eq(train_export(train, why, sizeof why), 0);
    ck_assert_int_eq(train->model->discrete, 1);
    const struct actor *actor = &((struct on_policy *)train->acting)->actor;
    float *activations = calloc(net_activations(&actor->net, 1), sizeof *activations);
    struct agent_scratch *scratch = agent_scratch_new(train->model);
    for (int cell = 0; cell < 25; cell++) {
        float observation[2] = {(float)(cell % 5), (float)(cell / 5)}, action[5], input[8];
        struct action_item item = {.observation = observation, .action = action};
        agent_act(train->model, scratch, &item, 1);
        ck_assert_int_eq(item.error, 0);
        train_policy_row(train, input, observation, (float[]){0, 0});
        const float *score = net_forward(&actor->net, actor->trainee.parameters, activations, input, 1);
        for (size_t i = 0; i < 5; i++)
            for (size_t k = 0; action[i] == 1 && k < 5; k++)
                ck_assert_float_ge(score[i], score[k] - 1e-5f);
        ck_assert_float_eq(action[0] + action[1] + action[2] + action[3] + action[4], 1);
    }
    agent_scratch_free(scratch);
    free(activations);
    train_free(train);
}
END_TEST

START_TEST(each_of_finitely_many_tasks_is_met_as_often)
{
    struct options o = small("gridworld", LEARN_NONE);
    o.envs = 42;
    struct train *train = train_of(&o);
    char why[WHY];
    size_t first_of[3];
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_int_eq(rollout_run(&train->rollout, train->model, 3, i, train->pool, why, sizeof why), 0);
        size_t met[25] = {0};
        for (size_t e = 0; e < o.envs; e++) {
            const float *task = train->rollout.task + e * train->rollout.T * 2;
            size_t cell = (size_t)(task[1] * 5 + task[0]);
            met[cell]++;
            if (e == 0)
                first_of[i] = cell;
        }
        for (size_t cell = 0; cell < 25; cell++)
            ck_assert_uint_eq(met[cell], cell % 5 > 1 || cell / 5 > 1 ? 2 : 0);
    }
    ck_assert(first_of[0] != first_of[1] || first_of[0] != first_of[2]);
    train_free(train);
}
END_TEST

START_TEST(an_evaluation_of_finitely_many_tasks_plays_each_as_often)
{
    struct options o = small("gridworld", LEARN_GLIBRL);
    struct train *train = train_of(&o);
    iterate(train, 4);
    enum { TASKS = 42, EPISODES = 4 };
    double returns[TASKS * EPISODES];
    struct evaluation result = {.returns = returns};
    ck_assert_int_eq(evaluate(&result, train->world, train->model, EVALUATE_BELIEF, TASKS, 5, train->pool), 0);
    for (size_t task = 0; task < 21; task++)
        for (size_t k = 0; k < EPISODES; k++)
            ck_assert_double_eq(returns[task * EPISODES + k], returns[(task + 21) * EPISODES + k]);
    for (size_t k = 0; k < EPISODES; k++) {
        // 15 steps of -0.1 are what is had without the goal.
        size_t reached = 0;
        for (size_t task = 0; task < TASKS; task++)
            reached += returns[task * EPISODES + k] > -1.4;
        ck_assert_double_eq(result.reached[k], (double)reached / TASKS);
    }
    train_free(train);
}
END_TEST

START_TEST(returns_run_on_through_the_episodes_of_a_task_if_told_so)
{
    for (int across = 0; across < 2; across++) {
        struct options o = small("gridworld", LEARN_NONE);
        o.across = (uint64_t)across;
        struct train *train = train_of(&o);
        iterate(train, 1);
        const struct rollout *r = &train->rollout;
        for (size_t row = 0; row < r->N * r->T; row++) {
            size_t step = row % 15, episode = row / 15 % 4;
            enum row_end expected = step < 14 ? ROW_GOES_ON : !across ? ROW_STOPPED
                                    : episode < 3 ? ROW_GOES_ON : ROW_FAILED;
            ck_assert_int_eq(r->end[row], expected);
            ck_assert_int_eq(r->final_of[row] >= 0, expected == ROW_STOPPED);
            ck_assert_float_eq_tol(r->clock[row * CLOCK], 2 * (float)step / 15 - 1, 1e-6f);
            ck_assert_float_eq_tol(r->clock[row * CLOCK + 1], 2 * (float)episode / 4 - 1, 1e-6f);
        }
        train_free(train);
    }
}
END_TEST

START_TEST(rewards_are_paid_for_entropy_and_for_what_was_learnt)
{
    struct options o = small("point-sparse", LEARN_GLIBRL);
    o.soft = 1;
    o.entropy = 0.2;
    o.entropy_end = 0.25;
    o.gain = 0.5;
    o.gain_until = 0.5;
    struct train *train = train_of(&o);
    iterate(train, 6);
    // Of 20 iterations the sixth is a quarter of the way: a half of the gain's price is left.
    const struct on_policy *own = train->acting;
    const struct rollout *r = &train->rollout;
    double soft = 0.2 * pow(0.25, 0.25), price = 0.25, sd = sqrt(own->returned[2] / own->returned[0]), paid = 0;
    for (size_t row = 0; row < train->rows; row++) {
        double expected = (double)r->reward[row] - soft * (double)r->log_density[row] + price * (double)own->gain[row];
        ck_assert_float_ge(own->gain[row], 0);
        paid += (double)own->gain[row];
        ck_assert_double_eq_tol((double)own->reward[row] * sd, expected, 1e-4);
    }
    ck_assert_double_gt(paid / (double)train->rows, 0.01);
    train_free(train);
}
END_TEST

START_TEST(what_is_paid_for_does_not_depend_on_the_threads)
{
    struct options o = small("point-sparse", LEARN_GLIBRL);
    o.envs = 5;
    o.gain = 0.5;
    o.transition = 5;
    o.soft = o.across = o.critic_sees_time = o.reward_reads_next = 1;
    o.entropy = 0.1;
    struct train *one = train_of(&o);
    o.threads = 3;
    struct train *three = train_of(&o);
    iterate(one, 4);
    iterate(three, 4);
    check_same(one, three);
    train_free(one);
    train_free(three);
}
END_TEST

enum { INPUTS = 6, FEATURES = 5, STEPS = 40 };

static void basis_of(struct basis *basis, size_t skipped)
{
    struct random_stream stream = random_stream(5, 1, 2, 3);
    struct basis_prior prior = {.variance = 0.1, .freedom = 2, .precision = 0.7, .learns_mean = 1};
    ck_assert_int_eq(basis_init(basis, INPUTS, (size_t[]){9, 7}, FEATURES, 1, &prior), 0);
    basis->skipped = skipped;
    basis_start(basis, &stream);
}

// ln |A| of a symmetric positive definite matrix, by Cholesky's factor in place.
static double log_determinant(double A[FEATURES][FEATURES])
{
    double sum = 0;
    for (size_t j = 0; j < FEATURES; j++) {
        for (size_t k = 0; k < j; k++)
            A[j][j] -= A[j][k] * A[j][k];
        A[j][j] = sqrt(A[j][j]);
        sum += 2 * log(A[j][j]);
        for (size_t i = j + 1; i < FEATURES; i++) {
            for (size_t k = 0; k < j; k++)
                A[i][j] -= A[i][k] * A[j][k];
            A[i][j] /= A[j][j];
        }
    }
    return sum;
}

START_TEST(what_a_task_teaches_is_half_the_growth_of_the_log_determinant)
{
    struct basis basis;
    basis_of(&basis, 0);
    struct random_stream stream = random_stream(6, 1, 2, 3);
    struct gain *gain = gain_new(&basis, STEPS);
    ck_assert_ptr_nonnull(gain);
    float gains[STEPS] = {0};
    uint8_t begins[STEPS] = {1}, absorbed[STEPS];
    memset(absorbed, 1, sizeof absorbed);
    absorbed[7] = 0;
    begins[25] = 1;  // another task
    for (size_t i = 0; i < STEPS * INPUTS; i++)
        gain_input(gain)[i] = (float)random_normal(&stream);
    gain_add(gain, &basis, gains, begins, absorbed, STEPS);
    ck_assert_float_eq(gains[7], 0);

    double phi[STEPS * FEATURES];
    struct basis_scratch *scratch = basis_scratch_new(&basis, STEPS);
    basis_features(&basis, phi, gain_input(gain), STEPS, scratch);
    static const size_t tasks[] = {0, 25, STEPS};
    for (size_t task = 0; task < 2; task++) {
        double before[FEATURES][FEATURES] = {{0}}, after[FEATURES][FEATURES], sum = 0;
        for (size_t i = 0; i < FEATURES; i++)
            before[i][i] = 0.7;
        memcpy(after, before, sizeof after);
        for (size_t t = tasks[task]; t < tasks[task + 1]; t++) {
            sum += (double)gains[t];
            for (size_t i = 0; absorbed[t] && i < FEATURES; i++)
                for (size_t j = 0; j < FEATURES; j++)
                    after[i][j] += phi[t * FEATURES + i] * phi[t * FEATURES + j];
        }
        ck_assert_double_eq_tol(sum, 0.5 * (log_determinant(after) - log_determinant(before)), 1e-4);
    }
    basis_scratch_free(scratch);
    gain_free(gain);
    basis_release(&basis);
}
END_TEST

START_TEST(a_basis_that_skips_inputs_never_sees_them)
{
    struct basis basis;
    basis_of(&basis, 4);
    struct random_stream stream = random_stream(7, 1, 2, 3);
    struct basis_scratch *scratch = basis_scratch_new(&basis, STEPS);
    float in[STEPS * INPUTS];
    double y[STEPS], value, phi[STEPS * FEATURES], again[STEPS * FEATURES], norm;
    for (int update = 0; update < 5; update++) {
        for (size_t i = 0; i < STEPS * INPUTS; i++)
            in[i] = (float)random_normal(&stream);
        for (size_t t = 0; t < STEPS; t++)
            y[t] = random_normal(&stream);
        ck_assert_int_eq(basis_evidence(&basis, &value, basis.trainee.gradient, in, y, STEPS, scratch), 0);
        ck_assert_int_eq(trainee_step(&basis.trainee, 0.01, 1, 1e-8, &norm), 0);
        ck_assert_double_gt(norm, 0);
    }
    basis_features(&basis, phi, in, STEPS, scratch);
    for (size_t t = 0; t < STEPS; t++)
        for (size_t i = 0; i < 4; i++)
            in[t * INPUTS + i] = (float)random_normal(&stream);
    basis_features(&basis, again, in, STEPS, scratch);
    ck_assert_mem_eq(phi, again, sizeof phi);
    in[4] += 1;
    basis_features(&basis, again, in, STEPS, scratch);
    ck_assert_mem_ne(phi, again, sizeof phi);
    basis_scratch_free(scratch);
    basis_release(&basis);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("search");
    SUITE_TEST(suite, choices_are_a_one_among_zeros_with_the_density_of_the_softmax);
    SUITE_TEST(suite, a_choice_is_served_as_the_likeliest);
    SUITE_TEST(suite, each_of_finitely_many_tasks_is_met_as_often);
    SUITE_TEST(suite, an_evaluation_of_finitely_many_tasks_plays_each_as_often);
    SUITE_TEST(suite, returns_run_on_through_the_episodes_of_a_task_if_told_so);
    SUITE_TEST(suite, rewards_are_paid_for_entropy_and_for_what_was_learnt);
    SUITE_TEST(suite, what_is_paid_for_does_not_depend_on_the_threads);
    SUITE_TEST(suite, what_a_task_teaches_is_half_the_growth_of_the_log_determinant);
    SUITE_TEST(suite, a_basis_that_skips_inputs_never_sees_them);
    return suite_finish(suite);
}
