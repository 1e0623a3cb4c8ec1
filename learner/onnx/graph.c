// The graph as messages of onnx.proto, from one arena that grows in blocks.

#include "graph.h"

#include "onnx.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IR_VERSION = 7, OPERATORS = 13 };

struct block {
    struct block *next;
    max_align_t data[];
};

struct graph {
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    struct block *blocks;
    int error;
};

// Zeroes that live as long as the graph.
static void *take(struct graph *graph, size_t size)
{
    struct block *block = calloc(1, sizeof *block + size);
    if (!block) {
        graph->error = -ENOMEM;
        return NULL;
    }
    block->next = graph->blocks;
    graph->blocks = block;
    return block->data;
}

static char *keep(struct graph *graph, const char *text)
{
    char *copy = take(graph, strlen(text) + 1);
    return copy ? strcpy(copy, text) : NULL;
}

// Room for one more pointer in a repeated field, whose capacity is the next power of two.
#define APPEND(graph, list, count, item)                                                                             \
    do {                                                                                                             \
        if (((count) & ((count) - 1)) == 0) {                                                                        \
            void *wider = take(graph, ((count) ? 2 * (count) : 1) * sizeof *(list));                                 \
            if (wider && (count))                                                                                    \
                memcpy(wider, (list), (count) * sizeof *(list));                                                     \
            if (wider)                                                                                               \
                (list) = wider;                                                                                      \
        }                                                                                                            \
        if (!(graph)->error)                                                                                         \
            (list)[(count)++] = (item);                                                                              \
    } while (0)

// A message of this kind, initialised.
#define MESSAGE(graph, type, init)                                                                                   \
    ({                                                                                                               \
        type *message = take(graph, sizeof *message);                                                                \
        if (message)                                                                                                 \
            init(message);                                                                                           \
        message;                                                                                                     \
    })

struct graph *graph_new(const char *name)
{
    struct graph *graph = calloc(1, sizeof *graph);
    if (!graph)
        return NULL;
    onnx__model_proto__init(&graph->model);
    onnx__graph_proto__init(&graph->graph);
    graph->model.ir_version = IR_VERSION;
    graph->model.producer_name = keep(graph, "bel-learn");
    graph->model.graph = &graph->graph;
    graph->graph.name = keep(graph, name);
    Onnx__OperatorSetIdProto *operators = MESSAGE(graph, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);
    if (operators) {
        operators->version = OPERATORS;
        APPEND(graph, graph->model.opset_import, graph->model.n_opset_import, operators);
    }
    return graph;
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    while (graph->blocks) {
        struct block *next = graph->blocks->next;
        free(graph->blocks);
        graph->blocks = next;
    }
    free(graph);
}

