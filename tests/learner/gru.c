// Gated recurrent units of the learner, in double: against their equations written out for one unit at a time, and
// their way back through time against central differences.

#include "daemon/base/random.h"
#include "learner/nets/sequence.h"
#include "tests/learner/differences.h"
#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

enum { T = 6, B = 3, X = 4, H = 5, E = 7 };

static void fill_normal(double *x, size_t count, double sd, struct random_stream *stream)
{
    for (size_t i = 0; i < count; i++)
        x[i] = sd * random_normal(stream);
}

// Sequence 1 begins anew at step 2, and leaves out step 4; sequence 2 leaves out the first, and begins with one that it
// leaves out.
static const uint8_t mixed[T * B] = {
    [2 * B + 1] = GRU_BEGINS, [4 * B + 1] = GRU_HOLDS, [0 * B + 2] = GRU_HOLDS, [4 * B + 2] = GRU_BEGINS | GRU_HOLDS,
    [5 * B + 2] = GRU_BEGINS,
};

struct gru_case {
    struct gru_layer gru;
    struct gru_pass pass;
    double *parameters, in[T * B * X], first[B * H], weights[(T + 1) * B * H];
    const uint8_t *mode;
    const double *from;  // first, or NULL
};

static void gru_case_init(struct gru_case *c, const uint8_t *mode, int with_first)
{
    struct random_stream stream = random_stream(11, 0, 0, 0);
    memset(c, 0, sizeof *c);
    gru_layer_init(&c->gru, X, H);
    ck_assert_uint_eq(c->gru.count, (X + 1 + H + 1) * 3 * H);
    ck_assert_int_eq(gru_pass_init(&c->pass, &c->gru, T, B), 0);
    c->parameters = calloc(c->gru.count, sizeof *c->parameters);
    gru_layer_start(&c->gru, c->parameters, &stream);
    for (size_t i = 0; i < c->gru.count; i++)
        c->parameters[i] += 0.3 * random_normal(&stream);
    fill_normal(c->in, T * B * X, 1, &stream);
    fill_normal(c->first, B * H, 0.4, &stream);
    fill_normal(c->weights, (T + 1) * B * H, 1, &stream);
    c->mode = mode;
    c->from = with_first ? c->first : NULL;
}

static void gru_case_release(struct gru_case *c)
{
    gru_pass_release(&c->pass);
    free(c->parameters);
}

static void forward(struct gru_case *c)
{
    for (size_t i = 0; i < (T + 1) * B * H; i++)
        c->pass.states[i] = NAN;
    gru_layer_forward(&c->gru, c->parameters, &c->pass, c->in, c->mode, c->from, T, B);
}

