// A whole step against the formulas of docs/belief.md written out as plain loops in double: features by the C
// library's tanh, sums in floating point, the posterior by an inverse, then what the policy is shown and says.

#include "daemon/agent/agent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"
#include "tests/policy/plain_network.h"
#include "tests/support/suite.h"

enum { N = 300, WIDE = 64 };

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static void features(double *phi, const struct model *m, enum head_kind kind, const struct observation_item *item)
{
    size_t obs = m->observation_dim, act = m->action_dim;
    double in[WIDE];
    for (size_t i = 0; i < obs; i++) {
        double mean = (double)m->observation_mean[i], scale = (double)m->observation_scale[i];
        double limit = (double)m->observation_clip;
        in[i] = clamp(((double)item->observation[i] - mean) / scale, -limit, limit);
        in[obs + act + i] = clamp(((double)item->next_observation[i] - mean) / scale, -limit, limit);
    }
    for (size_t i = 0; i < act; i++) {
        double low = (double)m->action_low[i], high = (double)m->action_high[i];
        in[obs + i] = (2 * clamp((double)item->action[i], low, high) - low - high) / (high - low);
    }
    plain_network(phi, &m->heads[kind].basis, in);
    phi[m->heads[kind].features - 1] = 1;
}

// Gauss-Jordan.
static void invert(double *inverse, const double *matrix, size_t n)
{
    double a[WIDE][2 * WIDE] = {{0}};
    for (size_t i = 0; i < n; i++) {
        memcpy(a[i], matrix + i * n, n * sizeof(double));
        a[i][n + i] = 1;
    }
    for (size_t c = 0; c < n; c++) {
        size_t pivot = c;
        for (size_t r = c; r < n; r++)
            pivot = fabs(a[r][c]) > fabs(a[pivot][c]) ? r : pivot;
        for (size_t j = 0; j < 2 * n; j++) {
            double swap = a[c][j];
            a[c][j] = a[pivot][j];
            a[pivot][j] = swap;
        }
        for (size_t r = 0; r < n; r++)
            for (size_t j = 2 * n; r != c && j-- > c;)
                a[r][j] -= a[c][j] * a[r][c] / a[c][c];
        for (size_t j = 2 * n; j-- > c;)
            a[c][j] /= a[c][c];
    }
    for (size_t i = 0; i < n; i++)
        memcpy(inverse + i * n, a[i] + n, n * sizeof(double));
}

// x' A y
static double form(const double *x, const double *A, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            sum += x[i] * A[i * n + j] * y[j];
    return sum;
}

