// PEARL's product of factors: its gradient against central differences (this suite is compiled in double), identities.

#include "daemon/base/random.h"
#include "learner/inference/pearl_loss.h"
#include "tests/learner/differences.h"
#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

enum { G = 3, INPUTS = 5, L = 2, ROWS = 7 };

struct fixture {
    struct pearl_net net;
    struct pearl_shard *shard;
    double weight[2 * G * L];
};

static struct fixture *begin(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    ck_assert_ptr_nonnull(f);
    size_t hidden[] = {9, 8};
    struct random_stream stream = random_stream(5, 0, 0, 0);
    ck_assert_int_eq(pearl_net_init(&f->net, INPUTS, hidden, L), 0);
    pearl_net_start(&f->net, &stream);
    // Away from the start, where gradients are small.
    for (size_t i = 0; i < f->net.net.count; i++)
        f->net.trainee.parameters[i] += 0.3 * random_normal(&stream);
    ck_assert_ptr_nonnull(f->shard = pearl_shard_new(&f->net, G, ROWS));
    f->shard->groups = G;
    f->shard->count[0] = 2;
    f->shard->count[1] = 0;  // the prior
    f->shard->count[2] = 5;
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        f->shard->in[i] = random_normal(&stream);
    for (size_t i = 0; i < 2 * G * L; i++)
        f->weight[i] = random_normal(&stream);
    return f;
}

static void end(struct fixture *f)
{
    pearl_net_release(&f->net);
    pearl_shard_free(f->shard);
    free(f);
}

static double weighted(void *context)
{
    struct fixture *f = context;
    double sum = 0;
    pearl_infer(&f->net, f->shard);
    for (size_t i = 0; i < G * L; i++)
        sum += f->weight[i] * f->shard->mean[i] + f->weight[G * L + i] * f->shard->log_variance[i];
    return sum + 0.3 * pearl_divergence(&f->net, f->shard, 0);
}

START_TEST(the_gradient_of_the_factors_is_that_of_posterior_and_divergence)
{
    struct fixture *f = begin();
    weighted(f);
    memcpy(f->shard->dmean, f->weight, G * L * sizeof(double));
    memcpy(f->shard->dlog_variance, f->weight + G * L, G * L * sizeof(double));
    pearl_divergence(&f->net, f->shard, 0.3);
    for (size_t i = 0; i < f->net.net.count; i++)
        f->shard->gradient[i] = NAN;
    pearl_backward(&f->net, f->shard);
    double *gradient = malloc(f->net.net.count * sizeof *gradient);
    ck_assert_ptr_nonnull(gradient);
    memcpy(gradient, f->shard->gradient, f->net.net.count * sizeof *gradient);
    check_against_differences("factors", f->net.trainee.parameters, gradient, f->net.net.count, weighted, f);
    free(gradient);
    end(f);
}
END_TEST

START_TEST(no_context_is_the_prior_and_any_order_gives_one_posterior)
{
    struct fixture *f = begin();
    pearl_infer(&f->net, f->shard);
    for (size_t i = 0; i < L; i++) {
        ck_assert_double_eq(f->shard->mean[L + i], 0);
        ck_assert_double_eq(f->shard->log_variance[L + i], 0);
    }
    double mean[L], log_variance[L], first[INPUTS];
    memcpy(mean, f->shard->mean + 2 * L, sizeof mean);
    memcpy(log_variance, f->shard->log_variance + 2 * L, sizeof log_variance);
    memcpy(first, f->shard->in + 2 * INPUTS, sizeof first);
    memmove(f->shard->in + 2 * INPUTS, f->shard->in + 3 * INPUTS, 4 * sizeof first);
    memcpy(f->shard->in + 6 * INPUTS, first, sizeof first);
    pearl_infer(&f->net, f->shard);
    for (size_t i = 0; i < L; i++) {
        ck_assert_double_eq_tol(f->shard->mean[2 * L + i], mean[i], 1e-14);
        ck_assert_double_eq_tol(f->shard->log_variance[2 * L + i], log_variance[i], 1e-14);
    }
    end(f);
}
END_TEST

START_TEST(the_divergence_is_that_of_two_gaussians)
{
    // Of N(m, v) from N(0, 1), by a fine sum over the density.
    struct fixture *f = begin();
    f->shard->groups = 1;
    pearl_infer(&f->net, f->shard);
    double expected = 0, step = 1e-3;
    for (size_t i = 0; i < L; i++) {
        double m = f->shard->mean[i], v = exp(f->shard->log_variance[i]);
        for (double x = m - 12 * sqrt(v); x < m + 12 * sqrt(v); x += step * sqrt(v)) {
            double log_q = -0.5 * (x - m) * (x - m) / v - 0.5 * log(v), log_p = -0.5 * x * x;
            expected += exp(log_q) / sqrt(2 * M_PI) * (log_q - log_p) * step * sqrt(v);
        }
    }
    ck_assert_double_eq_tol(pearl_divergence(&f->net, f->shard, 0), expected, 1e-9);
    end(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pearl");
    SUITE_TEST(suite, the_gradient_of_the_factors_is_that_of_posterior_and_divergence);
    SUITE_TEST(suite, no_context_is_the_prior_and_any_order_gives_one_posterior);
    SUITE_TEST(suite, the_divergence_is_that_of_two_gaussians);
    return suite_finish(suite);
}