static Onnx__ValueInfoProto *value_info(struct graph *graph, const char *name, enum graph_type type, size_t rows,
                                        size_t columns)
{
    Onnx__ValueInfoProto *info = MESSAGE(graph, Onnx__ValueInfoProto, onnx__value_info_proto__init);
    Onnx__TypeProto *outer = MESSAGE(graph, Onnx__TypeProto, onnx__type_proto__init);
    Onnx__TypeProto__Tensor *tensor = MESSAGE(graph, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
    Onnx__TensorShapeProto *shape = MESSAGE(graph, Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);
    if (graph->error)
        return NULL;
    const size_t sizes[] = {rows, columns};
    for (int i = 0; i < 2; i++) {
        Onnx__TensorShapeProto__Dimension *dim =
            MESSAGE(graph, Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init);
        if (!dim)
            return NULL;
        dim->dim_value = (int64_t)sizes[i];
        APPEND(graph, shape->dim, shape->n_dim, dim);
    }
    tensor->elem_type = type;
    tensor->shape = shape;
    outer->tensor_type = tensor;
    info->name = keep(graph, name);
    info->type = outer;
    return info;
}

void graph_input(struct graph *graph, const char *name, enum graph_type type, size_t rows, size_t columns)
{
    Onnx__ValueInfoProto *info = value_info(graph, name, type, rows, columns);
    APPEND(graph, graph->graph.input, graph->graph.n_input, info);
}

void graph_output(struct graph *graph, const char *name, enum graph_type type, size_t rows, size_t columns)
{
    Onnx__ValueInfoProto *info = value_info(graph, name, type, rows, columns);
    APPEND(graph, graph->graph.output, graph->graph.n_output, info);
}

static void constant(struct graph *graph, const char *name, enum graph_type type, const void *values, size_t item,
                     const size_t *dims, size_t dim_count)
{
    Onnx__TensorProto *tensor = MESSAGE(graph, Onnx__TensorProto, onnx__tensor_proto__init);
    int64_t *sizes = take(graph, dim_count * sizeof *sizes);
    size_t bytes = item;
    for (size_t i = 0; i < dim_count; i++) {
        bytes *= dims[i];
        if (sizes)
            sizes[i] = (int64_t)dims[i];
    }
    void *data = take(graph, bytes);
    if (graph->error)
        return;
    memcpy(data, values, bytes);
    tensor->name = keep(graph, name);
    tensor->data_type = type;
    tensor->dims = sizes;
    tensor->n_dims = dim_count;
    tensor->raw_data = (ProtobufCBinaryData){.data = data, .len = bytes};
    APPEND(graph, graph->graph.initializer, graph->graph.n_initializer, tensor);
}

void graph_floats(struct graph *graph, const char *name, const float *values, size_t rows, size_t columns)
{
    constant(graph, name, GRAPH_FLOAT, values, sizeof *values, (const size_t[]){rows, columns}, 2);
}

void graph_doubles(struct graph *graph, const char *name, const double *values, size_t rows, size_t columns)
{
    constant(graph, name, GRAPH_DOUBLE, values, sizeof *values, (const size_t[]){rows, columns}, 2);
}

void graph_whole(struct graph *graph, const char *name, const int64_t *values, size_t count)
{
    constant(graph, name, GRAPH_INT64, values, sizeof *values, &count, 1);
}

void graph_node(struct graph *graph, const char *operation, const char *output, const char *const *inputs)
{
    Onnx__NodeProto *node = MESSAGE(graph, Onnx__NodeProto, onnx__node_proto__init);
    if (!node)
        return;
    node->op_type = keep(graph, operation);
    node->name = keep(graph, output);
    for (; *inputs; inputs++)
        APPEND(graph, node->input, node->n_input, keep(graph, *inputs));
    APPEND(graph, node->output, node->n_output, keep(graph, output));
    APPEND(graph, graph->graph.node, graph->graph.n_node, node);
}

void graph_integer(struct graph *graph, const char *attribute, int64_t value)
{
    Onnx__AttributeProto *one = MESSAGE(graph, Onnx__AttributeProto, onnx__attribute_proto__init);
    if (!one)
        return;
    one->name = keep(graph, attribute);
    one->type = ONNX__ATTRIBUTE_PROTO__TYPE__INT;
    one->i = value;
    Onnx__NodeProto *node = graph->graph.node[graph->graph.n_node - 1];
    APPEND(graph, node->attribute, node->n_attribute, one);
}

void graph_describe(struct graph *graph, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *entry =
        MESSAGE(graph, Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init);
    if (!entry)
        return;
    entry->key = keep(graph, key);
    entry->value = keep(graph, value);
    APPEND(graph, graph->model.metadata_props, graph->model.n_metadata_props, entry);
}

// Beside the path first, on disk, then renamed.
static int write_file(const char *path, const uint8_t *bytes, size_t size)
{
    char beside[4096];
    if (snprintf(beside, sizeof beside, "%s.part", path) >= (int)sizeof beside)
        return -ENAMETOOLONG;
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), error = fd < 0 ? -errno : 0;
    for (size_t done = 0; !error && done < size;) {
        ssize_t wrote = write(fd, bytes + done, size - done);
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            error = -errno;
    }
    if (!error && fsync(fd))
        error = -errno;
    if (fd >= 0 && close(fd) && !error)
        error = -errno;
    if (!error && rename(beside, path))
        error = -errno;
    if (error && fd >= 0)
        unlink(beside);
    return error;
}

int graph_save(const struct graph *graph, const char *path)
{
    if (graph->error)
        return graph->error;
    size_t size = onnx__model_proto__get_packed_size(&graph->model);
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes)
        return -ENOMEM;
    onnx__model_proto__pack(&graph->model, bytes);
    int error = write_file(path, bytes, size);
    free(bytes);
    return error;
}
