// The posterior and what follows from it, against identities first and plain formulas second.

#include "naive.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const unsigned ALL = POSTERIOR_MEAN | POSTERIOR_SCALE | POSTERIOR_VARIANCE;

START_TEST(mean_scale_and_variance_are_the_batch_formulas)
{
    const size_t dimensions[][2] = {{1, 1}, {2, 5}, {7, 3}, {16, 20}, {19, 1}, {32, 39}, {40, 17}};
    for (size_t k = 0; k < 7; k++) {
        size_t D = dimensions[k][0], d = dimensions[k][1];
        struct scenario s;
        scenario_init(&s, &(struct scenario_options){.D = D, .d = d, .rows_limit = 2, .seed = k, .noise = 0.3, .mean = 0.3});
        int32_t *z = scenario_draw_many(&s, 60);
        for (size_t count = 0, added = 0; count <= 60; count += 20) {
            for (; added < count; added++)
                belief_add(&s.belief, z + added * kernel_padded(s.P));
            double rows[2 * 64];
            in_units(rows, z, D);
            in_units(rows + D, z + 7 * kernel_padded(s.P), D);
            ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, ALL, rows, 2), 0);
            struct naive n = naive_solve(&s, z, count);
            struct posterior *p = &s.posterior;
            ck_assert(!p->refined);
            for (size_t i = 0; i < D * d; i++)
                assert_near("mean", p->mean[i], (double)n.mean[i], 1e-12);
            for (size_t i = 0; i < d * d; i++)
                assert_near("scale", p->scale[i], (double)n.scale[i], 1e-11);
            for (size_t i = 0; i < D; i++)
                assert_near("variance", p->variance[i], (double)n.inverse[i * D + i], 1e-13);
            for (size_t r = 0; r < 2; r++) {
                long double variance = 0;
                for (size_t i = 0; i < D; i++)
                    for (size_t j = 0; j < D; j++)
                        variance += n.inverse[i * D + j] * rows[r * D + i] * rows[r * D + j];
                assert_near("row variance", p->row_variance[r], (double)variance, 1e-13);
                for (size_t j = 0; j < d; j++) {
                    long double mean = 0;
                    for (size_t i = 0; i < D; i++)
                        mean += n.mean[i * d + j] * rows[r * D + i];
                    assert_near("row mean", p->row_mean[r * d + j], (double)mean, 1e-12);
                }
            }
            for (size_t i = 0; i < d; i++) {
                for (size_t j = 0; j < d; j++) {
                    long double sum = 0;
                    for (size_t l = 0; l < d; l++)
                        sum += (long double)p->scale_factor[i * d + l] * p->scale_factor[j * d + l];
                    assert_near("factor", (double)sum, p->scale[i * d + j], 1e-13);
                }
                double df = p->degrees - (double)d - 1;
                double noise = p->scale[i * d + i] / (df > 0 ? df : df + 2 * (double)d + 2);
                assert_near("noise", posterior_noise(p, i), noise, 1e-15);
            }
            assert_near("ln |Xi|", p->log_det_precision, (double)n.log_det_precision, 1e-13);
            assert_near("ln |Omega|", p->log_det_scale, (double)n.log_det_scale, 1e-12);
            assert_near("nu", p->degrees, (double)n.degrees, 0);
            naive_release(&n);
        }
        free(z);
        scenario_release(&s);
    }
}
END_TEST

// -------------------------------------------------------------------------------------------------------

START_TEST(what_else_was_asked_for_changes_no_bit)
{
    for (int kind = 0; kind < 4; kind++) {
        // Plain; refined everywhere; refined scale only; manifold.
        struct scenario s;
        scenario_init(&s, &(struct scenario_options){.D = 13, .d = 5, .rows_limit = 3, .seed = 3, .noise = kind == 2 ? 1e-4 : 0.3,
                          .precision = kind == 1 ? 1e-7 : kind == 2 ? 0.01 : 0.5, .scale = 1e-6, .mean = 0.1, .law = kind == 3});
        int32_t *z = scenario_draw_many(&s, 40);
        for (size_t i = 0; i < (kind == 1 ? 9 : 40); i++)
            belief_add(&s.belief, z + i * kernel_padded(s.P));
        double rows[3 * 13], mean[13 * 5], scale[25], variance[13], row_mean[15], row_variance[3];
        for (size_t i = 0; i < 3; i++)
            in_units(rows + i * 13, z + i * kernel_padded(s.P), 13);
        struct posterior *p = &s.posterior;
        ck_assert_int_eq(posterior_solve(p, s.prior, &s.belief, ALL, rows, 3), 0);
        ck_assert_int_eq(p->refined, kind == 1 || kind == 2);
        memcpy(mean, p->mean, sizeof mean), memcpy(scale, p->scale, sizeof scale);
        memcpy(variance, p->variance, sizeof variance);
        memcpy(row_mean, p->row_mean, sizeof row_mean), memcpy(row_variance, p->row_variance, sizeof row_variance);
        double log_det = p->log_det_precision;
        for (unsigned parts = 0; parts <= ALL; parts++) {
            for (size_t first = 0; first < 3; first++) {
                for (size_t count = 0; first + count <= 3; count++) {
                    ck_assert_int_eq(posterior_solve(p, s.prior, &s.belief, parts, rows + first * 13, count), 0);
                    if (parts & POSTERIOR_MEAN)
                        ck_assert_mem_eq(p->mean, mean, sizeof mean);
                    if (parts & POSTERIOR_SCALE)
                        ck_assert_mem_eq(p->scale, scale, sizeof scale);
                    if (parts & POSTERIOR_VARIANCE)
                        ck_assert_mem_eq(p->variance, variance, sizeof variance);
                    ck_assert_mem_eq(p->row_mean, row_mean + first * 5, count * 5 * sizeof *row_mean);
                    ck_assert_mem_eq(p->row_variance, row_variance + first, count * sizeof *row_variance);
                    ck_assert(p->log_det_precision == log_det);
                }
            }
        }
        free(z);
        scenario_release(&s);
    }
}
END_TEST

