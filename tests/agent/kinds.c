// Models of other kinds than ours: each step is that of plain loops in double, an answer does not know who else is in
// the batch, and a belief goes into bytes and back. PEARL's is a set, a recurrent one a sequence.

#include "daemon/agent/agent.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"
#include "tests/policy/plain_network.h"
#include "tests/support/suite.h"

enum { N = 120, WIDE = 64, SESSIONS = 5 };

static const enum model_kind kinds[] = {MODEL_VARIBAD, MODEL_RL2, MODEL_PEARL};
static const enum model_kind recurrent_kinds[] = {MODEL_VARIBAD, MODEL_RL2};

struct bench {
    struct model *model;
    struct agent_scratch *scratch;
    struct observation_item *items;
    float *block;
};

static struct bench bench_new(enum model_kind kind)
{
    struct model_shape shape = sample_kind(kind);
    struct bench bench = {.model = sample_model(&shape, 1)};
    bench.scratch = agent_scratch_new(bench.model);
    ck_assert_ptr_nonnull(bench.scratch);
    bench.items = sample_items(bench.model, N, 2, &bench.block);
    return bench;
}

static void bench_free(struct bench *bench)
{
    agent_scratch_free(bench->scratch);
    model_free(bench->model);
    free(bench->items);
    free(bench->block);
}

// Their bytes, which hold all there is.
static void same_beliefs(const struct model *model, const struct agent_belief *a, const struct agent_belief *b,
                         const char *what)
{
    size_t size = agent_belief_encoded_size(model, 0);
    uint8_t *left = calloc(1, size), *right = calloc(1, size);
    ck_assert_uint_gt(size, 0);
    agent_belief_encode(left, a, 0);
    agent_belief_encode(right, b, 0);
    ck_assert_msg(memcmp(left, right, size) == 0, "%s, %s: %llu and %llu transitions", model_kind_name(model->kind), what,
                  (unsigned long long)agent_belief_count(a), (unsigned long long)agent_belief_count(b));
    ck_assert(digest_equal(agent_belief_digest(a), agent_belief_digest(b)));
    free(left), free(right);
}

static void observe_each(struct bench *bench, struct agent_belief *belief, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        bench->items[i].belief = belief;
        agent_observe(bench->model, bench->scratch, &bench->items[i], 1);
        ck_assert_int_eq(bench->items[i].status, OBSERVE_ABSORBED);
    }
}

// ---- Against plain loops ---------------------------------------------------------------------------------------------

