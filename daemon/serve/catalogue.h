#pragma once
// Which models are served: an immutable, counted list with aliases. A change makes a copy, changes that, and posts it
// to every server; who holds an older list is not disturbed.

#include "limits.h"

#include "daemon/agent/model.h"
#include "proto/wire.h"

#include <stdatomic.h>

enum { ALIASES_LIMIT = 64 };

// One model, shared by all lists, servers and sessions that have it.
struct shared_model {
    atomic_size_t references;
    atomic_size_t sessions;        // in memory that have it, on all servers
    struct model *model;
    struct wire_model info;        // what clients are told
    size_t action_bound;           // bytes of the largest answer to a Step
    size_t belief_bound;           // of the largest Belief frame
    size_t state_bound;            // of the largest SessionState but for its sets of numbers seen
};

// Owns the model from now on. NULL: no memory; then the model is still the caller's.
struct shared_model *shared_model_new(struct model *model);
struct shared_model *shared_model_ref(struct shared_model *shared);
void shared_model_unref(struct shared_model *shared);  // NULL is fine. Any thread
// The same file, or the same model in memory?
int shared_model_equal(const struct shared_model *a, const struct shared_model *b);

struct alias {
    char alias[MODEL_NAME_LIMIT], model[MODEL_NAME_LIMIT];
};

struct catalogue {
    atomic_size_t references;
    size_t count;
    struct shared_model *models[MODELS_LIMIT];  // the first is the default
    struct wire_model infos[MODELS_LIMIT];      // their info, for Welcome
    size_t alias_count;
    struct alias aliases[ALIASES_LIMIT];
};

struct catalogue *catalogue_new(void);                                // empty. NULL: no memory
struct catalogue *catalogue_copy(const struct catalogue *catalogue);  // with one reference
struct catalogue *catalogue_ref(struct catalogue *catalogue);
void catalogue_unref(struct catalogue *catalogue);                    // NULL is fine. Any thread

// By name or alias; "" is the first. NULL: none.
struct shared_model *catalogue_find(const struct catalogue *catalogue, const char *name);

// Changes, to a copy that nobody else has yet. Each refuses with a sentence: -EINVAL, -ENOENT, -ENOSPC.
// In place of the one of the same name, or at the end; takes a reference of its own.
int catalogue_put(struct catalogue *catalogue, struct shared_model *shared, char *why, size_t why_size);
// Aliases of it go as well.
int catalogue_remove(struct catalogue *catalogue, const char *name, char *why, size_t why_size);
// An alias stands for the name, so it follows when the model is replaced. model "": the alias goes.
int catalogue_alias(struct catalogue *catalogue, const char *alias, const char *model, char *why, size_t why_size);
