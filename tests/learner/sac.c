// Soft actor-critic: gradients against central differences (this suite is compiled in double), and identities.

#include "daemon/base/random.h"
#include "learner/policy/sac.h"
#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

#undef I  // complex.h, by way of cblas.h

enum { B = 12, I = 4, C = 5, A = 2 };

static const double STEP = 1e-6, TOLERANCE = 1e-7;

struct fixture {
    struct sac sac;
    struct sac_settings settings;
    struct sac_batch batch;
    struct sac_shard *shard;
    double input[B * I], next_input[B * I], judged[B * (C + A)], next_judged[B * (C + A)], reward[B], goes_on[B];
    double noise[B * A];
};

static void fill_normal(double *x, size_t count, double sd, struct random_stream *stream)
{
    for (size_t i = 0; i < count; i++)
        x[i] = sd * random_normal(stream);
}

static struct fixture *begin(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    ck_assert_ptr_nonnull(f);
    size_t hidden[] = {16, 16};
    ck_assert_int_eq(sac_init(&f->sac, I, C, A, hidden), 0);
    struct random_stream stream = random_stream(1, 2, 3, 4);
    sac_start(&f->sac, &stream);
    // Targets that differ from their critics, and a temperature that is not 1.
    for (size_t k = 0; k < SAC_CRITICS; k++)
        for (size_t i = 0; i < f->sac.critic.count; i++)
            f->sac.target[k][i] += 0.05 * random_normal(&stream);
    f->sac.temperature.parameters[0] = -0.7;
    f->settings = (struct sac_settings){.discount = 0.97, .follow = 0.1, .entropy = -A, .norm_limit = INFINITY,
                                        .epsilon = 1e-8};
    fill_normal(f->input, B * I, 1, &stream);
    fill_normal(f->next_input, B * I, 1, &stream);
    fill_normal(f->judged, B * (C + A), 0.7, &stream);
    fill_normal(f->next_judged, B * (C + A), 0.7, &stream);
    fill_normal(f->reward, B, 1, &stream);
    fill_normal(f->noise, B * A, 1, &stream);
    for (size_t b = 0; b < B; b++)
        f->goes_on[b] = b % 3 != 0;
    f->batch = (struct sac_batch){B, f->input, f->next_input, f->judged, f->next_judged, f->reward, f->goes_on};
    ck_assert_ptr_nonnull(f->shard = sac_shard_new(&f->sac, B, 1));
    memcpy(f->shard->noise, f->noise, sizeof f->noise);
    return f;
}

static void end(struct fixture *f)
{
    sac_release(&f->sac);
    sac_shard_free(f->shard);
    free(f);
}

static double critic_objective(struct fixture *f)
{
    sac_critic_loss(&f->sac, &f->settings, &f->batch, 0, B, f->shard);
    return f->shard->critic_loss / B;
}

static double actor_objective(struct fixture *f)
{
    sac_actor_loss(&f->sac, &f->batch, 0, B, f->shard);
    return f->shard->actor_loss / B;
}

// A relu's kink within a step makes a difference wrong, not the gradient: an entry counts if a smaller step agrees
// with the larger one.
static void check(const char *name, struct fixture *f, double objective(struct fixture *), double *x,
                  const double *gradient, size_t count)
{
    double scale = 0, worst = -1, numeric_at = 0;
    size_t where = 0, smooth = 0;
    for (size_t i = 0; i < count; i++)
        scale = fmax(scale, fabs(gradient[i]));
    ck_assert_msg(scale > 0, "%s: the gradient is zero", name);
    for (size_t i = 0; i < count; i++) {
        double kept = x[i], slopes[2];
        for (int k = 0; k < 2; k++) {
            double h = k ? 4 * STEP : STEP;
            x[i] = kept + h;
            double up = objective(f);
            x[i] = kept - h;
            slopes[k] = (up - objective(f)) / (2 * h);
            x[i] = kept;
        }
        if (fabs(slopes[0] - slopes[1]) > 1e-6 * scale)
            continue;
        smooth++;
        double off = fabs(slopes[0] - gradient[i]) / scale;
        if (off > worst) {
            worst = off;
            where = i;
            numeric_at = slopes[0];
        }
    }
    ck_assert_msg(smooth > count * 9 / 10, "%s: only %zu of %zu entries are smooth", name, smooth, count);
    ck_assert_msg(worst < TOLERANCE, "%s[%zu]: %.12g, by differences %.12g (relative %.2g)", name, where,
                  gradient[where], numeric_at, worst);
}

