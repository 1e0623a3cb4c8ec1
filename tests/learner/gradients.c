// Every gradient of the learner against central differences. Compiled with -DREAL_DOUBLE: the same sources as the
// product, in double.

#include "daemon/base/random.h"
#include "learner/policy/ppo.h"
#include "tests/learner/differences.h"
#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

static void fill_normal(double *x, size_t count, double sd, struct random_stream *stream)
{
    for (size_t i = 0; i < count; i++)
        x[i] = sd * random_normal(stream);
}

struct net_case {
    struct net net;
    double *parameters, *in, *weights, *activations;
    size_t B;
};

// sum of weights * outputs
static double net_objective(void *context)
{
    struct net_case *c = context;
    const double *out = net_forward(&c->net, c->parameters, c->activations, c->in, c->B);
    double sum = 0;
    for (size_t i = 0; i < c->B * c->net.sizes[c->net.layer_count]; i++)
        sum += c->weights[i] * out[i];
    return sum;
}

static void check_net(const char *name, int tanh_output, int relu)
{
    enum { B = 7 };
    size_t sizes[] = {5, 6, 4, 3};
    struct net_case c = {.B = B};
    struct random_stream stream = random_stream(1, 0, 0, 0);
    net_init(&c.net, sizes, 3, tanh_output);
    c.net.relu = relu;
    double parameters[200], in[B * 5], weights[B * 3], gradient[200], activations[B * 13], dactivations[B * 13], din[B * 5];
    ck_assert_uint_eq(net_activations(&c.net, B), B * 13);
    net_orthogonal(&c.net, parameters, sqrt(2), 1, &stream);
    fill_normal(parameters + c.net.bias_at[1], 4, 0.5, &stream);
    fill_normal(in, B * 5, 1, &stream);
    fill_normal(weights, B * 3, 1, &stream);
    c.parameters = parameters;
    c.in = in;
    c.weights = weights;
    c.activations = activations;
    for (size_t i = 0; i < c.net.count; i++)
        gradient[i] = NAN;

    net_objective(&c);
    memcpy(net_doutput(&c.net, dactivations, B), weights, sizeof weights);
    net_backward(&c.net, parameters, gradient, activations, dactivations, in, B);
    check_against_differences(name, parameters, gradient, c.net.count, net_objective, &c);

    // Of the inputs, without that of the parameters too.
    net_dinput(&c.net, parameters, din, dactivations, B);
    check_against_differences("inputs of a net", in, din, B * 5, net_objective, &c);
    double again[B * 5];
    net_objective(&c);
    memcpy(net_doutput(&c.net, dactivations, B), weights, sizeof weights);
    net_backward(&c.net, parameters, NULL, activations, dactivations, in, B);
    net_dinput(&c.net, parameters, again, dactivations, B);
    ck_assert_mem_eq(again, din, sizeof din);
}

START_TEST(each_layer_goes_back_as_it_went_forward)
{
    check_net("net", 0, 0);
    check_net("net with tanh output", 1, 0);
    check_net("net with relu", 0, 1);
}
END_TEST

START_TEST(orthogonal_weights_are_orthogonal)
{
    size_t sizes[] = {5, 8, 3};
    struct net net;
    double parameters[200];
    struct random_stream stream = random_stream(2, 0, 0, 0);
    net_init(&net, sizes, 2, 0);
    net_orthogonal(&net, parameters, 3, 0.5, &stream);
    for (size_t i = 0; i < 5; i++)       // 5 rows of 8: W W' = 9 I
        for (size_t j = 0; j < 5; j++) {
            double dot = 0;
            for (size_t k = 0; k < 8; k++)
                dot += parameters[i * 8 + k] * parameters[j * 8 + k];
            ck_assert_double_eq_tol(dot, i == j ? 9 : 0, 1e-12);
        }
    const double *second = parameters + net.weight_at[1];
    for (size_t i = 0; i < 3; i++)       // 3 columns of 8: W'W = I / 4
        for (size_t j = 0; j < 3; j++) {
            double dot = 0;
            for (size_t k = 0; k < 8; k++)
                dot += second[k * 3 + i] * second[k * 3 + j];
            ck_assert_double_eq_tol(dot, i == j ? 0.25 : 0, 1e-12);
        }
}
END_TEST

