// What the policy reads.

#include "scenario.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { D = 9, DIMS = 4, K = 6, MOST = D * DIMS + K * DIMS + D * (D + 1) / 2 + DIMS + 1 };

static struct scenario s;
static double probes[K * D], *components, *origin;
static int32_t *z;

static void set_up_noise(size_t count, double precision, double noise)
{
    scenario_init(&s, &(struct scenario_options){.D = D, .d = DIMS, .rows_limit = K + 1, .seed = 4, .noise = noise,
                      .mean = 0.1, .precision = precision, .scale = noise * noise});
    for (size_t i = 0; i < K * D; i++)
        probes[i] = random_between(&s.stream, -1, 1);
    components = calloc(D * DIMS * kernel_padded(K), sizeof *components);
    origin = calloc(D * DIMS, sizeof *origin);
    for (size_t i = 0; i < D * DIMS; i++) {
        origin[i] = random_between(&s.stream, -0.1, 0.1);
        for (size_t k = 0; k < K; k++)
            components[i * kernel_padded(K) + k] = random_between(&s.stream, -1, 1);
    }
    z = scenario_draw_many(&s, 40);
    for (size_t i = 0; i < count; i++)
        belief_add(&s.belief, z + i * kernel_padded(D + DIMS));
}

static void set_up(size_t count, double precision) { set_up_noise(count, precision, 0.2); }

static void tear_down(void)
{
    free(z);
    free(components);
    free(origin);
    scenario_release(&s);
}

static struct representation make(enum representation_kind kind, unsigned parts)
{
    return (struct representation){.kind = kind, .parts = parts, .features = D, .targets = DIMS, .probe_count = K,
                                   .probes = probes, .component_count = K, .components = components, .origin = origin};
}

static const unsigned EVERY = REPRESENT_ALL;

// Principal has no sd.
static unsigned every_part(enum representation_kind kind)
{
    return kind == REPRESENTATION_PRINCIPAL ? EVERY & ~(unsigned)REPRESENT_SD : EVERY;
}

static size_t means(enum representation_kind kind)
{
    return kind == REPRESENTATION_PRINCIPAL ? K : (kind == REPRESENTATION_FUNCTION ? K : D) * DIMS;
}

static size_t sds(enum representation_kind kind)
{
    return kind == REPRESENTATION_NATURAL     ? D * (D + 1) / 2
           : kind == REPRESENTATION_WEIGHT    ? D
           : kind == REPRESENTATION_PRINCIPAL ? 0
                                              : K;
}

START_TEST(weight_space_is_means_and_logs_of_the_posterior)
{
    set_up(20, 0);
    struct representation r = make(REPRESENTATION_WEIGHT, EVERY);
    ck_assert_uint_eq(representation_count(&r), D * DIMS + D + DIMS + 1);
    float out[MOST];
    ck_assert_int_eq(representation_write(out, &r, &s.posterior, s.prior, &s.belief, NULL, NULL), 0);
    ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, 7, NULL, 0), 0);
    for (size_t i = 0; i < D * DIMS; i++)
        ck_assert_float_eq(out[i], (float)s.posterior.mean[i]);
    for (size_t i = 0; i < D; i++)
        ck_assert_float_eq_tol(out[D * DIMS + i], (float)(0.5 * log(s.posterior.variance[i])), 1e-6f);
    for (size_t j = 0; j < DIMS; j++)
        ck_assert_float_eq_tol(out[D * DIMS + D + j], (float)(0.5 * log(posterior_noise(&s.posterior, j))), 1e-6f);
    ck_assert_float_eq_tol(out[D * DIMS + D + DIMS], (float)(0.5 * log(1 + 20)), 1e-6f);
    tear_down();
}
END_TEST

