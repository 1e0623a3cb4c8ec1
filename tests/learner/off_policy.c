// SAC within a training: replayed contexts are what the rollout saw, and the bits depend on nothing but the seed.

#include "learner/evaluate.h"
#include "learner/inference/pearl.h"
#include "learner/policy/off_policy.h"
#include "tests/learner/training.h"

#include <errno.h>
#include <math.h>

static struct options small(const char *world, enum learn_kind kind)
{
    struct options o;
    options_defaults(&o, world_find(world), kind, LEARN_SAC);
    o.threads = 1;
    o.envs = 3;
    o.hidden = 16;
    o.minibatch = 150;  // a whole shard and a part of one
    o.random_start = 400;
    o.update_ratio = 0.02;
    o.basis_hidden = 16;
    o.features = 6;
    o.probes = 4;
    o.probe_pool = 100;
    o.warmup = 5;
    o.replay = 40;
    o.freeze = 0.5;
    o.frames = 8 * o.envs * o.world->horizon * o.world->episodes;
    return o;
}

static struct off_policy *own_of(struct train *train)
{
    return train->acting;
}

// The newest slots of the replay, against the rollout that filled them.
static void check_rollout(struct train *train)
{
    const struct rollout *r = &train->rollout;
    const struct replay *replay = &own_of(train)->replay;
    size_t width = train->input_dim, metas = 0, compared = 0;
    float raw[200];
    ck_assert_uint_le(width, 200);
    for (size_t row = 0; row < r->N * r->T; row++)
        metas += r->begins[row];
    struct off_policy_place place = {(uint32_t)((replay->added - metas + replay->slots - 1) % replay->slots), 0};
    for (size_t row = 0; row < r->N * r->T; row++, place.step++) {
        if (r->begins[row])
            place = (struct off_policy_place){(place.slot + 1) % (uint32_t)replay->slots, 0};
        off_policy_input(train, raw, place, 0);
        ck_assert_mem_eq(raw, r->input + row * width, width * sizeof *raw);
        off_policy_input(train, raw, place, 1);
        if (r->final_of[row] >= 0)
            ck_assert_mem_eq(raw, r->final_input + (size_t)r->final_of[row] * width, width * sizeof *raw);
        else
            ck_assert_mem_eq(raw, r->input + (row + 1) * width, width * sizeof *raw);
        ck_assert_float_eq(replay->reward[place.slot * replay->steps + place.step], r->reward[row]);
        compared++;
    }
    ck_assert_uint_eq(compared, train->rows);
}

START_TEST(a_replayed_context_has_the_bits_that_the_rollout_saw)
{
    for (int transition = 0; transition < 2; transition++) {
        struct options o = small("half-cheetah-vel", LEARN_GLIBRL);
        o.transition = transition ? 5 : 0;
        o.envs = 2;
        o.frames = 6 * o.envs * o.world->horizon * o.world->episodes;
        struct train *train = train_of(&o);
        iterate(train, 1);
        for (int i = 1; i < 6; i++) {  // the basis is frozen half way
            iterate(train, 1);
            check_rollout(train);
        }
        train_free(train);
    }
}
END_TEST

START_TEST(contexts_are_made_again_while_the_basis_learns_and_then_never)
{
    struct options o = small("point", LEARN_GLIBRL);
    struct train *train = train_of(&o);
    iterate(train, 2);
    struct off_policy *own = own_of(train);
    size_t made_before = 0;
    for (int i = 2; i < 8; i++) {
        size_t count = (own->contexts.steps + 1) * own->contexts.width;
        float *first = malloc(count * sizeof *first), *after = own->contexts.rows;
        ck_assert_ptr_nonnull(first);
        memcpy(first, after, count * sizeof *first);
        iterate(train, 1);
        double made = -1;
        for (size_t v = 0; v < train->report.value_count; v++)
            if (!strcmp(train->report.values[v].name, "contexts/made"))
                made = train->report.values[v].value;
        // Iteration 4 is the first that the frozen basis collects.
        int frozen = i > 4;
        ck_assert_int_eq(memcmp(first, after, count * sizeof *first) == 0, frozen);
        ck_assert_double_eq(made, frozen ? (double)o.envs : (double)(o.envs * (size_t)i));
        made_before += (size_t)made;
        free(first);
    }
    ck_assert_uint_gt(made_before, 0);
    train_free(train);
}
END_TEST

START_TEST(oracles_and_who_has_no_belief_replay_what_they_saw_too)
{
    const enum learn_kind kinds[] = {LEARN_ORACLE, LEARN_NONE};
    for (size_t k = 0; k < 2; k++) {
        struct options o = small("point", kinds[k]);
        struct train *train = train_of(&o);
        iterate(train, 2);
        check_rollout(train);
        train_free(train);
    }
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    const enum learn_kind kinds[] = {LEARN_GLIBRL, LEARN_PEARL, LEARN_ORACLE, LEARN_NONE};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct options o = small("point", kinds[k]);
        struct train *one = train_of(&o);
        o.threads = 3;
        struct train *three = train_of(&o);
        iterate(one, 6);
        iterate(three, 6);
        ck_assert_uint_gt(own_of(one)->updates, 0);
        check_same(one, three);
        train_free(one);
        train_free(three);
    }
}
END_TEST

