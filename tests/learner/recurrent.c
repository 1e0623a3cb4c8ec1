// Whole trainings of VariBAD and RL2, small ones: their bits depend on nothing but the seed, what trains is what serves,
// and what VariBAD predicts is a density.

#include "daemon/base/random.h"
#include "learner/evaluate.h"
#include "learner/inference/rl2.h"
#include "learner/inference/varibad.h"
#include "learner/inference/varibad_draws.h"
#include "learner/policy/on_policy.h"
#include "learner/study/predictive.h"
#include "learner/train.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHY = 400 };

static struct options small(const char *world, enum learn_kind kind)
{
    struct options o;
    options_defaults(&o, world_find(world), kind, LEARN_PPO);
    o.threads = 1;
    o.envs = 5;
    o.epochs = 2;
    o.hidden = 16;
    o.embedding = 12;
    o.gru = 16;
    o.latent = 3;
    o.decoder_hidden = 8;
    o.elbo_terms = 9;
    o.decodes = 7;
    o.encoder_trajectories = 7;
    o.encoder_updates = 2;
    o.chunk = 30;
    o.chunks = 6;
    o.replay = 30;
    o.frames = 20 * o.envs * o.world->horizon * o.world->episodes;
    return o;
}

// VariBAD with either decoder or both, and RL2.
enum { VARIANTS = 3 };

static struct options variant(int i)
{
    struct options o = small("point", i == 2 ? LEARN_RL2 : LEARN_VARIBAD);
    o.decode_transition = i == 1;
    return o;
}

static struct train *train_of(const struct options *options)
{
    struct train *train;
    char why[WHY];
    ck_assert_msg(train_new(&train, options, why, sizeof why) == 0, "%s", why);
    return train;
}

static void iterate(struct train *train, int iterations)
{
    char why[WHY];
    for (int i = 0; i < iterations; i++)
        ck_assert_msg(train_iterate(train, why, sizeof why) == 0, "%s", why);
}

static struct model *final_of(struct train *train)
{
    struct model *model;
    char why[WHY];
    ck_assert_msg(train_final_model(train, &model, NULL, why, sizeof why) == 0, "%s", why);
    return model;
}

// Two trainings are the same in every bit of every array.
static void check_same(struct train *a, struct train *b)
{
    struct train_array ours, theirs;
    for (size_t i = 0; train_state(a, i, &ours); i++) {
        ck_assert_int_eq(train_state(b, i, &theirs), 1);
        ck_assert_str_eq(ours.name, theirs.name);
        ck_assert_uint_eq(ours.count, theirs.count);
        size_t size = ours.count * (strcmp(ours.dtype + 1, "64") ? 4 : 8);
        ck_assert_msg(memcmp(ours.data, theirs.data, size) == 0, "%s differs", ours.name);
    }
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    struct options o = variant(_i);
    struct train *one = train_of(&o);
    o.threads = 3;
    struct train *three = train_of(&o);
    iterate(one, 4);
    iterate(three, 4);
    check_same(one, three);
    train_free(one);
    train_free(three);
}
END_TEST

START_TEST(three_iterations_and_three_resumed_are_six)
{
    struct options o = variant(_i);
    char path[64], why[WHY];
    snprintf(path, sizeof path, "/tmp/recurrent-%d-%d", (int)getpid(), _i);
    struct train *whole = train_of(&o), *first = train_of(&o), *second = train_of(&o);
    iterate(whole, 6);
    iterate(first, 3);
    ck_assert_msg(checkpoint_save(first, path, why, sizeof why) == 0, "%s", why);
    ck_assert_msg(checkpoint_load(second, path, why, sizeof why) == 0, "%s", why);
    iterate(second, 3);
    check_same(whole, second);
    unlink(path);
    train_free(whole);
    train_free(first);
    train_free(second);
}
END_TEST

