// RL2's loss, in double: the gradient that reaches the encoder through time against central differences, and that
// chunks change nothing when their first states are right.

#include "daemon/base/random.h"
#include "learner/policy/recurrent_loss.h"
#include "tests/learner/differences.h"
#include "tests/support/suite.h"

#include <stdlib.h>
#include <string.h>

enum { C = 6, B = 3, ROWS = C * B, INPUTS = 4, H = 5, O = 3, WIDTH = O + H, ACTIONS = 2 };

struct rl2_case {
    struct actor actor;
    struct sequence sequence;
    struct trainee encoder;
    struct recurrent_batch batch;
    struct recurrent_pass pass;
    struct ppo_settings settings;
    struct ppo_report report;
    double in[ROWS * INPUTS], first[B * H], input[ROWS * WIDTH], action[ROWS * ACTIONS], log_density[ROWS],
        advantage[ROWS];
    uint8_t mode[ROWS];
    uint32_t index[ROWS];
};

static void fill_normal(double *x, size_t count, double sd, struct random_stream *stream)
{
    for (size_t i = 0; i < count; i++)
        x[i] = sd * random_normal(stream);
}

static double rl2_objective(void *context)
{
    struct rl2_case *c = context;
    return recurrent_loss(&c->actor, &c->sequence, &c->encoder, &c->batch, &c->settings, &c->pass, &c->report);
}

static void rl2_case_init(struct rl2_case *c)
{
    struct random_stream stream = random_stream(31, 0, 0, 0);
    size_t hidden[] = {6, 5};
    memset(c, 0, sizeof *c);
    sequence_init(&c->sequence, INPUTS, 6, H);
    ck_assert_int_eq(trainee_init(&c->encoder, c->sequence.count), 0);
    ck_assert_int_eq(actor_init(&c->actor, WIDTH, hidden, ACTIONS, 0), 0);
    ck_assert_int_eq(recurrent_pass_init(&c->pass, &c->sequence, &c->actor.net, C, B), 0);
    sequence_start(&c->sequence, c->encoder.parameters, &stream);
    actor_start(&c->actor, 0.7, &stream);
    fill_normal(c->actor.trainee.parameters, c->actor.net.count, 0.4, &stream);
    for (size_t i = 0; i < c->sequence.count; i++)
        c->encoder.parameters[i] += 0.3 * random_normal(&stream);
    fill_normal(c->in, ROWS * INPUTS, 1, &stream);
    fill_normal(c->first, B * H, 0.4, &stream);
    fill_normal(c->input, ROWS * WIDTH, 1, &stream);
    fill_normal(c->action, ROWS * ACTIONS, 0.8, &stream);
    fill_normal(c->advantage, ROWS, 1, &stream);
    c->settings = (struct ppo_settings){.epochs = 1, .clip = 0.2, .entropy = 0.01, .norm_limit = 0.5, .epsilon = 1e-5,
                                        .sd_low = 0.01};
    c->batch = (struct recurrent_batch){
        .C = C, .B = B, .in = c->in, .mode = c->mode, .first = c->first, .input = c->input, .action = c->action,
        .log_density = c->log_density, .advantage = c->advantage, .index = c->index,
    };
    // Chunk 0 holds the end of a meta-episode and the beginning of the next, chunk 1 a void step; chunk 2 is short.
    c->mode[3 * B + 0] = GRU_BEGINS;
    c->mode[2 * B + 1] = GRU_HOLDS;
    for (size_t k = 0; k < C; k++)
        for (size_t b = 0; b < B; b++)
            if (b != 2 || k < 4)
                c->index[c->batch.rows++] = (uint32_t)(k * B + b);
            else
                c->mode[k * B + b] = GRU_HOLDS;
    // Old densities: those of now, moved by up to half a nat, so that ratios lie on both sides of the clip.
    rl2_objective(c);
    for (size_t i = 0; i < ROWS; i++) {
        double activations[6 + 5 + ACTIONS];
        const double *mean = net_forward(&c->actor.net, c->actor.trainee.parameters, activations,
                                         c->input + i * WIDTH, 1);
        c->log_density[i] = gaussian_log_density(c->action + i * ACTIONS, mean,
                                                 c->actor.trainee.parameters + c->actor.log_sd_at, ACTIONS)
                            + random_between(&stream, -0.5, 0.5);
    }
    c->report = (struct ppo_report){0};
}

