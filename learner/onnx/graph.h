#pragma once
// A computation as an ONNX graph, built node by node and written once. Values are named; all have two dimensions.
//
// Errors (no memory) are remembered, so that building needs no checks: graph_save tells.

#include <stddef.h>
#include <stdint.h>

enum graph_type { GRAPH_FLOAT = 1, GRAPH_INT64 = 7, GRAPH_DOUBLE = 11 };

struct graph;

struct graph *graph_new(const char *name);  // NULL: no memory
void graph_free(struct graph *graph);

void graph_input(struct graph *graph, const char *name, enum graph_type type, size_t rows, size_t columns);
void graph_output(struct graph *graph, const char *name, enum graph_type type, size_t rows, size_t columns);

// A constant (rows, columns); of an input's name: what the input is when nobody feeds it.
void graph_floats(struct graph *graph, const char *name, const float *values, size_t rows, size_t columns);
void graph_doubles(struct graph *graph, const char *name, const double *values, size_t rows, size_t columns);
void graph_whole(struct graph *graph, const char *name, const int64_t *values, size_t count);  // one dimension

// output = operation(inputs...); inputs is a list that NULL ends.
void graph_node(struct graph *graph, const char *operation, const char *output, const char *const *inputs);
void graph_integer(struct graph *graph, const char *attribute, int64_t value);  // of the last node

#define GRAPH_NODE(graph, operation, output, ...) \
    graph_node(graph, operation, output, (const char *const[]){__VA_ARGS__, NULL})

// key and value for the file's metadata.
void graph_describe(struct graph *graph, const char *key, const char *value);

// Replaces the file at once or not at all. A negative errno.
int graph_save(const struct graph *graph, const char *path);
