// Of replayed transitions, the few at which predictions tell tasks apart best.

#include "glibrl.h"
#include "spread.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBE_TASKS = 128 };  // replayed meta-episodes whose posterior means say how tasks differ

// C (D, D) = sum over targets of the covariance, between tasks, of the posterior mean weights.
static int between_tasks(struct train *train, enum head_kind kind, double *C)
{
    struct spread spread;
    int error = spread_make(&spread, train, kind, PROBE_TASKS);
    size_t D = spread.D, d = spread.d;
    memset(C, 0, D * D * sizeof *C);
    for (size_t n = 0; n < spread.tasks; n++) {
        const double *weights = spread.weights + n * D * d;
        for (size_t i = 0; i < D; i++)
            for (size_t j = 0; j < D; j++)
                for (size_t k = 0; k < d; k++)
                    C[i * D + j] += weights[i * d + k] * weights[j * d + k] / (double)spread.tasks;
    }
    spread_release(&spread);
    return error;
}

// score = p' G p / (p' p + noise) with p = C^1/2 phi, without the root: with G = sum of all q q' it is the variance
// of all candidates' predictions, across tasks, that knowing this one's explains. K is the candidates' kernel.
static size_t best_probe(const double *K, size_t P, double noise)
{
    size_t best = 0;
    double highest = -1;
    for (size_t i = 0; i < P; i++) {
        double explained = 0;
        for (size_t j = 0; j < P; j++)
            explained += K[i * P + j] * K[i * P + j];
        explained /= K[i * P + i] + noise;
        if (explained > highest) {
            highest = explained;
            best = i;
        }
    }
    return best;
}

int choose_probes(struct train *train, enum head_kind kind)
{
    struct glibrl *own = train->inferring;
    const struct replay *r = &train->replay;
    struct basis *basis = &own->basis[kind];
    size_t D = basis->features, inputs = basis_inputs(train, kind), obs = r->observation_dim, act = r->action_dim;
    size_t P = train->options.probe_pool;
    double *C = calloc(D * D + 2 * P * D + P * P, sizeof *C);
    size_t *rows = calloc(P, sizeof *rows);
    if (!C || !rows || between_tasks(train, kind, C)) {
        free(C);
        free(rows);
        return -ENOMEM;
    }
    double *phi = C + D * D, *side = phi + P * D, *K = side + P * D;

    struct random_stream stream =
        random_stream(train->options.seed, RANDOM_PROBES, (uint32_t)train_iteration(train), kind);
    for (size_t i = 0; i < P; i++) {
        size_t slot;
        do
            slot = random_below(&stream, (uint32_t)replay_slots(r));
        while (r->count[slot] == 0);
        rows[i] = slot * r->steps + random_below(&stream, r->count[slot]);
        basis_row(train, kind, basis_work_input(train) + i * inputs, r->observation + rows[i] * obs,
                  r->action + rows[i] * act, r->next_observation + rows[i] * obs);
    }
    basis_features(basis, phi, basis_work_input(train), P, basis_work_scratch(train, kind));

    // K = Phi C Phi', and after each choice what it leaves unexplained: K -= k k' / (k_ii + noise)
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)P, (int)D, (int)D, 1, phi, (int)D, C, (int)D, 0, side,
                (int)D);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)P, (int)P, (int)D, 1, side, (int)D, phi, (int)D, 0, K,
                (int)P);
    double noise = 1e-12;
    for (size_t i = 0; i < P; i++)
        noise += 0.01 * K[i * P + i] / (double)P;
    double *column = side;
    size_t width = 2 * obs + act;
    for (size_t k = 0; k < own->probe_count; k++) {
        size_t best = best_probe(K, P, noise);
        float *probe = own->probes[kind] + k * width;
        memcpy(probe, r->observation + rows[best] * obs, obs * sizeof *probe);
        memcpy(probe + obs, r->action + rows[best] * act, act * sizeof *probe);
        memcpy(probe + obs + act, r->next_observation + rows[best] * obs, obs * sizeof *probe);
        double pivot = K[best * P + best] + noise;
        memcpy(column, K + best * P, P * sizeof *column);
        cblas_dger(CblasRowMajor, (int)P, (int)P, -1 / pivot, column, 1, column, 1, K, (int)P);
    }
    free(C);
    free(rows);
    return 0;
}