// The policy's inputs of one environment's first meta-episode, as the rollout recorded them with the functions that
// serve, against the learner's own pass over the same transitions; to the rounding of other orders of summation.
START_TEST(what_trains_is_what_serves)
{
    struct options o = variant(_i);
    struct train *train = train_of(&o);
    iterate(train, 5);
    char why[WHY];
    ck_assert_int_eq(train_export(train, why, sizeof why), 0);
    ck_assert_int_eq(rollout_run(&train->rollout, train->model, 5, 99, train->pool, why, sizeof why), 0);
    const struct rollout *r = &train->rollout;
    size_t obs = train->world->observation_dim, inputs = history_inputs(train->world), T = r->T;
    size_t width = r->input_dim - obs, end = 1;
    while (end < T && !r->begins[end])
        end++;
    float *in = calloc(T * inputs, sizeof *in);
    for (size_t t = 0; t < end; t++)
        history_row(train, in + t * inputs, r->met + t * train->world->action_dim, r->reward[t],
                    r->next_observation + t * obs);
    const float *rows;
    struct varibad_pass bound;
    struct sequence_pass plain;
    if (o.kind == LEARN_VARIBAD) {
        const struct varibad *own = train->inferring;
        ck_assert_int_eq(varibad_pass_init(&bound, &own->nets, T, 1, 1), 0);
        varibad_encode(&own->nets, own->trainee.parameters, &bound, in, end, 1);
        rows = bound.posterior;
    } else {
        const struct rl2 *own = train->inferring;
        ck_assert_int_eq(sequence_pass_init(&plain, &own->sequence, T, 1), 0);
        sequence_forward(&own->sequence, own->trainee.parameters, &plain, in, NULL, NULL, end, 1);
        rows = plain.gru.states;
    }
    double largest = 0;
    for (size_t t = 0; t < end; t++)
        for (size_t i = 0; i < width; i++) {
            ck_assert_float_eq_tol(r->input[t * r->input_dim + obs + i], rows[t * width + i], 2e-5F);
            largest = fmax(largest, fabs((double)rows[t * width + i]));
        }
    ck_assert_double_gt(largest, 0.05);
    ck_assert_uint_gt(end, 50);
    if (o.kind == LEARN_VARIBAD)
        varibad_pass_release(&bound);
    else
        sequence_pass_release(&plain);
    free(in);
    train_free(train);
}
END_TEST

START_TEST(a_saved_model_plays_as_the_training_would)
{
    struct options o = variant(_i);
    struct train *train = train_of(&o);
    iterate(train, 4);
    char path[64], why[WHY];
    snprintf(path, sizeof path, "/tmp/recurrent-model-%d-%d", (int)getpid(), _i);
    struct model *ours = final_of(train), *theirs;
    ck_assert_int_eq(model_save(ours, path), 0);
    ck_assert_msg(model_load(&theirs, path, why, sizeof why) == 0, "%s", why);
    ck_assert_int_eq(theirs->kind, o.kind == LEARN_RL2 ? MODEL_RL2 : MODEL_VARIBAD);
    double returns[2][8 * EVALUATE_EPISODES_LIMIT];
    for (int m = 0; m < 2; m++) {
        struct evaluation evaluation = {.returns = returns[m]};
        ck_assert_int_eq(evaluate(&evaluation, o.world, m ? theirs : ours, EVALUATE_BELIEF, 8, 3, train->pool), 0);
    }
    for (size_t i = 0; i < 8 * o.world->episodes; i++)
        ck_assert_double_eq(returns[0][i], returns[1][i]);
    unlink(path);
    model_free(ours);
    model_free(theirs);
    train_free(train);
}
END_TEST

START_TEST(before_a_step_the_recomputed_policy_is_the_one_that_acted)
{
    // With steps of no length every ratio is one, but for rounding: chunks, states and inputs are those of the rollout.
    struct options o = variant(2);
    o.rate = 1e-30;
    struct train *train = train_of(&o);
    iterate(train, 3);
    const struct on_policy *ppo = train->acting;
    ck_assert_double_lt(fabs(ppo->report.divergence), 1e-6);
    ck_assert_double_eq(ppo->report.clipped, 0);
    train_free(train);
}
END_TEST

START_TEST(through_time_the_policy_learns_to_look_for_the_goal)
{
    // Who is told nothing and infers nothing gets -72.
    struct options o;
    options_defaults(&o, world_find("point"), LEARN_RL2, LEARN_PPO);
    o.threads = 2;
    o.envs = 16;
    o.hidden = o.embedding = o.gru = 32;
    o.frames = 80000;
    struct train *train = train_of(&o);
    while (!train_done(train))
        iterate(train, 1);
    struct model *model = final_of(train);
    double returns[64];
    struct evaluation evaluation = {.returns = returns};
    ck_assert_int_eq(evaluate(&evaluation, o.world, model, EVALUATE_BELIEF, 64, 3, train->pool), 0);
    ck_assert_double_gt(evaluation.mean[0], -50);
    model_free(model);
    train_free(train);
}
END_TEST

START_TEST(the_encoder_learns_to_predict_rewards)
{
    struct options o = variant(0);
    o.encoder_warmup = 400;
    struct train *train = train_of(&o);
    iterate(train, 1);
    const struct varibad *own = train->inferring;
    // Of rewards with unit variance.
    ck_assert_double_lt(own->value.errors[HEAD_REWARD], 0.4);
    ck_assert_double_gt(own->value.divergence, 0);
    train_free(train);
}
END_TEST

