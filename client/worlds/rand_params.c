// `hopper-params` and `walker-params`: a hopper and a walker that run forward, whose masses, inertias, joint dampings
// and frictions are all other ones with each task, as rand_param_envs drew them for PEARL and VariBAD.
//
// A task is an exponent u for each number of the model: body_mass x 1.5^u, body_inertia x 1.5^u, dof_damping x 1.3^u,
// geom_friction x 1.5^u, in this order. As published, derived constants stay those of the mean robot.
//
// Observation: positions without root x, velocities clipped to -10..10.

#include "mechanism.h"
#include "worlds.h"

#include "daemon/base/random.h"

#include <math.h>

enum { FRAME_SKIP = 4 };
enum { HOPPER_TASK = 41, WALKER_TASK = 65 };

static const double step_seconds = FRAME_SKIP * 0.004;
static const double action_cost = 1e-3;
static const double alive_reward = 1;
static const double velocity_limit = 10;  // of what is observed
static const double exponent_limit = 3;

extern const char hopper_xml[], walker2d_xml[];
extern const size_t hopper_xml_size, walker2d_xml_size;

static struct simulation_model hopper_model = {.name = "hopper.xml", .xml = hopper_xml, .xml_size = &hopper_xml_size};
static struct simulation_model walker_model = {
    .name = "walker2d.xml", .xml = walker2d_xml, .xml_size = &walker2d_xml_size,
};

// values = published x base^u; the next exponents.
static const double *scale(double *values, const double *published, int count, double base, const double *exponents)
{
    for (int i = 0; i < count; i++)
        values[i] = published[i] * pow(base, exponents[i]);
    return exponents + count;
}

static void build(struct world_instance *instance)
{
    const mjModel *mean = instance->simulation.source->shared;
    mjModel *model = instance->simulation.own;
    const double *u = instance->task;
    u = scale(model->body_mass, mean->body_mass, (int)mean->nbody, 1.5, u);
    u = scale(model->body_inertia, mean->body_inertia, 3 * (int)mean->nbody, 1.5, u);
    u = scale(model->dof_damping, mean->dof_damping, (int)mean->nv, 1.3, u);
    scale(model->geom_friction, mean->geom_friction, 3 * (int)mean->ngeom, 1.5, u);
}

static void observe(const struct world_instance *instance, float *observation)
{
    const struct simulation *simulation = &instance->simulation;
    for (int i = 1; i < (int)simulation->model->nq; i++)
        *observation++ = (float)simulation->data->qpos[i];
    for (int i = 0; i < (int)simulation->model->nv; i++)
        *observation++ = (float)fmax(-velocity_limit, fmin(velocity_limit, simulation->data->qvel[i]));
}

static const struct mechanism hopper = {
    .model = &hopper_model, .task_dim = HOPPER_TASK, .frame_skip = FRAME_SKIP,
    .position_noise = 0.005, .velocity_noise = 0.005, .velocities_uniform = 1, .build = build, .observe = observe,
};

static const struct mechanism walker = {
    .model = &walker_model, .task_dim = WALKER_TASK, .frame_skip = FRAME_SKIP,
    .position_noise = 0.005, .velocity_noise = 0.005, .velocities_uniform = 1, .build = build, .observe = observe,
};

static int open_hopper(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &hopper, why, why_size);
}

static int open_walker(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &walker, why, why_size);
}

static int run(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    const mjData *data = instance->simulation.data;
    double before = data->qpos[0], square;
    int error = mechanism_act(instance, action, 1, &square);
    if (error)
        return error;
    *reward = (float)((data->qpos[0] - before) / step_seconds + alive_reward - action_cost * square);
    observe(instance, observation);
    return 0;
}

// The published robot falls over at 0.2 rad; and nothing of it, but its place, is ever beyond 100.
static int hopper_stands(const struct simulation *simulation)
{
    const double *qpos = simulation->data->qpos, *qvel = simulation->data->qvel;
    int stands = qpos[1] > 0.7 && fabs(qpos[2]) < 0.2;
    for (int i = 2; i < (int)simulation->model->nq; i++)
        stands = stands && fabs(qpos[i]) < 100;
    for (int i = 0; i < (int)simulation->model->nv; i++)
        stands = stands && fabs(qvel[i]) < 100;
    return stands;
}

static int step_hopper(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    int error = run(instance, action, reward, observation);
    return error ? error : !hopper_stands(&instance->simulation);
}

static int step_walker(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    int error = run(instance, action, reward, observation);
    const double *qpos = instance->simulation.data->qpos;
    return error ? error : !(qpos[1] > 0.8 && qpos[1] < 2 && fabs(qpos[2]) < 1);
}

static void sample(struct random_stream *stream, double *task, size_t count)
{
    for (size_t i = 0; i < count; i++)
        task[i] = random_between(stream, -exponent_limit, exponent_limit);
}

static void sample_hopper(struct random_stream *stream, double *task)
{
    sample(stream, task, HOPPER_TASK);
}

static void sample_walker(struct random_stream *stream, double *task)
{
    sample(stream, task, WALKER_TASK);
}

// What both worlds have in common.
#define RAND_PARAMS \
    .horizon = 200, .episodes = 2, .discount = 0.97, .action_low = -1, .action_high = 1, \
    .step_seconds = FRAME_SKIP * 0.004, \
    .task_names = {"exponent of each mass, inertia, damping and friction"}, \
    .close = mechanism_close, .reset = mechanism_reset, .ideal_task = mechanism_no_ideal_task

const struct world hopper_params = {
    RAND_PARAMS,
    .name = "hopper-params",
    .summary = "hop forward with unknown masses, inertias, dampings and frictions",
    .observation_dim = 11, .action_dim = 3, .task_dim = HOPPER_TASK,
    .task_low = {[0 ... HOPPER_TASK - 1] = -3}, .task_high = {[0 ... HOPPER_TASK - 1] = 3},
    .open = open_hopper, .sample_task = sample_hopper, .step = step_hopper,
};

const struct world walker_params = {
    RAND_PARAMS,
    .name = "walker-params",
    .summary = "walk forward with unknown masses, inertias, dampings and frictions",
    .observation_dim = 17, .action_dim = 6, .task_dim = WALKER_TASK,
    .task_low = {[0 ... WALKER_TASK - 1] = -3}, .task_high = {[0 ... WALKER_TASK - 1] = 3},
    .open = open_walker, .sample_task = sample_walker, .step = step_walker,
};
