// VariBAD's bound, in double: against its definition written out, and its gradient against central differences.

#include "daemon/base/random.h"
#include "learner/inference/varibad_loss.h"
#include "tests/learner/differences.h"
#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

enum { T = 6, B = 3, INPUTS = 5, H = 4, L = 2, TERMS = 4, DECODES = 3, STATE = 2 };

struct bound_case {
    struct varibad_nets nets;
    struct varibad_batch batch;
    struct varibad_pass pass;
    double *parameters, *gradient;
    double kl_weight, share;
};

static void bound_case_init(struct bound_case *c)
{
    const struct varibad_shape shape = {
        .inputs = INPUTS, .embedding = 6, .hidden = H, .latent = L,
        .decoder = {{.inputs = 3, .targets = STATE, .hidden = {5, 4}}, {.inputs = 4, .targets = 1, .hidden = {4, 3}}},
    };
    struct random_stream stream = random_stream(21, 0, 0, 0);
    *c = (struct bound_case){.kl_weight = 0.3, .share = 0.25};
    varibad_nets_init(&c->nets, &shape);
    ck_assert_int_eq(varibad_batch_init(&c->batch, &c->nets, T, B, TERMS, DECODES), 0);
    ck_assert_int_eq(varibad_pass_init(&c->pass, &c->nets, T, B, DECODES), 0);
    c->parameters = calloc(c->nets.count, sizeof *c->parameters);
    c->gradient = calloc(c->nets.count, sizeof *c->gradient);
    varibad_nets_start(&c->nets, c->parameters, &stream);
    for (size_t i = 0; i < c->nets.count; i++) {
        c->parameters[i] += 0.3 * random_normal(&stream);
        c->gradient[i] = NAN;
    }
    // Everything that is random in a batch; then lengths: sequence 2 is short, of sequence 1 fewer terms are asked.
    for (size_t i = 0; i < T * B * INPUTS + B * TERMS * L + B * DECODES * (3 + STATE + 4 + 1); i++)
        c->batch.memory[i] = random_normal(&stream);
    static const uint32_t terms[B] = {4, 2, 3}, decodes[B] = {3, 3, 2};
    static const uint32_t term[B * TERMS] = {0, 1, 6, 1, 5, 0, 9, 9, 3, 2, 0, 9};
    memcpy(c->batch.terms, terms, sizeof terms);
    memcpy(c->batch.decodes, decodes, sizeof decodes);
    memcpy(c->batch.term, term, sizeof term);
}

static void bound_case_release(struct bound_case *c)
{
    varibad_batch_release(&c->batch);
    varibad_pass_release(&c->pass);
    free(c->parameters);
    free(c->gradient);
}

static struct varibad_value run(struct bound_case *c)
{
    struct varibad_value value;
    varibad_loss(&value, &c->nets, c->parameters, c->gradient, &c->batch, c->kl_weight, c->share, &c->pass);
    return value;
}

static double bound_objective(void *context)
{
    return run(context).loss;
}

// One decoder's answer to one row, a sum at a time.
static void plain_decode(double *out, const struct net *net, const double *parameters, const double *row)
{
    double in[16], next[16];
    memcpy(in, row, net->sizes[0] * sizeof *in);
    for (size_t l = 0; l < 3; l++) {
        for (size_t o = 0; o < net->sizes[l + 1]; o++) {
            next[o] = parameters[net->bias_at[l] + o];
            for (size_t i = 0; i < net->sizes[l]; i++)
                next[o] += in[i] * parameters[net->weight_at[l] + i * net->sizes[l + 1] + o];
            next[o] = l < 2 ? fmax(next[o], 0) : next[o];
        }
        memcpy(in, next, sizeof in);
    }
    memcpy(out, in, net->sizes[3] * sizeof *out);
}

