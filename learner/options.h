#pragma once
// Everything that a training can be told, with the default of each world (docs/training.md tells why).

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct world;

enum learn_kind {
    LEARN_GLIBRL,   // the method: an exact belief
    LEARN_VARIBAD,  // a recurrent encoder, trained on a variational bound
    LEARN_RL2,      // a recurrent encoder, trained by the policy's loss
    LEARN_PEARL,    // a product of Gaussian factors, trained by the critic's loss
    LEARN_ORACLE,   // is told the task: what could be had
    LEARN_NONE,     // is told nothing and infers nothing: what must be beaten
    LEARN_KINDS
};

enum learn_algorithm { LEARN_PPO, LEARN_SAC, LEARN_ALGORITHMS };

enum learn_noise {
    NOISE_INFERRED,  // a posterior of its own
    NOISE_KNOWN,     // one for all tasks, learnt with the basis: the belief of ALPaCA
    NOISE_FIXED,     // one for all tasks, as it was given
};

enum learn_loss {
    LOSS_EVIDENCE,   // of whole meta-episodes
    LOSS_ALPACA,     // predictive density of what follows a context of random length
};

enum learn_space {
    SPACE_FUNCTION,  // predictions at probes; without probes: the weights
    SPACE_WEIGHT,
    SPACE_NATURAL,   // the sufficient statistics, as averages
    SPACE_PRINCIPAL, // the weights along components in which tasks differ
};

struct options {
    const struct world *world;
    enum learn_kind kind;
    enum learn_algorithm algorithm;
    uint64_t frames;             // environment steps
    uint64_t seed;
    unsigned threads;            // 0: one per processor
    const char *out;             // model file, or NULL
    const char *log;             // directory, or NULL
    const char *checkpoint;      // file, or NULL
    double checkpoint_seconds;
    int resume, json, quiet;
    uint64_t stop_after;         // frames; ends early as if interrupted; 0: never
    uint64_t evaluation_tasks, evaluation_seed;
    const char *oracle;          // model file to evaluate beside, or NULL

    // Learning through a daemon.
    const char *from;            // its address, or NULL: worlds are simulated here
    const char *alias, *learner, *token_file;  // each may be NULL
    double patience;             // seconds without experience, then an iteration goes on with what it has; 0: waits
    int forget;                  // experience that is in the checkpoint is deleted at the daemon

    // Rollouts and PPO.
    uint64_t envs;
    uint64_t epochs, minibatch, hidden;
    double rate, rate_hold, rate_end;  // Adam's: constant until rate_hold of the frames, then linear to rate_end times
    double clip, value_clip, entropy, entropy_end, norm_limit, epsilon;
    double discount, trace;      // of returns; of the advantages' tail
    double sd, sd_low;           // exploration: first, and never below
    double memory;               // of exploration: correlation of one step's noise with the next's
    double divergence_limit;
    double divergence_target;    // nats of one iteration that the step size is steered to; 0: not steered
    double rate_high;            // and never above
    double input_clip;           // of normalised inputs, standard deviations
    double task_scale;           // of what is shown of the task, relative to observations
    double window;               // of the input normaliser, iterations; 0: all
    double gain, gain_until;     // paid for a nat that the belief learns, at first; share of the frames until it is 0
    uint64_t soft;               // the entropy bonus is part of the rewards, not of the loss
    uint64_t across;             // returns run on through the episodes of a task
    uint64_t critic_sees_task, critic_sees_time;
    uint64_t clamp_actions;      // the world meets actions clipped to its bounds

    // SAC.
    uint64_t experience;         // transitions that are kept
    uint64_t random_start;       // frames of uniform actions, before any update
    double update_ratio;         // updates for each frame
    uint64_t policy_delay;       // updates of the critics before as many of the actor
    double critic_rate;          // Adam's, of critics and temperature
    double follow;               // share of a critic that its target takes over
    double reward_scale;
    uint64_t context;            // most transitions of a replayed context of PEARL