START_TEST(function_space_is_what_the_model_predicts_at_the_probes)
{
    set_up(20, 0);
    struct representation r = make(REPRESENTATION_FUNCTION, EVERY);
    ck_assert_uint_eq(representation_count(&r), K * DIMS + K + DIMS + 1);
    float out[MOST];
    ck_assert_int_eq(representation_write(out, &r, &s.posterior, s.prior, &s.belief, NULL, NULL), 0);
    ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, 7, NULL, 0), 0);
    for (size_t k = 0; k < K; k++) {
        double mean[DIMS], sd[DIMS];
        posterior_predict(&s.posterior, probes + k * D, mean, sd);
        for (size_t j = 0; j < DIMS; j++)
            ck_assert_float_eq_tol(out[k * DIMS + j], (float)mean[j], 1e-6f);
        // sd^2 = (1 + h) noise
        double h = sd[0] * sd[0] / posterior_noise(&s.posterior, 0) - 1;
        ck_assert_float_eq_tol(out[K * DIMS + k], (float)(0.5 * log(h)), 1e-5f);
    }
    for (size_t j = 0; j < DIMS; j++)
        ck_assert_float_eq_tol(out[K * DIMS + K + j], (float)(0.5 * log(posterior_noise(&s.posterior, j))), 1e-6f);
    tear_down();
}
END_TEST

START_TEST(natural_statistics_are_averages_over_the_transitions)
{
    for (size_t count = 0; count <= 20; count += 20) {
        set_up(count, 0);
        struct representation r = make(REPRESENTATION_NATURAL, EVERY);
        ck_assert_uint_eq(representation_count(&r), D * DIMS + D * (D + 1) / 2 + DIMS + 1);
        float out[MOST], *at = out;
        ck_assert_int_eq(representation_write(out, &r, &s.posterior, s.prior, &s.belief, NULL, NULL), 0);
        double sum[D + DIMS][D + DIMS] = {0}, x[D + DIMS];
        for (size_t t = 0; t < count; t++) {
            in_units(x, z + t * kernel_padded(D + DIMS), D + DIMS);
            for (size_t i = 0; i < D + DIMS; i++)
                for (size_t j = 0; j < D + DIMS; j++)
                    sum[i][j] += x[i] * x[j] / (double)count;
        }
        for (size_t i = 0; i < D; i++)
            for (size_t j = 0; j < DIMS; j++)
                ck_assert_float_eq_tol(*at++, (float)sum[i][D + j], 1e-6f);
        for (size_t i = 0; i < D; i++)
            for (size_t j = 0; j <= i; j++)
                ck_assert_float_eq_tol(*at++, (float)sum[i][j], 1e-6f);
        ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, 7, NULL, 0), 0);
        for (size_t j = 0; j < DIMS; j++)
            ck_assert_float_eq_tol(*at++, (float)(0.5 * log(posterior_noise(&s.posterior, j))), 1e-6f);
        ck_assert_float_eq_tol(*at, (float)(0.5 * log(1 + (double)count)), 1e-6f);
        tear_down();
    }
}
END_TEST

START_TEST(principal_space_is_how_far_the_means_moved_along_each_component)
{
    for (size_t count = 0; count <= 20; count += 20) {
        set_up(count, 0);
        struct representation r = make(REPRESENTATION_PRINCIPAL, every_part(REPRESENTATION_PRINCIPAL));
        ck_assert_uint_eq(representation_count(&r), K + DIMS + 1);
        float out[MOST];
        ck_assert_int_eq(representation_write(out, &r, &s.posterior, s.prior, &s.belief, NULL, NULL), 0);
        ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_MEAN | POSTERIOR_SCALE, NULL, 0), 0);
        for (size_t k = 0; k < K; k++) {
            double along = 0;
            for (size_t i = 0; i < D * DIMS; i++)
                along += (s.posterior.mean[i] - origin[i]) * components[i * kernel_padded(K) + k];
            ck_assert_float_eq_tol(out[k], (float)along, 1e-6f);
        }
        for (size_t j = 0; j < DIMS; j++)
            ck_assert_float_eq_tol(out[K + j], (float)(0.5 * log(posterior_noise(&s.posterior, j))), 1e-6f);
        ck_assert_float_eq_tol(out[K + DIMS], (float)(0.5 * log(1 + (double)count)), 1e-6f);
        tear_down();
    }
}
END_TEST