static void rl2_case_release(struct rl2_case *c)
{
    trainee_release(&c->encoder);
    actor_release(&c->actor);
    recurrent_pass_release(&c->pass);
}

START_TEST(the_policys_gradient_reaches_the_encoder)
{
    static struct rl2_case c;
    rl2_case_init(&c);
    rl2_objective(&c);
    ck_assert_double_gt(c.report.clipped, 0.1);
    ck_assert_double_lt(c.report.clipped, 0.9);
    double *encoder = calloc(c.encoder.count, sizeof *encoder), *actor = calloc(c.actor.trainee.count, sizeof *actor);
    memcpy(encoder, c.encoder.gradient, c.encoder.count * sizeof *encoder);
    memcpy(actor, c.actor.trainee.gradient, c.actor.trainee.count * sizeof *actor);
    check_against_differences("encoder", c.encoder.parameters, encoder, c.encoder.count, rl2_objective, &c);
    check_against_differences("actor", c.actor.trainee.parameters, actor, c.actor.trainee.count, rl2_objective, &c);
    free(encoder);
    free(actor);
    rl2_case_release(&c);
}
END_TEST

START_TEST(rows_that_are_not_there_change_nothing)
{
    static struct rl2_case c;
    rl2_case_init(&c);
    double before = rl2_objective(&c);
    double *encoder = calloc(c.encoder.count, sizeof *encoder);
    memcpy(encoder, c.encoder.gradient, c.encoder.count * sizeof *encoder);
    for (size_t k = 4; k < C; k++)
        for (size_t i = 0; i < INPUTS; i++)
            c.in[(k * B + 2) * INPUTS + i] += 5;
    ck_assert_double_eq(rl2_objective(&c), before);
    for (size_t i = 0; i < c.encoder.count; i++)
        ck_assert_double_eq_tol(c.encoder.gradient[i], encoder[i], 1e-13);
    free(encoder);
    rl2_case_release(&c);
}
END_TEST

START_TEST(a_chunk_goes_on_where_the_one_before_it_ended)
{
    // The states of a second half that begins with the first half's last are those of the whole.
    static struct rl2_case c;
    rl2_case_init(&c);
    rl2_objective(&c);
    double whole[ROWS * WIDTH];
    memcpy(whole, c.input, sizeof whole);
    enum { HALF = C / 2 };
    for (size_t b = 0; b < B; b++)
        memcpy(c.first + b * H, whole + (HALF * B + b) * WIDTH + O, H * sizeof *c.first);
    memmove(c.in, c.in + HALF * B * INPUTS, HALF * B * INPUTS * sizeof *c.in);
    memmove(c.mode, c.mode + HALF * B, HALF * B);
    c.batch.C = HALF;
    c.batch.rows = HALF * B;
    for (uint32_t i = 0; i < HALF * B; i++)
        c.index[i] = i;
    rl2_objective(&c);
    for (size_t row = 0; row < HALF * B; row++)
        for (size_t i = O; i < WIDTH; i++)
            ck_assert_double_eq_tol(c.input[row * WIDTH + i], whole[(HALF * B + row) * WIDTH + i], 1e-15);
    rl2_case_release(&c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rl2");
    SUITE_TEST(suite, the_policys_gradient_reaches_the_encoder);
    SUITE_TEST(suite, rows_that_are_not_there_change_nothing);
    SUITE_TEST(suite, a_chunk_goes_on_where_the_one_before_it_ended);
    return suite_finish(suite);
}
