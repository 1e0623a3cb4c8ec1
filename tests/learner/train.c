// Whole trainings, small ones: what they learn, that their bits depend on nothing but the seed, and that what they
// leave behind is what serves.

#include "daemon/base/random.h"
#include "learner/evaluate.h"
#include "learner/inference/glibrl.h"
#include "learner/inference/evidence.h"
#include "learner/policy/on_policy.h"
#include "learner/train.h"
#include "tests/learner/training.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct options small(const char *world, enum learn_kind kind)
{
    struct options o;
    options_defaults(&o, world_find(world), kind, LEARN_PPO);
    o.threads = 1;
    o.envs = 6;
    o.epochs = 2;
    o.hidden = 24;
    o.basis_hidden = 16;
    o.features = kind == LEARN_GLIBRL ? 6 : 0;
    o.probes = 4;
    o.probe_pool = 100;
    o.warmup = 5;
    o.replay = 40;
    o.frames = 20 * o.envs * o.world->horizon * o.world->episodes;
    return o;
}

static struct on_policy *ppo_of(struct train *train)
{
    return train->acting;
}

static struct glibrl *glibrl_of(struct train *train)
{
    return train->inferring;
}

static void check_threads(const struct options *base)
{
    struct options o = *base;
    struct train *one = train_of(&o);
    o.threads = 3;
    struct train *three = train_of(&o);
    iterate(one, 4);
    iterate(three, 4);
    check_same(one, three);
    train_free(one);
    train_free(three);
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    struct options o = small("point", LEARN_GLIBRL);
    check_threads(&o);
    o.transition = 5;
    o.probes = 0;
    check_threads(&o);
    o = small("point", LEARN_ORACLE);
    check_threads(&o);
}
END_TEST

START_TEST(tasks_of_an_iteration_are_spread_and_yet_of_the_family)
{
    // Uniform on [0, 3]: each environment has its stretch, and all together are uniform.
    enum { ENVS = 8, ITERATIONS = 150 };
    struct options o = small("half-cheetah-vel", LEARN_NONE);
    struct world cheap = *world_find("half-cheetah-vel");
    cheap.horizon = 1;
    cheap.episodes = 1;
    o.world = &cheap;
    o.envs = ENVS;
    struct train *train = train_of(&o);
    char why[WHY];
    double mean = 0, square = 0, stretch[ENVS] = {0};
    for (uint64_t i = 0; i < ITERATIONS; i++) {
        ck_assert_int_eq(rollout_run(&train->rollout, train->model, 3, i, train->pool, why, sizeof why), 0);
        for (size_t e = 0; e < ENVS; e++) {
            double task = (double)train->rollout.task[e];
            mean += task / (ENVS * ITERATIONS);
            square += task * task / (ENVS * ITERATIONS);
            stretch[e] += task / ITERATIONS;
        }
    }
    ck_assert_double_eq_tol(mean, 1.5, 0.06);
    ck_assert_double_eq_tol(square - mean * mean, 0.75, 0.06);
    for (size_t e = 0; e < ENVS; e++)
        ck_assert_double_eq_tol(stretch[e], 3 * ((double)e + 0.5) / ENVS, 0.12);
    train_free(train);
}
END_TEST

START_TEST(exploration_remembers_as_much_as_it_is_told)
{
    struct options o = small("point", LEARN_NONE);
    o.memory = 0.8;
    struct train *train = train_of(&o);
    char why[WHY];
    double square = 0, product = 0;
    size_t count = 0;
    for (uint64_t i = 0; i < 20; i++) {
        ck_assert_int_eq(rollout_run(&train->rollout, train->model, 3, i, train->pool, why, sizeof why), 0);
        const struct rollout *r = &train->rollout;
        // The first policy is nearly zero everywhere, so actions are noise.
        for (size_t row = 0; row + 1 < r->N * r->T; row++) {
            if (r->end[row] != ROW_GOES_ON)
                continue;
            count++;
            square += (double)r->action[2 * row] * (double)r->action[2 * row];
            product += (double)r->action[2 * row] * (double)r->action[2 * row + 2];
        }
    }
    ck_assert_double_eq_tol(sqrt(square / (double)count), o.sd, 0.03);
    ck_assert_double_eq_tol(product / square, 0.8, 0.03);
    train_free(train);
}
END_TEST

