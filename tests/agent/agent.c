// The life of a step: who else is in the batch, in which order things arrive and what is refused never shows in an
// answer; and the answer is that of plain arithmetic.

#include "daemon/agent/agent.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"
#include "tests/support/suite.h"

enum { SESSIONS = 7, ITEMS = 200 };

// A model, a scratch for it, and transitions.
struct bench {
    struct model *model;
    struct agent_scratch *scratch;
    struct observation_item *items;
    float *block;
};

static struct bench bench_new(const struct model_shape *shape, size_t count)
{
    struct bench bench = {.model = sample_model(shape, 1)};
    bench.scratch = agent_scratch_new(bench.model);
    ck_assert_ptr_nonnull(bench.scratch);
    bench.items = sample_items(bench.model, count, 2, &bench.block);
    return bench;
}

static void bench_free(struct bench *bench)
{
    agent_scratch_free(bench->scratch);
    model_free(bench->model);
    free(bench->items);
    free(bench->block);
}

static int beliefs_equal(const struct agent_belief *a, const struct agent_belief *b)
{
    return belief_equal(&a->heads[0], &b->heads[0]) && belief_equal(&a->heads[1], &b->heads[1])
           && digest_equal(agent_belief_digest(a), agent_belief_digest(b));
}

// Observes one after the other.
static void observe_each(struct bench *bench, struct agent_belief *belief, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        bench->items[i].belief = belief;
        agent_observe(bench->model, bench->scratch, &bench->items[i], 1);
        ck_assert_int_eq(bench->items[i].status, OBSERVE_ABSORBED);
    }
}

// Fisher-Yates.
static void shuffle(struct observation_item *items, size_t count, uint64_t seed)
{
    struct random_stream stream = random_stream(seed, 7, 0, 0);
    for (size_t i = count; i > 1; i--) {
        size_t j = random_below(&stream, (uint32_t)i);
        struct observation_item swap = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swap;
    }
}

START_TEST(any_order_and_any_batches_over_many_sessions_give_the_same_beliefs)
{
    struct bench bench = bench_new(&sample_small, ITEMS);
    struct agent_belief alone[SESSIONS], mixed[SESSIONS];
    void *memory[2 * SESSIONS];
    for (size_t s = 0; s < SESSIONS; s++) {
        alone[s] = sample_belief(bench.model, &memory[s]);
        mixed[s] = sample_belief(bench.model, &memory[SESSIONS + s]);
    }
    for (size_t i = 0; i < ITEMS; i++)
        observe_each(&bench, &alone[i % SESSIONS], i, 1);
    for (size_t i = 0; i < ITEMS; i++)
        bench.items[i].belief = &mixed[i % SESSIONS];

    for (uint64_t seed = 0; seed < 8; seed++) {
        shuffle(bench.items, ITEMS, seed);
        struct random_stream stream = random_stream(seed, 8, 0, 0);
        for (size_t i = 0, batch; i < ITEMS; i += batch) {
            batch = 1 + random_below(&stream, AGENT_BATCH_LIMIT);
            batch = batch > ITEMS - i ? ITEMS - i : batch;
            agent_observe(bench.model, bench.scratch, bench.items + i, batch);
        }
        for (size_t s = 0; s < SESSIONS; s++) {
            ck_assert_msg(beliefs_equal(&alone[s], &mixed[s]), "seed %d, session %zu", (int)seed, s);
            ck_assert_uint_eq(agent_belief_count(&mixed[s]), (ITEMS - s + SESSIONS - 1) / SESSIONS);
            agent_belief_reset(&mixed[s]);
            ck_assert_uint_eq(agent_belief_count(&mixed[s]), 0);
        }
    }
    for (size_t i = 0; i < 2 * SESSIONS; i++)
        free(memory[i]);
    bench_free(&bench);
}
END_TEST

START_TEST(what_was_observed_can_be_taken_back_to_the_bits_of_the_prior)
{
    struct bench bench = bench_new(&sample_small, ITEMS);
    void *memory[2];
    struct agent_belief belief = sample_belief(bench.model, &memory[0]);
    struct agent_belief empty = sample_belief(bench.model, &memory[1]);
    observe_each(&bench, &belief, 0, ITEMS);
    ck_assert(!beliefs_equal(&belief, &empty));
    for (size_t i = 0; i < ITEMS; i += 50) {
        agent_features(bench.model, bench.scratch, bench.items + i, 50);
        for (size_t b = 0; b < 50; b++)
            for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
                ck_assert_int_eq(belief_remove(&belief.heads[kind], bench.items[i + b].z[kind]), 0);
    }
    ck_assert(beliefs_equal(&belief, &empty));
    free(memory[0]), free(memory[1]);
    bench_free(&bench);
}
END_TEST

