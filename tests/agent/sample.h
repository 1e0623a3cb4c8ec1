#pragma once
// Models with random weights, for tests and benchmarks: every array filled, features spread over (-1, 1).

#include "daemon/agent/agent.h"
#include "daemon/base/random.h"

// Small in all dimensions, none a multiple of the lanes; both heads, one in weight space, one in function space.
extern const struct model_shape sample_small;
struct model_shape sample_oracle(void);  // the same, told the task: no heads
struct model_shape sample_principal(void);  // the same, with nine principal components of the transition head's weights
// The same of another kind; varibad has both decoders, pearl's policy squashes what relus gave it.
struct model_shape sample_kind(enum model_kind kind);
// Shapes S, M, L (0, 1, 2) of docs/performance.md. Both heads show their weights' sd, the reward its mean too.
struct model_shape sample_bench(int which);

struct model *sample_model(const struct model_shape *shape, uint64_t seed);  // finished; aborts the test otherwise

// A transition that such a model absorbs. Arrays: (obs), (act), (obs).
void sample_transition(const struct model *model, struct random_stream *stream, float *observation, float *action,
                       float *next_observation, float *reward);

// count transitions in one block, as items that name no belief yet. Freed by freeing *block.
struct observation_item *sample_items(const struct model *model, size_t count, uint64_t seed, float **block);

// A belief on the heap; free(*memory).
struct agent_belief sample_belief(const struct model *model, void **memory);
