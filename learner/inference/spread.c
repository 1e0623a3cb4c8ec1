// Posterior means of replayed meta-episodes.

#include "spread.h"

#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double noise_low = 1e-9;  // of unit target variance

// One task's transitions (rows) into the sums; room (rows, D + d).
static void add_rows(struct spread *s, const double *weights, const double *phi, const double *y, size_t rows,
                     double *residual)
{
    int D = (int)s->D, d = (int)s->d, T = (int)rows;
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, D, D, T, 1, phi, D, phi, D, 1, s->gram, D);
    memcpy(residual, y, rows * s->d * sizeof *residual);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, T, d, D, -1, phi, D, weights, d, 1, residual, d);
    for (size_t t = 0; t < rows; t++)
        for (size_t j = 0; j < s->d; j++)
            s->noise[j] += residual[t * s->d + j] * residual[t * s->d + j];
}

static void take_away_mean(struct spread *s)
{
    size_t count = s->D * s->d;
    for (size_t i = 0; i < count; i++) {
        double mean = 0;
        for (size_t n = 0; n < s->tasks; n++)
            mean += s->weights[n * count + i] / (double)s->tasks;
        for (size_t n = 0; n < s->tasks; n++)
            s->weights[n * count + i] -= mean;
    }
}

int spread_make(struct spread *s, struct train *train, enum head_kind kind, size_t tasks)
{
    struct basis *basis = &((struct glibrl *)train->inferring)->basis[kind];
    size_t D = basis->features, d = basis->targets, slots = replay_slots(&train->replay), T = train->replay.steps;
    tasks = slots < tasks ? slots : tasks;
    *s = (struct spread){.D = D, .d = d, .weights = calloc(tasks * D * d + D * D + d + T * (D + d), sizeof(double))};
    if (!s->weights)
        return -ENOMEM;
    s->gram = s->weights + tasks * D * d;
    s->noise = s->gram + D * D;
    double *phi = s->noise + d, *residual = phi + T * D, *y = basis_work_targets(train), value, all = 0;
    float *in = basis_work_input(train);
    struct basis_scratch *scratch = basis_work_scratch(train, kind);
    for (size_t i = 0; i < tasks; i++) {
        size_t slot = (size_t)((train->replay.added - 1 - i) % train->replay.slots);
        size_t rows = basis_rows(train, kind, in, y, slot, 0, 1, SIZE_MAX);
        if (rows == 0 || basis_evidence(basis, &value, NULL, in, y, rows, scratch))
            continue;
        double *weights = s->weights + s->tasks++ * D * d;
        memcpy(weights, basis_weights(basis, scratch), D * d * sizeof *weights);
        basis_features(basis, phi, in, rows, scratch);
        add_rows(s, weights, phi, y, rows, residual);
        all += (double)rows;
    }
    take_away_mean(s);
    for (size_t i = 0; i < D * D; i++)
        s->gram[i] /= fmax(all, 1);
    for (size_t j = 0; j < d; j++)
        s->noise[j] = fmax(s->noise[j] / fmax(all, 1), noise_low);
    return 0;
}

void spread_release(struct spread *spread)
{
    free(spread->weights);
    *spread = (struct spread){0};
}