START_TEST(a_refused_transition_changes_nothing_and_says_where)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct bench bench = bench_new(&sample_small, 10);
    size_t obs = bench.model->observation_dim, act = bench.model->action_dim, numbers = 2 * obs + act;
    void *memory[2];
    struct agent_belief belief = sample_belief(bench.model, &memory[0]);
    struct agent_belief before = sample_belief(bench.model, &memory[1]);
    observe_each(&bench, &belief, 0, 3);
    observe_each(&bench, &before, 0, 3);

    for (size_t where = 0; where <= numbers; where++)
        for (size_t v = 0; v < 3; v++) {
            // The item's numbers [s, a, s'] are one row of the block.
            float row[32], reward = where == numbers ? bad[v] : 1;
            memcpy(row, bench.items[3].observation, numbers * sizeof *row);
            if (where < numbers)
                row[where] = bad[v];
            struct observation_item item = {.belief = &belief, .observation = row, .action = row + obs,
                                            .next_observation = row + obs + act, .reward = reward};
            agent_observe(bench.model, bench.scratch, &item, 1);
            ck_assert_int_eq(item.status, OBSERVE_NOT_FINITE);
            ck_assert_int_eq(item.where_head, OBSERVE_WHERE_ITEM);
            ck_assert_uint_eq(item.where, where);
            ck_assert_ptr_null(item.z[HEAD_TRANSITION]);
            ck_assert_ptr_null(item.z[HEAD_REWARD]);
            ck_assert(beliefs_equal(&belief, &before));
        }

    // A reward far out: the transition head's half is not absorbed either.
    struct observation_item item = bench.items[3];
    item.belief = &belief;
    item.reward = 1e6f;
    agent_observe(bench.model, bench.scratch, &item, 1);
    ck_assert_int_eq(item.status, OBSERVE_OUT_OF_RANGE);
    ck_assert_int_eq(item.where_head, HEAD_REWARD);
    ck_assert_uint_eq(item.where, bench.model->heads[HEAD_REWARD].features);
    ck_assert_ptr_null(item.z[HEAD_TRANSITION]);
    ck_assert(beliefs_equal(&belief, &before));

    // A jump of one coordinate.
    float row[32];
    memcpy(row, bench.items[4].observation, numbers * sizeof *row);
    row[obs + act + 2] = 1e5f;
    item = (struct observation_item){.belief = &belief, .observation = row, .action = row + obs,
                                     .next_observation = row + obs + act};
    agent_observe(bench.model, bench.scratch, &item, 1);
    ck_assert_int_eq(item.status, OBSERVE_OUT_OF_RANGE);
    ck_assert_int_eq(item.where_head, HEAD_TRANSITION);
    ck_assert_uint_eq(item.where, bench.model->heads[HEAD_TRANSITION].features + 2);
    ck_assert(beliefs_equal(&belief, &before));

    // Among good ones it is the only one refused.
    struct observation_item three[3] = {bench.items[5], item, bench.items[6]};
    three[0].belief = three[2].belief = &belief;
    agent_observe(bench.model, bench.scratch, three, 3);
    ck_assert_int_eq(three[1].status, OBSERVE_OUT_OF_RANGE);
    observe_each(&bench, &before, 5, 2);
    ck_assert(beliefs_equal(&belief, &before));
    free(memory[0]), free(memory[1]);
    bench_free(&bench);
}
END_TEST

START_TEST(finite_observations_are_told_from_others)
{
    struct model *model = sample_model(&sample_small, 1);
    float observation[5] = {1, 2, 3, 4, 5};
    size_t where;
    ck_assert_int_eq(agent_check_observation(model, observation, &where), 0);
    for (size_t i = 0; i < 5; i++) {
        observation[4 - i] = i % 2 ? NAN : -INFINITY;
        ck_assert_int_eq(agent_check_observation(model, observation, &where), -EDOM);
        ck_assert_uint_eq(where, 4 - i);
    }
    model_free(model);
}
END_TEST

