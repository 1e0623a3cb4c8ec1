// The identities: sums and posteriors against kernels.

#include "distances.h"

#include "daemon/belief/posterior.h"
#include "outlook.h"

#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The first transitions of one task as the belief took them in.
struct sample {
    size_t count, limit, D, d;
    double *phi, *y;             // (count, D), (count, d)
    double *weights;             // posterior mean of exactly these  (D, d)
};

static void keep(void *context, size_t step, const struct outlook *outlook)
{
    (void)step;
    struct sample *s = context;
    if (!outlook || s->count == s->limit)
        return;
    memcpy(s->phi + s->count * s->D, outlook->phi, s->D * sizeof *s->phi);
    memcpy(s->y + s->count++ * s->d, outlook->y, s->d * sizeof *s->y);
}

static void sample_release(struct sample *s)
{
    free(s->phi);
}

static int sample_take(struct sample *s, const struct model *model, enum head_kind kind,
                       const struct trajectory *trajectory, size_t context, char *why, size_t why_size)
{
    const struct head *head = &model->heads[kind];
    struct trajectory start = *trajectory;
    start.steps = start.steps < context ? start.steps : context;
    *s = (struct sample){.limit = start.steps, .D = head->features, .d = head->targets};
    s->phi = calloc(start.steps * (s->D + s->d) + s->D * s->d, sizeof *s->phi);
    if (!s->phi) {
        snprintf(why, why_size, "no memory for the samples of a task");
        return -ENOMEM;
    }
    s->y = s->phi + start.steps * s->D;
    s->weights = s->y + start.steps * s->d;
    return outlook_walk(model, kind, &start, keep, s, s->weights, why, why_size);
}

static double dot(const double *a, const double *b, size_t count)
{
    return cblas_ddot((int)count, a, 1, b, 1);
}

// |A1' B1 - A2' B2|^2 of sums over samples, B being phi or y.
static double sum_distance(const struct sample *one, const struct sample *two, int of_targets, double *room)
{
    size_t D = one->D, width = of_targets ? one->d : D;
    memset(room, 0, D * width * sizeof *room);
    for (int which = 0; which < 2; which++) {
        const struct sample *s = which ? two : one;
        for (size_t t = 0; t < s->count; t++)
            for (size_t i = 0; i < D; i++)
                for (size_t j = 0; j < width; j++)
                    room[i * width + j] += (which ? -1 : 1) * s->phi[t * D + i]
                                           * (of_targets ? s->y[t * s->d + j] : s->phi[t * D + j]);
    }
    return dot(room, room, D * width);
}

// Sum over pairs of samples of k(a, b) <y_a, y_b> or k(a, b)^2.
static double kernel_sum(const struct sample *one, const struct sample *two, int of_targets)
{
    double sum = 0;
    for (size_t a = 0; a < one->count; a++)
        for (size_t b = 0; b < two->count; b++) {
            double k = dot(one->phi + a * one->D, two->phi + b * two->D, one->D);
            sum += k * (of_targets ? dot(one->y + a * one->d, two->y + b * two->d, one->d) : k);
        }
    return sum;
}

// C Xi0^-power C' between samples.
static void kernel_matrix(double *K, const struct sample *one, const struct sample *two, const struct head *head,
                          int power)
{
    for (size_t a = 0; a < one->count; a++)
        for (size_t b = 0; b < two->count; b++) {
            double sum = 0;
            for (size_t i = 0; i < one->D; i++)
                sum += one->phi[a * one->D + i] * two->phi[b * two->D + i]
                       / pow(head->precision[i * one->D + i], power);
            K[a * two->count + b] = sum;
        }
}