START_TEST(every_instruction_set_gives_the_same_bits)
{
    const size_t dimensions[][2] = {{1, 1}, {7, 3}, {16, 20}, {33, 39}, {32, 1}};
    for (size_t k = 0; k < 10; k++) {
        size_t D = dimensions[k / 2][0], d = dimensions[k / 2][1];
        struct scenario s;
        scenario_init(&s, &(struct scenario_options){.D = D, .d = d, .rows_limit = 1, .seed = k, .noise = 0.1, .mean = 0.1,
                          .precision = k % 2 ? 1e-8 : 1, .scale = 0.01});
        int32_t *z = scenario_draw_many(&s, 30);
        for (size_t i = 0; i < (k % 2 ? 1 : 30); i++)
            belief_add(&s.belief, z + i * kernel_padded(s.P));
        double phi[64];
        in_units(phi, z, D);
        struct posterior *p = &s.posterior, first;
        size_t results = 2 * d * d + D * d + D + 2 * (d + 1);
        double *expected = malloc(results * sizeof *expected), *found = malloc(results * sizeof *found);
        for (size_t i = 0; kernels_at(i); i++) {
            p->kernels = kernels_at(i);
            ck_assert_int_eq(posterior_solve(p, s.prior, &s.belief, ALL, phi, 1), 0);
            ck_assert_int_eq(p->refined, k % 2);
            double *out = i ? found : expected;
            memcpy(out, p->mean, D * d * sizeof *out), out += D * d;
            memcpy(out, p->scale, d * d * sizeof *out), out += d * d;
            memcpy(out, p->scale_factor, d * d * sizeof *out), out += d * d;
            memcpy(out, p->variance, D * sizeof *out), out += D;
            memcpy(out, p->row_mean, d * sizeof *out), out += d;
            memcpy(out, p->row_mean_low, d * sizeof *out), out += d;
            *out++ = *p->row_variance;
            *out++ = *p->row_variance_low;
            if (!i)
                first = *p;
            ck_assert_msg(!i || !memcmp(expected, found, results * sizeof *found), "%s differs", p->kernels->name);
            ck_assert(p->log_det_precision == first.log_det_precision && p->log_det_scale == first.log_det_scale);
        }
        free(expected), free(found), free(z);
        scenario_release(&s);
    }
}
END_TEST

START_TEST(one_step_predictives_add_up_to_the_evidence_in_any_order)
{
    const size_t dimensions[][2] = {{1, 1}, {7, 3}, {16, 20}, {24, 1}};
    for (size_t k = 0; k < 8; k++) {
        size_t D = dimensions[k / 2][0], d = dimensions[k / 2][1];
        struct scenario s;
        scenario_init(&s, &(struct scenario_options){.D = D, .d = d, .rows_limit = 1, .seed = k, .noise = 0.2, .mean = 0.2,
                          .precision = k % 2 ? 0.01 : 0, .scale = 0.01});
        int32_t *z = scenario_draw_many(&s, 50);
        double evidence = 0;
        for (int order = 0; order < 4; order++) {
            double before = 0, after = 0;
            belief_reset(&s.belief);
            for (size_t i = 0; i < 50; i++) {
                const int32_t *next = z + (order == 0 ? i : order == 1 ? 49 - i : (i * (order == 2 ? 7 : 13)) % 50) * kernel_padded(s.P);
                double x[512];
                in_units(x, next, s.P);
                ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_SCALE, NULL, 0), 0);
                struct predictive a = posterior_assess(&s.posterior, x, x + D);
                before += a.log_density;
                belief_add(&s.belief, next);
                ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_SCALE, x, 1), 0);
                struct predictive b = posterior_assess_absorbed(&s.posterior, 0, x + D);
                after += b.log_density;
                assert_near("absorbed log density", b.log_density, a.log_density, 1e-11);
                assert_near("absorbed p-value", b.p_value, a.p_value, 1e-10);
                assert_near("absorbed distance", b.distance / a.distance, 1, 1e-8);
            }
            double found = posterior_log_evidence(&s.posterior, s.prior);
            if (!order)
                evidence = found;
            ck_assert(found == evidence);
            assert_near("sum of predictives", before, evidence, 1e-9);
            assert_near("sum of predictives, absorbed", after, evidence, 1e-9);
        }
        free(z);
        scenario_release(&s);
    }
}
END_TEST