// Room for the answers of a batch.
struct answers {
    float actions[AGENT_BATCH_LIMIT][2];
    float inputs[AGENT_BATCH_LIMIT][128];
};

START_TEST(an_action_is_the_same_bits_alone_and_in_any_place_of_any_batch)
{
    struct bench bench = bench_new(&sample_small, AGENT_BATCH_LIMIT * 4);
    bench.model->heads[HEAD_TRANSITION].judged = 1;
    static struct action_item alone[AGENT_BATCH_LIMIT], item[AGENT_BATCH_LIMIT];
    static struct answers one, many;
    static struct agent_belief beliefs[AGENT_BATCH_LIMIT];
    static int32_t z[AGENT_BATCH_LIMIT][HEAD_COUNT][KERNEL_LANES];
    static int32_t *zs[AGENT_BATCH_LIMIT][HEAD_COUNT];
    void *memory[AGENT_BATCH_LIMIT];
    for (size_t b = 0; b < AGENT_BATCH_LIMIT; b++) {
        beliefs[b] = sample_belief(bench.model, &memory[b]);
        observe_each(&bench, &beliefs[b], 4 * b, b % 5 ? 1 + b % 4 : 0);
        struct observation_item *last = &bench.items[4 * b + (b % 4)];
        for (enum head_kind kind = 0; kind < HEAD_COUNT && b % 5; kind++) {
            memcpy(z[b][kind], last->z[kind], sizeof z[b][kind]);
            zs[b][kind] = z[b][kind];
        }
        alone[b] = (struct action_item){
            .belief = b % 7 ? &beliefs[b] : NULL, .observation = last->next_observation,
            .z = b % 5 ? zs[b] : NULL, .action = one.actions[b], .input = one.inputs[b]};
        agent_act(bench.model, bench.scratch, &alone[b], 1);
        ck_assert_int_eq(alone[b].error, 0);
    }
    for (size_t batch = 2; batch <= AGENT_BATCH_LIMIT; batch++) {
        size_t first = AGENT_BATCH_LIMIT - batch;
        for (size_t b = 0; b < batch; b++) {
            item[b] = alone[first + b];
            item[b].action = many.actions[b];
            item[b].input = b % 2 ? many.inputs[b] : NULL;
        }
        agent_act(bench.model, bench.scratch, item, batch);
        for (size_t b = 0; b < batch; b++) {
            ck_assert_msg(memcmp(many.actions[b], one.actions[first + b], sizeof one.actions[0]) == 0,
                          "item %zu in place %zu of %zu: %.9g, alone %.9g", first + b, b, batch,
                          (double)many.actions[b][0], (double)one.actions[first + b][0]);
            if (item[b].input)
                ck_assert_mem_eq(many.inputs[b], one.inputs[first + b], bench.model->input_dim * sizeof(float));
            ck_assert_mem_eq(item[b].surprise, alone[first + b].surprise, sizeof item[b].surprise);
        }
    }
    for (size_t b = 0; b < AGENT_BATCH_LIMIT; b++)
        free(memory[b]);
    bench_free(&bench);
}
END_TEST

START_TEST(an_action_is_the_policys_answer_to_the_input_it_reports_for_every_kernel_set)
{
    struct bench bench = bench_new(&sample_small, ITEMS);
    const struct model *model = bench.model;
    void *memory;
    struct agent_belief belief = sample_belief(model, &memory);
    observe_each(&bench, &belief, 0, 20);
    float action[2], input[128], row[128], out[KERNEL_LANES], scratch[4 * 2 * KERNEL_LANES];
    ck_assert_uint_le(network_scratch(&model->policy, 1), sizeof scratch / sizeof *scratch);
    for (size_t i = 0; i < ITEMS; i++) {
        struct action_item item = {.belief = &belief, .observation = bench.items[i].observation, .action = action,
                                   .input = input};
        agent_act(model, bench.scratch, &item, 1);
        ck_assert_mem_eq(input, item.observation, model->observation_dim * sizeof *input);
        for (size_t j = 0; j < model->input_dim; j++)
            row[j] = fminf(fmaxf((input[j] - model->input_mean[j]) / model->input_scale[j], -model->input_clip),
                           model->input_clip);
        const struct kernels *kernels;
        for (size_t k = 0; (kernels = kernels_at(k)); k++) {
            network_forward(&model->policy, kernels, out, KERNEL_LANES, row, model->input_dim, 1, scratch);
            for (size_t j = 0; j < 2; j++)
                ck_assert_float_eq(action[j], fminf(fmaxf(out[j], model->action_low[j]), model->action_high[j]));
        }
    }
    free(memory);
    bench_free(&bench);
}
END_TEST