// Neither parts left out nor a transition to judge nor the instruction set changes what is written.
START_TEST(every_part_is_the_same_bits_however_it_is_asked_for)
{
    for (int weak = 0; weak < 2; weak++) {
        for (size_t count = 1; count < 14; count += 4) {
            set_up(count, weak ? 1e-7 : 0);
            const int32_t *last = z + (count - 1) * kernel_padded(D + DIMS);
            for (int kind = REPRESENTATION_WEIGHT; kind <= REPRESENTATION_PRINCIPAL; kind++) {
                struct representation whole = make((enum representation_kind)kind, every_part((enum representation_kind)kind));
                size_t mean = means((enum representation_kind)kind), spread = sds((enum representation_kind)kind);
                float all[MOST], out[MOST + 1];
                ck_assert_int_eq(representation_write(all, &whole, &s.posterior, s.prior, &s.belief, NULL, NULL), 0);
                for (unsigned parts = 0; parts <= EVERY; parts++) {
                    if (parts & ~whole.parts)
                        continue;
                    struct representation r = make((enum representation_kind)kind, parts);
                    for (size_t set = 0; kernels_at(set); set++) {
                        for (int judged = 0; judged < 2; judged++) {
                            struct predictive surprise;
                            s.posterior.kernels = kernels_at(set);
                            memset(out, 0xff, sizeof out);
                            ck_assert_int_eq(representation_write(out, &r, &s.posterior, s.prior, &s.belief, judged ? last : NULL, &surprise), 0);
                            const float *at = out;
                            if (parts & REPRESENT_MEAN) {
                                ck_assert_mem_eq(at, all, mean * sizeof *at);
                                at += mean;
                            }
                            if (parts & REPRESENT_SD) {
                                ck_assert_mem_eq(at, all + mean, spread * sizeof *at);
                                at += spread;
                            }
                            if (parts & REPRESENT_NOISE) {
                                ck_assert_mem_eq(at, all + mean + spread, DIMS * sizeof *at);
                                at += DIMS;
                            }
                            if (parts & REPRESENT_COUNT)
                                ck_assert_float_eq(*at++, all[mean + spread + DIMS]);
                            ck_assert_uint_eq((size_t)(at - out), representation_count(&r));
                            ck_assert(isnan(*at));  // and not a float more
                        }
                    }
                }
            }
            tear_down();
        }
    }
}
END_TEST

// Plain; nearly no noise, so that the scale alone is refined; a weak prior, so that everything is at first.
START_TEST(the_surprise_is_that_of_the_belief_before)
{
    const struct { double precision, noise, tolerance; } cases[] = {{0, 0.2, 1e-9}, {3e-3, 1e-4, 1e-6}, {1e-5, 0.2, 1e-6}};
    int refined[3] = {0};
    for (int i = 0; i < 3; i++) {
        set_up_noise(0, cases[i].precision, cases[i].noise);
        for (int kind = REPRESENTATION_NONE; kind <= REPRESENTATION_NATURAL; kind++) {
            struct representation r = make((enum representation_kind)kind, REPRESENT_SD);
            belief_reset(&s.belief);
            for (size_t t = 0; t < 40; t++) {
                const int32_t *next = z + t * kernel_padded(D + DIMS);
                double x[D + DIMS];
                in_units(x, next, D + DIMS);
                ck_assert_int_eq(posterior_solve(&s.posterior, s.prior, &s.belief, POSTERIOR_SCALE, NULL, 0), 0);
                struct predictive expected = posterior_assess(&s.posterior, x, x + D), found;
                belief_add(&s.belief, next);
                float out[MOST];
                // No result of the solve before may serve for this one.
                memset(s.posterior.row_mean, 0xff, (K + 1) * DIMS * sizeof *s.posterior.row_mean);
                ck_assert_int_eq(representation_write(out, &r, &s.posterior, s.prior, &s.belief, next, &found), 0);
                refined[i] += s.posterior.refined;
                double tolerance = cases[i].tolerance;
                ck_assert_double_eq_tol(found.p_value, expected.p_value, tolerance);
                ck_assert_double_eq_tol(found.log_density, expected.log_density, tolerance * 10);
                ck_assert_double_eq_tol(found.distance / expected.distance, 1, tolerance * 10);
            }
        }
        tear_down();
    }
    ck_assert_int_eq(refined[0], 0);
    ck_assert_int_gt(refined[1], 0);
    ck_assert_int_gt(refined[2], 0);
}
END_TEST

