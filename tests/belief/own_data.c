// The model's own data: M and Sigma from the prior, then transitions from them. What the posterior says of chances is
// what is then found.

#include "naive.h"
#include "tests/support/suite.h"

#include <math.h>
#include <stdlib.h>

static const unsigned ALL = POSTERIOR_MEAN | POSTERIOR_SCALE | POSTERIOR_VARIANCE;

struct world {
    struct scenario s;
    double *M, *Sigma, *root;  // root root' = Sigma
    struct random_stream stream;
};

static void new_world(struct world *w, size_t D, size_t d, uint64_t seed)
{
    scenario_init(&w->s, &(struct scenario_options){.D = D, .d = d, .rows_limit = 1, .seed = seed, .noise = 0.3, .mean = 0.2,
                                                    .scale = 0.02});
    w->M = malloc(D * d * sizeof *w->M);
    w->Sigma = malloc(d * d * sizeof *w->Sigma);
    w->root = malloc(d * d * sizeof *w->root);
    w->stream = random_stream(seed, 99, 0, 0);
}

static void redraw_world(struct world *w)
{
    size_t d = w->s.d;
    belief_reset(&w->s.belief);
    ck_assert_int_eq(posterior_solve(&w->s.posterior, w->s.prior, &w->s.belief, ALL, NULL, 0), 0);
    posterior_sample(&w->s.posterior, &w->stream, w->M, w->Sigma);
    for (size_t i = 0; i < d; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = w->Sigma[i * d + j];
            for (size_t k = 0; k < j; k++)
                sum -= w->root[i * d + k] * w->root[j * d + k];
            w->root[i * d + j] = i == j ? sqrt(sum) : sum / w->root[j * d + j];
        }
    }
}

static int draw_from_world(struct world *w, int32_t *z)
{
    float features[64];
    double targets[64];
    for (size_t i = 0; i < w->s.D; i++)
        features[i] = (float)tanh(random_normal(&w->stream));
    for (size_t j = 0; j < w->s.d; j++)
        targets[j] = 0;
    for (size_t k = 0; k < w->s.d; k++) {
        double noise = random_normal(&w->stream);
        for (size_t j = k; j < w->s.d; j++)
            targets[j] += w->root[j * w->s.d + k] * noise;
        for (size_t i = 0; i < w->s.D; i++)
            targets[k] += w->M[i * w->s.d + k] * features[i];
    }
    size_t where;
    return belief_round(z, &where, features, w->s.D, targets, w->s.d);
}

static void release_world(struct world *w)
{
    free(w->M), free(w->Sigma), free(w->root);
    scenario_release(&w->s);
}

START_TEST(p_values_of_the_models_own_data_are_uniform)
{
    const size_t dimensions[][2] = {{5, 1}, {6, 4}, {3, 9}};
    for (int k = 0; k < 3; k++) {
        enum { TASKS = 400, STEPS = 20, BINS = 20 };
        struct world w;
        new_world(&w, dimensions[k][0], dimensions[k][1], 5);
        int histogram[BINS] = {0}, outside[3] = {0};
        const double levels[3] = {0.5, 0.1, 0.01};
        int drawn = 0;
        for (int task = 0; task < TASKS; task++) {
            redraw_world(&w);
            for (int t = 0; t < STEPS; t++) {
                int32_t z[32];
                double x[32];
                // A heavy-tailed draw beyond the fixed point's range would be refused; leave such a task.
                if (draw_from_world(&w, z))
                    break;
                in_units(x, z, w.s.P);
                belief_add(&w.s.belief, z);
                ck_assert_int_eq(posterior_solve(&w.s.posterior, w.s.prior, &w.s.belief, POSTERIOR_SCALE, x, 1), 0);
                double p = posterior_assess_absorbed(&w.s.posterior, 0, x + w.s.D).p_value;
                ck_assert(p >= 0 && p <= 1);
                histogram[(int)fmin(BINS - 1, p * BINS)]++;
                for (int l = 0; l < 3; l++)
                    outside[l] += p < levels[l];
                drawn++;
            }
        }
        ck_assert_int_gt(drawn, TASKS * STEPS * 99 / 100);
        double chi_square = 0;
        for (int i = 0; i < BINS; i++)
            chi_square += pow(histogram[i] - drawn / (double)BINS, 2) / (drawn / (double)BINS);
        // 19 degrees of freedom: 43.8 is the 0.1 % point.
        ck_assert_msg(chi_square < 43.8, "d = %zu: chi square %.1f", w.s.d, chi_square);
        // The 50, 90 and 99 % regions hold that share of the data: binomial, four sigma.
        for (int l = 0; l < 3; l++) {
            double expected = levels[l] * drawn, sigma = sqrt(expected * (1 - levels[l]));
            ck_assert_msg(fabs(outside[l] - expected) < 4 * sigma, "%d of %d outside, expected %.0f", outside[l], drawn, expected);
        }
        release_world(&w);
    }
}
END_TEST