START_TEST(the_critics_gradients_are_those_of_their_loss)
{
    struct fixture *f = begin();
    critic_objective(f);
    for (size_t k = 0; k < SAC_CRITICS; k++) {
        double *gradient = malloc(f->sac.critic.count * sizeof *gradient);
        ck_assert_ptr_nonnull(gradient);
        memcpy(gradient, f->shard->gradient[1 + k], f->sac.critic.count * sizeof *gradient);
        check("critic", f, critic_objective, f->sac.judging[k].parameters, gradient, f->sac.critic.count);
        free(gradient);
    }
    end(f);
}
END_TEST

START_TEST(what_the_critics_read_has_a_gradient_too)
{
    struct fixture *f = begin();
    critic_objective(f);
    double gradient[B * (C + A)];
    memcpy(gradient, f->shard->dcontext, sizeof gradient);
    check("critics' inputs", f, critic_objective, f->judged, gradient, B * (C + A));
    end(f);
}
END_TEST

START_TEST(the_actors_gradient_goes_through_the_smaller_critic_and_the_entropy)
{
    struct fixture *f = begin();
    actor_objective(f);
    double *gradient = malloc(f->sac.actor.count * sizeof *gradient);
    ck_assert_ptr_nonnull(gradient);
    memcpy(gradient, f->shard->gradient[0], f->sac.actor.count * sizeof *gradient);
    check("actor", f, actor_objective, f->sac.acting.parameters, gradient, f->sac.actor.count);
    free(gradient);
    end(f);
}
END_TEST

START_TEST(densities_of_squashed_actions_integrate_to_one)
{
    // One action; the sum over a fine grid of u of density times the cell's width in tanh u.
    const double outs[][2] = {{0, 0}, {1.5, -0.3}, {-1, 0.5}, {0.2, 0.6}};
    for (size_t k = 0; k < sizeof outs / sizeof *outs; k++) {
        double sum = 0, width = 1e-3, before = 0;
        for (double e = -8; e <= 8; e += width) {
            double action;
            sac_draw(&action, outs[k], (double[]){e}, 1);
            if (e > -8) {
                double middle, log_density = sac_draw(&middle, outs[k], (double[]){e - width / 2}, 1);
                sum += exp(log_density) * (action - before);
            }
            before = action;
        }
        ck_assert_double_eq_tol(sum, 1, 1e-6);
    }
    // Far out, where 1 - tanh^2 is nothing in floating point: 2 (ln 2 - 40) still.
    double action, log_density = sac_draw(&action, (double[]){40, 0}, (double[]){0}, 1);
    double log_sd = -5 + 3.5;
    ck_assert_double_eq_tol(log_density, -0.5 * log(2 * M_PI) - log_sd - 2 * (M_LN2 - 40), 1e-12);
}
END_TEST

START_TEST(a_target_looks_no_further_where_the_world_ended_the_episode)
{
    struct fixture *f = begin();
    // With the critics at zero the loss is what they should say, squared: r where nothing goes on.
    for (size_t k = 0; k < SAC_CRITICS; k++)
        memset(f->sac.judging[k].parameters, 0, f->sac.critic.count * sizeof(double));
    for (size_t b = 0; b < B; b++)
        f->goes_on[b] = 0;
    double expected = 0;
    for (size_t b = 0; b < B; b++)
        expected += SAC_CRITICS * f->reward[b] * f->reward[b] / B;
    ck_assert_double_eq_tol(critic_objective(f), expected, 1e-12);

    // And r + discount (min Q' - alpha ln pi) where it does, by the targets written out.
    size_t width = C + A;
    double *work = malloc(net_activations(&f->sac.critic, B) * sizeof *work);
    ck_assert_ptr_nonnull(work);
    for (size_t b = 0; b < B; b++)
        f->goes_on[b] = 1;
    double loss = critic_objective(f), by_hand = 0;
    for (size_t b = 0; b < B; b++) {
        double out[2 * A], action[A], row[C + A], values[2];
        double *activations = malloc(net_activations(&f->sac.actor, 1) * sizeof(double));
        ck_assert_ptr_nonnull(activations);
        memcpy(out, net_forward(&f->sac.actor, f->sac.acting.parameters, activations, f->next_input + b * I, 1), sizeof out);
        free(activations);
        double log_density = sac_draw(action, out, f->noise + b * A, A);
        memcpy(row, f->next_judged + b * width, C * sizeof *row);
        memcpy(row + C, action, sizeof action);
        for (size_t k = 0; k < SAC_CRITICS; k++)
            values[k] = *net_forward(&f->sac.critic, f->sac.target[k], work, row, 1);
        double y = f->reward[b] + 0.97 * (fmin(values[0], values[1]) - exp(-0.7) * log_density);
        by_hand += SAC_CRITICS * y * y / B;
    }
    ck_assert_double_eq_tol(loss, by_hand, 1e-10);
    free(work);
    end(f);
}
END_TEST