    // Basis and belief.
    uint64_t features;           // of the reward head, the constant included; 0: no such head
    uint64_t transition;         // of the transition head
    uint64_t probes;             // inputs at which the policy is shown predictions; 0: weight space
    uint64_t probe_last;         // iteration after which they stay
    uint64_t components;         // of principal space
    uint64_t reward_reads_next;  // the reward's basis reads s' only
    uint64_t probe_pool;         // replayed transitions they are chosen from
    uint64_t basis_hidden;
    double basis_rate;
    uint64_t basis_updates, basis_tasks, basis_stride, warmup;
    double basis_early;          // share of them of which the first transitions are used, and not every stride-th
    double basis_norm_limit;
    double freeze;               // share of the frames after which basis or encoder is constant
    uint64_t noise;              // enum learn_noise
    uint64_t loss;               // enum learn_loss
    double prior_noise;          // variance that the prior expects, of unit target variance
    double prior_noise_low;      // and a learnt one's floor
    double prior_freedom;        // degrees of freedom of a target's own marginal, nu0 - d + 1
    double prior_precision;      // Xi0's diagonal, at first
    uint64_t learn_mean, learn_precision, learn_noise, learn_freedom;  // which of the prior is learnt
    uint64_t space;              // enum learn_space
    uint64_t show_mean, show_sd, show_noise, show_count;  // what the policy is shown of it
    uint64_t replay;             // meta-episodes

    // Recurrent encoders: VariBAD's and RL2's.
    uint64_t embedding, gru, latent;            // widths
    uint64_t decode_reward, decode_transition;  // which decoders there are
    uint64_t decoder_hidden;
    double kl_weight;
    uint64_t elbo_terms, decodes;               // of a meta-episode; 0: all
    double encoder_rate, encoder_norm_limit;
    uint64_t encoder_updates, encoder_warmup, encoder_trajectories;
    uint64_t chunk, chunks;                     // RL2: rows of back-propagation through time, chunks of a minibatch
};

// One option of the table that parsing, --help and the checkpoint's configuration share.
struct option_row {
    const char *name;            // without the dashes
    char type;                   // 'u' a whole number, 'f' a number, 'c' the place of one of some words
    size_t offset;               // in struct options
    double low, high;            // bounds
    unsigned readers;            // which pairs of model kind and algorithm read it
    const char *help;
};
const struct option_row *options_row(size_t i);               // NULL past the last
const struct option_row *options_find_row(const char *name);  // NULL: there is none

int options_read(const struct option_row *row, enum learn_kind kind, enum learn_algorithm algorithm);  // 0 or 1
// " of ppo", " of varibad and rl2", " of glibrl with ppo"; nothing if all do.
void options_tell_readers(FILE *out, const struct option_row *row);
// 0; or, of an option that is not read, -EINVAL with a sentence.
int options_refuse_unread(const struct option_row *row, enum learn_kind kind, enum learn_algorithm algorithm, char *why,
                          size_t why_size);

void options_defaults(struct options *options, const struct world *world, enum learn_kind kind,
                      enum learn_algorithm algorithm);
// The arguments after `train`. 0; or -EINVAL with a sentence: also for an option that would do nothing, as the model kind
// or the algorithm does not read it.
int options_parse(struct options *options, int argc, char **argv, char *why, size_t why_size);

int options_number(double *value, const char *text);    // finite. 0 or -EINVAL
int options_whole(uint64_t *value, const char *text);   // up to 2^53; 1e7 is one. 0 or -EINVAL
int options_set(struct options *options, const struct option_row *row, const char *text, char *why, size_t why_size);
// A choice by its word. Width 0: all digits.
void options_print(FILE *out, const struct options *options, const struct option_row *row, int width);

// What must be the same for a resumed run to go on with the same bits, as lines of name=value (malloc'ed).
char *options_describe(const struct options *options);
// Whether two lines of descriptions, without their ends, say the same of a training with these options: also when they
// differ in what it never reads, or by a number that was allowed above today's limit, which was the limit.
int options_agree(const struct options *options, const char *ours, const char *theirs);
const char *learn_kind_name(enum learn_kind kind);
const char *learn_algorithm_name(enum learn_algorithm algorithm);