START_TEST(adam_follows_its_paper)
{
    // Against the algorithm written out for one number.
    struct trainee trainee;
    ck_assert_int_eq(trainee_init(&trainee, 1), 0);
    double m = 0, v = 0, x = 0.3, norm;
    trainee.parameters[0] = x;
    for (int t = 1; t <= 20; t++) {
        double g = sin(t) * 3, held = fabs(g) > 2 ? 2 * g / fabs(g) : g;
        trainee.gradient[0] = g;
        ck_assert_int_eq(trainee_step(&trainee, 0.01, 2, 1e-8, &norm), 0);
        ck_assert_double_eq_tol(norm, fabs(g), 1e-12);
        m = 0.9 * m + 0.1 * held;
        v = 0.999 * v + 0.001 * held * held;
        x -= 0.01 * (m / (1 - pow(0.9, t))) / (sqrt(v / (1 - pow(0.999, t))) + 1e-8);
        ck_assert_double_eq_tol(trainee.parameters[0], x, 1e-12);
    }
    trainee_release(&trainee);
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_changes_nothing)
{
    struct trainee trainee;
    double norm;
    ck_assert_int_eq(trainee_init(&trainee, 3), 0);
    trainee.parameters[1] = 2;
    trainee.gradient[0] = 1;
    trainee.gradient[2] = NAN;
    ck_assert_int_lt(trainee_step(&trainee, 0.1, 1, 1e-8, &norm), 0);
    trainee.gradient[2] = INFINITY;
    ck_assert_int_lt(trainee_step(&trainee, 0.1, 1, 1e-8, &norm), 0);
    ck_assert_double_eq(trainee.parameters[0], 0);
    ck_assert_double_eq(trainee.parameters[1], 2);
    ck_assert_uint_eq(trainee.adam.steps, 0);
    trainee_release(&trainee);
}
END_TEST

enum { ROWS = 24, INPUTS = 6, ACTIONS = 2 };

// A batch whose ratios lie on both sides of the clip, and whose values moved more and less than theirs.
struct ppo_case {
    struct actor actor;
    struct critic critic;
    struct experience experience;
    struct ppo_settings settings;
    struct ppo_scratch *scratch;
    struct ppo_report report;
    double input[ROWS * INPUTS], action[ROWS * ACTIONS], log_density[ROWS], advantage[ROWS], value[ROWS], target[ROWS];
    uint32_t index[ROWS];
};

static void ppo_case_init(struct ppo_case *c, int for_actor, int discrete)
{
    struct random_stream stream = random_stream(3, 0, 0, 0);
    size_t hidden[] = {7, 5};
    memset(c, 0, sizeof *c);
    ck_assert_int_eq(actor_init(&c->actor, INPUTS - 1, hidden, ACTIONS, discrete), 0);
    ck_assert_int_eq(critic_init(&c->critic, INPUTS, hidden), 0);
    actor_start(&c->actor, 0.7, &stream);
    critic_start(&c->critic, &stream);
    fill_normal(c->actor.trainee.parameters, c->actor.net.count, 0.3, &stream);
    fill_normal(c->input, ROWS * INPUTS, 1, &stream);
    fill_normal(c->action, ROWS * ACTIONS, 0.8, &stream);
    for (size_t i = 0; discrete && i < ROWS; i++)
        for (size_t k = 0; k < ACTIONS; k++)
            c->action[i * ACTIONS + k] = k == (i / 2) % ACTIONS;
    fill_normal(c->advantage, ROWS, 1, &stream);
    fill_normal(c->value, ROWS, 0.5, &stream);
    fill_normal(c->target, ROWS, 1, &stream);
    c->experience = (struct experience){ROWS, c->input, INPUTS, c->action, c->log_density, c->advantage, c->value,
                                        c->target};
    c->settings = (struct ppo_settings){.epochs = 2, .minibatch = ROWS, .clip = 0.2, .value_clip = 0.4,
                                        .entropy = 0.01, .norm_limit = 0.5, .epsilon = 1e-5, .sd_low = 0.01};
    c->scratch = ppo_scratch_new(for_actor ? &c->actor.net : &c->critic.net, ROWS, ROWS);
    ck_assert_ptr_nonnull(c->scratch);
    for (uint32_t i = 0; i < ROWS; i++)
        c->index[i] = (i * 5) % ROWS;
    // Old densities: those of now, moved by up to half a nat.
    for (size_t i = 0; i < ROWS; i++) {
        double activations[14], row[INPUTS - 1];
        memcpy(row, c->input + i * INPUTS, sizeof row);
        const double *out = net_forward(&c->actor.net, c->actor.trainee.parameters, activations, row, 1);
        const double *action = c->action + i * ACTIONS, *log_sd = c->actor.trainee.parameters + c->actor.log_sd_at;
        c->log_density[i] = (discrete ? choice_log_density(action, out, ACTIONS)
                                      : gaussian_log_density(action, out, log_sd, ACTIONS))
                            + random_between(&stream, -0.5, 0.5);
    }
}