// Duals (count, d) = (G + I)^-1 (Y - C M0), by Cholesky.
static int solve_duals(double *duals, const struct sample *s, const struct head *head, double *G)
{
    size_t N = s->count, D = s->D, d = s->d;
    kernel_matrix(G, s, s, head, 1);
    for (size_t a = 0; a < N; a++)
        G[a * N + a] += 1;
    memcpy(duals, s->y, N * d * sizeof *duals);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)N, (int)d, (int)D, -1, s->phi, (int)D, head->mean,
                (int)d, 1, duals, (int)d);
    for (size_t c = 0; c < N; c++) {
        double pivot = G[c * N + c] - dot(G + c * N, G + c * N, c);
        if (!(pivot > 0))
            return -EDOM;
        G[c * N + c] = sqrt(pivot);
        for (size_t r = c + 1; r < N; r++)
            G[r * N + c] = (G[r * N + c] - dot(G + r * N, G + c * N, c)) / G[c * N + c];
    }
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)N, (int)d, 1, G, (int)N, duals,
                (int)d);
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasTrans, CblasNonUnit, (int)N, (int)d, 1, G, (int)N, duals,
                (int)d);
    return 0;
}

// <a1, K12 a2>, K = C1 Xi0^-2 C2'
static double dual_product(const struct sample *one, const struct sample *two, const double *duals_one,
                           const double *duals_two, const struct head *head, double *K)
{
    size_t d = one->d;
    double sum = 0;
    kernel_matrix(K, one, two, head, 2);
    for (size_t a = 0; a < one->count; a++)
        for (size_t b = 0; b < two->count; b++)
            sum += K[a * two->count + b] * dot(duals_one + a * d, duals_two + b * d, d);
    return sum;
}

static int mean_distance(struct identity *identity, const struct sample *one, const struct sample *two,
                         const struct head *head)
{
    size_t N = one->count > two->count ? one->count : two->count, d = one->d;
    double *K = calloc(N * N + 2 * N * d + 1, sizeof *K);
    if (!K)
        return -ENOMEM;
    double *duals_one = K + N * N, *duals_two = duals_one + N * d;
    int error = solve_duals(duals_one, one, head, K);
    if (error == 0)
        error = solve_duals(duals_two, two, head, K);
    identity->left = 0;
    for (size_t i = 0; i < one->D * d; i++)
        identity->left += (one->weights[i] - two->weights[i]) * (one->weights[i] - two->weights[i]);
    if (error == 0)
        identity->right = dual_product(one, one, duals_one, duals_one, head, K)
                          + dual_product(two, two, duals_two, duals_two, head, K)
                          - 2 * dual_product(one, two, duals_one, duals_two, head, K);
    free(K);
    return error;
}

static int check_pair(struct identity of[3], const struct sample *one, const struct sample *two,
                      const struct head *head)
{
    size_t widest = one->D > one->d ? one->D : one->d;
    double *room = calloc(one->D * widest, sizeof *room);
    if (!room)
        return -ENOMEM;
    for (int i = 0; i < 2; i++) {
        of[i].left = sum_distance(one, two, i == 0, room);
        of[i].right = kernel_sum(one, one, i == 0) + kernel_sum(two, two, i == 0) - 2 * kernel_sum(one, two, i == 0);
    }
    free(room);
    return mean_distance(&of[2], one, two, head);
}

int distances_check(struct distances *distances, const struct model *model, enum head_kind kind,
                    const struct trajectories *on, size_t pairs, size_t context, char *why, size_t why_size)
{
    *distances = (struct distances){.pairs = pairs, .of = calloc(pairs, sizeof *distances->of)};
    int error = distances->of ? 0 : -ENOMEM;
    for (size_t p = 0; p < pairs && error == 0; p++) {
        struct sample samples[2] = {0};
        for (size_t i = 0; i < 2 && error == 0; i++)
            error = sample_take(&samples[i], model, kind, &on->of[2 * p + i], context, why, why_size);
        if (error == 0)
            error = check_pair(distances->of[p], &samples[0], &samples[1], &model->heads[kind]);
        sample_release(&samples[0]), sample_release(&samples[1]);
        for (size_t i = 0; i < 3 && error == 0; i++) {
            const struct identity *each = &distances->of[p][i];
            double larger = fmax(fabs(each->left), fabs(each->right));
            if (larger > 0)
                distances->worst[i] = fmax(distances->worst[i], fabs(each->left - each->right) / larger);
        }
    }
    if (error == -ENOMEM)
        snprintf(why, why_size, "no memory for the kernels between tasks");
    if (error)
        distances_release(distances);
    return error;
}

void distances_release(struct distances *distances)
{
    free(distances->of);
    *distances = (struct distances){0};
}
