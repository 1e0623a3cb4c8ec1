#pragma once
// A training: rollouts with the served code, PPO on what the policy was shown, the basis on exact evidence.
//
// All state that one iteration leaves for the next is a list of named arrays (train_state), so a checkpoint is that
// list, and a resumed training goes on with the same bits.

#include "basis.h"
#include "normalise.h"
#include "options.h"
#include "rollout.h"

struct train_report {
    double returns[8];           // mean of the meta-episodes that ended, for each episode
    size_t metas;
    struct ppo_report ppo;
    double sd;                   // mean exploration
    double evidence[HEAD_COUNT]; // per transition and target, nats
    double rate, basis_rate;
    uint64_t refused, diverged;
};

enum { PROBE_INPUTS_LIMIT = MODEL_PROBES_LIMIT };

// Counters, as doubles so that they are an array like all others (exact below 2^53).
enum train_counter {
    COUNT_ITERATION, COUNT_FRAMES, COUNT_ACTOR_STEPS, COUNT_CRITIC_STEPS, COUNT_BASIS_STEPS,  // + head
    COUNT_REPLAY = COUNT_BASIS_STEPS + HEAD_COUNT, COUNT_INPUTS, COUNT_OBSERVATIONS, COUNT_TARGETS,
    COUNT_RETURN = COUNT_TARGETS + HEAD_COUNT, COUNT_RETURN_MEAN, COUNT_RETURN_SQUARE, COUNT_CPU_SECONDS,
    COUNT_SECONDS, COUNT_STEERING, COUNTERS
};

struct train {
    struct options options;
    const struct world *world;
    size_t rows, iterations;           // of one iteration; in all
    size_t input_dim, critic_dim;      // critic_dim = input_dim, and the task if the critic is told
    double counters[COUNTERS];
    struct actor actor;
    struct critic critic;
    struct basis basis[HEAD_COUNT];    // features 0: no such head
    struct moments inputs;             // of the policy's raw inputs
    struct moments observations;       // as the basis sees them; constant after the freeze
    struct moments targets[HEAD_COUNT];
    double *discounted;                // of each environment, for the reward's scale (envs)
    float *probes[HEAD_COUNT];         // transitions [s, a, s'] (probes, 2 obs + act)
    size_t probe_count;
    struct replay replay;
    struct model *model;               // filled from the above before each rollout
    struct rollout rollout;
    struct pool *pool;
    // Working memory.
    float *input;                      // normalised (rows, critic_dim)
    float *reward, *advantage, *target, *value, *value_after;  // (rows)
    float *final_input;                // normalised (finals, critic_dim)
    float *final_value;
    struct ppo_scratch *actor_scratch, *critic_scratch;
    struct basis_work *work;           // of the basis' updates
    struct train_report report;
};

// 0, or a negative errno with a sentence.
int train_new(struct train **train, const struct options *options, char *why, size_t why_size);
void train_free(struct train *train);

// One iteration: roll, learn. -EIO, -EDOM with a sentence that names iteration and seed.
int train_iterate(struct train *train, char *why, size_t why_size);
int train_done(const struct train *train);

static inline uint64_t train_frames(const struct train *train) { return (uint64_t)train->counters[COUNT_FRAMES]; }

// The named arrays. Returns 0 past the last.
struct train_array {
    char name[32];
    char dtype[4];
    void *data;
    size_t count;
};
int train_state(struct train *train, size_t i, struct train_array *array);

// export.c: fills train->model from the parameters.
int train_model_new(struct train *train, char *why, size_t why_size);
int train_export(struct train *train, char *why, size_t why_size);
// A model of its own, with landmarks, for saving. provenance (malloc'ed) becomes the model's.
int train_final_model(struct train *train, struct model **model, char *provenance, char *why, size_t why_size);

// learn_basis.c: updates of all heads from replay; probes.
struct basis_work *basis_work_new(struct train *train);  // NULL: no memory
void basis_work_free(struct train *train);
// For the caller's thread outside pool_run: room for the inputs of a replay slot or the pool of probes, and a scratch.
float *basis_work_input(struct train *train);
struct basis_scratch *basis_work_scratch(struct train *train, enum head_kind kind);
int learn_basis(struct train *train, size_t updates, double rate, char *why, size_t why_size);
int choose_probes(struct train *train, char *why, size_t why_size);
// Basis input rows of a head for transitions first, first + stride, ... of one replay slot; returns how many, at most
// limit.
size_t basis_rows(const struct train *train, enum head_kind kind, float *in, double *y, size_t slot, size_t first,
                  size_t stride, size_t limit);
void basis_row(const struct train *train, enum head_kind kind, float *in, const float *observation,
               const float *action, const float *next_observation);
size_t basis_inputs(const struct train *train, enum head_kind kind);

// checkpoint.c. 0 or a negative errno with a sentence.
int checkpoint_save(struct train *train, const char *path, char *why, size_t why_size);
int checkpoint_load(struct train *train, const char *path, char *why, size_t why_size);
