#pragma once
// The seam between a training and how a model kind infers its task: parameters of its own, learnt from what was
// collected, and what they become in the served model.

#include "learner/policy/ppo.h"
#include "learner/train.h"

struct inference {
    size_t (*replay_slots)(const struct options *options);  // meta-episodes that train->replay keeps; NULL: none
    // Parameters, before there is a model: train->inferring. 0 or a negative errno (a sentence is optional).
    int (*start)(struct train *train, char *why, size_t why_size);
    // Working memory, once rollout, replay and pool stand.
    int (*ready)(struct train *train, char *why, size_t why_size);
    void (*stop)(struct train *train);          // inferring may be incomplete, or NULL
    // What the served model has of it; `last` is set for the model that is saved.
    void (*shape)(struct train *train, struct model_shape *shape, int last);
    void (*fill)(struct train *train, struct model *model, int last);
    // PPO's update of the actor, where its loss reaches the inference too; in place of actor_update, as one part of a
    // fork-join.
    int (*update_actor)(struct train *train, struct actor *actor, const struct experience *experience,
                        const struct ppo_settings *settings, double rate, struct random_stream *stream,
                        struct ppo_report *report);
    // Adds to gain (T) what each step of environment e in the rollout taught, in nats (gain.h), as one part of a
    // fork-join. NULL: nothing is known of that.
    void (*gain)(struct train *train, float *gain, size_t e, unsigned thread);
    // After each rollout, the first one included; the policy has learnt from it already.
    int (*learn)(struct train *train, char *why, size_t why_size);
    int (*finish)(struct train *train, char *why, size_t why_size);  // before the last shape and fill
    void (*state)(struct train *train, struct train_list *list);
};

// Members that are NULL do nothing. Of no inference at all (oracle, none), all are.
const struct inference *inference_of(enum learn_kind kind);

extern const struct inference inference_glibrl, inference_pearl, inference_rl2, inference_varibad;