START_TEST(seeds_make_different_trainings)
{
    struct options o = small("point", LEARN_GLIBRL);
    struct train *a = train_of(&o);
    o.seed = 2;
    struct train *b = train_of(&o);
    iterate(a, 1);
    iterate(b, 1);
    ck_assert(memcmp(a->rollout.task, b->rollout.task, 2 * sizeof(float)) != 0);
    ck_assert(memcmp(ppo_of(a)->actor.trainee.parameters, ppo_of(b)->actor.trainee.parameters, 64) != 0);
    train_free(a);
    train_free(b);
}
END_TEST

START_TEST(ten_iterations_and_ten_resumed_are_twenty)
{
    for (int world = 0; world < 2; world++) {
        struct options o = small(world ? "half-cheetah-vel" : "point", LEARN_GLIBRL);
        if (world)
            o.envs = 2;
        int half = world ? 3 : 10;
        o.frames = 2 * (uint64_t)half * o.envs * o.world->horizon * o.world->episodes;
        char path[64], why[WHY];
        temporary(path);
        struct train *whole = train_of(&o), *first = train_of(&o), *second = train_of(&o);
        iterate(whole, 2 * half);
        iterate(first, half);
        ck_assert_msg(checkpoint_save(first, path, why, sizeof why) == 0, "%s", why);
        ck_assert_msg(checkpoint_load(second, path, why, sizeof why) == 0, "%s", why);
        ck_assert_uint_eq(train_frames(second), train_frames(first));
        iterate(second, half);
        ck_assert(train_done(second));
        check_same(whole, second);
        unlink(path);
        train_free(whole);
        train_free(first);
        train_free(second);
    }
}
END_TEST

// Loading must fail with a sentence that contains `word`, and leave the training as it was.
static void check_refused(const struct options *options, const char *path, const char *word)
{
    char why[WHY] = "";
    struct train *train = train_of(options), *untouched = train_of(options);
    int error = checkpoint_load(train, path, why, sizeof why);
    ck_assert_msg(error < 0, "loaded, where \"%s\" was expected", word);
    ck_assert_msg(strstr(why, word) != NULL, "\"%s\" does not say \"%s\"", why, word);
    check_same(train, untouched);
    train_free(train);
    train_free(untouched);
}

static size_t read_bytes(const char *path, uint8_t *bytes, size_t limit)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(bytes, 1, limit, file);
    fclose(file);
    return size;
}

