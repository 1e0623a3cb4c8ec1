#pragma once
// A MuJoCo simulation of a built-in model, and all that there is to know about engine versions (2.2.2 and later).
//
// The compiled model is immutable and shared by all simulations of it, but those that take a copy to change it; it is
// loaded when the first one opens and released when the last one closes. Opening and closing may happen in any thread;
// a simulation belongs to one.
//
// An engine error (out of memory, a broken model) cannot be answered by a return value: it ends the program with
// a sentence. A simulation that diverges is no such error; simulation_step reports it.

#include <mujoco/mujoco.h>

struct simulation_model {
    const char *name;           // for messages
    const char *xml;            // MJCF text, not terminated
    const size_t *xml_size;     // bytes
    mjModel *shared;            // NULL while nobody uses it
    unsigned users;
};

struct simulation {
    const mjModel *model;         // the shared one, or own
    mjModel *own;                 // NULL, unless simulation_own was asked
    mjData *data;
    struct simulation_model *source;
};

// 0, or a negative errno with a sentence.
int simulation_open(struct simulation *simulation, struct simulation_model *source, char *why, size_t why_size);
void simulation_close(struct simulation *simulation);

// Gives the simulation a model of its own, at first a copy, which its owner may change between simulation_step and
// simulation_place; sizes stay. source->shared remains what the text says. 0, or -ENOMEM with a sentence.
int simulation_own(struct simulation *simulation, char *why, size_t why_size);

// A state to start from: positions (nq) and velocities (nv), everything else as new, all derived quantities
// computed.
void simulation_place(struct simulation *simulation, const double *qpos, const double *qvel);

// count engine steps with the controls in data->ctrl. 0, or -EIO: the state went bad or the engine dropped
// something (it counts warnings, and silently starts over from the default state); valid again after
// simulation_place. Derived quantities are left as the last step computed them, that is, for the state before it.
int simulation_step(struct simulation *simulation, int count);
