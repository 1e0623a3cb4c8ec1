// The posterior and what follows from it, against identities first and plain formulas second.

#include "scenario.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned ALL = POSTERIOR_MEAN | POSTERIOR_SCALE | POSTERIOR_VARIANCE;

static void assert_close(const char *what, const double *a, const double *b, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabs(a[i] - b[i]) <= tolerance * (1 + fabs(b[i])), "%s[%zu]: %.17g, expected %.17g", what, i, a[i], b[i]);
}

static void assert_near(const char *what, double a, double b, double tolerance) { assert_close(what, &a, &b, 1, tolerance); }

// -------------------------------------------------------------------------------------------------------
// The batch formulas, in long double and by Gauss and Jordan, from transitions and not from sums.

struct naive {
    long double *mean, *inverse, *scale;  // M_n (D, d), Xi_n^-1 (D, D), Omega_n (d, d)
    long double log_det_precision, log_det_scale, degrees;
};

// A^-1 in place; returns ln |A|.
static long double invert(long double *A, size_t n)
{
    long double result = 0;
    for (size_t i = 0; i < n; i++) {
        long double pivot = A[i * n + i];
        result += logl(pivot);
        A[i * n + i] = 1;
        for (size_t j = 0; j < n; j++)
            A[i * n + j] /= pivot;
        for (size_t r = 0; r < n; r++) {
            if (r == i)
                continue;
            long double factor = A[r * n + i];
            A[r * n + i] = 0;
            for (size_t j = 0; j < n; j++)
                A[r * n + j] -= factor * A[i * n + j];
        }
    }
    return result;
}

// Omega_n = Omega0 + (Y - C M)'(Y - C M) + (M - M0)' Xi0 (M - M0)
static struct naive naive_solve(const struct scenario *s, const int32_t *z, size_t count)
{
    size_t D = s->D, d = s->d, stride = kernel_padded(s->P);
    struct naive n = {
        .mean = calloc(D * d, sizeof(long double)),
        .inverse = calloc(D * D, sizeof(long double)),
        .scale = calloc(d * d, sizeof(long double)),
        .degrees = s->degrees + (long double)count,
    };
    long double *right = calloc(D * d, sizeof *right), *copy = calloc(d * d, sizeof *copy);
    for (size_t i = 0; i < D; i++) {
        for (size_t j = 0; j < D; j++) {
            n.inverse[i * D + j] = s->precision[i * D + j];
            for (size_t k = 0; k < d; k++)
                right[i * d + k] += (long double)s->precision[i * D + j] * s->mean[j * d + k];
        }
    }
    for (size_t t = 0; t < count; t++) {
        double x[512];
        in_units(x, z + t * stride, s->P);
        for (size_t i = 0; i < D; i++) {
            for (size_t j = 0; j < D; j++)
                n.inverse[i * D + j] += (long double)x[i] * x[j];
            for (size_t k = 0; k < d; k++)
                right[i * d + k] += (long double)x[i] * x[D + k];
        }
    }
    n.log_det_precision = invert(n.inverse, D);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < D; j++)
            for (size_t k = 0; k < d; k++)
                n.mean[i * d + k] += n.inverse[i * D + j] * right[j * d + k];
    for (size_t i = 0; i < d * d; i++)
        n.scale[i] = s->scale[i];
    for (size_t t = 0; t < count; t++) {
        double x[512];
        long double e[256];
        in_units(x, z + t * stride, s->P);
        for (size_t k = 0; k < d; k++) {
            e[k] = x[D + k];
            for (size_t i = 0; i < D; i++)
                e[k] -= n.mean[i * d + k] * x[i];
        }
        for (size_t k = 0; k < d; k++)
            for (size_t l = 0; l < d; l++)
                n.scale[k * d + l] += e[k] * e[l];
    }
    for (size_t k = 0; k < d; k++)
        for (size_t l = 0; l < d; l++)
            for (size_t i = 0; i < D; i++)
                for (size_t j = 0; j < D; j++)
                    n.scale[k * d + l] += (n.mean[i * d + k] - s->mean[i * d + k]) * s->precision[i * D + j]
                                        * (n.mean[j * d + l] - s->mean[j * d + l]);
    memcpy(copy, n.scale, d * d * sizeof *copy);
    n.log_det_scale = invert(copy, d);
    free(right), free(copy);
    return n;
}

static void naive_release(struct naive *n) { free(n->mean), free(n->inverse), free(n->scale); }

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

// -------------------------------------------------------------------------------------------------------
// The model's own data: M and Sigma from the prior, then transitions from them.

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

// -------------------------------------------------------------------------------------------------------

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
    SUITE_TEST(suite, p_values_of_the_models_own_data_are_uniform);
    SUITE_TEST(suite, draws_have_the_posteriors_moments);
    SUITE_TEST(suite, divergence_is_what_monte_carlo_finds_and_never_negative);
    SUITE_TEST(suite, priors_that_are_none_are_refused);
    SUITE_TEST(suite, a_sum_that_no_transitions_give_has_no_posterior);
    return suite_finish(suite);
}
