// The directions in which tasks differ most, in the eyes of a head: what a policy is shown of a posterior of many
// weights.
//
// How well two tasks' data tell them apart is, for the mean weights M1 and M2 of both,
//
//     KL = T / 2 tr(Sigma^-1 (M1 - M2)' G (M1 - M2)),   G = mean of phi phi'
//
// so with G = L L' and Sigma ~ diag(noise) the tasks stand at z = L' M noise^-1/2, and principal components of z are the
// directions in which they can be told apart best. Each is scaled so that its variance over tasks is 1, and all are
// turned (orthogonal Procrustes) so that the tasks are shown as much as they were before as can be: a policy has
// learnt to read them.

#include "components.h"

#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COMPONENT_TASKS = 256 };

static const double gram_floor = 1e-6;    // of its mean diagonal, added to it: features may be all but copies
static const double least_share = 1e-10;  // of the largest variance; what has less is no direction

// LAPACK, which OpenBLAS brings along. Column-major.
void dpotrf_(const char *triangle, const int *n, double *A, const int *stride, int *info, size_t length);
void dsyev_(const char *job, const char *triangle, const int *n, double *A, const int *stride, double *values,
            double *work, const int *work_count, int *info, size_t job_length, size_t triangle_length);
void dgesvd_(const char *job_u, const char *job_v, const int *rows, const int *columns, double *A, const int *stride,
             double *values, double *U, const int *U_stride, double *Vt, const int *Vt_stride, double *work,
             const int *work_count, int *info, size_t length_u, size_t length_v);

struct room {
    double *factor;    // L' of the gram, upper triangle, row-major  (D, D)
    double *z;         // (tasks, D d)
    double *products;  // z z', then its eigenvectors, row by row and ascending  (tasks, tasks)
    double *values;    // (tasks)
    double *work;      // (work_count)
    double *fresh;     // components, before they are turned  (D d, K)
    double *shown[2];  // tasks along components: before and now  (tasks, K)
    double *turn[3];   // (K, K)
    double *side;      // (D, d)
    int work_count;
};

static int room_new(struct room *room, const struct spread *s, size_t K)
{
    size_t N = s->tasks, D = s->D, W = s->D * s->d, widest = N > K ? N : K;
    *room = (struct room){.work_count = (int)(64 * widest)};
    size_t count = D * D + N * W + N * N + widest + 64 * widest + W * K + 2 * N * K + 3 * K * K + W;
    double *at = room->factor = calloc(count, sizeof *at);
    if (!at)
        return -ENOMEM;
    room->z = at += D * D;
    room->products = at += N * W;
    room->values = at += N * N;
    room->work = at += widest;
    room->fresh = at += room->work_count;
    room->shown[0] = at += W * K;
    room->shown[1] = at += N * K;
    for (size_t i = 0; i < 3; i++)
        room->turn[i] = at += i == 0 ? N * K : K * K;
    room->side = at += K * K;
    return 0;
}

// z_n = L' M_n noise^-1/2, and the eigenvectors of z z'. -EDOM: not finite.
static int decompose(struct room *room, const struct spread *s)
{
    int D = (int)s->D, d = (int)s->d, N = (int)s->tasks, W = D * d, info;
    double floor = 0;
    for (int i = 0; i < D; i++)
        floor += gram_floor * s->gram[i * D + i] / D;
    memcpy(room->factor, s->gram, s->D * s->D * sizeof *s->gram);
    for (int i = 0; i < D; i++)
        room->factor[i * D + i] += floor;
    dpotrf_("L", &D, room->factor, &D, &info, 1);  // its lower triangle, column by column: L' row by row
    if (info)
        return -EDOM;
    for (int n = 0; n < N; n++) {
        double *z = room->z + n * W;
        memcpy(z, s->weights + n * W, s->D * s->d * sizeof *z);
        for (int i = 0; i < W; i++)
            z[i] /= sqrt(s->noise[i % d]);
        cblas_dtrmm(CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, D, d, 1, room->factor, D, z, d);
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, N, W, 1, room->z, W, room->z, W, 0, room->products, N);
    dsyev_("V", "L", &N, room->products, &N, room->values, room->work, &room->work_count, &info, 1, 1);
    return info ? -EDOM : 0;
}

// Component k = L (z' u sqrt(tasks) / lambda) noise^-1/2: along it task n stands at sqrt(tasks) u_n.
static void find(struct room *room, const struct spread *s, size_t K)
{
    int D = (int)s->D, d = (int)s->d, W = D * d;
    size_t N = s->tasks;
    for (size_t k = 0; k < K && k < N; k++) {
        const double *u = room->products + (N - 1 - k) * N;
        double value = room->values[N - 1 - k];
        if (value <= least_share * room->values[N - 1])
            break;
        cblas_dgemv(CblasRowMajor, CblasTrans, (int)N, W, sqrt((double)N) / value, room->z, W, u, 1, 0, room->side, 1);
        cblas_dtrmm(CblasRowMajor, CblasLeft, CblasUpper, CblasTrans, CblasNonUnit, D, d, 1, room->factor, D,
                    room->side, d);
        for (int i = 0; i < W; i++)
            room->fresh[(size_t)i * K + k] = room->side[i] / sqrt(s->noise[i % d]);
    }
}

// components = fresh R, R orthogonal and nearest to what takes the tasks from where they stand now to where they stood:
// with shown' before = P S Q', R = P Q'.
static int turn(double *components, struct room *room, const struct spread *s, size_t count)
{
    int K = (int)count, N = (int)s->tasks, W = (int)(s->D * s->d), info;
    double *cross = room->turn[0], *P = room->turn[1], *Q = room->turn[2];
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, K, W, 1, s->weights, W, room->fresh, K, 0,
                room->shown[1], K);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, K, W, 1, s->weights, W, components, K, 0, room->shown[0],
                K);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, K, K, N, 1, room->shown[1], K, room->shown[0], K, 0, cross, K);
    // What LAPACK reads column by column is cross' = Q S P': its "U" is Q, its "V'" is P'.
    dgesvd_("A", "A", &K, &K, cross, &K, room->values, Q, &K, P, &K, room->work, &room->work_count, &info, 1, 1);
    if (info)
        return -EDOM;
    // Read row by row these are Q' and P.
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, K, K, K, 1, P, K, Q, K, 0, cross, K);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, W, K, K, 1, room->fresh, K, cross, K, 0, components, K);
    return 0;
}

static int is_zero(const double *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (x[i] != 0)
            return 0;
    return 1;
}

int components_of(double *components, const struct spread *spread, size_t K)
{
    struct room room;
    if (spread->tasks < 2)
        return 0;
    int error = room_new(&room, spread, K);
    if (error)
        return error;
    size_t count = spread->D * spread->d * K;
    error = decompose(&room, spread);
    if (error == 0)
        find(&room, spread, K);
    if (error == 0 && is_zero(components, count))
        memcpy(components, room.fresh, count * sizeof *components);
    else if (error == 0)
        error = turn(components, &room, spread, K);
    free(room.factor);
    return error;
}

int choose_components(struct train *train, enum head_kind kind)
{
    struct glibrl *own = train->inferring;
    struct spread spread;
    int error = spread_make(&spread, train, kind, COMPONENT_TASKS);
    if (error == 0)
        error = components_of(own->components[kind], &spread, own->component_count);
    spread_release(&spread);
    return error;
}