static void ppo_case_release(struct ppo_case *c)
{
    actor_release(&c->actor);
    critic_release(&c->critic);
    ppo_scratch_free(c->scratch);
}

static double actor_objective(void *context)
{
    struct ppo_case *c = context;
    return actor_loss(&c->actor, &c->experience, c->index, ROWS, &c->settings, c->scratch, &c->report);
}

static double critic_objective(void *context)
{
    struct ppo_case *c = context;
    return critic_loss(&c->critic, &c->experience, c->index, ROWS, &c->settings, c->scratch);
}

START_TEST(the_actors_gradient_is_that_of_its_loss)
{
    static struct ppo_case c;
    for (int discrete = 0; discrete < 2; discrete++) {
        ppo_case_init(&c, 1, discrete);
        c.settings.entropy = 0.3;
        actor_objective(&c);
        ck_assert_double_gt(c.report.clipped, 0.1);
        ck_assert_double_lt(c.report.clipped, 0.9);
        double gradient[200];
        memcpy(gradient, c.actor.trainee.gradient, c.actor.trainee.count * sizeof *gradient);
        check_against_differences(discrete ? "actor of choices" : "actor", c.actor.trainee.parameters, gradient,
                                  c.actor.trainee.count, actor_objective, &c);
        ppo_case_release(&c);
    }
}
END_TEST

START_TEST(choices_are_drawn_from_the_softmax_of_their_scores)
{
    // Scores far from zero, where exp alone would overflow or vanish; they differ by ln 2 and ln 4.
    static const double offsets[] = {0, 1000, -1000};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        double score[3], p[3];
        for (size_t k = 0; k < 3; k++)
            score[k] = offsets[i] + (double)k * log(2);
        double log_sum = choice_probabilities(p, score, 3);
        ck_assert_double_eq_tol(log_sum, offsets[i] + log(7), 1e-12);
        for (size_t k = 0; k < 3; k++) {
            const double action[] = {k == 0, k == 1, k == 2};
            ck_assert_double_eq_tol(p[k], (double)(1 << k) / 7, 1e-12);
            ck_assert_double_eq_tol(choice_log_density(action, score, 3), log(p[k]), 1e-12);
        }
    }
}
END_TEST

START_TEST(the_critics_gradient_is_that_of_its_loss)
{
    static struct ppo_case c;
    for (int clipped = 0; clipped < 2; clipped++) {
        ppo_case_init(&c, 0, 0);
        c.settings.value_clip = clipped ? 0.4 : 0;
        critic_objective(&c);
        double gradient[200];
        memcpy(gradient, c.critic.trainee.gradient, c.critic.trainee.count * sizeof *gradient);
        check_against_differences(clipped ? "clipped critic" : "critic", c.critic.trainee.parameters, gradient,
                       c.critic.trainee.count, critic_objective, &c);
        ppo_case_release(&c);
    }
}
END_TEST

