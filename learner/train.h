#pragma once
// A training: rollouts with the served code, an algorithm for the policy, and a way of inferring the task.
//
// What varies stands behind two seams: struct algorithm (policy/algorithm.h: PPO, SAC) learns the policy from what
// it was shown, struct inference (inference/inference.h: one for each model kind) learns what it is shown.
//
// All state that one iteration leaves for the next is a list of named arrays (train_state), so a checkpoint is that
// list, and a resumed training goes on with the same bits.

#include "events.h"
#include "nets/sequence.h"
#include "normalise.h"
#include "options.h"
#include "rollout.h"

struct algorithm;
struct inference;

enum { TRAIN_VALUES_LIMIT = 24 };

struct train_report {
    double returns[8];           // mean of the meta-episodes that ended, for each episode
    size_t metas;
    uint64_t refused, diverged;
    // What algorithm and inference tell besides, for the log (train_tell).
    struct events_value values[TRAIN_VALUES_LIMIT];
    size_t value_count;
    char text[120];              // and for the progress line (train_say)
};

// Counters, as doubles so that they are an array like all others (exact below 2^53).
enum train_counter { COUNT_ITERATION, COUNT_FRAMES, COUNT_CPU_SECONDS, COUNT_SECONDS,
    COUNT_EXPERIENCE,            // number of the last session that was taken from a daemon
    COUNTERS
};

struct train {
    struct options options;
    const struct world *world;
    size_t rows, iterations;           // of one iteration; in all
    size_t input_dim, critic_dim;      // critic_dim = input_dim, and the task if the critic is told
    double counters[COUNTERS];
    const struct inference *inference;
    void *inferring;                   // its own
    const struct algorithm *algorithm;
    void *acting;                      // its own
    struct moments inputs;             // of the policy's raw inputs
    struct moments observations;       // as the inference sees them: it adds to them
    struct replay replay;              // meta-episodes that the inference stored; no slots if it keeps none
    struct model *model;               // filled from all parameters before each rollout
    struct rollout rollout;
    // Before each rollout, unless NULL: what fills it in place of simulations (learner/online). May lessen rows and
    // rollout.N, each time anew. -EINTR: stopped, and nothing was done.
    int (*gather)(struct train *train, char *why, size_t why_size);
    void *gathering;                   // its own
    uint64_t *experienced;             // of each environment, what was taken from a daemon last (intake.h)  (envs)
    struct pool *pool;
    struct train_report report;
};

// 0, or a negative errno with a sentence.
int train_new(struct train **train, const struct options *options, char *why, size_t why_size);
void train_free(struct train *train);

// One iteration: roll, learn. -EIO, -EDOM with a sentence that names iteration and seed.
int train_iterate(struct train *train, char *why, size_t why_size);
int train_done(const struct train *train);

static inline uint64_t train_frames(const struct train *train) { return (uint64_t)train->counters[COUNT_FRAMES]; }
static inline size_t train_iteration(const struct train *train) { return (size_t)train->counters[COUNT_ITERATION]; }
// Share of the training that lies behind.
double train_progress(const struct train *train);

// For the report of this iteration. name: a constant; format: begins with ", ".
void train_tell(struct train *train, const char *name, double value);
__attribute__((format(printf, 2, 3)))
void train_say(struct train *train, const char *format, ...);

// -EDOM with the sentence that the gradient of `what` is not finite, at which iteration, world and seed.
int train_not_finite(const struct train *train, const char *what, char *why, size_t why_size);

// The rollout's observations into train's moments, and its rewards and changes of observations into these; NULL: not
// wanted.
void train_add_moments(struct train *train, struct moments *reward, struct moments *change);

// One row of critic input (critic_dim), of which the actor reads the first input_dim: the policy's raw input (raw),
// normalised, and the task within its bounds as [-1, 1] times --task-scale.
void train_policy_row(const struct train *train, float *out, const float *raw, const float *task);

// The named arrays. Returns 0 past the last.
struct train_array {
    char name[32];
    char dtype[4];               // F32, F64, U32 or U64
    void *data;
    size_t count;
    uint32_t most;               // that a number of U32 may be; others: 0
};
int train_state(struct train *train, size_t i, struct train_array *array);

// What a state function fills: always the same arrays in the same order.
struct train_list {
    struct train_array arrays[64];
    size_t count;
};
void list_array(struct train_list *list, const char *name, const char *dtype, void *data, size_t count);
void list_counts(struct train_list *list, const char *name, uint32_t *data, size_t count, size_t most);
void list_trainee(struct train_list *list, const char *owner, struct trainee *trainee);
void list_moments(struct train_list *list, const char *name, struct moments *moments);

// export.c: fills train->model from the parameters.
int train_model_new(struct train *train, char *why, size_t why_size);
int train_export(struct train *train, char *why, size_t why_size);
// A model of its own, with all that only the last one needs (landmarks), for saving. provenance (malloc'ed) becomes
// the model's.
int train_final_model(struct train *train, struct model **model, char *provenance, char *why, size_t why_size);
void fill_normaliser(struct model *model, const struct train *train);  // of observations
// Rows padded to whole vectors.
void fill_network(struct network *network, const struct net *net, const real *parameters);
void fill_sequence(struct encoder *encoder, const struct sequence *sequence, const real *parameters);

// checkpoint.c. 0 or a negative errno with a sentence.
int checkpoint_save(struct train *train, const char *path, char *why, size_t why_size);
int checkpoint_load(struct train *train, const char *path, char *why, size_t why_size);