START_TEST(the_bound_is_what_the_paper_says)
{
    static struct bound_case c;
    bound_case_init(&c);
    struct varibad_value value = run(&c);
    const struct varibad_batch *batch = &c.batch;
    double loss = 0;
    for (size_t b = 0; b < B; b++)
        for (size_t e = 0; e < batch->terms[b]; e++) {
            size_t t = batch->term[b * TERMS + e];
            const double *q = c.pass.posterior + (t * B + b) * 2 * L;
            const double standard[2 * L] = {0}, *p = t ? q - B * 2 * L : standard;
            double nats = 0, m[L];
            for (size_t i = 0; i < L; i++) {
                // KL of one-dimensional Gaussians by their standard deviations.
                double sd = exp(q[L + i] / 2), other = exp(p[L + i] / 2), apart = q[i] - p[i];
                nats += log(other / sd) + (sd * sd + apart * apart) / (2 * other * other) - 0.5;
                m[i] = q[i] + sd * batch->noise[(b * TERMS + e) * L + i];
            }
            loss += c.share * c.kl_weight * nats;
            for (size_t k = 0; k < VARIBAD_DECODERS; k++)
                for (size_t d = 0; d < batch->decodes[b]; d++) {
                    size_t inputs = k ? 4 : 3, targets = k ? 1 : STATE;
                    double row[16], out[16];
                    memcpy(row, m, sizeof m);
                    memcpy(row + L, batch->x[k] + (b * DECODES + d) * inputs, inputs * sizeof *row);
                    plain_decode(out, &c.nets.decoder[k], c.parameters + c.nets.decoder_at[k], row);
                    for (size_t i = 0; i < targets; i++)
                        loss += c.share * pow(out[i] - batch->y[k][(b * DECODES + d) * targets + i], 2)
                                / (double)targets;
                }
        }
    ck_assert_double_eq_tol(value.loss, loss, 1e-10 * loss);
    ck_assert_double_gt(value.divergence, 0);
    bound_case_release(&c);
}
END_TEST

START_TEST(the_bounds_gradient_is_exact)
{
    static struct bound_case c;
    bound_case_init(&c);
    run(&c);
    double *gradient = calloc(c.nets.count, sizeof *gradient);
    memcpy(gradient, c.gradient, c.nets.count * sizeof *gradient);
    check_against_differences("varibad", c.parameters, gradient, c.nets.count, bound_objective, &c);
    free(gradient);
    bound_case_release(&c);
}
END_TEST

START_TEST(blocks_of_terms_change_nothing)
{
    // Two terms at a time through a decoder, or all at once.
    static struct bound_case c;
    bound_case_init(&c);
    struct varibad_value whole = run(&c);
    double *gradient = calloc(c.nets.count, sizeof *gradient);
    memcpy(gradient, c.gradient, c.nets.count * sizeof *gradient);
    c.pass.rows_limit = 2 * DECODES;
    struct varibad_value parts = run(&c);
    ck_assert_double_eq_tol(parts.loss, whole.loss, 1e-12);
    for (size_t i = 0; i < c.nets.count; i++)
        ck_assert_double_eq_tol(c.gradient[i], gradient[i], 1e-12);
    free(gradient);
    bound_case_release(&c);
}
END_TEST

START_TEST(what_stands_behind_the_end_of_a_trajectory_does_not_matter)
{
    static struct bound_case c;
    bound_case_init(&c);
    // Sequence 2 is asked up to t = 3 only.
    struct varibad_value before = run(&c);
    for (size_t t = 3; t < T; t++)
        for (size_t i = 0; i < INPUTS; i++)
            c.batch.in[(t * B + 2) * INPUTS + i] += 7;
    struct varibad_value after = run(&c);
    ck_assert_double_eq(before.loss, after.loss);
    bound_case_release(&c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("varibad");
    SUITE_TEST(suite, the_bound_is_what_the_paper_says);
    SUITE_TEST(suite, the_bounds_gradient_is_exact);
    SUITE_TEST(suite, blocks_of_terms_change_nothing);
    SUITE_TEST(suite, what_stands_behind_the_end_of_a_trajectory_does_not_matter);
    return suite_finish(suite);
}
