// The losses of a basis: their gradients, their closed forms, and that what they say is what the belief says that is
// served. Compiled with -DREAL_DOUBLE, as gradients.c.

#include "daemon/base/random.h"
#include "daemon/belief/posterior.h"
#include "daemon/linalg/kernels.h"
#include "learner/inference/basis.h"
#include "tests/learner/differences.h"
#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

enum { T = 30, D = 5, d_MOST = 3 };

struct evidence_case {
    struct evidence_prior prior;
    int ahead;
    size_t context;
    double phi[T * D], y[T * d_MOST], log_precision[D], mean[D * d_MOST], log_scale[d_MOST], scale[d_MOST];
    double dphi[T * D], dlog_precision[D], dmean[D * d_MOST], dlog_scale[d_MOST];
    struct evidence_gradient gradient;
    double *scratch;
};

static void fill_normal(double *x, size_t count, double sd, struct random_stream *stream)
{
    for (size_t i = 0; i < count; i++)
        x[i] = sd * random_normal(stream);
}

static double value_of(struct evidence_case *c, struct evidence_gradient *gradient, size_t rows)
{
    double value;
    for (size_t j = 0; j < c->prior.d; j++)
        c->scale[j] = exp(c->log_scale[j]);
    int error = c->ahead
        ? evidence_ahead(&value, gradient, &c->prior, c->phi, c->y, rows, c->context, c->scratch)
        : evidence(&value, gradient, &c->prior, c->phi, c->y, rows, c->scratch);
    ck_assert_int_eq(error, 0);
    return value;
}

static double evidence_objective(void *context)
{
    return value_of(context, NULL, T);
}

static void evidence_case_init(struct evidence_case *c, size_t d, enum evidence_noise noise)
{
    struct random_stream stream = random_stream(6, (uint32_t)d, 0, 0);
    *c = (struct evidence_case){.scratch = calloc(evidence_scratch(T, D, d), sizeof(double))};
    fill_normal(c->phi, T * D, 0.7, &stream);
    fill_normal(c->y, T * d, 1, &stream);
    fill_normal(c->log_precision, D, 1, &stream);
    fill_normal(c->mean, D * d, 0.5, &stream);
    fill_normal(c->log_scale, d, 0.7, &stream);
    c->prior = (struct evidence_prior){D, d, noise, c->log_precision, c->mean, c->scale, (double)d + 2};
    c->gradient = (struct evidence_gradient){c->dphi, c->dlog_precision, c->dmean, c->dlog_scale, NAN};
    for (size_t i = 0; i < T * D; i++)
        c->dphi[i] = NAN;
}

static void check_all(struct evidence_case *c)
{
    size_t d = c->prior.d;
    value_of(c, &c->gradient, T);
    check_against_differences("phi", c->phi, c->dphi, T * D, evidence_objective, c);
    check_against_differences("log precision", c->log_precision, c->dlog_precision, D, evidence_objective, c);
    check_against_differences("mean", c->mean, c->dmean, D * d, evidence_objective, c);
    check_against_differences("log scale", c->log_scale, c->dlog_scale, d, evidence_objective, c);
    if (c->prior.noise == EVIDENCE_NOISE_INFERRED)
        check_against_differences("degrees", &c->prior.degrees, &c->gradient.degrees, 1, evidence_objective, c);
    else
        ck_assert_double_eq(c->gradient.degrees, 0);
}

static const enum evidence_noise noises[] = {EVIDENCE_NOISE_INFERRED, EVIDENCE_NOISE_KNOWN};

START_TEST(the_gradients_of_the_evidence_are_exact)
{
    static struct evidence_case c;
    for (size_t d = 1; d <= d_MOST; d += 2) {
        evidence_case_init(&c, d, noises[_i]);
        check_all(&c);
        free(c.scratch);
    }
}
END_TEST

START_TEST(the_gradients_of_what_comes_after_a_context_are_exact)
{
    static struct evidence_case c;
    const size_t contexts[] = {0, 1, 9, T - 1};
    for (size_t d = 1; d <= d_MOST; d += 2)
        for (size_t k = 0; k < sizeof contexts / sizeof *contexts; k++) {
            evidence_case_init(&c, d, noises[_i]);
            c.ahead = 1;
            c.context = contexts[k];
            check_all(&c);
            free(c.scratch);
        }
}
END_TEST