static void write_bytes(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

START_TEST(a_checkpoint_that_does_not_fit_is_refused_with_a_sentence)
{
    enum { LIMIT = 1 << 22 };
    static uint8_t bytes[LIMIT];
    struct options o = small("point", LEARN_GLIBRL), other;
    char path[64], why[WHY];
    temporary(path);
    struct train *train = train_of(&o);
    iterate(train, 2);
    ck_assert_int_eq(checkpoint_save(train, path, why, sizeof why), 0);
    train_free(train);

    other = small("point-sparse", LEARN_GLIBRL);
    check_refused(&other, path, "world=point");
    other = o;
    other.rate = 1e-4;
    check_refused(&other, path, "rate=");
    other = o;
    other.seed = 5;
    check_refused(&other, path, "seed=");

    size_t size = read_bytes(path, bytes, LIMIT);
    ck_assert_uint_lt(size, LIMIT);
    bytes[size - 3] ^= 4;
    write_bytes(path, bytes, size);
    check_refused(&o, path, "damaged");
    bytes[size - 3] ^= 4;
    write_bytes(path, bytes, size - 8);
    check_refused(&o, path, path);
    write_bytes(path, bytes, 5);
    check_refused(&o, path, path);
    uint8_t *version = memmem(bytes, size, "checkpoint 2", 12);
    ck_assert_ptr_nonnull(version);
    version[11] = '9';
    write_bytes(path, bytes, size);
    check_refused(&o, path, "version");
    unlink(path);
    check_refused(&o, path, "No such file");
}
END_TEST

START_TEST(a_checkpoint_with_numbers_out_of_bounds_is_refused)
{
    // Its checksum is right: it was made, not damaged.
    struct options o = small("point", LEARN_GLIBRL);
    char path[64], why[WHY];
    temporary(path);
    struct train *train = train_of(&o);
    iterate(train, 2);
    train->replay.count[1] = (uint32_t)train->replay.steps + 1;
    ck_assert_int_eq(checkpoint_save(train, path, why, sizeof why), 0);
    check_refused(&o, path, "a number in replay.count that is out of bounds");
    train->replay.count[1] = 0;
    train->counters[COUNT_FRAMES] = NAN;
    ck_assert_int_eq(checkpoint_save(train, path, why, sizeof why), 0);
    check_refused(&o, path, "a number in counters that is out of bounds");
    train_free(train);
    unlink(path);
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_is_reported_with_iteration_and_seed)
{
    for (int which = 0; which < 3; which++) {
        struct options o = small("point", LEARN_GLIBRL);
        o.seed = 77;
        struct train *train = train_of(&o);
        iterate(train, 2);
        char why[WHY] = "";
        // A served parameter is already refused by the model's own check before the rollout.
        if (which == 0)
            ppo_of(train)->critic.trainee.parameters[0] = NAN;
        else if (which == 1)
            ppo_of(train)->actor.trainee.adam.second[0] = NAN;
        else
            glibrl_of(train)->basis[HEAD_REWARD].trainee.parameters[glibrl_of(train)->basis[HEAD_REWARD].mean_at] = NAN;
        int error = train_iterate(train, why, sizeof why);
        ck_assert_msg(error < 0, "case %d went through", which);
        if (which < 2) {
            ck_assert_msg(strstr(why, "iteration 2") && strstr(why, "seed 77"), "\"%s\"", why);
        } else {
            ck_assert_msg(why[0], "no sentence");
        }
        train_free(train);
    }
}
END_TEST

// Every seventh step diverges, or every one.
static int steps_taken, diverging_every;

static int diverging_step(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    int status = world_find("point")->step(instance, action, reward, observation);
    return ++steps_taken % diverging_every ? status : -EIO;
}

START_TEST(a_simulation_that_diverges_is_begun_again_and_one_that_always_does_ends_the_training)
{
    struct world world = *world_find("point");
    world.step = diverging_step;
    struct options o = small("point", LEARN_GLIBRL);
    o.world = &world;
    o.envs = 2;
    char why[WHY] = "";
    diverging_every = 7;
    struct train *train = train_of(&o);
    iterate(train, 2);
    ck_assert_uint_eq(train->report.diverged, 2 * 2 * world.horizon / 7 - 2 * world.horizon / 7);
    diverging_every = 1;
    ck_assert_int_lt(train_iterate(train, why, sizeof why), 0);
    ck_assert_msg(!strncmp(why, "the simulation of point diverged more than 50 times", 51), "%s", why);
    ck_assert_ptr_nonnull(strstr(why, "at step 50 of environment 0 in iteration 2"));
    ck_assert_uint_eq(train_iteration(train), 2);
    train_free(train);
}
END_TEST

START_TEST(the_saved_model_acts_with_the_same_bits)
{
    struct options o = small("point", LEARN_GLIBRL);
    char path[64], why[WHY];
    temporary(path);
    struct train *train = train_of(&o);
    iterate(train, 6);
    struct model *saved, *loaded;
    char *provenance = strdup("{\"test\":1}");
    ck_assert_msg(train_final_model(train, &saved, provenance, why, sizeof why) == 0, "%s", why);
    ck_assert_int_eq(model_save(saved, path), 0);
    ck_assert_msg(model_load(&loaded, path, why, sizeof why) == 0, "%s", why);
    ck_assert_str_eq(loaded->provenance, "{\"test\":1}");
    ck_assert_msg(train_export(train, why, sizeof why) == 0, "%s", why);

    // The training's own model, the one saved and the one loaded, on beliefs of the same transitions.
    const struct model *models[] = {train->model, saved, loaded};
    float actions[3][2];
    struct digest digests[3];
    for (int m = 0; m < 3; m++) {
        struct agent_scratch *scratch = agent_scratch_new(models[m]);
        struct agent_belief belief;
        void *memory = aligned_alloc(64, (agent_belief_size(models[m]) + 63) / 64 * 64);
        agent_belief_init(&belief, models[m], memory);
        for (size_t row = 0; row < 50; row++) {
            struct observation_item item = {
                .belief = &belief, .observation = train->rollout.observation + 2 * row,
                .action = train->rollout.met + 2 * row,
                .next_observation = train->rollout.next_observation + 2 * row, .reward = train->rollout.reward[row],
            };
            agent_observe(models[m], scratch, &item, 1);
            ck_assert_int_eq(item.status, OBSERVE_ABSORBED);
        }
        struct action_item act = {.belief = &belief, .observation = train->rollout.next_observation + 98,
                                  .action = actions[m]};
        agent_act(models[m], scratch, &act, 1);
        ck_assert_int_eq(act.error, 0);
        digests[m] = agent_belief_digest(&belief);
        agent_scratch_free(scratch);
        free(memory);
    }
    ck_assert(digest_equal(digests[0], digests[1]) && digest_equal(digests[0], digests[2]));
    ck_assert_int_eq(memcmp(actions[0], actions[1], sizeof actions[0]), 0);
    ck_assert_int_eq(memcmp(actions[0], actions[2], sizeof actions[0]), 0);
    ck_assert_float_ne(actions[0][0], 0);
    unlink(path);
    model_free(saved);
    model_free(loaded);
    train_free(train);
}
END_TEST

START_TEST(a_model_saved_right_after_resuming_is_the_one_saved_before)
{
    struct options o = small("point", LEARN_GLIBRL);
    o.freeze = 1;  // the basis' normalisers have moved since the last rollout
    char path[64], before_path[64], after_path[64], why[WHY];
    temporary(path);
    temporary(before_path);
    temporary(after_path);
    struct train *train = train_of(&o), *resumed = train_of(&o);
    iterate(train, 5);
    ck_assert_int_eq(checkpoint_save(train, path, why, sizeof why), 0);
    ck_assert_int_eq(checkpoint_load(resumed, path, why, sizeof why), 0);
    struct model *before, *after;
    ck_assert_int_eq(train_final_model(train, &before, NULL, why, sizeof why), 0);
    ck_assert_int_eq(train_final_model(resumed, &after, NULL, why, sizeof why), 0);
    ck_assert_int_eq(model_save(before, before_path), 0);
    ck_assert_int_eq(model_save(after, after_path), 0);
    static uint8_t ours[1 << 20], theirs[1 << 20];
    size_t size = read_bytes(before_path, ours, sizeof ours);
    ck_assert_uint_eq(read_bytes(after_path, theirs, sizeof theirs), size);
    ck_assert_int_eq(memcmp(ours, theirs, size), 0);
    unlink(path);
    unlink(before_path);
    unlink(after_path);
    model_free(before);
    model_free(after);
    train_free(train);
    train_free(resumed);
}
END_TEST

START_TEST(the_recorded_density_is_that_of_the_recorded_action)
{
    // The learner's own network, by BLAS, against the served one that drew the actions.
    struct options o = small("point", LEARN_GLIBRL);
    struct train *train = train_of(&o);
    iterate(train, 3);
    char why[WHY];
    ck_assert_int_eq(train_export(train, why, sizeof why), 0);
    ck_assert_int_eq(rollout_run(&train->rollout, train->model, 9, 9, train->pool, why, sizeof why), 0);
    const struct rollout *r = &train->rollout;
    float *activations = calloc(net_activations(&ppo_of(train)->actor.net, 1), sizeof *activations);
    const float *log_sd = ppo_of(train)->actor.trainee.parameters + ppo_of(train)->actor.log_sd_at;
    for (size_t row = 0; row < r->N * r->T; row += 7) {
        float input[64];
        for (size_t i = 0; i < r->input_dim; i++) {
            float x = (r->input[row * r->input_dim + i] - train->model->input_mean[i]) / train->model->input_scale[i];
            input[i] = fminf(fmaxf(x, -train->model->input_clip), train->model->input_clip);
        }
        const float *mean = net_forward(&ppo_of(train)->actor.net, ppo_of(train)->actor.trainee.parameters, activations, input, 1);
        ck_assert_double_eq_tol(gaussian_log_density(r->action + 2 * row, mean, log_sd, 2),
                                (double)r->log_density[row], 1e-3);
        for (int k = 0; k < 2; k++)
            ck_assert_float_eq(r->met[2 * row + k], fminf(fmaxf(r->action[2 * row + k], -1), 1));
    }
    free(activations);
    train_free(train);
}
END_TEST

START_TEST(the_learners_evidence_is_the_daemons)
{
    // On numbers that fixed point represents exactly, so that both see the same.
    enum { T = 60, D = 6 };
    for (size_t d = 1; d <= 4; d += 3) {
        struct random_stream stream = random_stream(8, (uint32_t)d, 0, 0);
        double phi[T * D], y[T * 4], log_precision[D], mean[D * 4], precision[D * D] = {0}, scale[16] = {0};
        for (size_t i = 0; i < T * D; i++)
            phi[i] = (i + 1) % D == 0 ? 1 : rint(random_between(&stream, -1, 1) * 0x1p20) * 0x1p-20;
        for (size_t i = 0; i < T * d; i++)
            y[i] = rint(random_normal(&stream) * 0x1p20) * 0x1p-20;
        for (size_t i = 0; i < D; i++) {
            log_precision[i] = random_normal(&stream);
            precision[i * D + i] = exp(log_precision[i]);
        }
        for (size_t i = 0; i < D * d; i++)
            mean[i] = random_normal(&stream);
        double diagonal[4];
        for (size_t i = 0; i < d; i++)
            scale[i * d + i] = diagonal[i] = 0.05 + 0.01 * (double)i;
        struct evidence_prior ours = {D, d, EVIDENCE_NOISE_INFERRED, log_precision, mean, diagonal, (double)d + 1};
        double *scratch = calloc(evidence_scratch(T, D, d), sizeof *scratch), value;
        ck_assert_int_eq(evidence(&value, NULL, &ours, phi, y, T, scratch), 0);

        struct prior_values values = {D, d, precision, mean, scale, (double)d + 1};
        struct prior *prior;
        ck_assert_int_eq(prior_new(&prior, &values), 0);
        void *belief_memory = aligned_alloc(64, (belief_size(D, d) + 63) / 64 * 64);
        void *posterior_memory = aligned_alloc(64, (posterior_size(prior, 1) + 63) / 64 * 64);
        struct belief belief;
        struct posterior posterior;
        belief_init(&belief, D, d, belief_memory);
        posterior_init(&posterior, prior, 1, posterior_memory);
        for (size_t t = 0; t < T; t++) {
            float features[D];
            int32_t z[64];
            size_t where;
            for (size_t i = 0; i < D; i++)
                features[i] = (float)phi[t * D + i];
            ck_assert_int_eq(belief_round(z, &where, features, D, y + t * d, d), 0);
            belief_add(&belief, z);
        }
        ck_assert_int_eq(posterior_solve(&posterior, prior, &belief, POSTERIOR_MEAN | POSTERIOR_SCALE, NULL, 0), 0);
        double theirs = posterior_log_evidence(&posterior, prior);
        ck_assert_msg(fabs(value - theirs) <= 1e-9 * fabs(theirs), "%.15g here, %.15g there", value, theirs);
        for (size_t i = 0; i < D * d; i++)
            ck_assert_double_eq_tol(evidence_weights(scratch, D)[i], posterior.mean[i], 1e-10);
        free(scratch);
        free(belief_memory);
        free(posterior_memory);
        prior_free(prior);
    }
}
END_TEST

START_TEST(a_replay_keeps_the_newest)
{
    struct replay replay;
    ck_assert_int_eq(replay_init(&replay, 3, 4, 1, 1), 0);
    for (int meta = 0; meta < 5; meta++) {
        replay_begin(&replay);
        for (int t = 0; t <= meta % 3; t++) {
            float s = (float)(10 * meta + t), a = -s, next = s + 1;
            replay_add(&replay, &s, &a, &next, s / 2);
        }
    }
    ck_assert_uint_eq(replay_slots(&replay), 3);
    uint32_t counts[] = {1, 2, 3};  // meta-episodes 3, 4 and 2
    for (int slot = 0; slot < 3; slot++)
        ck_assert_uint_eq(replay.count[slot], counts[slot]);
    ck_assert_float_eq(replay.observation[1 * 4 + 1], 41);
    ck_assert_float_eq(replay.next_observation[1 * 4 + 1], 42);
    ck_assert_float_eq(replay.action[2 * 4 + 2], -22);
    ck_assert_float_eq(replay.reward[0], 15);
    replay_release(&replay);
}
END_TEST

START_TEST(moments_in_pieces_are_moments_of_the_whole)
{
    enum { COUNT = 1000, WIDTH = 2 };
    static float rows[COUNT * WIDTH];
    struct random_stream stream = random_stream(10, 0, 0, 0);
    for (size_t i = 0; i < COUNT; i++) {
        rows[2 * i] = (float)(1e4 + random_normal(&stream));  // far from zero: sums of squares would cancel
        rows[2 * i + 1] = (float)random_uniform(&stream);
    }
    struct moments pieces;
    ck_assert_int_eq(moments_init(&pieces, WIDTH, 0), 0);
    ck_assert_double_eq(moments_sd(&pieces, 0), 1);
    for (size_t at = 0, size = 1; at < COUNT; at += size, size = size * 2 < COUNT - at ? size * 2 : COUNT - at)
        moments_add(&pieces, rows + WIDTH * at, WIDTH, size < COUNT - at ? size : COUNT - at);
    for (int k = 0; k < WIDTH; k++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < COUNT; i++)
            mean += (double)rows[WIDTH * i + (size_t)k] / COUNT;
        for (size_t i = 0; i < COUNT; i++)
            square += pow((double)rows[WIDTH * i + (size_t)k] - mean, 2) / COUNT;
        ck_assert_double_eq_tol(pieces.mean[k], mean, 1e-9 * fabs(mean));
        ck_assert_double_eq_tol(moments_sd(&pieces, (size_t)k), sqrt(square), 1e-9);
    }
    ck_assert_double_eq(pieces.count, COUNT);
    moments_release(&pieces);
}
END_TEST