START_TEST(a_frozen_encoder_stays_as_it_is)
{
    struct options o = variant(1);
    o.freeze = 0.15;  // three iterations of twenty
    struct train *train = train_of(&o);
    const struct varibad *own = train->inferring;
    size_t bytes = own->trainee.count * sizeof *own->trainee.parameters;
    float *before = malloc(bytes), *at_freeze = malloc(bytes);
    memcpy(before, own->trainee.parameters, bytes);
    iterate(train, 3);
    memcpy(at_freeze, own->trainee.parameters, bytes);
    double mean = train->observations.mean[0];
    iterate(train, 2);
    ck_assert_int_ne(memcmp(before, at_freeze, bytes), 0);
    ck_assert_int_eq(memcmp(own->trainee.parameters, at_freeze, bytes), 0);
    ck_assert_double_eq(train->observations.mean[0], mean);
    free(before);
    free(at_freeze);
    train_free(train);
}
END_TEST

// The newest meta-episode of the replay.
static struct trajectory newest(const struct train *train)
{
    const struct replay *r = &train->replay;
    size_t slot = (size_t)((r->added - 1) % r->slots), at = slot * r->steps;
    return (struct trajectory){
        .steps = r->count[slot], .observation = r->observation + at * r->observation_dim,
        .next_observation = r->next_observation + at * r->observation_dim, .action = r->action + at * r->action_dim,
        .reward = r->reward + at,
    };
}

START_TEST(predictions_are_densities)
{
    // Of the first reward, over all that it could have been: everything else is the same, draws too.
    struct options o = variant(1);
    o.encoder_warmup = 50;
    struct train *train = train_of(&o);
    iterate(train, 2);
    struct model *model = final_of(train);
    struct trajectory trajectory = newest(train);
    char why[WHY];
    double log_density, mean, sd, total = 0, first = 0, second = 0;
    struct prediction prediction = {&log_density, &mean, &sd};
    trajectory.steps = 1;
    float reward = 0;
    trajectory.reward = &reward;
    ck_assert_int_eq(predict_varibad(&prediction, model, HEAD_REWARD, &trajectory, 64, 1, why, sizeof why), 0);
    double center = mean, width = sd, step = width / 50;
    for (int i = -500; i <= 500; i++) {
        reward = (float)(center + i * step);
        ck_assert_msg(predict_varibad(&prediction, model, HEAD_REWARD, &trajectory, 64, 1, why, sizeof why) == 0, "%s",
                      why);
        ck_assert_double_eq(mean, center);
        double mass = exp(log_density) * step;
        total += mass;
        first += mass * (double)reward;
        second += mass * ((double)reward - center) * ((double)reward - center);
    }
    ck_assert_double_eq_tol(total, 1, 1e-3);
    ck_assert_double_eq_tol(first, center, 1e-3 * width);
    ck_assert_double_eq_tol(sqrt(second), width, 1e-3 * width);
    model_free(model);
    train_free(train);
}
END_TEST

// Mean log density of all replayed meta-episodes, by the draws that the noise was found with.
static double replayed_density(const struct train *train, struct model *model, enum head_kind kind, double shift)
{
    enum { SAMPLES = 16 };
    const struct replay *r = &train->replay;
    struct decoder *decoder = &model->decoders[kind];
    size_t d = decoder->targets, rows = 0;
    double sum = 0, log_sd[8], weight[SAMPLES];
    float *means = calloc(r->steps * (SAMPLES + 1) * d, sizeof *means), *y = means + r->steps * SAMPLES * d;
    char why[WHY];
    for (size_t i = 0; i < d; i++)
        log_sd[i] = decoder->log_sd[i] + shift;
    for (size_t n = 0; n < replay_slots(r); n++) {
        size_t slot = (size_t)((r->added - 1 - n) % r->slots), at = slot * r->steps;
        struct trajectory trajectory = {
            .steps = r->count[slot], .observation = r->observation + at * r->observation_dim,
            .next_observation = r->next_observation + at * r->observation_dim,
            .action = r->action + at * r->action_dim, .reward = r->reward + at,
        };
        ck_assert_int_eq(varibad_draws(means, y, model, kind, &trajectory, SAMPLES, train->options.seed + n, why,
                                       sizeof why), 0);
        for (size_t t = 0; t < trajectory.steps; t++, rows++)
            sum += varibad_mixture(weight, means + t * SAMPLES * d, y + t * d, log_sd, SAMPLES, d);
    }
    free(means);
    return sum / (double)rows;
}