START_TEST(four_iterations_and_four_resumed_are_eight)
{
    const enum learn_kind kinds[] = {LEARN_GLIBRL, LEARN_PEARL, LEARN_ORACLE};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct options o = small("point", kinds[k]);
        char path[64], why[WHY];
        temporary(path);
        struct train *whole = train_of(&o), *first = train_of(&o), *second = train_of(&o);
        iterate(whole, 8);
        iterate(first, 4);
        ck_assert_msg(checkpoint_save(first, path, why, sizeof why) == 0, "%s", why);
        ck_assert_msg(checkpoint_load(second, path, why, sizeof why) == 0, "%s", why);
        iterate(second, 4);
        ck_assert(train_done(second));
        check_same(whole, second);
        train_free(whole);
        train_free(first);
        train_free(second);
        unlink(path);
    }
}
END_TEST

START_TEST(what_is_served_is_the_tanh_of_the_mean_that_was_explored_around)
{
    struct options o = small("point", LEARN_ORACLE);
    struct train *train = train_of(&o);
    iterate(train, 4);
    char why[WHY];
    ck_assert_msg(train_export(train, why, sizeof why) == 0, "%s", why);
    const struct model *model = train->model;
    struct off_policy *own = own_of(train);
    ck_assert(model->squash);
    struct agent_scratch *scratch = agent_scratch_new(model);
    ck_assert_ptr_nonnull(scratch);
    float observation[2] = {0.2f, -0.1f}, task[2] = {0.6f, 0.8f}, served[2], row[4], raw[4] = {0.2f, -0.1f, 0.6f, 0.8f};
    struct action_item item = {.observation = observation, .task = task, .action = served};
    agent_act(model, scratch, &item, 1);
    ck_assert_int_eq(item.error, 0);
    train_policy_row(train, row, raw, task);
    float *activations = calloc(net_activations(&own->sac.actor, 1), sizeof(float)), none[2] = {0}, action[2];
    ck_assert_ptr_nonnull(activations);
    sac_draw(action, net_forward(&own->sac.actor, own->sac.acting.parameters, activations, row, 1), none, 2);
    for (int i = 0; i < 2; i++)
        ck_assert_float_eq_tol(served[i], action[i], 1e-5f);
    free(activations);
    agent_scratch_free(scratch);
    train_free(train);
}
END_TEST

START_TEST(an_oracle_learns_the_point_robot_in_few_frames)
{
    struct options o = small("point", LEARN_ORACLE);
    o.envs = 4;
    o.hidden = 32;
    o.minibatch = 128;
    o.random_start = 1000;
    o.update_ratio = 0.4;
    o.frames = 8000;
    struct train *train = train_of(&o);
    iterate(train, (int)train->iterations);
    char why[WHY];
    ck_assert_msg(train_export(train, why, sizeof why) == 0, "%s", why);
    double returns[32];
    struct evaluation result = {.returns = returns};
    ck_assert_int_eq(evaluate(&result, o.world, train->model, EVALUATE_ORACLE, 32, 5, train->pool), 0);
    ck_assert_msg(result.mean[0] > -12, "return %g; who stays where it starts has -100", result.mean[0]);
    train_free(train);
}
END_TEST

START_TEST(pearls_encoder_infers_in_training_what_is_served)
{
    struct options o = small("point", LEARN_PEARL);
    o.update_ratio = 0.2;
    struct train *train = train_of(&o);
    iterate(train, 4);
    char why[WHY];
    ck_assert_msg(train_export(train, why, sizeof why) == 0, "%s", why);
    const struct model *model = train->model;
    const struct pearl_net *net = &((struct pearl *)train->inferring)->net;
    const struct replay *r = &own_of(train)->replay;
    struct agent_scratch *scratch = agent_scratch_new(model);
    struct pearl_shard *shard = pearl_shard_new(net, 1, r->steps);
    void *memory = aligned_alloc(64, (agent_belief_size(model) + 63) / 64 * 64);
    ck_assert(scratch && shard && memory);
    struct agent_belief belief;
    agent_belief_init(&belief, model, memory);
    for (uint32_t n = 0; n <= 20; n++) {
        shard->groups = 1;
        shard->count[0] = n;
        for (uint32_t t = 0; t < n; t++)
            pearl_row(train, shard->in + t * net->net.sizes[0], r->observation + t * 2, r->action + t * 2, r->reward[t],
                      r->next_observation + t * 2);
        pearl_infer(net, shard);
        float observation[2] = {0, 0}, action[2], input[2 + 2 * 5];
        struct action_item shown = {.belief = &belief, .observation = observation, .action = action, .input = input};
        agent_inputs(model, scratch, &shown, 1);
        ck_assert_int_eq(shown.error, 0);
        for (size_t i = 0; i < 5; i++) {
            ck_assert_float_eq_tol(input[2 + i], shard->mean[i], 2e-5f);
            ck_assert_float_eq_tol(input[7 + i], shard->log_variance[i], 2e-5f);
        }
        struct observation_item seen = {.belief = &belief, .observation = r->observation + n * 2,
                                        .action = r->action + n * 2, .next_observation = r->next_observation + n * 2,
                                        .reward = r->reward[n]};
        agent_observe(model, scratch, &seen, 1);
        ck_assert_int_eq(seen.status, OBSERVE_ABSORBED);
    }
    agent_scratch_free(scratch);
    pearl_shard_free(shard);
    free(memory);
    train_free(train);
}
END_TEST

