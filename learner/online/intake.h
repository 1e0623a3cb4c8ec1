#pragma once
// Sessions that explored, as they come from a daemon page by page, put together to rounds: for each robot as many steps
// as one environment makes in an iteration. What fits the model being trained is for the policy, what was made with an
// older one only for the basis.

#include "client/bel.h"
#include "client/worlds/explore.h"
#include "learner/replay.h"

// One session.
struct told {
    struct told *next;           // of its round, in the order of its robot's meta-episodes; or of the free ones
    uint64_t number;
    char session[EXPLORE_NAME_SIZE], model_digest[65];
    struct explore_name name;
    int named;                   // its name tells what chance was used
    double hidden[WORLD_TASK_LIMIT];  // the task, from intake_task
    uint64_t count;              // of its belief at the end
    uint8_t digest[16];
    int broken;                  // steps are missing, or are no numbers, or of several tasks
    uint32_t task;
    uint64_t last_seq;
    size_t rows, episodes;       // episodes that ended
    float *observation, *next_observation, *action, *reward;  // (steps, ...)
    uint8_t *last;               // (steps)
    void *memory;                // behind the arrays
};

// What a robot made in one go.
struct round {
    struct round *next;          // of the batch, or of the free ones
    uint32_t robot;
    size_t rows;
    struct told *first, *final;
};

struct intake_counts {
    uint64_t sessions;           // taken
    uint64_t stale;              // made with another model than the one being trained
    uint64_t unnamed;            // whose chance nobody knows, so neither their tasks
    uint64_t broken, duplicates, foreign;  // foreign: of other dimensions
};

struct intake {
    const struct world *world;
    size_t robots, obs, act, steps;  // steps: of a round
    int tasks_matter;            // a session of which the task is not known is no use for the policy
    struct replay *replay;       // for what does not serve the policy; without slots: nowhere
    uint64_t *used;              // of each robot, what the policy has had: intake_key of its newest session, or 0 (robots)
    float action_low, action_high;
    char model_digest[65];       // of the model being trained
    struct told *taking;         // pages of it are still to come
    struct round *rounds, *last_round;  // of the batch
    size_t complete;             // of them
    struct intake_counts counts;
    struct told *free_told;
    struct round *free_rounds;
};

// robots: of all workers together, as names of sessions tell.
void intake_init(struct intake *intake, const struct world *world, size_t robots, int tasks_matter,
                 struct replay *replay, uint64_t *used);
void intake_release(struct intake *intake);
// A new batch, of this model. What is left of the one before goes to the basis.
void intake_begin(struct intake *intake, const char *model_digest);
// For bel_experience. -ENOMEM.
int intake_take(struct intake *intake, const struct bel_page *page);

// The batch's complete rounds, by robot, at most `limit`; returns how many. They count as used.
size_t intake_rounds(struct intake *intake, struct round **rounds, size_t limit);
// Finds a session's task, as its name tells; zeros if it does not. tasks: scratch for all robots.
void intake_task(const struct intake *intake, struct told *told, struct explore_tasks *tasks);
