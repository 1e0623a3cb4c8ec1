// The choices of the belief: each is trained with the same bits in any number of threads and after a resume, and each
// is served as it was learnt.

#include "learner/inference/glibrl.h"
#include "learner/train.h"
#include "tests/learner/training.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void known(struct options *o)
{
    o->noise = NOISE_KNOWN;
}

static void fixed_alpaca(struct options *o)
{
    o->noise = NOISE_FIXED;
    o->loss = LOSS_ALPACA;
}

static void learnt_prior(struct options *o)
{
    o->learn_noise = o->learn_freedom = 1;
    o->show_count = 1;
    o->transition = 5;
}

static void natural(struct options *o)
{
    o->space = SPACE_NATURAL;
    o->learn_mean = 0;
    o->prior_precision = 0.5;
}

static void weights_alpaca(struct options *o)
{
    o->space = SPACE_WEIGHT;
    o->loss = LOSS_ALPACA;
    o->transition = 4;
    o->show_sd = 0;
    o->task_scale = 0.25;
}

static void principal(struct options *o)
{
    o->space = SPACE_PRINCIPAL;
    o->show_sd = 0;
    o->components = 7;  // the reward head has fewer weights
    o->transition = 4;
}

static const struct {
    const char *name;
    void (*set)(struct options *o);
} variants[] = {
    {"known", known}, {"fixed, alpaca", fixed_alpaca}, {"learnt prior", learnt_prior}, {"natural", natural},
    {"weights, alpaca", weights_alpaca}, {"principal", principal},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static struct options small(int variant)
{
    struct options o;
    options_defaults(&o, world_find("point"), LEARN_GLIBRL, LEARN_PPO);
    o.threads = 1;
    o.envs = 4;
    o.epochs = 1;
    o.hidden = o.basis_hidden = 12;
    o.features = 6;
    o.probes = 3;
    o.probe_pool = 60;
    o.warmup = 20;
    o.replay = 20;
    o.freeze = 1;
    o.frames = 12 * o.envs * o.world->horizon * o.world->episodes;
    variants[variant].set(&o);
    return o;
}

START_TEST(each_choice_has_the_same_bits_in_any_threads_and_after_a_resume)
{
    char path[64], why[400];
    temporary(path);
    struct options o = small(_i);
    struct train *whole = train_of(&o), *first = train_of(&o);
    o.threads = 3;
    struct train *threads = train_of(&o), *second = train_of(&o);
    iterate(whole, 6);
    iterate(threads, 6);
    check_same(whole, threads);
    iterate(first, 3);
    ck_assert_msg(checkpoint_save(first, path, why, sizeof why) == 0, "%s", why);
    ck_assert_msg(checkpoint_load(second, path, why, sizeof why) == 0, "%s: %s", variants[_i].name, why);
    iterate(second, 3);
    check_same(whole, second);
    unlink(path);
    train_free(whole), train_free(threads), train_free(first), train_free(second);
}
END_TEST

START_TEST(each_choice_is_served_as_it_was_learnt)
{
    struct options o = small(_i);
    struct train *train = train_of(&o);
    iterate(train, 6);
    char why[400];
    struct model *model;
    ck_assert_msg(train_final_model(train, &model, NULL, why, sizeof why) == 0, "%s", why);
    const struct glibrl *own = train->inferring;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        const struct head *head = &model->heads[kind];
        const struct basis *basis = &own->basis[kind];
        ck_assert_int_eq(head->present, basis->features > 0);
        if (!head->present)
            continue;
        double d = (double)head->targets, df = head->degrees - d + 1;
        int inferred = o.noise == NOISE_INFERRED;
        ck_assert(inferred ? df >= 1 - 1e-6 && df <= 1000 + 1e-3 : df == 0x1p28);
        ck_assert_int_eq(!!(head->representation.parts & REPRESENT_NOISE), inferred && o.show_noise);
        ck_assert_int_eq(!!(head->representation.parts & REPRESENT_COUNT), (int)o.show_count);
        ck_assert_int_eq(!!(head->representation.parts & REPRESENT_SD), (int)o.show_sd);
        int learnt = o.noise == NOISE_KNOWN || (inferred && o.learn_noise), moved = 0;
        for (size_t j = 0; j < head->targets; j++) {
            double variance = head->scale[j * head->targets + j] / df;
            moved |= fabs(log(variance / o.prior_noise)) > 0.01;
            ck_assert_double_ge(variance, fmin(o.prior_noise, o.prior_noise_low) * (1 - 1e-6));
        }
        ck_assert_int_eq(moved, learnt);
        ck_assert_int_eq(fabs(df - o.prior_freedom) > 1e-6 && inferred, (int)o.learn_freedom);
        double mean = 0;
        for (size_t i = 0; i < head->features * head->targets; i++)
            mean = fmax(mean, fabs(head->mean[i]));
        ck_assert_int_eq(mean > 0, (int)o.learn_mean);
    }
    model_free(model);
    train_free(train);
}
END_TEST

