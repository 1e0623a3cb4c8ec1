// The step of daemon/agent/agent.c, operation by operation.
//
// Names of values: what a reader may want to look at has a plain name ("reward.features"), the rest counts up.

#include "agent_graph.h"

#include "daemon/agent/tensors.h"
#include "graph.h"

#include <errno.h>
#include <f77blas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct builder {
    struct graph *graph;
    const struct model *model;
    unsigned numbers;            // names given
};

struct name {
    char text[48];
};

static struct name number(struct builder *b)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "v%u", b->numbers++);
    return name;
}

static struct name named(const char *prefix, const char *what)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%.23s.%.23s", prefix, what);
    return name;
}

static struct name one_float(struct builder *b, float value)
{
    struct name name = number(b);
    graph_floats(b->graph, name.text, &value, 1, 1);
    return name;
}

static struct name one_double(struct builder *b, double value)
{
    struct name name = number(b);
    graph_doubles(b->graph, name.text, &value, 1, 1);
    return name;
}

static struct name floats(struct builder *b, const float *values, size_t count)
{
    struct name name = number(b);
    graph_floats(b->graph, name.text, values, 1, count);
    return name;
}

static struct name doubles(struct builder *b, const double *values, size_t rows, size_t columns)
{
    struct name name = number(b);
    graph_doubles(b->graph, name.text, values, rows, columns);
    return name;
}

static struct name two(struct builder *b, const char *operation, const char *left, const char *right)
{
    struct name name = number(b);
    GRAPH_NODE(b->graph, operation, name.text, left, right);
    return name;
}

static struct name one(struct builder *b, const char *operation, const char *value)
{
    struct name name = number(b);
    GRAPH_NODE(b->graph, operation, name.text, value);
    return name;
}

static struct name cast(struct builder *b, const char *value, enum graph_type type)
{
    struct name name = one(b, "Cast", value);
    graph_integer(b->graph, "to", type);
    return name;
}

static struct name between(struct builder *b, const char *value, const char *low, const char *high)
{
    return two(b, "Min", two(b, "Max", value, low).text, high);
}

static struct name limited(struct builder *b, const char *value, float limit)
{
    return between(b, value, one_float(b, -limit).text, one_float(b, limit).text);
}

// clip((x - mean) / scale)
static struct name normalised(struct builder *b, const char *value, const float *mean, const float *scale, float clip,
                              size_t count)
{
    struct name away = two(b, "Sub", value, floats(b, mean, count).text);
    return limited(b, two(b, "Div", away.text, floats(b, scale, count).text).text, clip);
}

static struct name joined(struct builder *b, const char *const *values)
{
    struct name name = number(b);
    graph_node(b->graph, "Concat", name.text, values);
    graph_integer(b->graph, "axis", 1);
    return name;
}

static struct name network(struct builder *b, const struct network *network, const char *value, const char *prefix)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%s", value);
    for (size_t l = 0; l < network->layer_count; l++) {
        const struct layer *layer = &network->layers[l];
        size_t stride = kernel_padded(layer->outputs);
        float *dense = malloc(layer->inputs * layer->outputs * sizeof *dense);
        char text[48];
        for (size_t i = 0; dense && i < layer->inputs; i++)
            memcpy(dense + i * layer->outputs, layer->weight + i * stride, layer->outputs * sizeof *dense);
        snprintf(text, sizeof text, "%.24s.%zu.weight", prefix, l);
        if (dense)
            graph_floats(b->graph, text, dense, layer->inputs, layer->outputs);
        free(dense);
        struct name product = two(b, "MatMul", name.text, text);
        snprintf(text, sizeof text, "%.24s.%zu.bias", prefix, l);
        graph_floats(b->graph, text, layer->bias, 1, layer->outputs);
        name = two(b, "Add", product.text, text);
        enum activation activation = l + 1 < network->layer_count ? network->hidden : network->output;
        if (activation != ACTIVATION_NONE)
            name = one(b, activation == ACTIVATION_RELU ? "Relu" : "Tanh", name.text);
    }
    return name;
}

// The four tensors of a head's belief, as inputs that default to the prior.
static int belief_inputs(struct builder *b, const struct head *head, const char *prefix)
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
        struct name name = named(prefix, parts[i].what);
        graph_input(b->graph, name.text, GRAPH_DOUBLE, parts[i].rows, parts[i].columns);
        graph_doubles(b->graph, name.text, parts[i].values, parts[i].rows, parts[i].columns);
    }
    free(covariance);
    return error;
}

// ---- What the policy is shown -----------------------------------------------------------------------------------

// As one row of floats.
static struct name flat(struct builder *b, const char *value)
{
    struct name shape = number(b);
    graph_whole(b->graph, shape.text, (const int64_t[]){1, -1}, 2);
    return cast(b, two(b, "Reshape", value, shape.text).text, GRAPH_FLOAT);
}

static struct name log_root(struct builder *b, const char *value)
{
    return flat(b, two(b, "Mul", one(b, "Log", value).text, one_double(b, 0.5).text).text);
}