START_TEST(no_belief_is_the_empty_belief)
{
    struct bench bench = bench_new(&sample_small, 4);
    void *memory;
    struct agent_belief empty = sample_belief(bench.model, &memory);
    float actions[3][2], inputs[3][128];
    struct action_item items[3];
    for (size_t i = 0; i < 3; i++)
        items[i] = (struct action_item){.belief = i == 1 ? &empty : NULL,
                                        .observation = bench.items[0].observation,
                                        .action = actions[i], .input = inputs[i]};
    agent_act(bench.model, bench.scratch, items, 3);
    for (size_t i = 1; i < 3; i++) {
        ck_assert_mem_eq(inputs[i], inputs[0], bench.model->input_dim * sizeof(float));
        ck_assert_mem_eq(actions[i], actions[0], sizeof actions[0]);
    }
    free(memory);
    bench_free(&bench);
}
END_TEST

// Of the belief before, by the posterior's own function.
static struct predictive judged_before(const struct model *model, const struct agent_belief *belief,
                                       enum head_kind kind, const int32_t *z)
{
    const struct head *head = &model->heads[kind];
    struct posterior posterior;
    size_t size = (posterior_size(head->prior, 0) + 63) / 64 * 64;
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, size);
    posterior_init(&posterior, head->prior, 0, memory);
    ck_assert_int_eq(posterior_solve(&posterior, head->prior, &belief->heads[kind], POSTERIOR_SCALE, NULL, 0), 0);
    double point[32];
    for (size_t i = 0; i < head->features + head->targets; i++)
        point[i] = z[i] * 0x1p-24;
    struct predictive predictive = posterior_assess(&posterior, point, point + head->features);
    free(memory);
    return predictive;
}

START_TEST(surprise_is_what_the_belief_before_would_have_said)
{
    struct bench bench = bench_new(&sample_small, 60);
    struct model *model = bench.model;
    void *memory[2];
    struct agent_belief belief = sample_belief(model, &memory[0]), before = sample_belief(model, &memory[1]);
    float action[2];
    for (size_t i = 0; i < 60; i++) {
        model->heads[HEAD_TRANSITION].judged = i % 2;
        observe_each(&bench, &belief, i, 1);
        struct action_item item = {.belief = &belief, .observation = bench.items[i].next_observation,
                                   .action = action, .z = bench.items[i].z};
        agent_act(model, bench.scratch, &item, 1);
        for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
            struct predictive got = item.surprise[kind];
            if (!model->heads[kind].judged) {
                ck_assert(got.p_value == 1 && got.log_density == 0 && got.distance == 0);
                continue;
            }
            struct predictive expected = judged_before(model, &before, kind, bench.items[i].z[kind]);
            ck_assert_double_eq_tol(got.p_value, expected.p_value, 1e-8);
            ck_assert_double_eq_tol(got.log_density, expected.log_density,
                                    1e-7 * (1 + fabs(expected.log_density)));
            ck_assert_double_eq_tol(got.distance, expected.distance, 1e-8 * (1 + expected.distance));
        }
        observe_each(&bench, &before, i, 1);
    }
    free(memory[0]), free(memory[1]);
    bench_free(&bench);
}
END_TEST

