#pragma once
// SAC within a training: replayed transitions with what the policy would be shown of each one's context, and the nets.
//
// An iteration collects with the served code, then makes as many updates as `update_ratio` asks for each transition
// collected. Whatever infers the task by a sum (or not at all) can be learnt with; the beliefs of replayed transitions
// are always those of the model that collects now (contexts.h).

#include "contexts.h"
#include "learner/train.h"
#include "sac.h"

// One place of the replay.
struct off_policy_place {
    uint32_t slot, step;
};

struct off_policy {
    struct sac sac;
    struct sac_settings settings;
    struct network exploring;          // the actor, for the rollout: mean and raw log sd
    // What was collected; of each slot one meta-episode.
    struct replay replay;
    float *task;                       // (slots, task_dim)
    uint32_t *failed;                  // the world ended the episode with this transition (slots, steps)
    struct contexts contexts;          // exact beliefs' (or nobody's)
    struct latents *latents;           // PEARL's (latents.h), or NULL
    uint64_t updates;                  // of the critics, ever
    // Working memory.
    size_t rows;                       // of a shard, but for the last
    size_t shard_count;
    struct sac_shard **shards;
    struct sac_batch batch;
    struct off_policy_place *places;   // of the batch (B)
    float **wide;                      // of each shard, room for a raw policy input
    int errors[SAC_CRITICS];
    size_t part_update;                // the update that shards work on, within this iteration
    double critic_loss, value, entropy, actor_loss;  // sums of this iteration
};

// The raw policy input before (after = 0) or after a replayed transition: what the rollout saw (train->input_dim).
void off_policy_input(const struct train *train, float *raw, struct off_policy_place place, int after);
// Any transition is as likely as any other.
struct off_policy_place off_policy_draw(const struct replay *replay, struct random_stream *stream);
// Row b of the batch: action, reward, and whether it goes on, of the transition at its place.
void off_policy_outcome(const struct train *train, struct off_policy *own, size_t b);
