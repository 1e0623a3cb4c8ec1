// Several solves at once; posterior.c has the same steps for one, and says why.

#include "group.h"

#include <assert.h>
#include <string.h>

// All of a group's arrays in one block; returns its doubles.
static size_t lay_out(struct posterior_group *g, double *memory)
{
    size_t D = g->D, d = g->d, G = g->kernels->group, rows = g->rows_limit, used = 0;
    g->panel = take_doubles(memory, &used, (D + d) * (D + d + rows) * G);
    g->diagonal = take_doubles(memory, &used, (D + d) * G);
    g->mean = take_doubles(memory, &used, D * d * G);
    g->variance = take_doubles(memory, &used, D * G);
    g->scale_diagonal = take_doubles(memory, &used, d * G);
    g->row_mean = take_doubles(memory, &used, rows * d * G);
    g->row_variance = take_doubles(memory, &used, rows * G);
    g->room = take_doubles(memory, &used, 5 * D * G);
    return used;
}

size_t posterior_group_size(const struct prior *prior, size_t rows_limit)
{
    struct posterior_group shape = {
        .D = prior->D, .d = prior->d, .rows_limit = rows_limit, .kernels = kernels_best()};
    return lay_out(&shape, NULL) * sizeof(double);
}

void posterior_group_init(struct posterior_group *group, const struct prior *prior, size_t rows_limit, void *memory)
{
    assert((uintptr_t)memory % KERNEL_ALIGNMENT == 0);
    *group = (struct posterior_group){
        .D = prior->D, .d = prior->d, .rows_limit = rows_limit, .kernels = kernels_best()};
    lay_out(group, memory);
}

static void fill_rows(struct posterior_group *g, size_t sessions, const struct group_interest *interest)
{
    const double unit = 1.0 / (1 << BELIEF_FRACTION_BITS);
    size_t G = g->kernels->group, D = g->D;
    for (size_t c = 0; c < g->columns; c++) {
        double *row = g->panel + (c * g->rows + g->first) * G;
        for (size_t i = 0; i < interest->count; i++, row += G)
            for (size_t s = 0; s < G; s++)
                row[s] = c < D ? interest->rows[i * D + c] : 0;
        for (size_t s = 0; interest->last && s < G; s++) {
            const int32_t *z = interest->last[s < sessions ? s : 0];
            row[s] = z ? z[c] * unit : 0;
        }
    }
}

// Which sessions lost digits, in L11, in Omega_n's diagonal or in a row that was absorbed: they want refinement.
static unsigned lossy(struct posterior_group *g, int scale, size_t rows)
{
    size_t G = g->kernels->group, D = g->D, d = g->d;
    int lost[KERNEL_GROUP_LIMIT] = {0};
    for (size_t j = 0; scale && j < d; j++) {
        const double *entry = g->diagonal + (D + j) * G;
        double *left = g->scale_diagonal + j * G;
        for (size_t s = 0; s < G; s++) {
            left[s] = entry[s] - left[s];
            lost[s] |= !(entry[s] <= REFINE_RATIO * left[s]);
        }
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t s = 0; s < G; s++)
            lost[s] |= row_wants_refinement(g->row_variance[i * G + s]);
    unsigned set = g->kernels->group_exceeds(g->diagonal, g->panel, g->rows, D, REFINE_RATIO);
    for (size_t s = 0; s < G; s++)
        set |= (unsigned)lost[s] << s;
    return set;
}

unsigned group_solve(struct posterior_group *g, const struct prior *prior, const struct belief *const beliefs[],
                     size_t sessions, const struct group_interest *interest)
{
    const struct kernels *kernels = g->kernels;
    size_t D = g->D, d = g->d, P = D + d, G = kernels->group, rows = interest->count + !!interest->last;
    unsigned parts = interest->parts;
    assert(sessions > 0 && sessions <= G && rows <= g->rows_limit);
    int factor = !!(parts & SOLVE_FACTOR), scale = factor || parts & SOLVE_SCALE_DIAGONAL;
    g->first = scale || parts & POSTERIOR_MEAN || rows ? P : D;
    g->rows = g->first + rows;
    g->columns = factor ? P : D;

    // Lanes without a session repeat the first.
    const uint64_t *low[KERNEL_GROUP_LIMIT];
    const int64_t *high[KERNEL_GROUP_LIMIT];
    for (size_t s = 0; s < G; s++) {
        const struct belief *belief = beliefs[s < sessions ? s : 0];
        low[s] = belief->low;
        high[s] = belief->wide ? belief->high : NULL;
    }
    kernels->group_sum_to_panel(g->panel, g->rows, prior->packed, low, high, P, g->columns, g->first);
    kernels->group_diagonal(g->diagonal, g->panel, g->rows, g->columns);
    for (size_t c = g->columns; scale && c < P; c++)
        for (size_t s = 0; s < G; s++)
            g->diagonal[c * G + s] = diagonal_entry(kernels, prior, beliefs[s < sessions ? s : 0], c);
    fill_rows(g, sessions, interest);
    unsigned bad = kernels->group_factor(g->panel, g->rows, g->columns, g->rows);

    if (scale)
        kernels->group_squares(g->scale_diagonal, g->panel, g->rows, D, D, d);
    kernels->group_squares(g->row_variance, g->panel, g->rows, D, g->first, rows);
    bad |= lossy(g, scale, rows);
    if (parts & POSTERIOR_MEAN)
        kernels->group_back_substitute(g->mean, g->panel, g->rows, D, D, d);
    if (parts & POSTERIOR_VARIANCE)
        kernels->group_inverse_squares(g->variance, g->panel, g->rows, D, g->room);
    for (size_t i = 0; i < interest->count; i++)
        kernels->group_combine(g->row_mean + i * d * G, g->panel, g->rows, D, D, d, g->first + i);
    return ~bad & ((1u << sessions) - 1);
}

// out[i] = in[i] of one session.
static void take(double *out, const struct posterior_group *g, const double *in, size_t session, size_t count)
{
    size_t G = g->kernels->group;
    for (size_t i = 0; i < count; i++)
        out[i] = in[i * G + session];
}

void group_take(const struct posterior_group *g, struct posterior *p, const struct prior *prior,
                const struct belief *belief, size_t session, const struct group_interest *interest, double *distance)
{
    size_t D = g->D, d = g->d, G = g->kernels->group, rows = g->rows - g->first;
    p->degrees = prior->degrees + (double)belief->count;
    p->count = (double)belief->count;
    p->refined = 0;
    if (interest->parts & POSTERIOR_MEAN)
        take(p->mean, g, g->mean, session, D * d);
    if (interest->parts & POSTERIOR_VARIANCE)
        take(p->variance, g, g->variance, session, D);
    if (interest->parts & (SOLVE_FACTOR | SOLVE_SCALE_DIAGONAL))
        take(p->scale_diagonal, g, g->scale_diagonal, session, d);
    take(p->row_mean, g, g->row_mean, session, interest->count * d);
    take(p->row_variance, g, g->row_variance, session, rows);
    memset(p->row_variance_low, 0, rows * sizeof *p->row_variance_low);
    if (!interest->last || !interest->last[session])
        return;
    // The corner's pivots, and the last row beyond column D: w with |w|^2 = w' w.
    double *pivots = p->scratch;
    *distance = 0;
    for (size_t j = 0; j < d; j++) {
        const double *column = g->panel + (D + j) * g->rows * G + session;
        double w = column[(g->rows - 1) * G];
        *distance += w * w;
        pivots[j] = column[(D + j) * G];
    }
    p->log_det_scale = log_determinant_of_pivots(p, pivots, d);
}