// 1 - h is then a millionth and less: the backwards identity divides by it.
START_TEST(the_first_transitions_under_a_weak_prior_are_judged_well)
{
    for (int exponent = -12; exponent <= -4; exponent += 2) {
        struct scenario s;
        scenario_init(&s, &(struct scenario_options){.D = 24, .d = 6, .rows_limit = 1, .seed = 1, .noise = 0.2, .mean = 0.1,
                          .precision = pow(10, exponent), .scale = 0.01});
        int32_t z[32];
        for (int i = 0; i < 30; i++) {
            double x[30];
            scenario_draw(&s, z);
            in_units(x, z, 30);
            // The old posterior's own prediction is a row of interest, so that it is refined too.
            ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_SCALE, x, 1), 0);
            double s_old = 1 + s.posterior.row_variance[0], e[6], q = 0;
            for (size_t j = 0; j < 6; j++)
                e[j] = x[24 + j] - s.posterior.row_mean[j];
            for (size_t j = 0; j < 6; j++) {
                for (size_t k = 0; k < j; k++)
                    e[j] -= s.posterior.scale_factor[j * 6 + k] * e[k];
                e[j] /= s.posterior.scale_factor[j * 6 + j];
                q += e[j] * e[j];
            }
            q /= s_old;
            double log_det_scale = s.posterior.log_det_scale, nu = s.posterior.degrees;
            double expected = lgamma((nu + 1) / 2) - lgamma((nu - 5) / 2) - 3 * log(M_PI * s_old) - log_det_scale / 2
                            - (nu + 1) / 2 * log1p(q);
            belief_add(&s.belief, z);
            ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_SCALE, x, 1), 0);
            struct predictive found = posterior_assess_absorbed(&s.posterior, 0, x + 24);
            assert_near("log density", found.log_density, expected, 1e-9);
            assert_near("distance", found.distance / q, 1, 1e-9);
        }
        scenario_release(&s);
    }
}
END_TEST

START_TEST(one_target_is_the_normal_inverse_gamma_model)
{
    struct scenario s;
    scenario_init(&s, &(struct scenario_options){.D = 6, .d = 1, .rows_limit = 1, .seed = 8, .noise = 0.4, .mean = 0.2});
    int32_t *z = scenario_draw_many(&s, 25);
    for (size_t i = 0; i < 25; i++)
        belief_add(&s.belief, z + i * kernel_padded(s.P));
    struct naive prior = naive_solve(&s, z, 0), n = naive_solve(&s, z, 25);
    ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, ALL, NULL, 0), 0);
    // a = nu / 2, b = Omega / 2
    double a0 = s.degrees / 2, b0 = s.scale[0] / 2, a = (double)n.degrees / 2, b = (double)n.scale[0] / 2;
    double evidence = -25 / 2.0 * log(2 * M_PI) + ((double)prior.log_det_precision - (double)n.log_det_precision) / 2
                    + a0 * log(b0) - a * log(b) + lgamma(a) - lgamma(a0);
    assert_near("evidence", posterior_log_evidence(&s.posterior, s.prior), evidence, 1e-12);

    // The predictive is Student's t: location M' phi, scale^2 b s / a, 2 a degrees of freedom.
    double x[7], mean, sd;
    in_units(x, z, 7);
    posterior_predict(&s.posterior, x, &mean, &sd);
    long double location = 0, h = 0;
    for (size_t i = 0; i < 6; i++) {
        location += n.mean[i] * x[i];
        for (size_t j = 0; j < 6; j++)
            h += n.inverse[i * 6 + j] * x[i] * x[j];
    }
    double scale = sqrt(b / a * (1 + (double)h)), df = 2 * a, t = (x[6] - (double)location) / scale;
    struct predictive found = posterior_assess(&s.posterior, x, x + 6);
    assert_near("mean", mean, (double)location, 1e-13);
    assert_near("sd", sd, scale * sqrt(df / (df - 2)), 1e-13);
    assert_near("log density", found.log_density,
                lgamma((df + 1) / 2) - lgamma(df / 2) - log(df * M_PI) / 2 - log(scale) - (df + 1) / 2 * log1p(t * t / df), 1e-12);
    // P(|T| > |t|) by Simpson's rule over the density
    double inside = 0;
    const int steps = 2000;
    for (int i = 0; i <= steps; i++) {
        double u = fabs(t) * i / steps, weight = i == 0 || i == steps ? 1 : i % 2 ? 4 : 2;
        inside += weight * exp(-(df + 1) / 2 * log1p(u * u / df));
    }
    inside *= 2 * fabs(t) / steps / 3 * exp(lgamma((df + 1) / 2) - lgamma(df / 2)) / sqrt(df * M_PI);
    assert_near("p-value", found.p_value, 1 - inside, 1e-10);
    naive_release(&prior), naive_release(&n);
    free(z);
    scenario_release(&s);
}
END_TEST