START_TEST(draws_have_the_posteriors_moments)
{
    enum { D = 4, d = 3, DRAWS = 40000 };
    struct scenario s;
    scenario_init(&s, &(struct scenario_options){.D = D, .d = d, .rows_limit = 1, .seed = 3, .noise = 0.5, .mean = 0.4});
    int32_t z[16];
    for (int i = 0; i < 15; i++) {
        scenario_draw(&s, z);
        belief_add(&s.belief, z);
    }
    struct posterior *p = &s.posterior;
    ck_assert_int_eq(posterior_solve(p, s.prior, &s.belief, ALL, NULL, 0), 0);
    struct naive n;
    {
        // Xi_n^-1 in full
        n.inverse = calloc(D * D, sizeof *n.inverse);
        for (size_t i = 0; i < D; i++)
            for (size_t j = 0; j < D; j++)
                for (size_t k = 0; k <= (i < j ? i : j); k++)
                    n.inverse[i * D + j] += (long double)p->panel[k * p->stride + i] * p->panel[k * p->stride + j];
        invert(n.inverse, D);
    }
    struct random_stream stream = random_stream(11, 0, 0, 0);
    double mean[D * d] = {0}, covariance[D * d][D * d] = {{0}}, Sigma_mean[d * d] = {0}, inverse_mean[d * d] = {0};
    for (int t = 0; t < DRAWS; t++) {
        double M[D * d], Sigma[d * d];
        long double inverse[d * d];
        posterior_sample(p, &stream, M, Sigma);
        for (size_t i = 0; i < D * d; i++) {
            mean[i] += M[i] / DRAWS;
            for (size_t j = 0; j < D * d; j++)
                covariance[i][j] += (M[i] - p->mean[i]) * (M[j] - p->mean[j]) / DRAWS;
        }
        for (size_t i = 0; i < d * d; i++) {
            Sigma_mean[i] += Sigma[i] / DRAWS;
            inverse[i] = Sigma[i];
        }
        invert(inverse, d);
        for (size_t i = 0; i < d * d; i++)
            inverse_mean[i] += (double)inverse[i] / DRAWS;
    }
    // E[M] = M_n, cov(M_ij, M_kl) = (Xi^-1)_ik E[Sigma]_jl, E[Sigma] = Omega / (nu - d - 1), E[Sigma^-1] = nu Omega^-1
    double df = p->degrees - d - 1;
    long double precision[d * d];
    for (size_t i = 0; i < d * d; i++)
        precision[i] = p->scale[i];
    invert(precision, d);
    for (size_t i = 0; i < D * d; i++) {
        double sd_i = sqrt((double)n.inverse[(i / d) * (D + 1)] * p->scale[(i % d) * (d + 1)] / df);
        ck_assert_msg(fabs(mean[i] - p->mean[i]) < 5 * sd_i / sqrt(DRAWS), "mean %zu: %g, %g", i, mean[i], p->mean[i]);
        for (size_t j = 0; j < D * d; j++) {
            double sd_j = sqrt((double)n.inverse[(j / d) * (D + 1)] * p->scale[(j % d) * (d + 1)] / df);
            double expected = (double)n.inverse[(i / d) * D + j / d] * p->scale[(i % d) * d + j % d] / df;
            ck_assert_msg(fabs(covariance[i][j] - expected) < 0.04 * sd_i * sd_j, "covariance %zu %zu: %g, %g", i, j, covariance[i][j], expected);
        }
    }
    for (size_t i = 0; i < d * d; i++) {
        double size = sqrt(p->scale[(i / d) * (d + 1)] * p->scale[(i % d) * (d + 1)]) / df;
        ck_assert_msg(fabs(Sigma_mean[i] - p->scale[i] / df) < 0.02 * size, "Sigma %zu: %g, %g", i, Sigma_mean[i], p->scale[i] / df);
        double whole = p->degrees * sqrt((double)(precision[(i / d) * (d + 1)] * precision[(i % d) * (d + 1)]));
        ck_assert_msg(fabs(inverse_mean[i] - p->degrees * (double)precision[i]) < 0.02 * whole, "precision %zu", i);
    }

    // The same stream gives the same draw, with or without Sigma.
    double a[D * d], b[D * d], Sigma[d * d];
    struct random_stream one = random_stream(1, 2, 3, 4), two = one;
    posterior_sample(p, &one, a, Sigma);
    posterior_sample(p, &two, b, NULL);
    ck_assert_mem_eq(a, b, sizeof a);
    free(n.inverse);
    scenario_release(&s);
}
END_TEST

