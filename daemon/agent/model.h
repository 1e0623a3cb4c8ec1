#pragma once
// A served model: everything that turns experience into a belief and a belief into an action. Immutable once
// loaded, shared by all sessions. One safetensors file holds all of it (docs/model.md lists the tensors).
//
// The learner builds the same struct in memory from its parameters, so that what trains is what serves.

#include "daemon/belief/factors.h"
#include "daemon/belief/recurrent.h"
#include "daemon/belief/representation.h"
#include "daemon/policy/gru.h"

// How a model infers the task, and so what its belief is.
enum model_kind {
    MODEL_GLIBRL,   // Bayesian linear heads: exact sums (belief.h). Alone in answering what only a posterior can
    MODEL_VARIBAD,  // a recurrent state (recurrent.h), shown as mean and log variance of a latent
    MODEL_RL2,      // a recurrent state, shown as it is
    MODEL_PEARL,    // a product of Gaussian factors: exact sums (factors.h)
    MODEL_ORACLE,   // is told the task: no belief
    MODEL_NONE,     // the observation only: no belief
    MODEL_KIND_COUNT
};
const char *model_kind_name(enum model_kind kind);  // "glibrl", "varibad", "rl2", "pearl", "oracle", "none"
int model_kind_find(const char *name);              // or -EINVAL

enum head_kind { HEAD_TRANSITION, HEAD_REWARD, HEAD_COUNT };

enum {
    MODEL_OBSERVATION_LIMIT = 1024, MODEL_ACTION_LIMIT = 256, MODEL_NAME_LIMIT = 64, MODEL_TASK_LIMIT = 128,
    MODEL_LANDMARKS_LIMIT = 1024, MODEL_PROBES_LIMIT = 64,
    MODEL_PROVENANCE_LIMIT = 1 << 16  // bytes; it travels in replies
};

// One Bayesian linear head on learnt features.
//   transition  y = (s' - s - target_mean) / target_scale        phi(s, a)
//   reward      y = (r - target_mean) / target_scale             phi(s, a, s')
// The basis network sees (s - observation_mean) / observation_scale clipped to +-observation_clip, the action
// clipped to [low, high] and mapped to [-1, 1], s' like s; its tanh outputs are followed by the constant 1.
struct head {
    int present;
    size_t features;              // D, the constant included
    size_t targets;               // d: obs_dim or 1
    struct network basis;         // outputs D - 1, tanh
    double *target_mean;          // (d)
    double *target_scale;         // (d)  > 0
    double *precision, *mean, *scale;  // prior: Xi0 (D, D), M0 (D, d), Omega0 (d, d)
    double degrees;               // prior: nu0
    struct representation representation;
    int judged;                   // surprise is computed; dear for many targets. model_new: the reward head's only
    double *probes;               // (K, D), behind representation.probes
    double *components;           // (D d, padded K), behind representation.components
    struct prior *prior;          // made by model_finish
};

// What infers in place of heads. s, s' and a as the basis networks see them, r as (r - reward_mean) / reward_scale.
//   varibad, rl2   x = relu(E [s', a, r]),  h' = GRU(h, x);  varibad: (mu, log variance) = head h, each (L)
//   pearl          (u, p) = factor [s, a, r, s'], hidden layers relu; factors.h tells what becomes of them
struct encoder {
    size_t latent;                // L; rl2: 0
    size_t width;                 // H; pearl: 0
    struct network embedding;     // one layer, relu
    struct gru gru;
    struct network head;          // varibad: one layer, 2 L
    struct network factor;        // pearl: three layers, 2 L
    float reward_mean, reward_scale;
};

// What a model can say of the future besides acting, with the latent mean: varibad's decoders. Not served; kept so that
// its predictions can be judged. Hidden layers relu, outputs means of targets as a head's are:
//   transition  y = (s' - s - target_mean) / target_scale   from [latent, s, a]
//   reward      y = (r - target_mean) / target_scale         from [latent, s, a, s']
struct decoder {
    int present;
    size_t targets;               // d
    struct network network;
    double *target_mean, *target_scale, *log_sd;  // (d); log_sd of the noise, in units of y
};

struct model {
    char name[MODEL_NAME_LIMIT];
    char world[MODEL_NAME_LIMIT];     // the task family, e.g. "half-cheetah-vel"
    enum model_kind kind;
    size_t observation_dim, action_dim, task_dim;
    float *observation_mean, *observation_scale;   // (observation_dim)  scale > 0, divides
    float observation_clip;
    float *action_low, *action_high;  // (action_dim)
    struct head heads[HEAD_COUNT];    // glibrl's
    struct encoder encoder;           // varibad's, rl2's, pearl's
    struct decoder decoders[HEAD_COUNT];