START_TEST(priors_that_are_none_are_refused)
{
    enum { D = 2, d = 2 };
    const double precision[4] = {1, 0.1, 0.1, 1}, mean[4] = {0}, scale[4] = {1, 0, 0, 1}, indefinite[4] = {1, 2, 2, 1};
    const double infinite[4] = {1, INFINITY, 0, 1}, not_a_number[4] = {NAN, 0, 0, 1}, huge[4] = {1e308, 1e308, 0, 0};
    struct prior *prior = NULL;
    struct { struct prior_values values; int error; } cases[] = {
        {{D, d, precision, mean, scale, 1.5}, 0},
        {{0, d, precision, mean, scale, 3}, -EINVAL},
        {{D, 0, precision, mean, scale, 3}, -EINVAL},
        {{BELIEF_FEATURES_LIMIT + 1, d, precision, mean, scale, 3}, -EINVAL},
        {{D, BELIEF_TARGETS_LIMIT + 1, precision, mean, scale, 3}, -EINVAL},
        {{D, d, precision, mean, scale, 1}, -EINVAL},
        {{D, d, precision, mean, scale, NAN}, -EINVAL},
        {{D, d, precision, mean, scale, INFINITY}, -EINVAL},
        {{D, d, infinite, mean, scale, 3}, -EINVAL},
        {{D, d, precision, not_a_number, scale, 3}, -EINVAL},
        {{D, d, precision, mean, infinite, 3}, -EINVAL},
        {{D, d, precision, huge, scale, 3}, -EINVAL},
        {{D, d, indefinite, mean, scale, 3}, -EDOM},
        {{D, d, precision, mean, indefinite, 3}, -EDOM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        prior = NULL;
        int error = prior_new(&prior, &cases[i].values);
        ck_assert_msg(error == cases[i].error, "case %zu: %d", i, error);
        ck_assert_msg(!error == !!prior, "case %zu", i);
        if (prior) {
            ck_assert_uint_eq(prior_features(prior), D);
            ck_assert_uint_eq(prior_targets(prior), d);
            ck_assert_double_eq(prior_degrees(prior), 1.5);
        }
        prior_free(prior);
    }
}
END_TEST

START_TEST(a_sum_that_no_transitions_give_has_no_posterior)
{
    struct scenario s;
    scenario_init(&s, &(struct scenario_options){.D = 5, .d = 2, .rows_limit = 1, .seed = 1, .noise = 0.1, .precision = 0.1, .scale = 0.1});
    int32_t *z = scenario_draw_many(&s, 2), only_targets[16] = {0, 0, 0, 0, 0, 1 << 25, 1 << 24};
    belief_add(&s.belief, z);
    ck_assert_int_eq(belief_remove(&s.belief, z + kernel_padded(7)), 0);
    ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_MEAN, NULL, 0), -EDOM);
    // Targets taken away that were not there: the features' part is fine, the scale is not.
    belief_reset(&s.belief);
    belief_add(&s.belief, z);
    ck_assert_int_eq(belief_remove(&s.belief, only_targets), 0);
    ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_MEAN, NULL, 0), 0);
    ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_SCALE, NULL, 0), -EDOM);
    free(z);
    scenario_release(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("posterior");
    SUITE_TEST(suite, mean_scale_and_variance_are_the_batch_formulas);
    SUITE_TEST(suite, what_else_was_asked_for_changes_no_bit);
    SUITE_TEST(suite, every_instruction_set_gives_the_same_bits);
    SUITE_TEST(suite, one_step_predictives_add_up_to_the_evidence_in_any_order);
    SUITE_TEST(suite, the_first_transitions_under_a_weak_prior_are_judged_well);
    SUITE_TEST(suite, one_target_is_the_normal_inverse_gamma_model);
    SUITE_TEST(suite, priors_that_are_none_are_refused);
    SUITE_TEST(suite, a_sum_that_no_transitions_give_has_no_posterior);
    return suite_finish(suite);
}
