// The encoders of daemon/agent/encode.c: gated recurrent units, and PEARL's factors.

#include "builder.h"

#include <stdlib.h>

static void zeroes(struct builder *b, const char *name, enum graph_type type, size_t count)
{
    graph_input(b->graph, name, type, 1, count);
    double *zero = calloc(count, sizeof *zero);
    if (zero && type == GRAPH_DOUBLE)
        graph_doubles(b->graph, name, zero, 1, count);
    else if (zero)
        graph_floats(b->graph, name, (const float *)zero, 1, count);
    free(zero);
}

void build_encoder_belief(struct builder *b)
{
    const struct encoder *encoder = &b->model->encoder;
    if (model_is_recurrent(b->model)) {
        zeroes(b, "state", GRAPH_FLOAT, encoder->width);
        return;
    }
    zeroes(b, "factors.precision", GRAPH_DOUBLE, encoder->latent);
    zeroes(b, "factors.information", GRAPH_DOUBLE, encoder->latent);
}

struct name build_encoder_shown(struct builder *b)
{
    const struct model *m = b->model;
    if (m->kind == MODEL_VARIBAD)
        return build_network(b, &m->encoder.head, "state", "encoder.head");
    if (m->kind == MODEL_RL2)
        return build_one(b, "Identity", "state");
    // 1/v = 1 + sum w, mean = v sum w m
    struct name precision = build_two(b, "Add", "factors.precision", build_one_double(b, 1).text);
    struct name mean = build_two(b, "Div", "factors.information", precision.text);
    struct name log_variance = build_one(b, "Neg", build_one(b, "Log", precision.text).text);
    struct name both = build_joined(b, (const char *const[]){mean.text, log_variance.text, NULL});
    return build_cast(b, both.text, GRAPH_FLOAT);
}

// Columns first to last of a row.
static struct name columns(struct builder *b, const char *value, size_t first, size_t last)
{
    struct name from = build_number(b), to = build_number(b), axis = build_number(b), name = build_number(b);
    graph_whole(b->graph, from.text, (const int64_t[]){(int64_t)first}, 1);
    graph_whole(b->graph, to.text, (const int64_t[]){(int64_t)last}, 1);
    graph_whole(b->graph, axis.text, (const int64_t[]){1}, 1);
    GRAPH_NODE(b->graph, "Slice", name.text, value, from.text, to.text, axis.text);
    return name;
}

static void advance(struct builder *b, const char *input)
{
    const struct encoder *encoder = &b->model->encoder;
    size_t H = encoder->width;
    struct name embedded = build_network(b, &encoder->embedding, input, "encoder.embedding");
    struct name x = build_network(b, &encoder->gru.input, embedded.text, "encoder.gru.input");
    struct name u = build_network(b, &encoder->gru.state, "state", "encoder.gru.state");
    struct name gates[2];
    for (size_t g = 0; g < 2; g++) {
        struct name sum = build_two(b, "Add", columns(b, x.text, g * H, (g + 1) * H).text,
                                    columns(b, u.text, g * H, (g + 1) * H).text);
        gates[g] = build_one(b, "Sigmoid", sum.text);
    }
    struct name kept = build_two(b, "Mul", gates[0].text, columns(b, u.text, 2 * H, 3 * H).text);
    struct name n = build_one(b, "Tanh", build_two(b, "Add", columns(b, x.text, 2 * H, 3 * H).text, kept.text).text);
    struct name away = build_two(b, "Sub", "state", n.text);
    GRAPH_NODE(b->graph, "Add", "state.next", n.text, build_two(b, "Mul", gates[1].text, away.text).text);
    graph_output(b->graph, "state.next", GRAPH_FLOAT, 1, H);
}

static void multiply(struct builder *b, const char *input)
{
    size_t L = b->model->encoder.latent;
    struct name outputs = build_network(b, &b->model->encoder.factor, input, "encoder.factor");
    // m = 4 tanh(u / 4), w = 16 sigmoid(p), as the sums keep them: w, and w m / 2
    struct name limit = build_one_float(b, FACTORS_MEAN_LIMIT), precision_limit = build_one_double(b, FACTORS_PRECISION_LIMIT);
    struct name u = build_one(b, "Tanh", build_two(b, "Div", columns(b, outputs.text, 0, L).text, limit.text).text);
    struct name m = build_cast(b, build_two(b, "Mul", u.text, limit.text).text, GRAPH_DOUBLE);
    struct name p = build_cast(b, build_one(b, "Sigmoid", columns(b, outputs.text, L, 2 * L).text).text, GRAPH_DOUBLE);
    struct name w = build_two(b, "Mul", p.text, precision_limit.text), two = build_one_double(b, 2);
    struct name half = build_two(b, "Div", build_two(b, "Mul", w.text, m.text).text, two.text);
    struct name twice = build_two(b, "Mul", build_rounded(b, half.text).text, two.text);
    GRAPH_NODE(b->graph, "Add", "factors.precision.next", "factors.precision", build_rounded(b, w.text).text);
    GRAPH_NODE(b->graph, "Add", "factors.information.next", "factors.information", twice.text);
    graph_output(b->graph, "factors.precision.next", GRAPH_DOUBLE, 1, L);
    graph_output(b->graph, "factors.information.next", GRAPH_DOUBLE, 1, L);
}

void build_encoder_update(struct builder *b, const char *input)
{
    if (model_is_recurrent(b->model))
        advance(b, input);
    else
        multiply(b, input);
}
