#pragma once
// The life of a step as plain functions: features, rounding, the integer sum, surprise, representation, action.
// Everything is batched where a batch is cheaper, and every answer is independent of the batch. No allocation
// after agent_scratch_new. The daemon, the learner and the benchmarks call exactly these.

#include "model.h"

enum { AGENT_BATCH_LIMIT = 64 };  // of a pass; a larger one would delay its first reply

// The belief of one session: what its model's kind needs, the rest has zero dimensions.
struct agent_belief {
    struct belief heads[HEAD_COUNT];  // glibrl: of both heads. pearl: heads[AGENT_FACTORS] is the factors' sum
    struct recurrent recurrent;       // varibad, rl2
};
enum { AGENT_FACTORS = 0 };

size_t agent_belief_size(const struct model *model);
void agent_belief_init(struct agent_belief *belief, const struct model *model, void *memory);
void agent_belief_reset(struct agent_belief *belief);
uint64_t agent_belief_count(const struct agent_belief *belief);
struct digest agent_belief_digest(const struct agent_belief *belief);  // of all of it together; O(1)

// A belief as bytes, in AGENT_PARTS encodings of which those of size 0 are not there: the heads' sums (belief.h), or as
// the first the factors' sum, or the recurrent state (recurrent.h). decode: as belief_decode, which also refuses bytes
// of a part that is not there (-EINVAL), and a count that is not the one claimed (-ERANGE).
enum { AGENT_PARTS = HEAD_COUNT };
size_t agent_belief_encoded_size(const struct model *model, int part);
void agent_belief_encode(uint8_t *out, const struct agent_belief *belief, int part);
int agent_belief_decode(struct agent_belief *belief, int part, const uint8_t *bytes, size_t size, uint64_t count);

enum observe_status {
    OBSERVE_ABSORBED,
    OBSERVE_NOT_FINITE,    // an input was NaN or infinite
    OBSERVE_OUT_OF_RANGE,  // a target beyond +-32 standard deviations, or an encoder that overflowed
    OBSERVE_OUT_OF_ORDER,  // a recurrent belief has come further than this transition
};

enum { OBSERVE_WHERE_ITEM = -1 };

// One transition on its way into a belief. Arrays are the caller's.
struct observation_item {
    struct agent_belief *belief;
    const float *observation, *action, *next_observation;  // s (obs), a (act), s' (obs)
    float reward;
    uint64_t number;             // its number in an ascending sequence, for recurrent beliefs; 0: the next one
    enum observe_status status;  // out
    int where_head;              // out, when refused: the head, and `where` is the index within its [phi; y];
    size_t where;                //   or OBSERVE_WHERE_ITEM, and the index within what came in, [s, a, s', r]
    int32_t *z[HEAD_COUNT];      // out: fixed point of what was added, valid until the scratch's next observe or
                                 //   features pass; NULL when refused, or no such head. pearl: z[AGENT_FACTORS]
    struct recurrent before;     // out: what a recurrent belief was; its state is valid as long
};

// One decision.
struct action_item {
    const struct agent_belief *belief;   // NULL: the prior
    const float *observation;            // (obs)
    const float *task;                   // (task_dim), read only by an oracle's model
    int32_t *const *z;                   // transition just absorbed, to be judged; or NULL
    float *action;                       // out (act), clipped to the model's bounds
    struct predictive surprise[HEAD_COUNT];  // out; p_value 1 and zeros for what was not judged
    float *input;                        // out, or NULL: the policy's raw input row (input_dim)
    float *output;                       // out, or NULL: the policy's output (act) as it was, before squash's scaling,
                                         //   clipping, and the choice of a discrete action: mean, or scores
    int error;                           // out: 0 or -EDOM (a damaged belief, an overflow); the action is then
                                         //   zero, or what within the bounds is nearest
};

// For one worker. The model may be refilled and finished again meanwhile.
struct agent_scratch;
struct agent_scratch *agent_scratch_new(const struct model *model);  // of a finished model. NULL: no memory
void agent_scratch_free(struct agent_scratch *scratch);

// count <= AGENT_BATCH_LIMIT. One feature pass for all, then each is rounded and added; a refused one leaves
// its belief as it was. Items may name the same belief; a recurrent one takes them in their order.
void agent_observe(const struct model *model, struct agent_scratch *scratch, struct observation_item *items,
                   size_t count);
// What the last agent_observe absorbed of this item, undone. Of items that name the same recurrent belief the last one
// first, and all after it too.
void agent_take_back(struct observation_item *item);
// Rounds but does not add: what agent_observe would have added (for removal, or for looking). Exact kinds; of a model of
// another kind it checks that the item is finite.
void agent_features(const struct model *model, struct agent_scratch *scratch, struct observation_item *items,
                    size_t count);

// 0, or -EDOM and the index of the first number that is not finite. agent_act takes finite numbers only.
int agent_check_observation(const struct model *model, const float *observation, size_t *where);

// Policy inputs (beliefs solved, surprise judged), then one policy pass. With belief NULL nothing is judged.
void agent_act(const struct model *model, struct agent_scratch *scratch, struct action_item *items, size_t count);
// What it begins with: the raw input rows alone, with the same bits; no action is chosen. item.input may not be NULL.
void agent_inputs(const struct model *model, struct agent_scratch *scratch, struct action_item *items, size_t count);

// What networks see, for those who train them: an observation, normalised and clipped; an action within its bounds as
// [-1, 1]; a policy's raw input, normalised and clipped (row may be raw). Each returns where the row goes on.
float *agent_put_observation(float *row, const struct model *model, const float *observation);
float *agent_put_action(float *row, const struct model *model, const float *action);
float *agent_put_input(float *row, const struct model *model, const float *raw);

// pearl: posterior mean and variance of the latent, varibad: what its encoder says of them. Each (L). -ENOTSUP: a model
// of another kind; -EDOM: a damaged belief.
int agent_latent(const struct model *model, struct agent_scratch *scratch, const struct agent_belief *belief,
                 double *mean, double *variance);

// Which task does the belief believe in? Draws from the posterior vote for the landmark with the highest
// predicted reward; mean (task_dim) and sd (task_dim) of the votes. 1 to 256 draws; belief NULL: the prior. The
// same belief gives the same answer. -ENOTSUP: a model without landmarks; -EDOM: a damaged belief.
int agent_estimate(const struct model *model, struct agent_scratch *scratch, const struct agent_belief *belief,
                   size_t draws, double *mean, double *sd);