// Sessions of a batch: short and long lives, one that repeats itself and needs refinement, one with high words, one
// damaged.
enum { MANY = 21 };

static void make_belief(struct belief *belief, size_t index)
{
    *belief = new_belief(D, DIMS);
    size_t count = index % 5 == 3 ? 3000 : 1 + index * 3;
    for (size_t i = 0; i < count; i++)
        belief_add(belief, z + (index % 5 == 3 ? index : (i * (1 + index) + index) % 40) * kernel_padded(D + DIMS));
    if (index == 6) {
        int32_t largest[KERNEL_LANES];
        for (size_t i = 0; i < D + DIMS; i++)
            largest[i] = i < D ? z[i] : 1 << 29;
        for (int i = 0; i < 100; i++)
            belief_add(belief, largest);
        ck_assert(belief->wide);
    }
    if (index == 10)
        belief->low[0] = (uint64_t)INT64_MIN;
}

static void check_many(const struct representation *r, struct posterior_group *group, size_t count, int judged)
{
    struct belief beliefs[MANY];
    float together[MANY][MOST + 1], alone[MOST + 1];
    struct predictive surprise[MANY], expected;
    struct representation_item items[MANY];
    memset(together, 0xff, sizeof together);
    memset(surprise, 0, sizeof surprise);
    for (size_t i = 0; i < count; i++) {
        make_belief(&beliefs[i], i);
        // Its first transition is as good as its last.
        const int32_t *first = z + (i % 40) * kernel_padded(D + DIMS);
        items[i] = (struct representation_item){.out = together[i], .belief = &beliefs[i],
                                                .z = judged && i % 4 != 1 ? first : NULL, .surprise = &surprise[i]};
    }
    representation_write_many(r, &s.posterior, group, s.prior, items, count);
    int refined = 0;
    for (size_t i = 0; i < count; i++) {
        memset(alone, 0xff, sizeof alone);
        memset(&expected, 0, sizeof expected);
        int error = representation_write(alone, r, &s.posterior, s.prior, &beliefs[i], items[i].z, &expected);
        refined |= s.posterior.refined;
        ck_assert_int_eq(items[i].error, error);
        ck_assert(error == 0 || i == 10);
        ck_assert_msg(!memcmp(alone, together[i], sizeof alone), "%s: item %zu of %zu", group->kernels->name, i, count);
        ck_assert(!memcmp(&expected, &surprise[i], sizeof expected));
        free(beliefs[i].low);
    }
    // Natural statistics and the count are read off the sums.
    int solves = judged || (r->kind != REPRESENTATION_NONE && r->parts & REPRESENT_NOISE)
        || (r->kind != REPRESENTATION_NONE && r->kind != REPRESENTATION_NATURAL
            && r->parts & (REPRESENT_MEAN | REPRESENT_SD));
    ck_assert(refined || !solves || count < MANY);
}

START_TEST(each_of_many_has_the_bits_that_it_has_alone)
{
    set_up(0, 0);
    struct posterior_group group;
    size_t size = posterior_group_size(s.prior, K + 1);
    void *memory = aligned(size);
    posterior_group_init(&group, s.prior, K + 1, memory);
    for (size_t set = 0; kernels_at(set); set++) {
        s.posterior.kernels = group.kernels = kernels_at(set);
        for (int kind = REPRESENTATION_NONE; kind <= REPRESENTATION_PRINCIPAL; kind++)
            for (unsigned parts = 1; parts <= EVERY; parts++)
                for (int judged = 0; judged < 2; judged++) {
                    struct representation r = make((enum representation_kind)kind, parts);
                    if (parts & ~every_part(r.kind))
                        continue;
                    check_many(&r, &group, MANY, judged);
                    check_many(&r, &group, 1 + (parts * 5 + (unsigned)judged) % (MANY - 1), judged);
                }
    }
    free(memory);
    tear_down();
}
END_TEST

START_TEST(nothing_to_show_is_nothing_written)
{
    set_up(3, 0);
    struct representation r = make(REPRESENTATION_NONE, EVERY);
    float out = NAN;
    ck_assert_uint_eq(representation_count(&r), 0);
    ck_assert_int_eq(representation_write(&out, &r, &s.posterior, s.prior, &s.belief, NULL, NULL), 0);
    ck_assert(isnan(out));
    tear_down();
}
END_TEST

