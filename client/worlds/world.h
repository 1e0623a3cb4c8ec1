#pragma once
// A world: something with hidden tasks that can be reset and stepped. Simulated ones are listed in worlds.c; a
// driver of a real robot can implement the same six functions.
//
// A world's constants are shared; an instance belongs to one thread. Instances of one world may share an
// immutable simulator model. Nothing is allocated after world_instance_new.
//
// Randomness is an argument: the same stream gives the same task and the same start.

#include <stddef.h>

struct random_stream;
struct world_instance;

enum { WORLD_TASK_LIMIT = 128 };

struct world {
    const char *name;            // "half-cheetah-vel"
    const char *summary;         // one line
    size_t observation_dim, action_dim, task_dim;
    size_t horizon;              // steps per episode
    size_t episodes;             // episodes per task in training and evaluation
    double discount;             // that the task family is usually solved with
    float action_low, action_high;
    int discrete;                // one of action_dim choices: the largest number of an action is done, the first of
                                 //   equals; policies send a 1 among zeros
    int goal_pays;               // only the goal pays more than 0, so a reward tells that it was reached
    double step_seconds;         // simulated time per step; 0 where that means nothing
    int sees_place;              // an observation begins with the robot's place, in the plane of a task of two numbers
    const char *task_names[WORLD_TASK_LIMIT];  // e.g. "target speed (m/s)"; of many like ones only the first
    double task_low[WORLD_TASK_LIMIT], task_high[WORLD_TASK_LIMIT];

    // 0 or a negative errno with a sentence.
    int (*open)(struct world_instance **instance, char *why, size_t why_size);
    void (*close)(struct world_instance *instance);

    // A task (task_dim) from the family's distribution.
    void (*sample_task)(struct random_stream *stream, double *task);

    // A family of finitely many tasks, each as likely: task i (task_dim) of task_count. 0 and NULL for others.
    size_t task_count;
    void (*task_at)(size_t i, double *task);

    // Start of an episode: sets the task and draws a start; observation (observation_dim).
    void (*reset)(struct world_instance *instance, const double *task, struct random_stream *stream,
                  float *observation);

    // One step. action (action_dim) raw, as the policy gave it (the world clamps what the engine sees; costs see
    // the raw one). Writes the reward and the next observation.
    // 0; 1: the episode ended early (this transition counts); -EIO: the simulation diverged, the step is void
    // and the instance must be reset.
    int (*step)(struct world_instance *instance, const float *action, float *reward, float *observation);

    // The task (task_dim) for which the transition would have been ideal, apart from action costs: for display and
    // for the learner's landmarks. Returns 0 when the transition tells nothing.
    int (*ideal_task)(const float *observation, const float *action, const float *next_observation, double *task);
};

const struct world *world_find(const char *name);  // NULL: unknown
const struct world *world_at(size_t i);            // NULL: past the last