static double log_density(const struct scenario *s, const struct posterior *p, const double *M, const double *Sigma)
{
    size_t D = s->D, d = s->d;
    long double inverse[64], log_det, trace = 0, quadratic = 0;
    for (size_t i = 0; i < d * d; i++)
        inverse[i] = Sigma[i];
    log_det = invert(inverse, d);
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j < d; j++)
            trace += p->scale[i * d + j] * inverse[j * d + i];
    // |L11' (M - M_n)|^2 weighted by Sigma^-1, row after row
    for (size_t c = 0; c < D; c++) {
        long double row[8] = {0};
        for (size_t k = c; k < D; k++)
            for (size_t j = 0; j < d; j++)
                row[j] += (long double)p->panel[c * p->stride + k] * (M[k * d + j] - p->mean[k * d + j]);
        for (size_t i = 0; i < d; i++)
            for (size_t j = 0; j < d; j++)
                quadratic += row[i] * row[j] * inverse[i * d + j];
    }
    double nu = p->degrees, gammas = (double)d * ((double)d - 1) / 4 * log(M_PI);
    for (size_t j = 0; j < d; j++)
        gammas += lgamma((nu - (double)j) / 2);
    return (double)(nu / 2 * p->log_det_scale - nu * (double)d / 2 * log(2) - gammas
                    - (nu + (double)(d + D) + 1) / 2 * log_det - trace / 2
                    - (double)(D * d) / 2 * log(2 * M_PI) + (double)d / 2 * p->log_det_precision - quadratic / 2);
}

START_TEST(divergence_is_what_monte_carlo_finds_and_never_negative)
{
    enum { D = 3, d = 2, DRAWS = 20000 };
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct scenario s;
        scenario_init(&s, &(struct scenario_options){.D = D, .d = d, .rows_limit = 1, .seed = seed, .noise = 0.5, .mean = 0.4});
        struct posterior q;
        posterior_init(&q, s.prior, 1, aligned(posterior_size(s.prior, 1)));
        struct belief other = new_belief(D, d);
        int32_t z[16];
        for (uint64_t i = 0; i < 12; i++) {
            scenario_draw(&s, z);
            belief_add(&s.belief, z);
            if (i % (seed + 1) == 0)
                belief_add(&other, z);
        }
        ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, ALL, NULL, 0), 0);
        ck_assert_int_eq(posterior_solve(&q, s.prior, &other, ALL, NULL, 0), 0);
        double found = posterior_divergence(&s.posterior, &q), sum = 0, squares = 0;
        struct random_stream stream = random_stream(seed, 5, 0, 0);
        for (int i = 0; i < DRAWS; i++) {
            double M[D * d], Sigma[d * d];
            posterior_sample(&s.posterior, &stream, M, Sigma);
            double ratio = log_density(&s, &s.posterior, M, Sigma) - log_density(&s, &q, M, Sigma);
            sum += ratio / DRAWS;
            squares += ratio * ratio / DRAWS;
        }
        double error = sqrt((squares - sum * sum) / DRAWS);
        ck_assert_msg(fabs(found - sum) <= 5 * error + 1e-12, "KL %g, Monte Carlo %g +- %g", found, sum, error);
        ck_assert(found >= -1e-12);
        assert_near("KL(p || p)", posterior_divergence(&s.posterior, &s.posterior), 0, 1e-12);
        assert_near("KL(q || q)", posterior_divergence(&q, &q), 0, 1e-12);
        if (seed)
            ck_assert(found > 1e-3 && posterior_divergence(&q, &s.posterior) > 1e-3);
        free(q.panel), free(other.low);
        scenario_release(&s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("own data");
    SUITE_TEST(suite, p_values_of_the_models_own_data_are_uniform);
    SUITE_TEST(suite, draws_have_the_posteriors_moments);
    SUITE_TEST(suite, divergence_is_what_monte_carlo_finds_and_never_negative);
    return suite_finish(suite);
}
