// Names and the operations that are needed more than once.

#include "builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct name build_number(struct builder *b)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "v%u", b->numbers++);
    return name;
}

struct name build_named(const char *prefix, const char *what)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%.23s.%.23s", prefix, what);
    return name;
}

struct name build_one_float(struct builder *b, float value)
{
    struct name name = build_number(b);
    graph_floats(b->graph, name.text, &value, 1, 1);
    return name;
}

struct name build_one_double(struct builder *b, double value)
{
    struct name name = build_number(b);
    graph_doubles(b->graph, name.text, &value, 1, 1);
    return name;
}

struct name build_floats(struct builder *b, const float *values, size_t count)
{
    struct name name = build_number(b);
    graph_floats(b->graph, name.text, values, 1, count);
    return name;
}

struct name build_doubles(struct builder *b, const double *values, size_t rows, size_t columns)
{
    struct name name = build_number(b);
    graph_doubles(b->graph, name.text, values, rows, columns);
    return name;
}

struct name build_two(struct builder *b, const char *operation, const char *left, const char *right)
{
    struct name name = build_number(b);
    GRAPH_NODE(b->graph, operation, name.text, left, right);
    return name;
}

struct name build_one(struct builder *b, const char *operation, const char *value)
{
    struct name name = build_number(b);
    GRAPH_NODE(b->graph, operation, name.text, value);
    return name;
}

struct name build_cast(struct builder *b, const char *value, enum graph_type type)
{
    struct name name = build_one(b, "Cast", value);
    graph_integer(b->graph, "to", type);
    return name;
}

struct name build_between(struct builder *b, const char *value, const char *low, const char *high)
{
    return build_two(b, "Min", build_two(b, "Max", value, low).text, high);
}

static struct name build_limited(struct builder *b, const char *value, float limit)
{
    return build_between(b, value, build_one_float(b, -limit).text, build_one_float(b, limit).text);
}

// clip((x - mean) / scale)
struct name build_normalised(struct builder *b, const char *value, const float *mean, const float *scale, float clip,
                              size_t count)
{
    struct name away = build_two(b, "Sub", value, build_floats(b, mean, count).text);
    return build_limited(b, build_two(b, "Div", away.text, build_floats(b, scale, count).text).text, clip);
}

struct name build_joined(struct builder *b, const char *const *values)
{
    struct name name = build_number(b);
    graph_node(b->graph, "Concat", name.text, values);
    graph_integer(b->graph, "axis", 1);
    return name;
}

struct name build_network(struct builder *b, const struct network *network, const char *value, const char *prefix)
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
        struct name product = build_two(b, "MatMul", name.text, text);
        snprintf(text, sizeof text, "%.24s.%zu.bias", prefix, l);
        graph_floats(b->graph, text, layer->bias, 1, layer->outputs);
        name = build_two(b, "Add", product.text, text);
        enum activation activation = l + 1 < network->layer_count ? network->hidden : network->output;
        if (activation != ACTIVATION_NONE)
            name = build_one(b, activation == ACTIVATION_RELU ? "Relu" : "Tanh", name.text);
    }
    return name;
}

// As one row of floats.
struct name build_flat(struct builder *b, const char *value)
{
    struct name shape = build_number(b);
    graph_whole(b->graph, shape.text, (const int64_t[]){1, -1}, 2);
    return build_cast(b, build_two(b, "Reshape", value, shape.text).text, GRAPH_FLOAT);
}

// To the nearest multiple of 2^-24, as the sums are kept.
struct name build_rounded(struct builder *b, const char *value)
{
    struct name unit = build_one_double(b, (double)(1 << BELIEF_FRACTION_BITS));
    return build_two(b, "Div", build_one(b, "Round", build_two(b, "Mul", value, unit.text).text).text, unit.text);
}