START_TEST(the_critics_teach_pearls_encoder_to_tell_tasks_apart)
{
    struct options o = small("point", LEARN_PEARL);
    o.envs = 8;
    o.hidden = 32;
    o.minibatch = 128;
    o.random_start = 800;
    o.update_ratio = 0.2;
    o.frames = 8000;
    struct train *train = train_of(&o);
    iterate(train, 2);
    const struct pearl_net *net = &((struct pearl *)train->inferring)->net;
    float *first = malloc(net->net.count * sizeof *first);
    ck_assert_ptr_nonnull(first);
    memcpy(first, net->trainee.parameters, net->net.count * sizeof *first);
    iterate(train, (int)train->iterations - 2);
    ck_assert_int_ne(memcmp(first, net->trainee.parameters, net->net.count * sizeof *first), 0);
    double divergence = -1;
    for (size_t v = 0; v < train->report.value_count; v++)
        if (!strcmp(train->report.values[v].name, "encoder/divergence"))
            divergence = train->report.values[v].value;
    // Posteriors that say nothing would be at the prior.
    ck_assert_msg(divergence > 0.3, "%g nats", divergence);
    free(first);
    train_free(train);
}
END_TEST

START_TEST(what_sac_cannot_do_is_refused_with_a_sentence)
{
    char why[WHY];
    struct options o;
    char *recurrent[] = {"point", "--algorithm", "sac", "--model", "rl2"};
    ck_assert_int_eq(options_parse(&o, 5, recurrent, why, sizeof why), -EINVAL);
    ck_assert_msg(strstr(why, "rl2") && strstr(why, "sac"), "%s", why);

    char *discrete[] = {"gridworld", "--algorithm", "sac"};
    ck_assert_int_eq(options_parse(&o, 3, discrete, why, sizeof why), -EINVAL);
    ck_assert_msg(strstr(why, "choices") != NULL, "%s", why);

    char *on_policy[] = {"point", "--model", "pearl"};
    ck_assert_int_eq(options_parse(&o, 3, on_policy, why, sizeof why), -EINVAL);
    ck_assert_msg(strstr(why, "--algorithm sac") != NULL, "%s", why);

    struct train *train;
    o = small("half-cheetah-vel", LEARN_NONE);
    o.frames = o.experience = 10000000;
    ck_assert_int_eq(train_new(&train, &o, why, sizeof why), -EINVAL);
    ck_assert_msg(strstr(why, "--experience") != NULL, "%s", why);
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_is_told_with_iteration_world_and_seed)
{
    struct options o = small("point", LEARN_ORACLE);
    struct train *train = train_of(&o);
    iterate(train, 3);
    own_of(train)->replay.reward[5] = NAN;
    o = train->options;
    char why[WHY] = "";
    int error = 0;
    for (int i = 0; i < 5 && !error; i++)
        error = train_iterate(train, why, sizeof why);
    ck_assert_int_eq(error, -EDOM);
    ck_assert_msg(strstr(why, "critic") && strstr(why, "point") && strstr(why, "seed 1"), "%s", why);
    train_free(train);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("off_policy");
    SUITE_TEST(suite, a_replayed_context_has_the_bits_that_the_rollout_saw);
    SUITE_TEST(suite, contexts_are_made_again_while_the_basis_learns_and_then_never);
    SUITE_TEST(suite, oracles_and_who_has_no_belief_replay_what_they_saw_too);
    SUITE_TEST(suite, any_number_of_threads_gives_the_same_bits);
    SUITE_TEST(suite, four_iterations_and_four_resumed_are_eight);
    SUITE_TEST(suite, what_is_served_is_the_tanh_of_the_mean_that_was_explored_around);
    SUITE_TEST(suite, an_oracle_learns_the_point_robot_in_few_frames);
    SUITE_TEST(suite, pearls_encoder_infers_in_training_what_is_served);
    SUITE_TEST(suite, the_critics_teach_pearls_encoder_to_tell_tasks_apart);
    SUITE_TEST(suite, what_sac_cannot_do_is_refused_with_a_sentence);
    SUITE_TEST(suite, a_gradient_that_is_not_finite_is_told_with_iteration_world_and_seed);
    return suite_finish(suite);
}
