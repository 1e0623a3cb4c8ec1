// Principal components of posterior means.

#include "learner/inference/components.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/random.h"

enum { TASKS = 60, D = 5, DIMS = 3, W = D * DIMS, LATENT = 3, K = 4 };

static struct random_stream stream;
static double weights[TASKS * W], gram[D * D], noise[DIMS], latent[TASKS][LATENT], loading[LATENT][W];
static struct spread spread;

// Tasks of three unseen numbers: M = latent loading + a little, features that are not alike, noise that differs.
static void set_up(void)
{
    stream = random_stream(3, 1, 0, 0);
    double root[D][D];
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++)
            root[i][j] = random_normal(&stream);
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            gram[i * D + j] = i == j ? 0.1 : 0;
            for (int k = 0; k < D; k++)
                gram[i * D + j] += root[i][k] * root[j][k];
        }
    for (int j = 0; j < DIMS; j++)
        noise[j] = pow(10, -j);
    for (int l = 0; l < LATENT; l++)
        for (int i = 0; i < W; i++)
            loading[l][i] = random_normal(&stream) * sqrt(noise[i % DIMS]);
    for (int n = 0; n < TASKS; n++)
        for (int l = 0; l < LATENT; l++)
            latent[n][l] = random_normal(&stream);
    for (int n = 0; n < TASKS; n++)
        for (int i = 0; i < W; i++) {
            weights[n * W + i] = 1e-3 * sqrt(noise[i % DIMS]) * random_normal(&stream);
            for (int l = 0; l < LATENT; l++)
                weights[n * W + i] += latent[n][l] * loading[l][i];
        }
    for (int i = 0; i < W; i++) {
        double mean = 0;
        for (int n = 0; n < TASKS; n++)
            mean += weights[n * W + i] / TASKS;
        for (int n = 0; n < TASKS; n++)
            weights[n * W + i] -= mean;
    }
    spread = (struct spread){.tasks = TASKS, .D = D, .d = DIMS, .weights = weights, .gram = gram, .noise = noise};
}

static void stand(double shown[TASKS][K], const double *of, const double *components)
{
    for (int n = 0; n < TASKS; n++)
        for (int k = 0; k < K; k++) {
            shown[n][k] = 0;
            for (int i = 0; i < W; i++)
                shown[n][k] += of[n * W + i] * components[i * K + k];
        }
}

START_TEST(tasks_stand_with_variance_one_along_each_and_uncorrelated)
{
    double components[W * K] = {0}, shown[TASKS][K];
    ck_assert_int_eq(components_of(components, &spread, K), 0);
    stand(shown, weights, components);
    for (int a = 0; a < K; a++)
        for (int b = 0; b < K; b++) {
            double covariance = 0;
            for (int n = 0; n < TASKS; n++)
                covariance += shown[n][a] * shown[n][b] / TASKS;
            ck_assert_double_eq_tol(covariance, a == b, 1e-9);
        }
}
END_TEST

// KL between two tasks is T / 2 |z1 - z2|^2: what three components explain of it, by plain loops.
START_TEST(three_components_hold_what_three_unseen_numbers_say)
{
    double components[W * K] = {0}, shown[TASKS][K];
    ck_assert_int_eq(components_of(components, &spread, K), 0);
    stand(shown, weights, components);
    // Least squares of each latent on the three that come first: they are uncorrelated, so one by one.
    for (int l = 0; l < LATENT; l++) {
        double mean = 0, all = 0, left = 0;
        for (int n = 0; n < TASKS; n++)
            mean += latent[n][l] / TASKS;
        double fit[TASKS] = {0};
        for (int k = 0; k < LATENT; k++) {
            double along = 0;
            for (int n = 0; n < TASKS; n++)
                along += shown[n][k] * latent[n][l] / TASKS;
            for (int n = 0; n < TASKS; n++)
                fit[n] += along * shown[n][k];
        }
        for (int n = 0; n < TASKS; n++) {
            all += (latent[n][l] - mean) * (latent[n][l] - mean);
            left += (latent[n][l] - mean - fit[n]) * (latent[n][l] - mean - fit[n]);
        }
        ck_assert_double_lt(left / all, 1e-4);
    }
}
END_TEST

