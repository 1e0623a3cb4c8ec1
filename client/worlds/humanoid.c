// `humanoid-dir`: a human figure walks in a hidden direction, as in VariBAD.
//
// Observation (376): positions without the torso's x and y (22), velocities (23), inertia (10 each) and velocity (6
// each) of every body about the centre of mass, forces of the motors (23), forces of contact on every body (84).

#include "mechanism.h"
#include "worlds.h"

#include "daemon/base/random.h"

#include <math.h>

enum { COORDINATES = 24, SPEEDS = 23, BODIES = 14, MOTORS = 17, FRAME_SKIP = 5 };
enum { OBSERVATION = COORDINATES - 2 + SPEEDS + 10 * BODIES + 6 * BODIES + SPEEDS + 6 * BODIES };
enum { VELOCITY = COORDINATES - 2 };  // of the torso, in an observation

static const double engine_seconds = 0.003;
static const double control_scale = 0.4;
static const double speed_price = 0.25;  // for the way of a step in units of an engine step: 1.25 for a speed
static const double alive_reward = 5, control_cost = 0.1;
static const double contact_price = 5e-7, contact_cost_limit = 10;
static const double lowest = 1, highest = 2;  // place of the torso (m)
static const double unclear = 0.25;           // a speed (m/s) that shows no direction

extern const char humanoid_xml[];
extern const size_t humanoid_xml_size;

static struct simulation_model model = {
    .name = "humanoid.xml", .xml = humanoid_xml, .xml_size = &humanoid_xml_size,
};

static float *append(float *observation, const double *values, int count)
{
    for (int i = 0; i < count; i++)
        *observation++ = (float)values[i];
    return observation;
}

static void observe(const struct world_instance *instance, float *observation)
{
    const mjData *data = instance->simulation.data;
    observation = append(observation, data->qpos + 2, COORDINATES - 2);
    observation = append(observation, data->qvel, SPEEDS);
    observation = append(observation, data->cinert, 10 * BODIES);
    observation = append(observation, data->cvel, 6 * BODIES);
    observation = append(observation, data->qfrc_actuator, SPEEDS);
    append(observation, data->cfrc_ext, 6 * BODIES);
}

static const struct mechanism mechanism = {
    .model = &model, .task_dim = 2, .frame_skip = FRAME_SKIP, .position_noise = 0.01, .velocity_noise = 0.01,
    .velocities_uniform = 1, .contact_forces = 1, .observe = observe,
};

static int open_instance(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &mechanism, why, why_size);
}

static void centre_of_mass(const struct simulation *simulation, double *centre)
{
    double mass = 0;
    centre[0] = centre[1] = 0;
    for (int i = 0; i < BODIES; i++) {
        mass += simulation->model->body_mass[i];
        for (int k = 0; k < 2; k++)
            centre[k] += simulation->model->body_mass[i] * simulation->data->xipos[3 * i + k];
    }
    centre[0] /= mass;
    centre[1] /= mass;
}

static int step(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    const struct simulation *simulation = &instance->simulation;
    const double *direction = instance->task;
    double before[2], after[2], square;
    centre_of_mass(simulation, before);
    int error = mechanism_act(instance, action, control_scale, &square);
    if (error)
        return error;
    centre_of_mass(simulation, after);
    double way = (after[0] - before[0]) * direction[0] + (after[1] - before[1]) * direction[1];
    double contact_cost = fmin(contact_price * mechanism_contact_square(instance, INFINITY), contact_cost_limit);
    *reward = (float)(speed_price * way / engine_seconds + alive_reward - control_cost * square - contact_cost);
    observe(instance, observation);
    double height = simulation->data->qpos[2];
    return !(height >= lowest && height <= highest);
}

static void sample_task(struct random_stream *stream, double *task)
{
    double angle = random_between(stream, 0, 2 * M_PI);
    task[0] = cos(angle);
    task[1] = sin(angle);
}

// The mean of the torso's velocities at both ends of the step, where it shows a direction.
static int ideal_task(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)action;
    double x = (observation[VELOCITY] + next_observation[VELOCITY]) / 2.0;
    double y = (observation[VELOCITY + 1] + next_observation[VELOCITY + 1]) / 2.0, speed = hypot(x, y);
    if (!(speed > unclear))
        return 0;
    task[0] = x / speed;
    task[1] = y / speed;
    return 1;
}

const struct world humanoid_dir = {
    .name = "humanoid-dir",
    .summary = "walk on two legs in a hidden direction",
    .observation_dim = OBSERVATION, .action_dim = MOTORS, .task_dim = 2,
    .horizon = 200, .episodes = 2, .discount = 0.99,
    .action_low = -1, .action_high = 1, .step_seconds = FRAME_SKIP * 0.003,
    .task_names = {"direction x", "direction y"}, .task_low = {-1, -1}, .task_high = {1, 1},
    .open = open_instance, .close = mechanism_close, .sample_task = sample_task,
    .reset = mechanism_reset, .step = step, .ideal_task = ideal_task,
};