START_TEST(a_damaged_belief_costs_only_its_own_action)
{
    struct bench bench = bench_new(&sample_small, 8);
    void *memory[2];
    struct agent_belief good = sample_belief(bench.model, &memory[0]);
    struct agent_belief damaged = sample_belief(bench.model, &memory[1]);
    observe_each(&bench, &good, 0, 4);
    observe_each(&bench, &damaged, 0, 4);
    // Taking away what was never there, many times over.
    agent_features(bench.model, bench.scratch, &bench.items[5], 1);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(belief_remove(&damaged.heads[HEAD_TRANSITION], bench.items[5].z[HEAD_TRANSITION]), 0);

    float alone[2], actions[3][2];
    struct action_item item = {.belief = &good, .observation = bench.items[6].observation, .action = alone};
    struct action_item items[3];
    agent_act(bench.model, bench.scratch, &item, 1);
    for (size_t i = 0; i < 3; i++) {
        items[i] = item;
        items[i].belief = i == 1 ? &damaged : &good;
        items[i].action = actions[i];
    }
    agent_act(bench.model, bench.scratch, items, 3);
    ck_assert_int_eq(items[1].error, -EDOM);
    ck_assert(actions[1][0] == 0 && actions[1][1] == 0);
    for (size_t i = 0; i < 3; i += 2) {
        ck_assert_int_eq(items[i].error, 0);
        ck_assert_mem_eq(actions[i], alone, sizeof alone);
    }
    free(memory[0]), free(memory[1]);
    bench_free(&bench);
}
END_TEST

START_TEST(an_oracle_reads_the_task_and_believes_nothing)
{
    struct model_shape shape = {.name = "oracle", .world = "point", .observation_dim = 5, .action_dim = 2,
                                .task_dim = 3, .reads_task = 1, .hidden = {8, 8}};
    struct bench bench = bench_new(&shape, 2);
    ck_assert_uint_eq(bench.model->input_dim, 8);
    ck_assert_uint_eq(agent_belief_size(bench.model), 0);
    void *memory;
    struct agent_belief belief = sample_belief(bench.model, &memory);
    observe_each(&bench, &belief, 0, 2);
    ck_assert_uint_eq(agent_belief_count(&belief), 0);
    agent_belief_reset(&belief);

    float tasks[2][3] = {{1, 2, 3}, {1, 2, -3}}, actions[2][2], input[8];
    struct action_item items[2];
    for (size_t i = 0; i < 2; i++)
        items[i] = (struct action_item){.belief = i ? &belief : NULL, .observation = bench.items[0].observation,
                                        .task = tasks[i], .action = actions[i], .z = bench.items[0].z,
                                        .input = i ? input : NULL};
    agent_act(bench.model, bench.scratch, items, 2);
    ck_assert_mem_eq(input, items[1].observation, 5 * sizeof *input);
    ck_assert_mem_eq(input + 5, tasks[1], 3 * sizeof *input);
    ck_assert_mem_ne(actions[0], actions[1], sizeof actions[0]);
    double mean[3], sd[3];
    ck_assert_int_eq(agent_estimate(bench.model, bench.scratch, &belief, 10, mean, sd), -ENOTSUP);
    free(memory);
    bench_free(&bench);
}
END_TEST

START_TEST(every_kind_of_representation_gives_an_action_and_none_shows_nothing)
{
    float action[2], with[128], without[128];
    for (unsigned parts = 0; parts < 8; parts++)
        for (enum representation_kind kind = 0; kind <= REPRESENTATION_PRINCIPAL; kind++) {
            if ((parts == 0 && kind != REPRESENTATION_NONE)
                || (kind == REPRESENTATION_PRINCIPAL && parts & REPRESENT_SD))
                continue;
            struct model_shape shape = sample_small;
            shape.heads[HEAD_TRANSITION].features = 0;
            shape.heads[HEAD_REWARD].kind = kind;
            shape.heads[HEAD_REWARD].parts = parts;
            shape.heads[HEAD_REWARD].probe_count = kind == REPRESENTATION_FUNCTION ? 3 : 0;
            shape.heads[HEAD_REWARD].component_count = kind == REPRESENTATION_PRINCIPAL ? 3 : 0;
            struct bench bench = bench_new(&shape, 30);
            size_t shown = representation_count(&bench.model->heads[HEAD_REWARD].representation);
            ck_assert_uint_eq(bench.model->input_dim, 5 + shown);
            ck_assert_uint_eq(shown == 0, kind == REPRESENTATION_NONE);
            void *memory;
            struct agent_belief belief = sample_belief(bench.model, &memory);
            observe_each(&bench, &belief, 0, 30);
            struct action_item item = {.belief = &belief, .observation = bench.items[0].observation,
                                       .action = action, .input = with, .z = bench.items[29].z};
            agent_act(bench.model, bench.scratch, &item, 1);
            ck_assert_int_eq(item.error, 0);
            ck_assert(item.surprise[HEAD_REWARD].p_value > 0 && item.surprise[HEAD_REWARD].p_value < 1);
            item.belief = NULL;
            item.input = without;
            agent_act(bench.model, bench.scratch, &item, 1);
            for (size_t i = 5; i < bench.model->input_dim; i++)
                ck_assert(isfinite(with[i]) && isfinite(without[i]) && with[i] != without[i]);
            free(memory);
            bench_free(&bench);
        }
}
END_TEST