static void check_parse(const char *const *arguments, size_t count, const char *sentence)
{
    char *argv[8], why[400] = "", text[8][40];
    for (size_t i = 0; i < count; i++) {
        snprintf(text[i], sizeof text[i], "%s", arguments[i]);
        argv[i] = text[i];
    }
    struct options o;
    int error = options_parse(&o, (int)count, argv, why, sizeof why);
    ck_assert_int_eq(error, sentence ? -EINVAL : 0);
    ck_assert_msg(!sentence || strstr(why, sentence), "said \"%s\"", why);
}

START_TEST(words_are_checked_and_told)
{
    const char *wrong[] = {"point", "--noise", "gone"};
    check_parse(wrong, 3, "--noise is one of inferred known fixed, not \"gone\"");
    const char *good[] = {"point", "--noise", "fixed", "--loss", "alpaca"};
    check_parse(good, 5, NULL);
    const char *blind[] = {"point", "--show-mean", "0", "--show-sd", "0", "--noise", "known"};
    check_parse(blind, 7, "a policy needs some of");
    struct options o = small(0);
    char *text = options_describe(&o);
    ck_assert_ptr_nonnull(strstr(text, "\nnoise=known\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nloss=evidence\n"));
    free(text);
}
END_TEST

// An observation two standard deviations from its mean is shown as 2, a belief, a latent or a task as 2 --task-scale; what
// a critic is told of the task is within +- --task-scale.
START_TEST(what_is_shown_of_the_task_is_scaled_and_observations_are_not)
{
    static const enum learn_kind kinds[] = {LEARN_GLIBRL, LEARN_VARIBAD, LEARN_RL2, LEARN_ORACLE, LEARN_NONE};
    enum learn_kind kind = kinds[_i];
    struct options o;
    options_defaults(&o, world_find("point"), kind, LEARN_PPO);
    o.threads = 1;
    o.envs = 4;
    o.task_scale = 0.125;
    struct train *train = train_of(&o);
    iterate(train, 2);
    char why[WHY];
    ck_assert_int_eq(train_export(train, why, sizeof why), 0);
    size_t obs = train->world->observation_dim, shown = train->input_dim;
    float raw[256], row[256 + 2], task[2] = {1, 0};  // of bounds -1, 1 and 0, 1
    ck_assert_uint_le(shown, 256);
    for (size_t i = 0; i < shown; i++) {
        int state = kind == LEARN_RL2 && i >= obs;  // which is not normalised
        raw[i] = state ? 0.5f : (float)(train->inputs.mean[i] + 2 * moments_sd(&train->inputs, i));
    }
    train_policy_row(train, row, raw, task);
    for (size_t i = 0; i < shown; i++)
        ck_assert_float_eq_tol(row[i], i < obs ? 2 : kind == LEARN_RL2 ? 0.0625f : 0.25f, 1e-3f);
    ck_assert_uint_eq(train->critic_dim - shown, kind == LEARN_ORACLE ? 0 : 2);
    for (size_t i = shown; i < train->critic_dim; i++)
        ck_assert_float_eq(row[i], i == shown ? 0.125f : -0.125f);
    train_free(train);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("variants");
    SUITE_TEST_EACH(suite, each_choice_has_the_same_bits_in_any_threads_and_after_a_resume, VARIANTS);
    SUITE_TEST_EACH(suite, each_choice_is_served_as_it_was_learnt, VARIANTS);
    SUITE_TEST_EACH(suite, what_is_shown_of_the_task_is_scaled_and_observations_are_not, 5);
    SUITE_TEST(suite, words_are_checked_and_told);
    return suite_finish(suite);
}