// (n, n) -> (n, 1)
static struct name diagonal(struct builder *b, const char *value, size_t n)
{
    double *identity = calloc(n * n + n, sizeof *identity);
    for (size_t i = 0; identity && i < n; i++)
        identity[i * n + i] = identity[n * n + i] = 1;
    struct name name = number(b);
    if (identity) {
        struct name only = two(b, "Mul", value, doubles(b, identity, n, n).text);
        name = two(b, "MatMul", only.text, doubles(b, identity + n * n, n, 1).text);
    }
    free(identity);
    return name;
}

// E[Sigma_jj] = Omega_jj / (nu - d - 1) where nu > d + 1, else the mode Omega_jj / (nu + d + 1).
static struct name noise(struct builder *b, const struct head *head, const char *prefix)
{
    double d = (double)head->targets;
    struct name degrees = named(prefix, "degrees"), bound = one_double(b, d + 1);
    struct name known = two(b, "Greater", degrees.text, bound.text), divisor = number(b);
    GRAPH_NODE(b->graph, "Where", divisor.text, known.text, two(b, "Sub", degrees.text, bound.text).text,
               two(b, "Add", degrees.text, bound.text).text);
    struct name scale = diagonal(b, named(prefix, "scale").text, head->targets);
    return two(b, "Div", scale.text, divisor.text);
}

static struct name row_variances(struct builder *b, const struct head *head, const char *prefix, const char *probes)
{
    size_t D = head->features;
    double *ones = calloc(D, sizeof *ones);
    for (size_t i = 0; ones && i < D; i++)
        ones[i] = 1;
    struct name name = number(b);
    if (ones) {
        struct name spread = two(b, "MatMul", probes, named(prefix, "covariance").text);
        name = two(b, "MatMul", two(b, "Mul", spread.text, probes).text, doubles(b, ones, D, 1).text);
    }
    free(ones);
    return name;
}

// Appends the names of what head writes to the policy's input; returns how many.
static size_t represent(struct builder *b, const struct head *head, const char *prefix, struct name *parts)
{
    const struct representation *r = &head->representation;
    size_t count = 0;
    if (r->kind == REPRESENTATION_NONE)
        return 0;
    int function = r->kind == REPRESENTATION_FUNCTION;
    struct name mean = named(prefix, "mean"), covariance = named(prefix, "covariance"), probes = {""};
    if (function)
        probes = doubles(b, r->probes, r->probe_count, head->features);
    if (r->parts & REPRESENT_MEAN)
        parts[count++] = flat(b, function ? two(b, "MatMul", probes.text, mean.text).text : mean.text);
    if (r->parts & REPRESENT_SD) {
        struct name variance = function ? row_variances(b, head, prefix, probes.text)
                                        : diagonal(b, covariance.text, head->features);
        parts[count++] = log_root(b, variance.text);
    }
    if (r->parts & REPRESENT_NOISE)
        parts[count++] = log_root(b, noise(b, head, prefix).text);
    return count;
}

static int build_policy(struct builder *b)
{
    const struct model *m = b->model;
    struct name parts[1 + 3 * HEAD_COUNT];
    size_t count = 1;
    int error = 0;
    graph_input(b->graph, "observation", GRAPH_FLOAT, 1, m->observation_dim);
    snprintf(parts[0].text, sizeof parts[0].text, "observation");
    if (m->reads_task) {
        graph_input(b->graph, "task", GRAPH_FLOAT, 1, m->task_dim);
        snprintf(parts[count++].text, sizeof parts[0].text, "task");
    }
    for (enum head_kind kind = 0; kind < HEAD_COUNT && !error; kind++)
        if (m->heads[kind].present) {
            error = belief_inputs(b, &m->heads[kind], head_name(kind));
            count += represent(b, &m->heads[kind], head_name(kind), parts + count);
        }
    const char *list[2 + 3 * HEAD_COUNT] = {NULL};
    for (size_t i = 0; i < count; i++)
        list[i] = parts[i].text;
    struct name raw = joined(b, list);
    struct name input = normalised(b, raw.text, m->input_mean, m->input_scale, m->input_clip, m->input_dim);
    struct name mean = network(b, &m->policy, input.text, "policy");
    GRAPH_NODE(b->graph, "Min", "action", two(b, "Max", mean.text, floats(b, m->action_low, m->action_dim).text).text,
               floats(b, m->action_high, m->action_dim).text);
    graph_output(b->graph, "action", GRAPH_FLOAT, 1, m->action_dim);
    return error;
}

// ---- What a transition does to the belief -----------------------------------------------------------------------

// To the nearest multiple of 2^-24, as the sums are kept.
static struct name rounded(struct builder *b, const char *value)
{
    struct name unit = one_double(b, (double)(1 << BELIEF_FRACTION_BITS));
    return two(b, "Div", one(b, "Round", two(b, "Mul", value, unit.text).text).text, unit.text);
}