static double clamp(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static double *normal(double *out, const struct model *m, const float *observation)
{
    double limit = (double)m->observation_clip;
    for (size_t i = 0; i < m->observation_dim; i++)
        *out++ = clamp(((double)observation[i] - (double)m->observation_mean[i]) / (double)m->observation_scale[i],
                       -limit, limit);
    return out;
}

static double *mapped(double *out, const struct model *m, const float *action)
{
    for (size_t i = 0; i < m->action_dim; i++) {
        double low = (double)m->action_low[i], high = (double)m->action_high[i];
        *out++ = (2 * clamp((double)action[i], low, high) - low - high) / (high - low);
    }
    return out;
}

static void plain_input(double *in, const struct model *m, const struct observation_item *item)
{
    double reward = ((double)item->reward - (double)m->encoder.reward_mean) / (double)m->encoder.reward_scale;
    int is_pearl = m->kind == MODEL_PEARL;
    in = normal(in, m, is_pearl ? item->observation : item->next_observation);
    in = mapped(in, m, item->action);
    *in++ = reward;
    if (is_pearl)
        normal(in, m, item->next_observation);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

// h' of torch.nn.GRU's documentation.
static void plain_gru(double *h, const struct gru *gru, const double *x)
{
    size_t H = gru_width(gru);
    double a[PLAIN_NETWORK_WIDTH], b[PLAIN_NETWORK_WIDTH];
    plain_network(a, &gru->input, x);
    plain_network(b, &gru->state, h);
    for (size_t i = 0; i < H; i++) {
        double r = sigmoid(a[i] + b[i]), z = sigmoid(a[H + i] + b[H + i]);
        double n = tanh(a[2 * H + i] + r * b[2 * H + i]);
        h[i] = (1 - z) * n + z * h[i];
    }
}

// A belief as plain loops have it: h; or sums of w and of w m.
static void plain_step(double *state, const struct model *m, const struct observation_item *item)
{
    const struct encoder *e = &m->encoder;
    double in[WIDE], out[PLAIN_NETWORK_WIDTH];
    plain_input(in, m, item);
    if (m->kind != MODEL_PEARL) {
        plain_network(out, &e->embedding, in);
        plain_gru(state, &e->gru, out);
        return;
    }
    plain_network(out, &e->factor, in);
    for (size_t i = 0; i < e->latent; i++) {
        double w = 16 * sigmoid(out[e->latent + i]), mean = 4 * tanh(out[i] / 4);
        state[i] += w;
        state[e->latent + i] += w * mean;
    }
}

static void plain_show(double *shown, const struct model *m, const double *state)
{
    size_t L = m->encoder.latent;
    if (m->kind == MODEL_VARIBAD)
        plain_network(shown, &m->encoder.head, state);
    else if (m->kind == MODEL_RL2)
        memcpy(shown, state, m->encoder.width * sizeof *shown);
    for (size_t i = 0; i < L && m->kind == MODEL_PEARL; i++) {
        shown[i] = state[L + i] / (1 + state[i]);
        shown[L + i] = -log(1 + state[i]);
    }
}

START_TEST(a_step_is_that_of_plain_loops_in_double)
{
    struct bench bench = bench_new(kinds[_i]);
    struct model *m = bench.model;
    void *memory;
    struct agent_belief belief = sample_belief(m, &memory);
    double state[WIDE] = {0}, worst_input = 0, worst_action = 0;
    for (size_t n = 0; n <= N; n++) {
        float input[WIDE], action[2];
        struct action_item item = {.belief = n ? &belief : NULL, .observation = bench.items[n % N].next_observation,
                                   .action = action, .input = input};
        agent_act(m, bench.scratch, &item, 1);
        ck_assert_int_eq(item.error, 0);
        double raw[WIDE], row[WIDE], expected[PLAIN_NETWORK_WIDTH];
        size_t obs = m->observation_dim;
        for (size_t i = 0; i < obs; i++)
            raw[i] = (double)item.observation[i];
        plain_show(raw + obs, m, state);
        for (size_t i = 0; i < m->input_dim; i++) {
            worst_input = fmax(worst_input, fabs(raw[i] - (double)input[i]));
            double limit = (double)m->input_clip;
            row[i] = clamp((raw[i] - (double)m->input_mean[i]) / (double)m->input_scale[i], -limit, limit);
        }
        plain_network(expected, &m->policy, row);
        for (size_t i = 0; i < 2; i++) {
            double low = (double)m->action_low[i], high = (double)m->action_high[i];
            double answer = m->squash ? low + (expected[i] + 1) / 2 * (high - low) : clamp(expected[i], low, high);
            worst_action = fmax(worst_action, fabs(answer - (double)action[i]));
        }
        if (n < N) {
            observe_each(&bench, &belief, n, 1);
            plain_step(state, m, &bench.items[n]);
        }
    }
    ck_assert_uint_eq(agent_belief_count(&belief), N);
    ck_assert_msg(worst_input < 2e-5 && worst_action < 2e-5, "%s: inputs differ by %g, actions by %g",
                  model_kind_name(m->kind), worst_input, worst_action);
    free(memory);
    bench_free(&bench);
}
END_TEST

// ---- Batches and order -----------------------------------------------------------------------------------------------

START_TEST(who_else_is_in_the_batch_does_not_show_in_beliefs_or_actions)
{
    struct bench bench = bench_new(kinds[_i]);
    struct agent_belief alone[SESSIONS], mixed[SESSIONS];
    void *memory[2 * SESSIONS];
    for (size_t s = 0; s < SESSIONS; s++) {
        alone[s] = sample_belief(bench.model, &memory[s]);
        mixed[s] = sample_belief(bench.model, &memory[SESSIONS + s]);
    }
    for (size_t i = 0; i < N; i++)
        observe_each(&bench, &alone[i % SESSIONS], i, 1);
    struct random_stream stream = random_stream(8, (uint32_t)_i, 0, 0);
    for (size_t i = 0, batch; i < N; i += batch) {
        batch = 1 + random_below(&stream, AGENT_BATCH_LIMIT);
        batch = batch > N - i ? N - i : batch;
        for (size_t b = i; b < i + batch; b++)
            bench.items[b].belief = &mixed[b % SESSIONS];  // some beliefs several times in a batch
        agent_observe(bench.model, bench.scratch, bench.items + i, batch);
    }
    struct action_item acts[SESSIONS];
    float together[SESSIONS][2], by_itself[2];
    for (size_t s = 0; s < SESSIONS; s++) {
        same_beliefs(bench.model, &alone[s], &mixed[s], "in a batch");
        acts[s] = (struct action_item){.belief = &mixed[s], .observation = bench.items[s].observation,
                                       .action = together[s]};
    }
    agent_act(bench.model, bench.scratch, acts, SESSIONS);
    for (size_t s = 0; s < SESSIONS; s++) {
        struct action_item one = {.belief = &alone[s], .observation = bench.items[s].observation,
                                  .action = by_itself};
        agent_act(bench.model, bench.scratch, &one, 1);
        ck_assert_mem_eq(together[s], by_itself, sizeof by_itself);
        ck_assert_double_eq(one.surprise[HEAD_REWARD].p_value, 1);
    }
    for (size_t i = 0; i < 2 * SESSIONS; i++)
        free(memory[i]);
    bench_free(&bench);
}
END_TEST

START_TEST(a_product_of_factors_has_no_order_and_a_recurrent_state_has_one)
{
    struct bench bench = bench_new(kinds[_i]);
    void *memory[2];
    struct agent_belief there = sample_belief(bench.model, &memory[0]), back = sample_belief(bench.model, &memory[1]);
    observe_each(&bench, &there, 0, 20);
    for (size_t i = 20; i-- > 0;)
        observe_each(&bench, &back, i, 1);
    if (model_is_exact(bench.model))
        same_beliefs(bench.model, &there, &back, "backwards");
    else
        ck_assert(!digest_equal(agent_belief_digest(&there), agent_belief_digest(&back)));
    free(memory[0]), free(memory[1]);
    bench_free(&bench);
}
END_TEST

START_TEST(products_of_factors_merge)
{
    struct bench bench = bench_new(MODEL_PEARL);
    void *memory[3];
    struct agent_belief all = sample_belief(bench.model, &memory[0]), some = sample_belief(bench.model, &memory[1]),
                        others = sample_belief(bench.model, &memory[2]);
    observe_each(&bench, &all, 0, N);
    observe_each(&bench, &some, 50, N - 50);
    observe_each(&bench, &others, 0, 50);
    ck_assert_int_eq(belief_merge(&some.heads[AGENT_FACTORS], &others.heads[AGENT_FACTORS]), 0);
    same_beliefs(bench.model, &all, &some, "merged");
    for (int i = 0; i < 3; i++)
        free(memory[i]);
    bench_free(&bench);
}
END_TEST

START_TEST(what_was_absorbed_last_can_be_taken_back)
{
    struct bench bench = bench_new(kinds[_i]);
    void *memory[2];
    struct agent_belief belief = sample_belief(bench.model, &memory[0]), before = sample_belief(bench.model, &memory[1]);
    observe_each(&bench, &before, 0, 30);
    observe_each(&bench, &belief, 0, 30);
    for (size_t i = 30; i < 40; i++)
        bench.items[i].belief = &belief;
    agent_observe(bench.model, bench.scratch, bench.items + 30, 10);
    ck_assert_uint_eq(agent_belief_count(&belief), 40);
    for (size_t i = 40; i-- > 30;)
        agent_take_back(&bench.items[i]);
    same_beliefs(bench.model, &belief, &before, "taken back");
    free(memory[0]), free(memory[1]);
    bench_free(&bench);
}
END_TEST

START_TEST(a_recurrent_belief_refuses_what_comes_late)
{
    struct bench bench = bench_new(recurrent_kinds[_i]);
    void *memory[2];
    struct agent_belief belief = sample_belief(bench.model, &memory[0]), expected = sample_belief(bench.model, &memory[1]);
    static const uint64_t numbers[] = {3, 4, 4, 2, 9, 7, 10};
    static const int absorbed[] = {1, 1, 0, 0, 1, 0, 1};
    for (size_t i = 0; i < 7; i++) {
        bench.items[i].belief = &belief;
        bench.items[i].number = numbers[i];
    }
    agent_observe(bench.model, bench.scratch, bench.items, 7);
    for (size_t i = 0; i < 7; i++) {
        ck_assert_int_eq(bench.items[i].status, absorbed[i] ? OBSERVE_ABSORBED : OBSERVE_OUT_OF_ORDER);
        if (absorbed[i])
            observe_each(&bench, &expected, i, 1);
    }
    same_beliefs(bench.model, &belief, &expected, "without the late ones");
    ck_assert_uint_eq(belief.recurrent.through, 10);
    free(memory[0]), free(memory[1]);
    bench_free(&bench);
}
END_TEST

START_TEST(a_refused_transition_leaves_the_belief)
{
    struct bench bench = bench_new(kinds[_i]);
    void *memory[2];
    struct agent_belief belief = sample_belief(bench.model, &memory[0]), before = sample_belief(bench.model, &memory[1]);
    observe_each(&bench, &before, 0, 9);
    observe_each(&bench, &belief, 0, 9);
    struct observation_item bad = bench.items[9];
    bad.belief = &belief;
    bad.reward = NAN;
    agent_observe(bench.model, bench.scratch, &bad, 1);
    ck_assert_int_eq(bad.status, OBSERVE_NOT_FINITE);
    ck_assert_uint_eq(bad.where, 2 * bench.model->observation_dim + bench.model->action_dim);
    same_beliefs(bench.model, &belief, &before, "refused");
    // An encoder that overflows makes infinity minus infinity.
    struct network *first = kinds[_i] == MODEL_PEARL ? &bench.model->encoder.factor : &bench.model->encoder.embedding;
    struct network *second = kinds[_i] == MODEL_PEARL ? first : &bench.model->encoder.gru.input;
    struct layer *layer = &first->layers[0], *next = &second->layers[kinds[_i] == MODEL_PEARL];
    size_t row = kernel_padded(layer->outputs), reward = bench.model->action_dim + bench.model->observation_dim;
    for (size_t i = 0; i < layer->outputs; i++)
        layer->weight[reward * row + i] = 3e38f;
    for (size_t i = 0; i < next->inputs; i++)
        for (size_t o = 0; o < next->outputs; o++)
            next->weight[i * kernel_padded(next->outputs) + o] = i % 2 ? 3e38f : -3e38f;
    bad.reward = 1e30f;
    agent_observe(bench.model, bench.scratch, &bad, 1);
    ck_assert_int_eq(bad.status, OBSERVE_OUT_OF_RANGE);
    same_beliefs(bench.model, &belief, &before, "overflowed");
    free(memory[0]), free(memory[1]);
    bench_free(&bench);
}
END_TEST

// ---- Bytes -----------------------------------------------------------------------------------------------------------

START_TEST(a_belief_goes_into_bytes_and_back_and_no_damage_passes)
{
    struct bench bench = bench_new(kinds[_i]);
    void *memory[2];
    struct agent_belief belief = sample_belief(bench.model, &memory[0]), back = sample_belief(bench.model, &memory[1]);
    observe_each(&bench, &belief, 0, 25);
    size_t size = agent_belief_encoded_size(bench.model, 0);
    uint8_t *bytes = calloc(1, size);
    ck_assert_uint_eq(agent_belief_encoded_size(bench.model, 1), 0);
    ck_assert_int_eq(agent_belief_decode(&back, 1, bytes, 1, 0), -EINVAL);
    agent_belief_encode(bytes, &belief, 0);
    ck_assert_int_eq(agent_belief_decode(&back, 0, bytes, size, 24), -ERANGE);
    ck_assert_int_eq(agent_belief_decode(&back, 0, bytes, size, 25), 0);
    same_beliefs(bench.model, &belief, &back, "decoded");
    for (size_t cut = 0; cut < size; cut += 1 + cut / 16)
        ck_assert_int_lt(agent_belief_decode(&back, 0, bytes, cut, 25), 0);
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit < 8; bit += 3) {
            bytes[at] ^= (uint8_t)(1 << bit);
            ck_assert_msg(agent_belief_decode(&back, 0, bytes, size, 25) < 0, "byte %zu, bit %d", at, bit);
            bytes[at] ^= (uint8_t)(1 << bit);
        }
    same_beliefs(bench.model, &belief, &back, "after refusals");
    agent_belief_reset(&back);
    ck_assert_uint_eq(agent_belief_count(&back), 0);
    ck_assert(digest_equal(agent_belief_digest(&back), (struct digest){{0, 0}}));
    free(bytes), free(memory[0]), free(memory[1]);
    bench_free(&bench);
}
END_TEST

// ---- Actions ---------------------------------------------------------------------------------------------------------

START_TEST(a_discrete_policy_answers_the_highest_score_one_hot)
{
    struct model_shape shape = sample_kind(MODEL_RL2);
    shape.discrete = 1;
    shape.action_dim = 5;
    struct model *model = sample_model(&shape, 6);
    struct agent_scratch *scratch = agent_scratch_new(model);
    float *block;
    struct observation_item *items = sample_items(model, N, 7, &block);
    unsigned chosen = 0;
    for (size_t n = 0; n < N; n++) {
        float action[5], scores[5];
        struct action_item item = {.observation = items[n].observation, .action = action, .output = scores};
        agent_act(model, scratch, &item, 1);
        size_t best = 0;
        for (size_t i = 1; i < 5; i++)
            best = scores[i] > scores[best] ? i : best;
        for (size_t i = 0; i < 5; i++)
            ck_assert(action[i] == (i == best));
        chosen |= 1u << best;
    }
    ck_assert_msg(chosen & (chosen - 1), "always the same choice");
    // Equal scores: the first.
    struct layer *last = &model->policy.layers[2];
    memset(last->weight, 0, last->inputs * kernel_padded(last->outputs) * sizeof *last->weight);
    memset(last->bias, 0, last->outputs * sizeof *last->bias);
    float action[5];
    struct action_item item = {.observation = items[0].observation, .action = action};
    agent_act(model, scratch, &item, 1);
    ck_assert(action[0] == 1 && action[1] == 0 && action[4] == 0);
    agent_scratch_free(scratch);
    model_free(model);
    free(items), free(block);
}
END_TEST

START_TEST(a_latent_is_told_by_the_kinds_that_have_one)
{
    for (size_t k = 0; k < 3; k++) {
        struct bench bench = bench_new(kinds[k]);
        void *memory;
        struct agent_belief belief = sample_belief(bench.model, &memory);
        double mean[WIDE], variance[WIDE];
        float input[WIDE], action[2];
        observe_each(&bench, &belief, 0, 10);
        struct action_item item = {.belief = &belief, .observation = bench.items[0].observation, .action = action,
                                   .input = input};
        agent_act(bench.model, bench.scratch, &item, 1);
        int error = agent_latent(bench.model, bench.scratch, &belief, mean, variance);
        ck_assert_int_eq(error, kinds[k] == MODEL_RL2 ? -ENOTSUP : 0);
        size_t L = bench.model->encoder.latent, obs = bench.model->observation_dim;
        for (size_t i = 0; i < L; i++) {
            ck_assert_double_eq(mean[i], (double)input[obs + i]);
            ck_assert_double_eq_tol(log(variance[i]), (double)input[obs + L + i], 1e-12);
        }
        ck_assert_int_eq(agent_estimate(bench.model, bench.scratch, &belief, 8, mean, variance), -ENOTSUP);
        free(memory);
        bench_free(&bench);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kinds");
    SUITE_TEST_EACH(suite, a_step_is_that_of_plain_loops_in_double, 3);
    SUITE_TEST_EACH(suite, who_else_is_in_the_batch_does_not_show_in_beliefs_or_actions, 3);
    SUITE_TEST_EACH(suite, a_product_of_factors_has_no_order_and_a_recurrent_state_has_one, 3);
    SUITE_TEST(suite, products_of_factors_merge);
    SUITE_TEST_EACH(suite, what_was_absorbed_last_can_be_taken_back, 3);
    SUITE_TEST_EACH(suite, a_recurrent_belief_refuses_what_comes_late, 2);
    SUITE_TEST_EACH(suite, a_refused_transition_leaves_the_belief, 3);
    SUITE_TEST_EACH(suite, a_belief_goes_into_bytes_and_back_and_no_damage_passes, 3);
    SUITE_TEST(suite, a_discrete_policy_answers_the_highest_score_one_hot);
    SUITE_TEST(suite, a_latent_is_told_by_the_kinds_that_have_one);
    return suite_finish(suite);
}
