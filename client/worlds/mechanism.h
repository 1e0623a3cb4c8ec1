#pragma once
// What the worlds of MuJoCo have in common: an instance, its task, starts drawn around the model's pose, and a step
// with its controls. A world of a robot is then a table and the few functions that are its own.

#include "simulation.h"
#include "world.h"

struct mechanism {
    struct simulation_model *model;
    size_t task_dim, frame_skip;  // engine steps per step
    // A start: every position off by up to this (uniform), every velocity by this (normal, or uniform).
    double position_noise, velocity_noise;
    int velocities_uniform;
    int contact_forces;  // data->cfrc_ext is computed after a start and after each step
    // Writes the task into the instance's own model, made from the shared one; NULL: a task changes no dynamics,
    // and instances share the model.
    void (*build)(struct world_instance *instance);
    void (*observe)(const struct world_instance *instance, float *observation);
};

struct world_instance {
    const struct mechanism *mechanism;
    struct simulation simulation;
    double task[WORLD_TASK_LIMIT];
};

int mechanism_open(struct world_instance **instance, const struct mechanism *mechanism, char *why, size_t why_size);
void mechanism_close(struct world_instance *instance);

// Changes the model where the task is another than before. A start (place, reset) has to follow.
void mechanism_set_task(struct world_instance *instance, const double *task);

// Places the robot where one wants it; the task stays. observation (observation_dim).
void mechanism_place(struct world_instance *instance, const double *qpos, const double *qvel, float *observation);

// As world.h has it.
void mechanism_reset(struct world_instance *instance, const double *task, struct random_stream *stream,
                     float *observation);

// The sum of data->cfrc_ext squared, each first clipped to -limit..limit; over all bodies, the world too.
double mechanism_contact_square(const struct world_instance *instance, double limit);

// Controls are the action times scale, the engine clamps them. *square: |control|^2 before that, what actions cost.
// 0, or -EIO: the action is no number, so large that its cost is none, or the simulation diverged. Nothing is
// observed yet.
int mechanism_act(struct world_instance *instance, const float *action, double scale, double *square);

// For families in which every task wants the same, so that no transition tells one.
int mechanism_no_ideal_task(const float *observation, const float *action, const float *next_observation,
                            double *task);