START_TEST(the_estimate_finds_the_task_of_a_linear_world)
{
    // Rewards are w' phi for the features phi of a random basis; task t has w = u_t, one of unit vectors, and the
    // landmark with features u_t is its best.
    enum { D = 9, L = 12, N = 400 };
    struct model_shape shape = {.name = "linear", .world = "linear", .observation_dim = 3, .action_dim = 2,
                                .task_dim = 1,
                                .heads[HEAD_REWARD] = {.features = D, .hidden = {16, 16}}, .hidden = {8, 8},
                                .landmark_count = L};
    struct bench bench = bench_new(&shape, N);
    struct model *model = bench.model;
    struct head *head = &model->heads[HEAD_REWARD];
    struct random_stream stream = random_stream(5, 0, 0, 0);
    for (size_t l = 0; l < L; l++) {
        double norm = 0, *u = model->landmark_features + l * D;
        for (size_t i = 0; i + 1 < D; i++)
            u[i] = random_normal(&stream), norm += u[i] * u[i];
        for (size_t i = 0; i + 1 < D; i++)
            u[i] /= sqrt(norm);
        u[D - 1] = 0;
        model->landmark_tasks[l] = (double)l;
    }
    memset(head->mean, 0, D * sizeof *head->mean);
    head->target_mean[0] = 0;
    head->target_scale[0] = 1;
    char why[128];
    ck_assert_int_eq(model_finish(model, why, sizeof why), 0);

    double mean, sd, again, again_sd;
    ck_assert_int_eq(agent_estimate(model, bench.scratch, NULL, 256, &mean, &sd), 0);
    ck_assert_double_gt(sd, 1);  // the prior knows nothing
    for (size_t t = 0; t < L; t++) {
        void *memory;
        struct agent_belief belief = sample_belief(model, &memory);
        for (size_t i = 0; i < N; i++) {
            agent_features(model, bench.scratch, &bench.items[i], 1);
            double reward = 0;
            for (size_t j = 0; j < D; j++)
                reward += model->landmark_features[t * D + j] * bench.items[i].z[HEAD_REWARD][j] * 0x1p-24;
            bench.items[i].reward = (float)reward;
            observe_each(&bench, &belief, i, 1);
        }
        ck_assert_int_eq(agent_estimate(model, bench.scratch, &belief, 256, &mean, &sd), 0);
        ck_assert_msg(mean == (double)t && sd == 0, "task %zu: believes %g +- %g", t, mean, sd);
        ck_assert_int_eq(agent_estimate(model, bench.scratch, &belief, 10, &again, &again_sd), 0);
        ck_assert_int_eq(agent_estimate(model, bench.scratch, &belief, 256, &again, &again_sd), 0);
        ck_assert(again == mean && again_sd == sd);
        free(memory);
    }
    bench_free(&bench);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent");
    SUITE_TEST(suite, any_order_and_any_batches_over_many_sessions_give_the_same_beliefs);
    SUITE_TEST(suite, what_was_observed_can_be_taken_back_to_the_bits_of_the_prior);
    SUITE_TEST(suite, a_refused_transition_changes_nothing_and_says_where);
    SUITE_TEST(suite, finite_observations_are_told_from_others);
    SUITE_TEST(suite, an_action_is_the_same_bits_alone_and_in_any_place_of_any_batch);
    SUITE_TEST(suite, an_action_is_the_policys_answer_to_the_input_it_reports_for_every_kernel_set);
    SUITE_TEST(suite, no_belief_is_the_empty_belief);
    SUITE_TEST(suite, surprise_is_what_the_belief_before_would_have_said);
    SUITE_TEST(suite, a_damaged_belief_costs_only_its_own_action);
    SUITE_TEST(suite, an_oracle_reads_the_task_and_believes_nothing);
    SUITE_TEST(suite, every_kind_of_representation_gives_an_action_and_none_shows_nothing);
    SUITE_TEST(suite, the_estimate_finds_the_task_of_a_linear_world);
    return suite_finish(suite);
}
