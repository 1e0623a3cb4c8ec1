// See mechanism.h.

#include "mechanism.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COORDINATES_LIMIT = 32 };

int mechanism_open(struct world_instance **instance, const struct mechanism *mechanism, char *why, size_t why_size)
{
    struct world_instance *made = calloc(1, sizeof *made);
    if (!made) {
        snprintf(why, why_size, "no memory for %s", mechanism->model->name);
        return -ENOMEM;
    }
    made->mechanism = mechanism;
    int error = simulation_open(&made->simulation, mechanism->model, why, why_size);
    if (!error && mechanism->build)
        error = simulation_own(&made->simulation, why, why_size);
    if (error) {
        mechanism_close(made);
        return error;
    }
    for (size_t i = 0; i < mechanism->task_dim; i++)
        made->task[i] = NAN;  // none yet
    *instance = made;
    return 0;
}

void mechanism_close(struct world_instance *instance)
{
    if (!instance)
        return;
    if (instance->simulation.source)
        simulation_close(&instance->simulation);
    free(instance);
}

void mechanism_set_task(struct world_instance *instance, const double *task)
{
    size_t size = instance->mechanism->task_dim * sizeof *task;
    if (size == 0 || memcmp(instance->task, task, size) == 0)
        return;
    memcpy(instance->task, task, size);
    if (instance->mechanism->build)
        instance->mechanism->build(instance);
}

static void compute_contact_forces(struct world_instance *instance)
{
    if (instance->mechanism->contact_forces)
        mj_rnePostConstraint(instance->simulation.model, instance->simulation.data);
}

void mechanism_place(struct world_instance *instance, const double *qpos, const double *qvel, float *observation)
{
    simulation_place(&instance->simulation, qpos, qvel);
    compute_contact_forces(instance);
    instance->mechanism->observe(instance, observation);
}

void mechanism_reset(struct world_instance *instance, const double *task, struct random_stream *stream,
                     float *observation)
{
    const struct mechanism *m = instance->mechanism;
    const mjModel *model = instance->simulation.model;
    double qpos[COORDINATES_LIMIT], qvel[COORDINATES_LIMIT];
    for (int i = 0; i < (int)model->nq; i++)
        qpos[i] = model->qpos0[i] + random_between(stream, -m->position_noise, m->position_noise);
    for (int i = 0; i < (int)model->nv; i++)
        qvel[i] = m->velocities_uniform ? random_between(stream, -m->velocity_noise, m->velocity_noise)
                                        : m->velocity_noise * random_normal(stream);
    mechanism_set_task(instance, task);
    mechanism_place(instance, qpos, qvel, observation);
}

double mechanism_contact_square(const struct world_instance *instance, double limit)
{
    const struct simulation *simulation = &instance->simulation;
    double sum = 0;
    for (int i = 0; i < 6 * (int)simulation->model->nbody; i++) {
        double force = fmax(-limit, fmin(limit, simulation->data->cfrc_ext[i]));
        sum += force * force;
    }
    return sum;
}

int mechanism_act(struct world_instance *instance, const float *action, double scale, double *square)
{
    struct simulation *simulation = &instance->simulation;
    *square = 0;
    for (int i = 0; i < (int)simulation->model->nu; i++) {
        double control = scale * action[i];
        simulation->data->ctrl[i] = control;
        *square += control * control;
    }
    if (!isfinite((float)*square))  // nor would the reward be
        return -EIO;
    int error = simulation_step(simulation, (int)instance->mechanism->frame_skip);
    if (error)
        return error;
    compute_contact_forces(instance);
    return 0;
}

int mechanism_no_ideal_task(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)observation, (void)action, (void)next_observation, (void)task;
    return 0;
}