static void update(struct builder *b, const struct head *head, const char *prefix, const char *input,
                   const char *value)
{
    size_t D = head->features, d = head->targets;
    char text[32];
    snprintf(text, sizeof text, "%s.basis", prefix);
    struct name learnt = network(b, &head->basis, input, text), constant = one_float(b, 1);
    struct name row = joined(b, (const char *const[]){learnt.text, constant.text, NULL});
    struct name phi = rounded(b, cast(b, row.text, GRAPH_DOUBLE).text);
    struct name away = two(b, "Sub", value, doubles(b, head->target_mean, 1, d).text);
    struct name y = rounded(b, two(b, "Div", away.text, doubles(b, head->target_scale, 1, d).text).text);

    // k = phi' K, s = 1 + k phi, e = y - phi' M
    struct name K = named(prefix, "covariance"), M = named(prefix, "mean");
    struct name k = two(b, "MatMul", phi.text, K.text), k_column = one(b, "Transpose", k.text);
    struct name s = two(b, "Add", two(b, "MatMul", k.text, one(b, "Transpose", phi.text).text).text,
                        one_double(b, 1).text);
    struct name e = two(b, "Sub", y.text, two(b, "MatMul", phi.text, M.text).text);
    struct name e_column = one(b, "Transpose", e.text);
    const struct {
        const char *what, *operation;
        struct name by;
        size_t rows, columns;
    } updates[] = {
        {"covariance", "Sub", two(b, "Div", two(b, "MatMul", k_column.text, k.text).text, s.text), D, D},
        {"mean", "Add", two(b, "Div", two(b, "MatMul", k_column.text, e.text).text, s.text), D, d},
        {"scale", "Add", two(b, "Div", two(b, "MatMul", e_column.text, e.text).text, s.text), d, d},
        {"degrees", "Add", one_double(b, 1), 1, 1},
    };
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++) {
        char next[48];
        snprintf(next, sizeof next, "%.16s.%.16s.next", prefix, updates[i].what);
        GRAPH_NODE(b->graph, updates[i].operation, next, named(prefix, updates[i].what).text, updates[i].by.text);
        graph_output(b->graph, next, GRAPH_DOUBLE, updates[i].rows, updates[i].columns);
    }
}

static int build_belief(struct builder *b)
{
    const struct model *m = b->model;
    size_t obs = m->observation_dim, act = m->action_dim;
    graph_input(b->graph, "observation", GRAPH_FLOAT, 1, obs);
    graph_input(b->graph, "action", GRAPH_FLOAT, 1, act);
    graph_input(b->graph, "next_observation", GRAPH_FLOAT, 1, obs);
    graph_input(b->graph, "reward", GRAPH_FLOAT, 1, 1);
    struct name s = normalised(b, "observation", m->observation_mean, m->observation_scale, m->observation_clip, obs);
    struct name after = normalised(b, "next_observation", m->observation_mean, m->observation_scale,
                                   m->observation_clip, obs);
    // [low, high] -> [-1, 1]
    struct name low = floats(b, m->action_low, act), high = floats(b, m->action_high, act);
    struct name within = two(b, "Sub", between(b, "action", low.text, high.text).text, low.text);
    struct name share = two(b, "Div", within.text, two(b, "Sub", high.text, low.text).text);
    struct name a = two(b, "Sub", two(b, "Mul", share.text, one_float(b, 2).text).text, one_float(b, 1).text);

    int error = 0;
    for (enum head_kind kind = 0; kind < HEAD_COUNT && !error; kind++) {
        const struct head *head = &m->heads[kind];
        if (!head->present)
            continue;
        error = belief_inputs(b, head, head_name(kind));
        int reward = kind == HEAD_REWARD;
        struct name input = joined(b, (const char *const[]){s.text, a.text, reward ? after.text : NULL, NULL});
        struct name value = cast(b, reward ? "reward" : "next_observation", GRAPH_DOUBLE);
        if (!reward)
            value = two(b, "Sub", value.text, cast(b, "observation", GRAPH_DOUBLE).text);
        update(b, head, head_name(kind), input.text, value.text);
    }
    return error;
}

static int save(const struct model *model, const char *directory, const char *name, int (*build)(struct builder *),
                char *why, size_t why_size)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s.onnx", directory, name) >= (int)sizeof path) {
        snprintf(why, why_size, "the path %.100s... is too long", directory);
        return -ENAMETOOLONG;
    }
    struct builder b = {.graph = graph_new(name), .model = model};
    int error = b.graph ? build(&b) : -ENOMEM;
    if (!error) {
        graph_describe(b.graph, "model", model->name);
        graph_describe(b.graph, "world", model->world);
        graph_describe(b.graph, "digest", model->digest);
        error = graph_save(b.graph, path);
    }
    graph_free(b.graph);
    if (error)
        snprintf(why, why_size, "cannot write %s: %s", path, strerror(-error));
    return error;
}

int agent_graph_save(const struct model *model, const char *directory, char *why, size_t why_size)
{
    int error = save(model, directory, "policy", build_policy, why, why_size);
    int has_belief = model->heads[HEAD_TRANSITION].present || model->heads[HEAD_REWARD].present;
    return error || !has_belief ? error : save(model, directory, "belief", build_belief, why, why_size);
}