START_TEST(shards_add_up_to_the_batch)
{
    struct fixture *f = begin();
    double critic = critic_objective(f), actor = actor_objective(f), entropy = f->shard->entropy;
    critic_objective(f);
    struct sac_shard *parts[3];
    double sum = 0, actor_sum = 0, entropy_sum = 0;
    for (size_t s = 0; s < 3; s++) {
        ck_assert_ptr_nonnull(parts[s] = sac_shard_new(&f->sac, 5, 0));
        size_t first = 5 * s, count = s == 2 ? 2 : 5;
        memcpy(parts[s]->noise, f->noise + first * A, count * A * sizeof(double));
        sac_critic_loss(&f->sac, &f->settings, &f->batch, first, count, parts[s]);
        sac_actor_loss(&f->sac, &f->batch, first, count, parts[s]);
        sum += parts[s]->critic_loss / B;
        actor_sum += parts[s]->actor_loss / B;
        entropy_sum += parts[s]->entropy;
    }
    ck_assert_double_eq_tol(sum, critic, 1e-12);
    ck_assert_double_eq_tol(actor_sum, actor, 1e-12);
    ck_assert_double_eq_tol(entropy_sum, entropy, 1e-12);
    for (size_t g = 0; g < 1 + SAC_CRITICS; g++) {
        size_t count = g ? f->sac.critic.count : f->sac.actor.count;
        for (size_t i = 0; i < count; i++) {
            double together = 0;
            for (size_t s = 0; s < 3; s++)
                together += parts[s]->gradient[g][i];
            ck_assert_double_eq_tol(together, f->shard->gradient[g][i], 1e-12);
        }
    }
    for (size_t s = 0; s < 3; s++)
        sac_shard_free(parts[s]);
    end(f);
}
END_TEST

START_TEST(targets_follow_and_the_temperature_seeks_the_wanted_entropy)
{
    struct fixture *f = begin();
    critic_objective(f);
    double before = f->sac.target[1][7];
    ck_assert_int_eq(sac_critic_step(&f->sac, 1, &f->shard, 1, &f->settings, 1e-3), 0);
    ck_assert_double_eq_tol(f->sac.target[1][7], before + 0.1 * (f->sac.judging[1].parameters[7] - before), 1e-15);

    // Less entropy than wanted: alpha rises; more: it falls.
    for (int more = 0; more < 2; more++) {
        double alpha = sac_alpha(&f->sac);
        f->shard->entropy = B * (f->settings.entropy + (more ? 1 : -1));
        memset(f->sac.temperature.adam.first, 0, sizeof(double));
        ck_assert_int_eq(sac_temperature_step(&f->sac, &f->shard, 1, B, &f->settings, 1e-3), 0);
        ck_assert((sac_alpha(&f->sac) < alpha) == more);
    }
    end(f);
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_changes_nothing)
{
    struct fixture *f = begin();
    critic_objective(f);
    double kept = f->sac.judging[0].parameters[3], target = f->sac.target[0][3];
    f->shard->gradient[1][3] = NAN;
    ck_assert_int_lt(sac_critic_step(&f->sac, 0, &f->shard, 1, &f->settings, 1e-3), 0);
    ck_assert_double_eq(f->sac.judging[0].parameters[3], kept);
    ck_assert_double_eq(f->sac.target[0][3], target);
    end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sac");
    SUITE_TEST(suite, the_critics_gradients_are_those_of_their_loss);
    SUITE_TEST(suite, what_the_critics_read_has_a_gradient_too);
    SUITE_TEST(suite, the_actors_gradient_goes_through_the_smaller_critic_and_the_entropy);
    SUITE_TEST(suite, densities_of_squashed_actions_integrate_to_one);
    SUITE_TEST(suite, a_target_looks_no_further_where_the_world_ended_the_episode);
    SUITE_TEST(suite, shards_add_up_to_the_batch);
    SUITE_TEST(suite, targets_follow_and_the_temperature_seeks_the_wanted_entropy);
    SUITE_TEST(suite, a_gradient_that_is_not_finite_changes_nothing);
    return suite_finish(suite);
}
