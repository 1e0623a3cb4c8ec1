#pragma once
// Experience: N environments, each for T steps, which are whole meta-episodes (unless one ends early; then the next
// begins at once, on another task). Beliefs, representations and mean actions come from the very functions that
// serve. At the end nothing of an environment or a belief has to be kept.
//
// Random numbers are keyed by (seed, iteration, environment, purpose), so what is collected does not depend on
// which thread collects it.

#include "client/worlds/explore.h"
#include "daemon/agent/agent.h"
#include "parallel.h"
#include "policy/ppo.h"
#include "replay.h"

// What numbers are drawn for; the first word after the seed. What exploring needs is in explore.h.
enum random_purpose {
    RANDOM_PARAMETERS = 0x4c450001, RANDOM_ACTOR = EXPLORE_END, RANDOM_CRITIC,
    RANDOM_BASIS, RANDOM_PROBES, RANDOM_BARE, RANDOM_ENCODER, RANDOM_LATENT, RANDOM_SAC,
};

// Steps that were not made here but told. Functions for different environments may run at the same time.
struct rollout_told {
    void *context;
    void (*begin)(void *context, size_t e, double *task);          // a meta-episode: its task
    void (*reset)(void *context, size_t e, float *observation);    // an episode: what it begins with
    // A step: action as drawn, and what came of it. 0; 1: the episode ended early.
    int (*step)(void *context, size_t e, float *action, float *reward, float *observation);
    // After the last step of a meta-episode: is the belief what it was? 0, or a negative errno, which ends the rollout.
    int (*end)(void *context, size_t e, const struct agent_belief *belief);
    void (*explain)(void *context, char *why, size_t why_size);    // why it ended
};

struct rollout_returns {
    size_t metas;            // meta-episodes that ended
    double sum[8];           // of their returns, for each of the first episodes
    uint64_t refused;        // transitions that the belief did not absorb
    uint64_t diverged;       // steps that the simulation could not do
};

enum { CLOCK = 2 };

struct rollout {
    const struct world *world;
    size_t N, T, episodes, input_dim;
    int clamp_actions;
    int across;              // an episode's end is no end, but the last one's
    double memory;           // of the exploring noise
    // Where actions are not drawn from a Gaussian around the served mean: a network of the policy's inputs and hidden
    // widths whose outputs are mean and raw log sd (2 act) of what sac_draw draws; or simply anywhere.
    const struct network *exploring;
    int uniform;
    size_t latents;          // of pearl: what explores reads a draw from the posterior, one for each episode, as the mean
    size_t finals;           // most rows of an environment that end by time
    // Of every step; rows are (environment, step).
    float *observation, *next_observation;  // (N, T, obs)
    float *action;                          // as drawn (N, T, act)
    float *met;                             // as the world met it (N, T, act)
    float *reward;                          // (N, T)
    float *input;                           // the policy's, raw (N, T, input_dim)
    float *task;                            // (N, T, task_dim)
    float *log_density;                     // (N, T)
    float *clock;                           // how far in the episode, and in the episodes: [-1, 1] (N, T, CLOCK)
    uint8_t *end;                           // enum row_end (N, T)
    uint8_t *begins;                        // a meta-episode begins with this row (N, T)
    // Of steps that end by time: what the policy would have seen next.
    float *final_input;                     // (N, finals, input_dim)
    int32_t *final_of;                      // index of it, or -1 (N, T)
    struct rollout_returns *returns;        // (N)
    struct rollout_env *envs;
    struct rollout_worker *workers;
    struct explore_tasks tasks;
    const struct rollout_told *told;        // NULL: steps are simulated
    unsigned threads;
};

// Most steps of one environment that end by time.
static inline size_t rollout_finals(const struct world *world) { return world->episodes + 1; }

// model: finished, of the shape that will be used. 0 or a negative errno with a sentence.
int rollout_init(struct rollout *rollout, const struct world *world, const struct model *model, size_t N,
                 int clamp_actions, double memory, unsigned threads, char *why, size_t why_size);
void rollout_release(struct rollout *rollout);

// Collects. 0, or -EIO with a sentence: a world cannot be stepped at all, or a belief is damaged. What told->end returned
// has its own.
int rollout_run(struct rollout *rollout, const struct model *model, uint64_t seed, uint64_t iteration,
                struct pool *pool, char *why, size_t why_size);

struct rollout_returns rollout_sum(const struct rollout *rollout);
// All meta-episodes, environment after environment.
void rollout_store(const struct rollout *rollout, struct replay *replay);

// Bare steps of the world for about `seconds` on this thread, random actions; steps per CPU second, 0 on failure.
double rollout_bare_rate(const struct world *world, double seconds);
