// A Bayesian linear head as daemon/belief computes it, in covariance form.

#include "builder.h"

#include <errno.h>
#include <f77blas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The four tensors of a head's belief, as inputs that default to the prior.
int build_head_belief(struct builder *b, const struct head *head, const char *prefix)
{
    size_t D = head->features, d = head->targets;
    double *covariance = calloc(D * D, sizeof *covariance);
    if (!covariance)
        return -ENOMEM;
    memcpy(covariance, head->precision, D * D * sizeof *covariance);
    // Upper by columns is lower by rows.
    char upper = 'U';
    blasint order = (blasint)D, info = 0;
    BLASFUNC(dpotrf)(&upper, &order, covariance, &order, &info);
    if (info == 0)
        BLASFUNC(dpotri)(&upper, &order, covariance, &order, &info);
    int error = info == 0 ? 0 : -EDOM;
    for (size_t i = 0; i < D; i++)
        for (size_t j = i + 1; j < D; j++)
            covariance[i * D + j] = covariance[j * D + i];
    const struct {
        const char *what;
        const double *values;
        size_t rows, columns;
    } parts[] = {
        {"covariance", covariance, D, D}, {"mean", head->mean, D, d}, {"scale", head->scale, d, d},
        {"degrees", &head->degrees, 1, 1},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct name name = build_named(prefix, parts[i].what);
        graph_input(b->graph, name.text, GRAPH_DOUBLE, parts[i].rows, parts[i].columns);
        graph_doubles(b->graph, name.text, parts[i].values, parts[i].rows, parts[i].columns);
    }
    free(covariance);
    return error;
}

// ---- What the policy is shown -----------------------------------------------------------------------------------

static struct name log_root(struct builder *b, const char *value)
{
    return build_flat(b, build_two(b, "Mul", build_one(b, "Log", value).text, build_one_double(b, 0.5).text).text);
}

// (n, n) -> (n, 1)
static struct name diagonal(struct builder *b, const char *value, size_t n)
{
    double *identity = calloc(n * n + n, sizeof *identity);
    for (size_t i = 0; identity && i < n; i++)
        identity[i * n + i] = identity[n * n + i] = 1;
    struct name name = build_number(b);
    if (identity) {
        struct name only = build_two(b, "Mul", value, build_doubles(b, identity, n, n).text);
        name = build_two(b, "MatMul", only.text, build_doubles(b, identity + n * n, n, 1).text);
    }
    free(identity);
    return name;
}

// E[Sigma_jj] = Omega_jj / (nu - d - 1) where nu > d + 1, else the mode Omega_jj / (nu + d + 1).
static struct name noise(struct builder *b, const struct head *head, const char *prefix)
{
    double d = (double)head->targets;
    struct name degrees = build_named(prefix, "degrees"), bound = build_one_double(b, d + 1);
    struct name known = build_two(b, "Greater", degrees.text, bound.text), divisor = build_number(b);
    GRAPH_NODE(b->graph, "Where", divisor.text, known.text, build_two(b, "Sub", degrees.text, bound.text).text,
               build_two(b, "Add", degrees.text, bound.text).text);
    struct name scale = diagonal(b, build_named(prefix, "scale").text, head->targets);
    return build_two(b, "Div", scale.text, divisor.text);
}

static struct name row_variances(struct builder *b, const struct head *head, const char *prefix, const char *probes)
{
    size_t D = head->features;
    double *ones = calloc(D, sizeof *ones);
    for (size_t i = 0; ones && i < D; i++)
        ones[i] = 1;
    struct name name = build_number(b);
    if (ones) {
        struct name spread = build_two(b, "MatMul", probes, build_named(prefix, "covariance").text);
        name = build_two(b, "MatMul", build_two(b, "Mul", spread.text, probes).text, build_doubles(b, ones, D, 1).text);
    }
    free(ones);
    return name;
}

// <V_k, M_n - M0>
static struct name along_components(struct builder *b, const struct head *head, const char *mean)
{
    size_t count = head->features * head->targets, K = head->representation.component_count;
    double *dense = calloc(count * K, sizeof *dense);
    struct name name = build_number(b);
    if (dense) {
        for (size_t i = 0; i < count; i++)
            memcpy(dense + i * K, head->components + i * kernel_padded(K), K * sizeof *dense);
        struct name moved = build_two(b, "Sub", mean, build_doubles(b, head->mean, head->features, head->targets).text);
        struct name shape = build_number(b);
        graph_whole(b->graph, shape.text, (const int64_t[]){1, -1}, 2);
        struct name row = build_two(b, "Reshape", moved.text, shape.text);
        name = build_flat(b, build_two(b, "MatMul", row.text, build_doubles(b, dense, count, K).text).text);
    }
    free(dense);
    return name;
}