START_TEST(an_update_lowers_both_losses)
{
    static struct ppo_case c;
    for (int actor = 0; actor < 2; actor++) {
        ppo_case_init(&c, actor, 0);
        c.settings.epochs = 30;
        struct random_stream stream = random_stream(4, 0, 0, 0);
        double before = actor ? actor_objective(&c) : critic_objective(&c);
        ck_assert_int_eq(actor ? actor_update(&c.actor, &c.experience, &c.settings, 1e-3, &stream, c.scratch, &c.report)
                               : critic_update(&c.critic, &c.experience, &c.settings, 1e-3, &stream, c.scratch,
                                               &c.report), 0);
        double after = actor ? actor_objective(&c) : critic_objective(&c);
        ck_assert_double_lt(after, before - 1e-3);
        ppo_case_release(&c);
    }
}
END_TEST

START_TEST(an_update_on_numbers_that_are_not_finite_says_so)
{
    static struct ppo_case c;
    struct random_stream stream = random_stream(4, 0, 0, 0);
    ppo_case_init(&c, 1, 0);
    c.advantage[3] = NAN;
    ck_assert_int_lt(actor_update(&c.actor, &c.experience, &c.settings, 1e-3, &stream, c.scratch, &c.report), 0);
    ppo_case_release(&c);
    ppo_case_init(&c, 0, 0);
    c.target[3] = INFINITY;
    ck_assert_int_lt(critic_update(&c.critic, &c.experience, &c.settings, 1e-3, &stream, c.scratch, &c.report), 0);
    ppo_case_release(&c);
}
END_TEST

START_TEST(advantages_are_sums_of_discounted_errors)
{
    // Against the definition, forwards: advantage_t = sum_k (discount trace)^k delta_t+k up to the end of the piece.
    enum { T = 12 };
    double reward[T], value[T], after[T], advantage[T], target[T];
    uint8_t end[T] = {0};
    struct random_stream stream = random_stream(5, 0, 0, 0);
    fill_normal(reward, T, 1, &stream);
    fill_normal(value, T, 1, &stream);
    fill_normal(after, T, 1, &stream);
    end[3] = ROW_FAILED;
    end[6] = ROW_VOID;
    end[T - 1] = ROW_STOPPED;
    end[9] = ROW_STOPPED;
    double discount = 0.9, trace = 0.8;
    advantages(advantage, target, reward, value, after, end, T, discount, trace);
    for (size_t t = 0; t < T; t++) {
        double sum = 0, weight = 1;
        for (size_t k = t; end[t] != ROW_VOID; k++) {
            int last = end[k] != ROW_GOES_ON || end[k + 1] == ROW_VOID;
            double next = end[k] == ROW_FAILED ? 0 : end[k] == ROW_STOPPED ? after[k] : value[k + 1];
            sum += weight * (reward[k] + discount * next - value[k]);
            weight *= discount * trace;
            if (last)
                break;
        }
        ck_assert_double_eq_tol(advantage[t], sum, 1e-12);
        ck_assert_double_eq_tol(target[t], sum + value[t], 1e-12);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gradients");
    SUITE_TEST(suite, each_layer_goes_back_as_it_went_forward);
    SUITE_TEST(suite, orthogonal_weights_are_orthogonal);
    SUITE_TEST(suite, adam_follows_its_paper);
    SUITE_TEST(suite, a_gradient_that_is_not_finite_changes_nothing);
    SUITE_TEST(suite, the_actors_gradient_is_that_of_its_loss);
    SUITE_TEST(suite, choices_are_drawn_from_the_softmax_of_their_scores);
    SUITE_TEST(suite, the_critics_gradient_is_that_of_its_loss);
    SUITE_TEST(suite, an_update_lowers_both_losses);
    SUITE_TEST(suite, an_update_on_numbers_that_are_not_finite_says_so);
    SUITE_TEST(suite, advantages_are_sums_of_discounted_errors);
    return suite_finish(suite);
}
