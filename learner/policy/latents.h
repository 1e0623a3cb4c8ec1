#pragma once
// PEARL's share of SAC: a batch is of a few tasks, each with a context drawn from what was replayed of it. Actor and
// critics read a draw of the latent, the actor its log variance too; the critics' gradient goes through the draw into the
// factor network, together with the divergence from the prior. When collecting, the actor reads one draw for each episode
// (so it explores as if it believed it); when served, the mean.

#include "learner/inference/pearl_loss.h"
#include "learner/policy/off_policy.h"

enum { LATENTS_GROUP = 16 };  // rows of a batch that share a task and a context

struct latents {
    size_t context;                // most transitions of a context
    struct pearl_shard **shards;   // for each of SAC's
    float **draws;                 // noise of the latents' draws                (groups, L)
    uint32_t **order;              // of a slot's transitions, while some are drawn
    size_t shard_count;
    double divergence;             // sum over contexts of this iteration, nats
    size_t contexts;
};

// For SAC's shards of at most `rows` rows. NULL: no memory.
struct latents *latents_new(const struct train *train, size_t shard_count, size_t rows);
void latents_free(struct latents *latents);

// Rows first .. first + count - 1 of the batch, which are those of shard `part`: tasks, contexts, transitions.
void latents_gather(struct train *train, struct off_policy *own, size_t part, size_t first, size_t count,
                    struct random_stream *stream);
// After sac_critic_loss of the shard: the factor network's gradient.
void latents_backward(struct train *train, struct off_policy *own, size_t part, size_t count);
// One step downhill with the sum over shards. -EDOM: not finite.
int latents_step(struct train *train, struct off_policy *own);