// What the policy is shown of one head; returns how many numbers.
static size_t show(double *out, const struct model *m, enum head_kind kind, const struct observation_item *items,
                   size_t count)
{
    const struct head *head = &m->heads[kind];
    size_t D = head->features, d = head->targets, used = 0;
    double precision[WIDE * WIDE], covariance[WIDE * WIDE], cross[WIDE * WIDE], mean[WIDE * WIDE];
    double noise[WIDE] = {0};
    memcpy(precision, head->precision, D * D * sizeof *precision);
    // Xi = Xi0 + sum phi phi',   B = Xi0 M0 + sum phi y'
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < d; j++) {
            cross[i * d + j] = 0;
            for (size_t k = 0; k < D; k++)
                cross[i * d + j] += head->precision[i * D + k] * head->mean[k * d + j];
        }
    for (size_t n = 0; n < count; n++) {
        double phi[WIDE];
        features(phi, m, kind, &items[n]);
        for (size_t i = 0; i < D; i++)
            for (size_t k = 0; k < D; k++)
                precision[i * D + k] += phi[i] * phi[k];
        for (size_t j = 0; j < d; j++) {
            double change = (double)items[n].next_observation[j] - (double)items[n].observation[j];
            double value = kind == HEAD_REWARD ? (double)items[n].reward : change;
            double y = (value - head->target_mean[j]) / head->target_scale[j];
            noise[j] += y * y;
            for (size_t i = 0; i < D; i++)
                cross[i * d + j] += phi[i] * y;
        }
    }
    invert(covariance, precision, D);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < d; j++) {
            mean[i * d + j] = 0;
            for (size_t k = 0; k < D; k++)
                mean[i * d + j] += covariance[i * D + k] * cross[k * d + j];
        }
    // Omega_jj = Omega0_jj + sum y^2 + m0' Xi0 m0 - m' Xi m;   E Sigma_jj = Omega_jj / (nu - d - 1)
    for (size_t j = 0; j < d; j++) {
        double before[WIDE], after[WIDE];
        for (size_t i = 0; i < D; i++) {
            before[i] = head->mean[i * d + j];
            after[i] = mean[i * d + j];
        }
        noise[j] += head->scale[j * d + j] + form(before, head->precision, before, D) -
                    form(after, precision, after, D);
        noise[j] /= head->degrees + (double)count - (double)d - 1;
    }

    const struct representation *r = &head->representation;
    for (size_t k = 0; k < r->component_count; k++) {
        double along = 0;
        for (size_t i = 0; i < D * d; i++)
            along += head->components[i * kernel_padded(r->component_count) + k] * (mean[i] - head->mean[i]);
        out[used++] = along;
    }
    size_t points = r->kind == REPRESENTATION_WEIGHT ? D : r->probe_count;
    for (size_t i = 0; i < points; i++)
        for (size_t j = 0; j < d; j++) {
            double value = r->kind == REPRESENTATION_WEIGHT ? mean[i * d + j] : 0;
            for (size_t k = 0; k < D && r->kind == REPRESENTATION_FUNCTION; k++)
                value += r->probes[i * D + k] * mean[k * d + j];
            out[used++] = value;
        }
    for (size_t i = 0; i < points; i++) {
        double variance = r->kind == REPRESENTATION_WEIGHT ? covariance[i * D + i] : 0;
        if (r->kind == REPRESENTATION_FUNCTION)
            variance = form(r->probes + i * D, covariance, r->probes + i * D, D);
        out[used++] = log(sqrt(variance));
    }
    for (size_t j = 0; j < d; j++)
        out[used++] = log(sqrt(noise[j]));
    return used;
}

START_TEST(a_step_is_that_of_plain_loops_in_double)
{
    struct model_shape shapes[] = {sample_small, sample_principal()};
    struct model *model = sample_model(&shapes[_i], 4);
    struct agent_scratch *scratch = agent_scratch_new(model);
    float *block, action[2], input[WIDE];
    struct observation_item *items = sample_items(model, N, 5, &block);
    void *memory;
    struct agent_belief belief = sample_belief(model, &memory);
    double worst_input = 0, worst_action = 0;
    for (size_t n = 0; n < N; n++) {
        items[n].belief = &belief;
        agent_observe(model, scratch, &items[n], 1);
        ck_assert_int_eq(items[n].status, OBSERVE_ABSORBED);
        if (n % 10 > 1)
            continue;
        struct action_item item = {.belief = &belief, .observation = items[n].next_observation, .action = action,
                                   .input = input};
        agent_act(model, scratch, &item, 1);

        double shown[WIDE], row[WIDE], expected[WIDE];
        size_t used = model->observation_dim;
        for (size_t i = 0; i < used; i++)
            shown[i] = (double)item.observation[i];
        for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
            used += show(shown + used, model, kind, items, n + 1);
        ck_assert_uint_eq(used, model->input_dim);
        for (size_t i = 0; i < used; i++) {
            worst_input = fmax(worst_input, fabs(shown[i] - (double)input[i]));
            double limit = (double)model->input_clip;
            double mean = (double)model->input_mean[i], scale = (double)model->input_scale[i];
            row[i] = clamp((shown[i] - mean) / scale, -limit, limit);
        }
        plain_network(expected, &model->policy, row);
        for (size_t i = 0; i < 2; i++)
            worst_action = fmax(worst_action, fabs(clamp(expected[i], (double)model->action_low[i],
                                                         (double)model->action_high[i]) - (double)action[i]));
    }
    ck_assert_msg(worst_input < 1e-4 && worst_action < 1e-4, "inputs differ by %g, actions by %g", worst_input,
                  worst_action);
    agent_scratch_free(scratch);
    model_free(model);
    free(items), free(block), free(memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reference");
    SUITE_TEST_EACH(suite, a_step_is_that_of_plain_loops_in_double, 2);
    return suite_finish(suite);
}
