#pragma once
// What the policy would be shown of the belief before each replayed transition, and after the last: a belief is a sum,
// so it can be built again from what was replayed, with the served functions and so with the served bits.
//
// Rows are kept until the model that made them changes its mind about any of them; while a basis learns, that is in
// each iteration, and after its freeze never.

#include "daemon/agent/agent.h"
#include "learner/parallel.h"
#include "learner/replay.h"

struct contexts {
    size_t width;             // numbers of a representation; 0: there is none, and nothing to do
    size_t steps;             // transitions of a slot
    float *rows;              // (slots, steps + 1, width)
    uint8_t *fresh;           // the slot's rows are those of the model (slots)
    uint64_t digest;          // of what the model makes rows with
    uint32_t *stale;          // slots to be done in this refresh (slots)
    struct contexts_worker *workers;
    unsigned threads;
};

// replay: as many slots. model: finished, of the shape that will be used. -ENOMEM.
int contexts_init(struct contexts *contexts, const struct replay *replay, const struct model *model, unsigned threads);
void contexts_release(struct contexts *contexts);

// A slot's transitions have changed.
void contexts_touch(struct contexts *contexts, size_t slot);
// Makes all rows those of this model. Returns how many slots had to be done; or -EDOM: a belief is damaged.
long contexts_refresh(struct contexts *contexts, const struct model *model, const struct replay *replay,
                      struct pool *pool);

// The representation before transition t of a slot (t = its count: after all).
static inline const float *contexts_row(const struct contexts *contexts, size_t slot, size_t t)
{
    return contexts->rows + (slot * (contexts->steps + 1) + t) * contexts->width;
}