START_TEST(the_evidence_is_the_sum_of_one_step_predictives)
{
    static struct evidence_case c;
    evidence_case_init(&c, d_MOST, noises[_i]);
    double whole = evidence_objective(&c), sum = 0;
    c.ahead = 1;
    for (c.context = 0; c.context < T; c.context++)
        sum += value_of(&c, NULL, c.context + 1);
    ck_assert_double_eq_tol(sum, whole, 1e-10 * fabs(whole));
    free(c.scratch);
}
END_TEST

START_TEST(each_row_after_a_context_is_judged_by_what_it_adds_to_the_evidence)
{
    // ln p(y | D) = ln p(D, y) - ln p(D)
    static struct evidence_case c, extended;
    evidence_case_init(&c, d_MOST, noises[_i]);
    evidence_case_init(&extended, d_MOST, noises[_i]);
    c.context = 11;
    double sum = 0, before = value_of(&c, NULL, c.context);
    for (size_t t = c.context; t < T; t++) {
        memcpy(extended.phi + c.context * D, c.phi + t * D, D * sizeof(double));
        memcpy(extended.y + c.context * d_MOST, c.y + t * d_MOST, d_MOST * sizeof(double));
        sum += value_of(&extended, NULL, c.context + 1) - before;
    }
    c.ahead = 1;
    double value = evidence_objective(&c);
    ck_assert_double_eq_tol(value, sum, 1e-10 * fabs(value));
    free(c.scratch), free(extended.scratch);
}
END_TEST

START_TEST(with_known_noise_targets_are_one_normal_vector)
{
    // Each target by itself: Y_j ~ N(C M0_j, Sigma_jj (I + C Xi0^-1 C')), by Cholesky of the T x T matrix.
    static struct evidence_case c;
    evidence_case_init(&c, d_MOST, EVIDENCE_NOISE_KNOWN);
    double value = evidence_objective(&c), expected = 0;
    for (size_t j = 0; j < d_MOST; j++) {
        static double S[T][T];
        double e[T];
        for (size_t a = 0; a < T; a++) {
            e[a] = c.y[a * d_MOST + j];
            for (size_t i = 0; i < D; i++)
                e[a] -= c.phi[a * D + i] * c.mean[i * d_MOST + j];
            for (size_t b = 0; b <= a; b++) {
                S[a][b] = a == b;
                for (size_t i = 0; i < D; i++)
                    S[a][b] += c.phi[a * D + i] * c.phi[b * D + i] / exp(c.log_precision[i]);
                S[a][b] *= c.scale[j];
            }
        }
        expected -= 0.5 * T * log(2 * M_PI);
        for (size_t k = 0; k < T; k++) {
            S[k][k] = sqrt(S[k][k]);
            e[k] /= S[k][k];
            expected -= log(S[k][k]) + 0.5 * e[k] * e[k];
            for (size_t a = k + 1; a < T; a++) {
                S[a][k] /= S[k][k];
                e[a] -= S[a][k] * e[k];
                for (size_t b = k + 1; b <= a; b++)
                    S[a][b] -= S[a][k] * S[b][k];
            }
        }
    }
    ck_assert_double_eq_tol(value, expected, 1e-10 * fabs(expected));
    free(c.scratch);
}
END_TEST

START_TEST(the_evidence_does_not_care_for_the_scale_of_features)
{
    // (phi, M0, Xi0) -> (a phi, M0 / a, a^2 Xi0)
    static struct evidence_case c;
    evidence_case_init(&c, d_MOST, noises[_i]);
    double before = evidence_objective(&c), a = 1.7;
    for (size_t i = 0; i < T * D; i++)
        c.phi[i] *= a;
    for (size_t i = 0; i < D * d_MOST; i++)
        c.mean[i] /= a;
    for (size_t i = 0; i < D; i++)
        c.log_precision[i] += 2 * log(a);
    ck_assert_double_eq_tol(evidence_objective(&c), before, 1e-10 * fabs(before));
    free(c.scratch);
}
END_TEST

START_TEST(what_is_not_finite_is_refused)
{
    static struct evidence_case c;
    evidence_case_init(&c, 1, EVIDENCE_NOISE_INFERRED);
    double value;
    c.scale[0] = 1;
    c.y[4] = NAN;
    ck_assert_int_lt(evidence(&value, NULL, &c.prior, c.phi, c.y, T, c.scratch), 0);
    ck_assert_int_lt(evidence_ahead(&value, NULL, &c.prior, c.phi, c.y, T, 6, c.scratch), 0);
    c.y[4] = 0;
    c.phi[7] = INFINITY;
    ck_assert_int_lt(evidence(&value, NULL, &c.prior, c.phi, c.y, T, c.scratch), 0);
    free(c.scratch);
}
END_TEST