START_TEST(a_window_forgets)
{
    struct moments moments;
    float zero[100] = {0}, one[100];
    for (int i = 0; i < 100; i++)
        one[i] = 1;
    ck_assert_int_eq(moments_init(&moments, 1, 100), 0);
    for (int i = 0; i < 50; i++)
        moments_add(&moments, zero, 1, 100);
    for (int i = 0; i < 10; i++)
        moments_add(&moments, one, 1, 100);
    ck_assert_double_gt(moments.mean[0], 0.99);
    moments_release(&moments);
}
END_TEST

START_TEST(a_short_training_finds_the_goal)
{
    // Ten seconds' worth: from about -100 (random) and -75 (the best without knowing the goal) to above -35.
    struct options o;
    options_defaults(&o, world_find("point"), LEARN_GLIBRL, LEARN_PPO);
    o.frames = 56000;
    o.envs = 16;
    o.minibatch = 100;
    o.threads = 2;
    o.hidden = 64;
    o.basis_hidden = 32;
    struct train *train = train_of(&o);
    iterate(train, 1);
    double first = train->report.returns[0];
    while (!train_done(train))
        iterate(train, 1);
    struct model *model;
    char why[WHY];
    ck_assert_msg(train_final_model(train, &model, NULL, why, sizeof why) == 0, "%s", why);
    ck_assert_uint_gt(model->landmark_count, 2);
    double returns[64];
    struct evaluation result = {.returns = returns};
    ck_assert_int_eq(evaluate(&result, o.world, model, EVALUATE_BELIEF, 64, 3, train->pool), 0);
    ck_assert_msg(result.mean[0] > -35, "return %.1f after %.1f at first", result.mean[0], first);
    ck_assert_double_lt(first, -60);
    double believed = result.mean[0];
    ck_assert_int_eq(evaluate(&result, o.world, model, EVALUATE_PRIOR, 64, 3, train->pool), 0);
    ck_assert_double_lt(result.mean[0], believed - 20);
    model_free(model);
    train_free(train);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train");
    SUITE_TEST(suite, a_replay_keeps_the_newest);
    SUITE_TEST(suite, moments_in_pieces_are_moments_of_the_whole);
    SUITE_TEST(suite, a_window_forgets);
    SUITE_TEST(suite, the_learners_evidence_is_the_daemons);
    SUITE_TEST(suite, the_recorded_density_is_that_of_the_recorded_action);
    SUITE_TEST(suite, any_number_of_threads_gives_the_same_bits);
    SUITE_TEST(suite, tasks_of_an_iteration_are_spread_and_yet_of_the_family);
    SUITE_TEST(suite, exploration_remembers_as_much_as_it_is_told);
    SUITE_TEST(suite, seeds_make_different_trainings);
    SUITE_TEST(suite, ten_iterations_and_ten_resumed_are_twenty);
    SUITE_TEST(suite, a_checkpoint_that_does_not_fit_is_refused_with_a_sentence);
    SUITE_TEST(suite, a_checkpoint_with_numbers_out_of_bounds_is_refused);
    SUITE_TEST(suite, a_gradient_that_is_not_finite_is_reported_with_iteration_and_seed);
    SUITE_TEST(suite, a_simulation_that_diverges_is_begun_again_and_one_that_always_does_ends_the_training);
    SUITE_TEST(suite, the_saved_model_acts_with_the_same_bits);
    SUITE_TEST(suite, a_model_saved_right_after_resuming_is_the_one_saved_before);
    SUITE_TEST(suite, a_short_training_finds_the_goal);
    return suite_finish(suite);
}
