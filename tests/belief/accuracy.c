// How far means, scales, variances and rows are from 113-bit arithmetic, over long lives; prints what it finds.

#include "quad.h"
#include "tests/support/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const double LIMIT = 1e-12;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double solve_time(struct scenario *s)
{
    double start = seconds();
    int count = 0;
    while (seconds() - start < 0.004) {
        ck_assert_int_eq(posterior_solve(&s->posterior, s->prior, &s->belief, 7, NULL, 0), 0);
        count++;
    }
    return (seconds() - start) / count;
}

// Error of everything that a solve gives, the last transition's row included.
static double worst_error(struct scenario *s, const int32_t *last)
{
    size_t D = s->D, d = s->d;
    double phi[BELIEF_FEATURES_LIMIT], errors[5];
    in_units(phi, last, D);
    ck_assert_int_eq(posterior_solve(&s->posterior, s->prior, &s->belief, 7, phi, 1), 0);
    struct quad_posterior reference = quad_solve(s, &s->belief);
    quad variance[BELIEF_FEATURES_LIMIT], row_mean[BELIEF_TARGETS_LIMIT], row_variance = 0;
    for (size_t i = 0; i < D; i++) {
        variance[i] = reference.inverse[i * D + i];
        for (size_t k = 0; k < D; k++)
            row_variance += reference.inverse[i * D + k] * phi[i] * phi[k];
    }
    for (size_t j = 0; j < d; j++) {
        row_mean[j] = 0;
        for (size_t i = 0; i < D; i++)
            row_mean[j] += reference.mean[i * d + j] * phi[i];
    }
    errors[0] = quad_error(s->posterior.mean, reference.mean, D * d);
    errors[1] = quad_error(s->posterior.scale, reference.scale, d * d);
    errors[2] = quad_error(s->posterior.variance, variance, D);
    errors[3] = quad_error(s->posterior.row_mean, row_mean, d);
    errors[4] = quad_error(s->posterior.row_variance, &row_variance, 1);
    quad_release(&reference);
    double worst = 0;
    const char *names[5] = {"mean", "scale", "variance", "row mean", "row variance"};
    for (int i = 0; i < 5; i++) {
        ck_assert_msg(errors[i] <= LIMIT, "D %zu, n %.0f: error of the %s %.2g", D, (double)s->belief.count, names[i], errors[i]);
        worst = fmax(worst, errors[i]);
    }
    return worst;
}

static void live(const char *name, enum feature_law law, double precision, double noise)
{
    enum { DISTINCT = 1024 };
    const size_t sizes[] = {16, 32, 64};
    const uint64_t marks[] = {1, 4, 10, 15, 31, 40, 63, 100, 1000, 10000, 100000};
    for (int i = 0; i < 3; i++) {
        struct scenario s;
        scenario_init(&s, &(struct scenario_options){.D = sizes[i], .d = 20, .rows_limit = 1, .seed = 5, .law = law, .noise = noise,
                          .precision = precision, .scale = 0.01, .mean = 0.1});
        int32_t *z = scenario_draw_many(&s, DISTINCT);
        double worst = 0, plain = NAN, refined = NAN;
        for (size_t m = 0; m < sizeof marks / sizeof *marks; m++) {
            const int32_t *last = z;
            while (s.belief.count < marks[m]) {
                last = z + s.belief.count % DISTINCT * kernel_padded(s.P);
                belief_add(&s.belief, last);
            }
            worst = fmax(worst, worst_error(&s, last));
            double *cost = s.posterior.refined ? &refined : &plain;
            *cost = fmin(isnan(*cost) ? INFINITY : *cost, solve_time(&s));
        }
        printf("accuracy: %-34s D %2zu  worst error %.1e", name, s.D, worst);
        if (!isnan(plain))
            printf("  plain solve %5.1f us", plain * 1e6);
        if (!isnan(refined))
            printf("  refined solve %6.1f us", refined * 1e6);
        printf("\n");
        free(z);
        scenario_release(&s);
    }
}

START_TEST(ordinary_features_keep_twelve_digits) { live("tanh, prior 1, noise 0.1", FEATURES_IID, 1, 0.1); }
END_TEST
START_TEST(a_weak_prior_keeps_twelve_digits) { live("tanh, prior 1e-6, noise 0.1", FEATURES_IID, 1e-6, 0.1); }
END_TEST
START_TEST(a_quiet_world_keeps_twelve_digits) { live("tanh, prior 1, noise 1e-4", FEATURES_IID, 1, 1e-4); }
END_TEST
START_TEST(collinear_features_keep_twelve_digits) { live("8 dimensions + 1e-3, prior 1", FEATURES_MANIFOLD, 1, 0.1); }
END_TEST
START_TEST(collinear_features_under_a_weak_prior_keep_twelve_digits)
{
    live("8 dimensions + 1e-3, prior 1e-6", FEATURES_MANIFOLD, 1e-6, 0.1);
}
END_TEST
START_TEST(collinear_features_in_a_quiet_world_under_hardly_a_prior_keep_twelve_digits)
{
    live("8 dimensions + 1e-3, prior 1e-10, noise 1e-4", FEATURES_MANIFOLD, 1e-10, 1e-4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accuracy");
    SUITE_TEST(suite, ordinary_features_keep_twelve_digits);
    SUITE_TEST(suite, a_weak_prior_keeps_twelve_digits);
    SUITE_TEST(suite, a_quiet_world_keeps_twelve_digits);
    SUITE_TEST(suite, collinear_features_keep_twelve_digits);
    SUITE_TEST(suite, collinear_features_under_a_weak_prior_keep_twelve_digits);
    SUITE_TEST(suite, collinear_features_in_a_quiet_world_under_hardly_a_prior_keep_twelve_digits);
    return suite_finish(suite);
}