enum { INPUTS = 4, TARGETS = 2 };

struct basis_case {
    struct basis basis;
    struct basis_scratch *scratch;
    double in[T * INPUTS], y[T * TARGETS];
    int ahead;
};

static void basis_case_init(struct basis_case *c, const struct basis_prior *prior)
{
    struct random_stream stream = random_stream(7, 0, 0, 0);
    size_t hidden[] = {6, 5};
    *c = (struct basis_case){0};
    ck_assert_int_eq(basis_init(&c->basis, INPUTS, hidden, D, TARGETS, prior), 0);
    basis_start(&c->basis, &stream);
    c->scratch = basis_scratch_new(&c->basis, T);
    ck_assert_ptr_nonnull(c->scratch);
    fill_normal(c->in, T * INPUTS, 1, &stream);
    fill_normal(c->y, T * TARGETS, 1, &stream);
    double *parameters = c->basis.trainee.parameters;
    fill_normal(parameters + c->basis.mean_at, D * TARGETS + D, 0.3, &stream);
}

static void basis_case_release(struct basis_case *c)
{
    basis_scratch_free(c->scratch);
    basis_release(&c->basis);
}

static double basis_value(struct basis_case *c, double *gradient)
{
    double value;
    int error = c->ahead ? basis_ahead(&c->basis, &value, gradient, c->in, c->y, T, 8, c->scratch)
                         : basis_evidence(&c->basis, &value, gradient, c->in, c->y, T, c->scratch);
    ck_assert_int_eq(error, 0);
    return value;
}

static double basis_objective(void *context)
{
    return -basis_value(context, NULL);
}

static struct basis_prior prior_learnt(enum evidence_noise noise, int learns)
{
    return (struct basis_prior){.noise = noise, .variance = 0.2, .freedom = 3, .precision = 1.3, .variance_low = 0.01,
                                .learns_mean = learns, .learns_precision = learns, .learns_variance = learns,
                                .learns_freedom = learns && noise == EVIDENCE_NOISE_INFERRED};
}

START_TEST(the_basis_climbs_both_losses)
{
    static struct basis_case c;
    for (int ahead = 0; ahead < 2; ahead++) {
        struct basis_prior prior = prior_learnt(noises[_i], 1);
        basis_case_init(&c, &prior);
        c.ahead = ahead;
        size_t count = c.basis.trainee.count;
        double *gradient = calloc(count, sizeof *gradient);
        for (size_t i = 0; i < count; i++)
            gradient[i] = NAN;
        basis_value(&c, gradient);
        check_against_differences(ahead ? "basis, ahead" : "basis", c.basis.trainee.parameters, gradient, count,
                                  basis_objective, &c);
        free(gradient);
        basis_case_release(&c);
    }
}
END_TEST

START_TEST(what_is_not_learnt_has_no_gradient)
{
    static struct basis_case c;
    struct basis_prior prior = prior_learnt(EVIDENCE_NOISE_INFERRED, 0);
    basis_case_init(&c, &prior);
    ck_assert_uint_eq(c.basis.trainee.count, c.basis.log_precision_at + D);
    double *gradient = calloc(c.basis.trainee.count, sizeof *gradient);
    basis_value(&c, gradient);
    for (size_t i = c.basis.mean_at; i < c.basis.trainee.count; i++)
        ck_assert_double_eq(gradient[i], 0);
    free(gradient);
    basis_case_release(&c);
}
END_TEST

START_TEST(the_learnt_prior_stays_within_its_bounds)
{
    static struct basis_case c;
    struct basis_prior prior = prior_learnt(EVIDENCE_NOISE_INFERRED, 1);
    basis_case_init(&c, &prior);
    for (size_t i = c.basis.log_precision_at; i < c.basis.trainee.count; i++)
        c.basis.trainee.parameters[i] = -1e3;
    basis_clamp(&c.basis);
    double scale[TARGETS], degrees;
    basis_noise_prior(&c.basis, scale, &degrees);
    ck_assert_double_eq_tol(degrees, TARGETS - 1 + 1, 1e-12);
    for (size_t j = 0; j < TARGETS; j++)
        ck_assert_double_eq_tol(scale[j], prior.variance_low, 1e-12);
    basis_case_release(&c);
}
END_TEST

// The belief that is served: features and targets in fixed point, the prior as fill_head hands it over.
struct served {
    struct prior *prior;
    struct belief belief;
    struct posterior posterior;
    void *belief_memory, *posterior_memory;
};