// The first is the direction in which tasks can be told apart best: no other of as much prior information beats it.
START_TEST(no_direction_tells_tasks_apart_better_than_the_first)
{
    double components[W * K] = {0};
    ck_assert_int_eq(components_of(components, &spread, K), 0);
    // Variance of tasks along v, over v' (noise x G^-1) v: the variance that an estimate from data has along it. For the
    // first component that ratio is the greatest eigenvalue; its gradient there is 0, so any step lowers it.
    double inverse[D * 2 * D] = {0};
    for (int i = 0; i < D; i++) {
        memcpy(inverse + i * 2 * D, gram + i * D, D * sizeof *gram);
        inverse[i * 2 * D + D + i] = 1;
    }
    for (int p = 0; p < D; p++) {
        double pivot = inverse[p * 2 * D + p];
        for (int j = 0; j < 2 * D; j++)
            inverse[p * 2 * D + j] /= pivot;
        for (int i = 0; i < D; i++) {
            double factor = inverse[i * 2 * D + p];
            for (int j = 0; j < 2 * D && i != p; j++)
                inverse[i * 2 * D + j] -= factor * inverse[p * 2 * D + j];
        }
    }
    double first = 0;
    for (int attempt = 0; attempt < 300; attempt++) {
        double v[W], variance = 0, price = 0, step = attempt == 0 ? 0 : pow(10, -attempt % 4);
        for (int i = 0; i < W; i++)
            v[i] = components[i * K] * (1 + step * random_normal(&stream)) + (attempt % 2 ? step * components[i * K + 1] : 0);
        for (int n = 0; n < TASKS; n++) {
            double along = 0;
            for (int i = 0; i < W; i++)
                along += v[i] * weights[n * W + i];
            variance += along * along / TASKS;
        }
        for (int a = 0; a < D; a++)
            for (int b = 0; b < D; b++)
                for (int j = 0; j < DIMS; j++)
                    price += v[a * DIMS + j] * inverse[a * 2 * D + D + b] * v[b * DIMS + j] * noise[j];
        if (attempt == 0)
            first = variance / price;
        ck_assert_double_le(variance / price, first * (1 + 1e-4));
    }
}
END_TEST

// A basis that was turned and went on learning: the same tasks stand nearly where they stood. Components found afresh
// would have other signs and another order.
START_TEST(components_are_turned_towards_what_they_were)
{
    double components[W * K] = {0}, before[TASKS][K], after[TASKS][K], moved[TASKS * W];
    ck_assert_int_eq(components_of(components, &spread, K), 0);
    stand(before, weights, components);
    for (int i = 0; i < W; i++)
        for (int k = 0; k < K; k++)
            components[i * K + k] += 0.02 * components[i * K + (k + 1) % K];
    for (int i = 0; i < TASKS * W; i++)
        moved[i] = weights[i] * (1 + 0.02 * random_normal(&stream));
    spread.weights = moved;
    ck_assert_int_eq(components_of(components, &spread, K), 0);
    stand(after, moved, components);
    // The fourth holds only noise and may go where it likes.
    for (int n = 0; n < TASKS; n++)
        for (int k = 0; k < LATENT; k++)
            ck_assert_double_eq_tol(after[n][k], before[n][k], 0.5);
    double covariance = 0;
    for (int n = 0; n < TASKS; n++)
        covariance += after[n][0] * after[n][1] / TASKS;
    ck_assert_double_eq_tol(covariance, 0, 1e-9);
}
END_TEST

START_TEST(what_tasks_do_not_need_is_zero)
{
    // Two tasks lie on a line.
    double components[W * K] = {0};
    spread.tasks = 2;
    for (int i = 0; i < W; i++)
        weights[W + i] = -weights[i];
    ck_assert_int_eq(components_of(components, &spread, K), 0);
    for (int i = 0; i < W; i++)
        for (int k = 0; k < K; k++)
            ck_assert(isfinite(components[i * K + k]) && (k == 0 || components[i * K + k] == 0));
    double along = 0;
    for (int i = 0; i < W; i++)
        along += weights[i] * components[i * K];
    ck_assert_double_eq_tol(fabs(along), 1, 1e-9);

    // And of one alone nothing is known.
    double kept[W * K];
    memcpy(kept, components, sizeof kept);
    spread.tasks = 1;
    ck_assert_int_eq(components_of(components, &spread, K), 0);
    ck_assert_mem_eq(kept, components, sizeof kept);
}
END_TEST

START_TEST(weights_that_are_not_finite_change_nothing)
{
    double components[W * K] = {0}, kept[W * K];
    ck_assert_int_eq(components_of(components, &spread, K), 0);
    memcpy(kept, components, sizeof kept);
    gram[0] = NAN;
    ck_assert_int_eq(components_of(components, &spread, K), -EDOM);
    ck_assert_mem_eq(kept, components, sizeof kept);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("components");
    SUITE_TEST_WITH(suite, tasks_stand_with_variance_one_along_each_and_uncorrelated, set_up, NULL);
    SUITE_TEST_WITH(suite, three_components_hold_what_three_unseen_numbers_say, set_up, NULL);
    SUITE_TEST_WITH(suite, no_direction_tells_tasks_apart_better_than_the_first, set_up, NULL);
    SUITE_TEST_WITH(suite, components_are_turned_towards_what_they_were, set_up, NULL);
    SUITE_TEST_WITH(suite, what_tasks_do_not_need_is_zero, set_up, NULL);
    SUITE_TEST_WITH(suite, weights_that_are_not_finite_change_nothing, set_up, NULL);
    return suite_finish(suite);
}
