// The step of daemon/agent/agent.c, operation by operation.

#include "agent_graph.h"

#include "builder.h"
#include "daemon/agent/tensors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int has_encoder(const struct model *m)
{
    return model_is_recurrent(m) || m->kind == MODEL_PEARL;
}

// One-hot of the highest score, the first of equals.
static void choose(struct builder *b, const char *scores, size_t count)
{
    int64_t numbers[MODEL_ACTION_LIMIT];
    for (size_t i = 0; i < count; i++)
        numbers[i] = (int64_t)i;
    struct name all = build_number(b), best = build_one(b, "ArgMax", scores);
    graph_integer(b->graph, "axis", 1);
    graph_whole(b->graph, all.text, numbers, count);
    struct name same = build_two(b, "Equal", best.text, all.text);
    GRAPH_NODE(b->graph, "Cast", "action", same.text);
    graph_integer(b->graph, "to", GRAPH_FLOAT);
}

static void act(struct builder *b, const char *output)
{
    const struct model *m = b->model;
    size_t count = m->action_dim;
    graph_output(b->graph, "action", GRAPH_FLOAT, 1, count);
    if (m->discrete) {
        choose(b, output, count);
        return;
    }
    struct name low = build_floats(b, m->action_low, count), high = build_floats(b, m->action_high, count);
    struct name mean;
    snprintf(mean.text, sizeof mean.text, "%s", output);
    if (m->squash) {
        // [-1, 1] -> [low, high]
        struct name share = build_two(b, "Mul", build_two(b, "Add", output, build_one_float(b, 1).text).text,
                                      build_one_float(b, 0.5f).text);
        struct name width = build_two(b, "Sub", high.text, low.text);
        mean = build_two(b, "Add", low.text, build_two(b, "Mul", share.text, width.text).text);
    }
    GRAPH_NODE(b->graph, "Min", "action", build_two(b, "Max", mean.text, low.text).text, high.text);
}

static int build_policy(struct builder *b)
{
    const struct model *m = b->model;
    struct name parts[2 + HEAD_PARTS_LIMIT * HEAD_COUNT];
    size_t count = 1;
    int error = 0;
    graph_input(b->graph, "observation", GRAPH_FLOAT, 1, m->observation_dim);
    snprintf(parts[0].text, sizeof parts[0].text, "observation");
    if (m->reads_task) {
        graph_input(b->graph, "task", GRAPH_FLOAT, 1, m->task_dim);
        snprintf(parts[count++].text, sizeof parts[0].text, "task");
    }
    if (has_encoder(m)) {
        build_encoder_belief(b);
        parts[count++] = build_encoder_shown(b);
    }
    for (enum head_kind kind = 0; kind < HEAD_COUNT && !error; kind++)
        if (m->heads[kind].present) {
            error = build_head_belief(b, &m->heads[kind], head_name(kind));
            count += build_head_shown(b, &m->heads[kind], head_name(kind), parts + count);
        }
    const char *list[sizeof parts / sizeof *parts + 1] = {NULL};
    for (size_t i = 0; i < count; i++)
        list[i] = parts[i].text;
    struct name raw = build_joined(b, list);
    struct name input = build_normalised(b, raw.text, m->input_mean, m->input_scale, m->input_clip, m->input_dim);
    act(b, build_network(b, &m->policy, input.text, "policy").text);
    return error;
}

static int build_belief(struct builder *b)
{
    const struct model *m = b->model;
    size_t obs = m->observation_dim, act = m->action_dim;
    graph_input(b->graph, "observation", GRAPH_FLOAT, 1, obs);
    graph_input(b->graph, "action", GRAPH_FLOAT, 1, act);
    graph_input(b->graph, "next_observation", GRAPH_FLOAT, 1, obs);
    graph_input(b->graph, "reward", GRAPH_FLOAT, 1, 1);
    struct name s = build_normalised(b, "observation", m->observation_mean, m->observation_scale, m->observation_clip,
                                     obs);
    struct name after = build_normalised(b, "next_observation", m->observation_mean, m->observation_scale,
                                         m->observation_clip, obs);
    // [low, high] -> [-1, 1]
    struct name low = build_floats(b, m->action_low, act), high = build_floats(b, m->action_high, act);
    struct name within = build_two(b, "Sub", build_between(b, "action", low.text, high.text).text, low.text);
    struct name share = build_two(b, "Div", within.text, build_two(b, "Sub", high.text, low.text).text);
    struct name twice = build_two(b, "Mul", share.text, build_one_float(b, 2).text);
    struct name a = build_two(b, "Sub", twice.text, build_one_float(b, 1).text);

    int error = 0;
    if (has_encoder(m)) {
        struct name centred = build_two(b, "Sub", "reward", build_one_float(b, m->encoder.reward_mean).text);
        struct name r = build_two(b, "Div", centred.text, build_one_float(b, m->encoder.reward_scale).text);
        int pearl = m->kind == MODEL_PEARL;
        build_encoder_belief(b);
        build_encoder_update(b, build_joined(b, (const char *const[]){pearl ? s.text : after.text, a.text, r.text,
                                                                     pearl ? after.text : NULL, NULL}).text);
    }
    for (enum head_kind kind = 0; kind < HEAD_COUNT && !error; kind++) {
        const struct head *head = &m->heads[kind];
        if (!head->present)
            continue;
        error = build_head_belief(b, head, head_name(kind));
        int reward = kind == HEAD_REWARD;
        struct name input = build_joined(b, (const char *const[]){s.text, a.text, reward ? after.text : NULL, NULL});
        struct name value = build_cast(b, reward ? "reward" : "next_observation", GRAPH_DOUBLE);
        if (!reward)
            value = build_two(b, "Sub", value.text, build_cast(b, "observation", GRAPH_DOUBLE).text);
        build_head_update(b, head, head_name(kind), input.text, value.text);
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
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (model->heads[kind].present && model->heads[kind].representation.kind == REPRESENTATION_NATURAL) {
            snprintf(why, why_size, "the policy of %s reads natural statistics, which the graphs do not carry",
                     model->name);
            return -ENOTSUP;
        }
    int error = save(model, directory, "policy", build_policy, why, why_size);
    int believes = model->kind != MODEL_ORACLE && model->kind != MODEL_NONE;
    return error || !believes ? error : save(model, directory, "belief", build_belief, why, why_size);
}