    // Policy: input = [observation, representation], normalised by input_mean and input_scale (divides), clipped to
    // +-input_clip. The representation is that of each present head; varibad: mean, log variance; rl2: h; pearl:
    // posterior mean, log variance; oracle: the task; none: nothing. Output: the mean action, clipped to [low, high]
    // when served; with squash, tanh of it, [-1, 1] mapped to [low, high]; with discrete, a score for each action,
    // served one-hot (0 and 1 are the bounds): the highest, the first of equals.
    int reads_task;                   // kind == MODEL_ORACLE
    int discrete, squash;
    size_t input_dim;
    float *input_mean, *input_scale;  // (input_dim)
    float input_clip;
    struct network policy;
    float *action_log_sd;             // exploration noise of training, reported to clients; discrete: 0   (action_dim)

    // Landmarks: mean features of transitions that would be ideal in a known task, so that the reward head
    // can be asked which task it believes in. Optional (count 0).
    size_t landmark_count;
    double *landmark_features;        // (L, D_R)
    double *landmark_tasks;           // (L, task_dim)

    uint64_t revision;                // raised by its learner with each that it publishes; 0: none
    char *provenance;                 // a JSON object: command, seed, frames, evaluation; or NULL. The model's
    char digest[65];                  // SHA-256 of the file in hexadecimal; empty if not from a file
    void *memory;                     // behind all arrays but the networks'
};

struct model_shape {
    const char *name, *world;
    enum model_kind kind;             // 0 without heads: oracle if reads_task, else none
    size_t observation_dim, action_dim, task_dim;
    struct {
        size_t features;              // 0: no such head
        size_t hidden[2];             // basis
        enum representation_kind kind;
        unsigned parts;
        size_t probe_count;           // function
        size_t component_count;       // principal
    } heads[HEAD_COUNT];
    struct {
        size_t embedding, width;      // varibad, rl2
        size_t latent;                // varibad, pearl
        size_t hidden[2];             // pearl: the factor network
    } encoder;
    struct {
        size_t hidden[2];             // 0: no such decoder. varibad only
    } decoders[HEAD_COUNT];
    int reads_task;                   // oracle: no heads
    int discrete, squash;             // not both
    size_t hidden[2];                 // policy
    enum activation activation;       // of its hidden layers; ACTIVATION_NONE: tanh
    size_t landmark_count;
};

// All arrays allocated, zero (scales and clips one). name: 1 to 63 of [A-Za-z0-9._-], world: the same or empty.
// -EINVAL with a sentence: a dimension beyond its limit.
int model_new(struct model **model, const struct model_shape *shape, char *why, size_t why_size);
// After the arrays were filled or changed: checks every number, makes the priors. Cheap; may be called again.
// -EINVAL with a sentence that names the array and the index; then the model keeps the priors it had.
int model_finish(struct model *model, char *why, size_t why_size);
void model_free(struct model *model);

// A negative errno with a sentence.
int model_load(struct model **model, const char *path, char *why, size_t why_size);
int model_parse(struct model **model, const uint8_t *bytes, size_t size, char *why, size_t why_size);
// Same model, same bytes. Replaces the file at once or not at all, and is on disk when it returns.
int model_save(const struct model *model, const char *path);
// What the file would hold; the caller's to free.
int model_bytes(const struct model *model, uint8_t **bytes, size_t *size);

static inline int model_is_recurrent(const struct model *m)
{
    return m->kind == MODEL_VARIBAD || m->kind == MODEL_RL2;
}

// Has it a belief at all?
static inline int model_believes(const struct model *m) { return m->kind != MODEL_ORACLE && m->kind != MODEL_NONE; }

// Numbers that tell an oracle its task; 0: the model is told nothing.
static inline size_t model_told_dim(const struct model *m) { return m->reads_task ? m->task_dim : 0; }

// Its belief is a sum: order-free, and what was added can be taken away.
static inline int model_is_exact(const struct model *m) { return m->kind == MODEL_GLIBRL || m->kind == MODEL_PEARL; }

// Numbers of an encoder's input: [s', a, r], or [s, a, r, s'] for pearl.
static inline size_t encoder_inputs(const struct model *m)
{
    return m->observation_dim * (m->kind == MODEL_PEARL ? 2 : 1) + m->action_dim + 1;
}

static inline size_t decoder_inputs(const struct model *m, enum head_kind kind)
{
    return m->encoder.latent + m->observation_dim + m->action_dim + (kind == HEAD_REWARD ? m->observation_dim : 0);
}

static inline size_t head_inputs(const struct model *m, enum head_kind kind)
{
    return m->observation_dim + m->action_dim + (kind == HEAD_REWARD ? m->observation_dim : 0);
}