static void *aligned(size_t size)
{
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, (size + KERNEL_ALIGNMENT) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

static void served_init(struct served *s, const struct basis *basis)
{
    double precision[D * D] = {0}, scale[TARGETS * TARGETS] = {0}, diagonal[TARGETS];
    struct prior_values values = {.features = D, .targets = TARGETS, .precision = precision, .scale = scale,
                                  .mean = basis->trainee.parameters + basis->mean_at};
    basis_noise_prior(basis, diagonal, &values.degrees);
    for (size_t i = 0; i < D; i++)
        precision[i * D + i] = exp(basis->trainee.parameters[basis->log_precision_at + i]);
    for (size_t j = 0; j < TARGETS; j++)
        scale[j * TARGETS + j] = diagonal[j];
    ck_assert_int_eq(prior_new(&s->prior, &values), 0);
    s->belief_memory = aligned(belief_size(D, TARGETS));
    belief_init(&s->belief, D, TARGETS, s->belief_memory);
    s->posterior_memory = aligned(posterior_size(s->prior, 1));
    posterior_init(&s->posterior, s->prior, 1, s->posterior_memory);
}

static void served_release(struct served *s)
{
    prior_free(s->prior);
    free(s->belief_memory);
    free(s->posterior_memory);
}

START_TEST(the_served_belief_says_what_the_loss_says)
{
    // Evidence and predictive of every length. With known noise also that the served prior, which is only nearly
    // sure of it, is a millionth of a nat a transition from the normal, and that its p-values are those of chi^2.
    static struct basis_case c;
    struct basis_prior prior = prior_learnt(noises[_i], 1);
    basis_case_init(&c, &prior);
    int known = noises[_i] == EVIDENCE_NOISE_KNOWN;
    struct served s;
    served_init(&s, &c.basis);
    // Targets and features as fixed point holds them.
    static double phi[T * D];
    basis_features(&c.basis, phi, c.in, T, c.scratch);
    double sum = 0;
    for (size_t t = 0; t < T; t++) {
        float features[D];
        int32_t z[KERNEL_LANES * 2];
        size_t where;
        double x[D], *y = c.y + t * TARGETS;
        for (size_t i = 0; i < D; i++)
            features[i] = (float)phi[t * D + i];
        ck_assert_int_eq(belief_round(z, &where, features, D, y, TARGETS), 0);
        for (size_t i = 0; i < D; i++)
            x[i] = ldexp(z[i], -BELIEF_FRACTION_BITS);
        ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_SCALE, NULL, 0), 0);
        struct predictive predictive = posterior_assess(&s.posterior, x, y);
        sum += predictive.log_density;
        if (known) {
            // Two targets: P(chi^2_2 > q) = exp(-q / 2), q = distance nu in the limit.
            double q = predictive.distance * s.posterior.degrees;
            ck_assert_double_eq_tol(predictive.p_value, exp(-q / 2), 1e-6);
        }
        belief_add(&s.belief, z);
    }
    ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_SCALE, NULL, 0), 0);
    double served = posterior_log_evidence(&s.posterior, s.prior), loss = basis_value(&c, NULL) * T * TARGETS;
    ck_assert_double_eq_tol(served, loss, 1e-6 * T);
    ck_assert_double_eq_tol(sum, loss, 1e-6 * T);
    served_release(&s);
    basis_case_release(&c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evidence");
    SUITE_TEST_EACH(suite, the_gradients_of_the_evidence_are_exact, 2);
    SUITE_TEST_EACH(suite, the_gradients_of_what_comes_after_a_context_are_exact, 2);
    SUITE_TEST_EACH(suite, the_evidence_is_the_sum_of_one_step_predictives, 2);
    SUITE_TEST_EACH(suite, each_row_after_a_context_is_judged_by_what_it_adds_to_the_evidence, 2);
    SUITE_TEST(suite, with_known_noise_targets_are_one_normal_vector);
    SUITE_TEST_EACH(suite, the_evidence_does_not_care_for_the_scale_of_features, 2);
    SUITE_TEST(suite, what_is_not_finite_is_refused);
    SUITE_TEST_EACH(suite, the_basis_climbs_both_losses, 2);
    SUITE_TEST(suite, what_is_not_learnt_has_no_gradient);
    SUITE_TEST(suite, the_learnt_prior_stays_within_its_bounds);
    SUITE_TEST_EACH(suite, the_served_belief_says_what_the_loss_says, 2);
    return suite_finish(suite);
}
