#pragma once
// The seam between a training and how its policy learns.

#include "learner/train.h"

struct algorithm {
    // Parameters, once train->input_dim is known: train->acting. 0 or a negative errno (a sentence is optional).
    int (*start)(struct train *train, char *why, size_t why_size);
    void (*stop)(struct train *train);          // acting may be incomplete, or NULL
    void (*shape)(const struct train *train, struct model_shape *shape);
    void (*fill)(struct train *train, struct model *model);  // acting may be NULL: before start
    // From the rollout just made; not called after the first one, which only gives normalisers and inference data.
    int (*learn)(struct train *train, char *why, size_t why_size);
    void (*state)(struct train *train, struct train_list *list);
};

const struct algorithm *algorithm_of(enum learn_algorithm algorithm);

extern const struct algorithm algorithm_ppo;
extern const struct algorithm algorithm_sac;