size_t build_head_shown(struct builder *b, const struct head *head, const char *prefix, struct name *parts)
{
    const struct representation *r = &head->representation;
    size_t count = 0;
    if (r->kind == REPRESENTATION_NONE)
        return 0;
    int function = r->kind == REPRESENTATION_FUNCTION;
    struct name mean = build_named(prefix, "mean"), covariance = build_named(prefix, "covariance"), probes = {""};
    if (function)
        probes = build_doubles(b, r->probes, r->probe_count, head->features);
    if (r->parts & REPRESENT_MEAN)
        parts[count++] = r->kind == REPRESENTATION_PRINCIPAL
                             ? along_components(b, head, mean.text)
                             : build_flat(b, function ? build_two(b, "MatMul", probes.text, mean.text).text : mean.text);
    if (r->parts & REPRESENT_SD) {
        struct name variance = function ? row_variances(b, head, prefix, probes.text)
                                        : diagonal(b, covariance.text, head->features);
        parts[count++] = log_root(b, variance.text);
    }
    if (r->parts & REPRESENT_NOISE)
        parts[count++] = log_root(b, noise(b, head, prefix).text);
    if (r->parts & REPRESENT_COUNT) {
        struct name seen = build_two(b, "Sub", build_named(prefix, "degrees").text,
                                     build_one_double(b, head->degrees - 1).text);
        parts[count++] = log_root(b, seen.text);
    }
    return count;
}

// ---- What a transition does to the belief -----------------------------------------------------------------------

void build_head_update(struct builder *b, const struct head *head, const char *prefix, const char *input,
                   const char *value)
{
    size_t D = head->features, d = head->targets;
    char text[32];
    snprintf(text, sizeof text, "%s.basis", prefix);
    struct name learnt = build_network(b, &head->basis, input, text), constant = build_one_float(b, 1);
    struct name row = build_joined(b, (const char *const[]){learnt.text, constant.text, NULL});
    struct name phi = build_rounded(b, build_cast(b, row.text, GRAPH_DOUBLE).text);
    struct name away = build_two(b, "Sub", value, build_doubles(b, head->target_mean, 1, d).text);
    struct name y = build_rounded(b, build_two(b, "Div", away.text, build_doubles(b, head->target_scale, 1, d).text).text);

    // k = phi' K, s = 1 + k phi, e = y - phi' M
    struct name K = build_named(prefix, "covariance"), M = build_named(prefix, "mean");
    struct name k = build_two(b, "MatMul", phi.text, K.text), k_column = build_one(b, "Transpose", k.text);
    struct name s = build_two(b, "Add", build_two(b, "MatMul", k.text, build_one(b, "Transpose", phi.text).text).text,
                        build_one_double(b, 1).text);
    struct name e = build_two(b, "Sub", y.text, build_two(b, "MatMul", phi.text, M.text).text);
    struct name e_column = build_one(b, "Transpose", e.text);
    const struct {
        const char *what, *operation;
        struct name by;
        size_t rows, columns;
    } updates[] = {
        {"covariance", "Sub", build_two(b, "Div", build_two(b, "MatMul", k_column.text, k.text).text, s.text), D, D},
        {"mean", "Add", build_two(b, "Div", build_two(b, "MatMul", k_column.text, e.text).text, s.text), D, d},
        {"scale", "Add", build_two(b, "Div", build_two(b, "MatMul", e_column.text, e.text).text, s.text), d, d},
        {"degrees", "Add", build_one_double(b, 1), 1, 1},
    };
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++) {
        char next[48];
        snprintf(next, sizeof next, "%.16s.%.16s.next", prefix, updates[i].what);
        GRAPH_NODE(b->graph, updates[i].operation, next, build_named(prefix, updates[i].what).text, updates[i].by.text);
        graph_output(b->graph, next, GRAPH_DOUBLE, updates[i].rows, updates[i].columns);
    }
}