START_TEST(a_damaged_belief_writes_nothing)
{
    set_up(3, 1);
    const int32_t big[16] = {1 << 24, 1 << 24, 1 << 24};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(belief_remove(&s.belief, big), 0);
    for (int kind = REPRESENTATION_WEIGHT; kind <= REPRESENTATION_PRINCIPAL; kind++) {
        struct representation r = make((enum representation_kind)kind, every_part((enum representation_kind)kind));
        float out[MOST], before[MOST];
        struct predictive surprise = {-1, -1, -1};
        memset(out, 0x55, sizeof out);
        memcpy(before, out, sizeof out);
        ck_assert_int_eq(representation_write(out, &r, &s.posterior, s.prior, &s.belief, z, &surprise), -EDOM);
        ck_assert_mem_eq(out, before, sizeof out);
        ck_assert(surprise.p_value == -1);
    }
    tear_down();
}
END_TEST

// phi -> R phi with the prior turned along: another basis for the same functions.
START_TEST(function_space_survives_a_change_of_basis)
{
    enum { N = 2 };
    // A quarter turn of the first two features is exact in fixed point.
    double identity[D * D] = {0}, M0[D * DIMS], turned_M0[D * DIMS], scale[DIMS * DIMS] = {0}, turned_probes[K * D];
    set_up(0, 1);
    for (size_t i = 0; i < D; i++)
        identity[i * D + i] = 0.5;
    for (size_t j = 0; j < DIMS; j++)
        scale[j * DIMS + j] = 0.1;
    for (size_t i = 0; i < D * DIMS; i++)
        M0[i] = turned_M0[i] = 0.01 * (double)i;
    for (size_t j = 0; j < DIMS; j++) {
        turned_M0[j] = -M0[DIMS + j];
        turned_M0[DIMS + j] = M0[j];
    }
    memcpy(turned_probes, probes, sizeof probes);
    for (size_t k = 0; k < K; k++) {
        turned_probes[k * D] = -probes[k * D + 1];
        turned_probes[k * D + 1] = probes[k * D];
    }
    float out[N][MOST];
    struct representation r = make(REPRESENTATION_FUNCTION, EVERY);
    for (int turned = 0; turned < N; turned++) {
        struct prior *prior;
        struct prior_values values = {D, DIMS, identity, turned ? turned_M0 : M0, scale, DIMS + 2};
        ck_assert_int_eq(prior_new(&prior, &values), 0);
        r.probes = turned ? turned_probes : probes;
        belief_reset(&s.belief);
        for (size_t i = 0; i < 30; i++) {
            int32_t x[16];
            memcpy(x, z + i * kernel_padded(D + DIMS), sizeof x);
            if (turned) {
                int32_t first = x[0];
                x[0] = -x[1];
                x[1] = first;
            }
            belief_add(&s.belief, x);
        }
        ck_assert_int_eq(representation_write(out[turned], &r, &s.posterior, prior, &s.belief, NULL, NULL), 0);
        prior_free(prior);
    }
    for (size_t i = 0; i < representation_count(&r); i++)
        ck_assert_float_eq_tol(out[0][i], out[1][i], 1e-6f);
    tear_down();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("representation");
    SUITE_TEST(suite, weight_space_is_means_and_logs_of_the_posterior);
    SUITE_TEST(suite, function_space_is_what_the_model_predicts_at_the_probes);
    SUITE_TEST(suite, natural_statistics_are_averages_over_the_transitions);
    SUITE_TEST(suite, principal_space_is_how_far_the_means_moved_along_each_component);
    SUITE_TEST(suite, every_part_is_the_same_bits_however_it_is_asked_for);
    SUITE_TEST(suite, the_surprise_is_that_of_the_belief_before);
    SUITE_TEST(suite, each_of_many_has_the_bits_that_it_has_alone);
    SUITE_TEST(suite, nothing_to_show_is_nothing_written);
    SUITE_TEST(suite, a_damaged_belief_writes_nothing);
    SUITE_TEST(suite, function_space_survives_a_change_of_basis);
    return suite_finish(suite);
}