START_TEST(the_decoders_noise_is_the_most_likely_one)
{
    struct options o = variant(1);
    o.encoder_warmup = 50;
    struct train *train = train_of(&o);
    iterate(train, 2);
    struct model *model = final_of(train);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        double best = replayed_density(train, model, kind, 0);
        ck_assert_double_gt(best, replayed_density(train, model, kind, 0.05));
        ck_assert_double_gt(best, replayed_density(train, model, kind, -0.05));
    }
    model_free(model);
    train_free(train);
}
END_TEST

START_TEST(a_mixture_is_the_mean_of_its_densities)
{
    enum { SAMPLES = 3, D = 2 };
    const float means[SAMPLES * D] = {0.5F, -1, 2, 0, -0.3F, 0.8F}, y[D] = {0.25F, -0.5F};
    const double log_sd[D] = {-0.4, 0.7};
    double weight[SAMPLES], density[SAMPLES], sum = 0;
    double log_density = varibad_mixture(weight, means, y, log_sd, SAMPLES, D);
    for (size_t k = 0; k < SAMPLES; k++) {
        density[k] = 1;
        for (size_t i = 0; i < D; i++) {
            double sd = exp(log_sd[i]), z = ((double)y[i] - (double)means[k * D + i]) / sd;
            density[k] *= exp(-z * z / 2) / (sd * sqrt(2 * acos(-1)));
        }
        sum += density[k];
    }
    ck_assert_double_eq_tol(log_density, log(sum / SAMPLES), 1e-12);
    for (size_t k = 0; k < SAMPLES; k++)
        ck_assert_double_eq_tol(weight[k], density[k] / sum, 1e-12);
}
END_TEST

START_TEST(models_without_a_decoder_refuse_to_predict)
{
    struct options o = variant(0);
    struct train *train = train_of(&o);
    iterate(train, 1);
    struct model *model = final_of(train);
    struct trajectory trajectory = newest(train);
    double *log_density = calloc(trajectory.steps, sizeof *log_density);
    struct prediction prediction = {.log_density = log_density};
    char why[WHY] = "";
    ck_assert_int_eq(predict_varibad(&prediction, model, HEAD_TRANSITION, &trajectory, 4, 1, why, sizeof why),
                     -ENOTSUP);
    ck_assert_str_eq(why, "a varibad model has no decoder of the transition");
    free(log_density);
    model_free(model);
    train_free(train);
    char *arguments[] = {"point", "--model", "varibad", "--decode-reward", "0"};
    ck_assert_int_eq(options_parse(&o, 5, arguments, why, sizeof why), -EINVAL);
    ck_assert_str_eq(why, "an encoder needs --decode-reward or --decode-transition to learn from");
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_is_reported_with_iteration_and_seed)
{
    struct options o = variant(_i);
    o.seed = 78;
    struct train *train = train_of(&o);
    iterate(train, 2);
    // The first step makes a parameter what is no number, and the next gradient shows it.
    struct trainee *encoder = o.kind == LEARN_RL2 ? &((struct rl2 *)train->inferring)->trainee
                                                  : &((struct varibad *)train->inferring)->trainee;
    encoder->adam.second[0] = NAN;
    char why[WHY] = "";
    ck_assert_int_eq(train_iterate(train, why, sizeof why), -EDOM);
    ck_assert_msg(strstr(why, "iteration 2") && strstr(why, "seed 78"), "\"%s\"", why);
    ck_assert_ptr_nonnull(strstr(why, o.kind == LEARN_RL2 ? "actor" : "encoder"));
    train_free(train);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recurrent");
    SUITE_TEST_EACH(suite, any_number_of_threads_gives_the_same_bits, VARIANTS);
    SUITE_TEST_EACH(suite, three_iterations_and_three_resumed_are_six, VARIANTS);
    SUITE_TEST_EACH(suite, what_trains_is_what_serves, VARIANTS);
    SUITE_TEST_EACH(suite, a_saved_model_plays_as_the_training_would, VARIANTS);
    SUITE_TEST(suite, before_a_step_the_recomputed_policy_is_the_one_that_acted);
    SUITE_TEST(suite, through_time_the_policy_learns_to_look_for_the_goal);
    SUITE_TEST(suite, the_encoder_learns_to_predict_rewards);
    SUITE_TEST(suite, a_frozen_encoder_stays_as_it_is);
    SUITE_TEST(suite, predictions_are_densities);
    SUITE_TEST(suite, the_decoders_noise_is_the_most_likely_one);
    SUITE_TEST(suite, a_mixture_is_the_mean_of_its_densities);
    SUITE_TEST(suite, models_without_a_decoder_refuse_to_predict);
    SUITE_TEST_EACH(suite, a_gradient_that_is_not_finite_is_reported_with_iteration_and_seed, VARIANTS);
    return suite_finish(suite);
}