// sum of weights * states
static double gru_objective(void *context)
{
    struct gru_case *c = context;
    forward(c);
    double sum = 0;
    for (size_t i = 0; i < (T + 1) * B * H; i++)
        sum += c->weights[i] * c->pass.states[i];
    return sum;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

// bias + x W for column `column` of a (rows, 3H) weight
static double product(const double *weight, const double *bias, const double *x, size_t rows, size_t column)
{
    double sum = bias[column];
    for (size_t i = 0; i < rows; i++)
        sum += x[i] * weight[i * 3 * H + column];
    return sum;
}

START_TEST(states_follow_the_equations)
{
    static struct gru_case c;
    for (int with_first = 0; with_first < 2; with_first++) {
        gru_case_init(&c, with_first ? mixed : NULL, with_first);
        forward(&c);
        const double *W = c.parameters + c.gru.input_weight_at, *b = c.parameters + c.gru.input_bias_at;
        const double *U = c.parameters + c.gru.state_weight_at, *u = c.parameters + c.gru.state_bias_at;
        for (size_t s = 0; s < B; s++) {
            double h[H] = {0}, next[H];
            if (with_first)
                memcpy(h, c.first + s * H, sizeof h);
            for (size_t t = 0; t < T; t++) {
                const double *x = c.in + (t * B + s) * X;
                int mode = with_first ? mixed[t * B + s] : 0;
                if (mode & GRU_BEGINS)
                    memset(h, 0, sizeof h);
                for (size_t i = 0; i < H; i++) {
                    ck_assert_double_eq_tol(c.pass.states[(t * B + s) * H + i], h[i], 1e-14);
                    double r = sigmoid(product(W, b, x, X, i) + product(U, u, h, H, i));
                    double z = sigmoid(product(W, b, x, X, H + i) + product(U, u, h, H, H + i));
                    double n = tanh(product(W, b, x, X, 2 * H + i) + r * product(U, u, h, H, 2 * H + i));
                    next[i] = mode & GRU_HOLDS ? h[i] : (1 - z) * n + z * h[i];
                }
                memcpy(h, next, sizeof h);
            }
            for (size_t i = 0; i < H; i++)
                ck_assert_double_eq_tol(c.pass.states[(T * B + s) * H + i], h[i], 1e-14);
        }
        gru_case_release(&c);
    }
}
END_TEST

START_TEST(time_goes_back_as_it_went_forward)
{
    static struct gru_case c;
    for (int with_modes = 0; with_modes < 2; with_modes++) {
        gru_case_init(&c, with_modes ? mixed : NULL, with_modes);
        double *gradient = calloc(c.gru.count, sizeof *gradient), din[T * B * X];
        for (size_t i = 0; i < c.gru.count; i++)
            gradient[i] = NAN;
        for (size_t i = 0; i < T * B * X; i++)
            din[i] = NAN;
        forward(&c);
        memcpy(c.pass.dstates, c.weights, sizeof c.weights);
        gru_layer_backward(&c.gru, c.parameters, gradient, &c.pass, c.in, c.mode, din);
        check_against_differences("gru", c.parameters, gradient, c.gru.count, gru_objective, &c);
        check_against_differences("gru's input", c.in, din, T * B * X, gru_objective, &c);
        free(gradient);
        gru_case_release(&c);
    }
}
END_TEST

START_TEST(weights_begin_orthogonal_and_biases_zero)
{
    struct gru_layer gru;
    struct random_stream stream = random_stream(12, 0, 0, 0);
    gru_layer_init(&gru, X, H);
    double *p = calloc(gru.count, sizeof *p);
    gru_layer_start(&gru, p, &stream);
    for (size_t i = 0; i < H; i++)
        for (size_t j = 0; j < H; j++) {
            double dot = 0;
            for (size_t k = 0; k < 3 * H; k++)
                dot += p[gru.state_weight_at + i * 3 * H + k] * p[gru.state_weight_at + j * 3 * H + k];
            ck_assert_double_eq_tol(dot, i == j ? 1 : 0, 1e-12);
        }
    for (size_t k = 0; k < 3 * H; k++) {
        ck_assert_double_eq(p[gru.input_bias_at + k], 0);
        ck_assert_double_eq(p[gru.state_bias_at + k], 0);
    }
    free(p);
}
END_TEST

struct sequence_case {
    struct sequence sequence;
    struct sequence_pass pass;
    double *parameters, in[T * B * X], weights[(T + 1) * B * H];
};

static double sequence_objective(void *context)
{
    struct sequence_case *c = context;
    sequence_forward(&c->sequence, c->parameters, &c->pass, c->in, mixed, NULL, T, B);
    double sum = 0;
    for (size_t i = 0; i < (T + 1) * B * H; i++)
        sum += c->weights[i] * c->pass.gru.states[i];
    return sum;
}

START_TEST(an_embedding_with_rectifiers_goes_back_too)
{
    static struct sequence_case c;
    struct random_stream stream = random_stream(13, 0, 0, 0);
    sequence_init(&c.sequence, X, E, H);
    ck_assert_int_eq(sequence_pass_init(&c.pass, &c.sequence, T, B), 0);
    c.parameters = calloc(c.sequence.count, sizeof *c.parameters);
    sequence_start(&c.sequence, c.parameters, &stream);
    fill_normal(c.parameters, c.sequence.embedding.count, 0.5, &stream);
    fill_normal(c.in, T * B * X, 1, &stream);
    fill_normal(c.weights, (T + 1) * B * H, 1, &stream);
    double *gradient = calloc(c.sequence.count, sizeof *gradient);
    for (size_t i = 0; i < c.sequence.count; i++)
        gradient[i] = NAN;
    sequence_objective(&c);
    memcpy(c.pass.gru.dstates, c.weights, sizeof c.weights);
    sequence_backward(&c.sequence, c.parameters, gradient, &c.pass, c.in, mixed);
    check_against_differences("sequence", c.parameters, gradient, c.sequence.count, sequence_objective, &c);
    size_t silent = 0;
    for (size_t i = 0; i < T * B * E; i++)
        silent += c.pass.embedded[i] == 0;
    ck_assert_uint_gt(silent, T * B * E / 10);
    free(gradient);
    free(c.parameters);
    sequence_pass_release(&c.pass);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gru");
    SUITE_TEST(suite, states_follow_the_equations);
    SUITE_TEST(suite, time_goes_back_as_it_went_forward);
    SUITE_TEST(suite, weights_begin_orthogonal_and_biases_zero);
    SUITE_TEST(suite, an_embedding_with_rectifiers_goes_back_too);
    return suite_finish(suite);
}
