// Half cheetah: a planar robot of a trunk and two legs (Wawrzynski 2009; the model of OpenAI Gym and Gymnasium).
// `half-cheetah-dir` wants it to run forward or backward, `half-cheetah-vel` at a hidden speed, both as set up for
// VariBAD (Zintgraf et al. 2020). They differ in nothing but task and reward. `half-cheetah` is the plain robot of
// Gymnasium (HalfCheetah-v4): run forward, nothing is hidden.
//
// Observation (20): positions without root x (8), velocities (9), place of the trunk (3). The engine computes the
// last one for the state before its last step, and so it is reported, as the published worlds do. The plain robot
// is not told it (17).

#include "half_cheetah.h"

#include "daemon/base/random.h"

#include <math.h>

enum { JOINTS = HALF_CHEETAH_JOINTS, MOTORS = HALF_CHEETAH_MOTORS, TRUNK = 1, OBSERVATION = 2 * JOINTS - 1 + 3 };

static const double engine_seconds = 0.01;
static const double step_seconds = HALF_CHEETAH_FRAME_SKIP * 0.01;
static const double action_cost = 0.05;
static const double plain_action_cost = 0.1;
static const double speed_limit = 3;  // of half-cheetah-vel, m/s
static const double unclear = 0.25;   // a speed (m/s) that shows no direction, or is this far outside the family

extern const char half_cheetah_xml[];
extern const size_t half_cheetah_xml_size;

struct simulation_model half_cheetah_model = {
    .name = "half_cheetah.xml", .xml = half_cheetah_xml, .xml_size = &half_cheetah_xml_size,
};

void half_cheetah_observe(const struct world_instance *instance, float *observation)
{
    const mjData *data = instance->simulation.data;
    for (int i = 1; i < JOINTS; i++)
        *observation++ = (float)data->qpos[i];
    for (int i = 0; i < JOINTS; i++)
        *observation++ = (float)data->qvel[i];
}

static void observe(const struct world_instance *instance, float *observation)
{
    half_cheetah_observe(instance, observation);
    for (int i = 0; i < 3; i++)
        observation[OBSERVATION - 3 + i] = (float)instance->simulation.data->xpos[3 * TRUNK + i];
}

static const struct mechanism mechanism = {
    .model = &half_cheetah_model, .task_dim = 1, .frame_skip = HALF_CHEETAH_FRAME_SKIP,
    .position_noise = 0.1, .velocity_noise = 0.1, .observe = observe,
};

static const struct mechanism plain = {
    .model = &half_cheetah_model, .task_dim = 0, .frame_skip = HALF_CHEETAH_FRAME_SKIP,
    .position_noise = 0.1, .velocity_noise = 0.1, .observe = half_cheetah_observe,
};

static int open_instance(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &mechanism, why, why_size);
}

static int open_plain(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &plain, why, why_size);
}

int half_cheetah_run(struct world_instance *instance, const float *action, double *speed, double *square)
{
    const mjData *data = instance->simulation.data;
    double before = data->qpos[0];
    int error = mechanism_act(instance, action, 1, square);
    if (!error)
        *speed = (data->qpos[0] - before) / step_seconds;
    return error;
}

static int step_dir(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    double speed, square;
    int error = half_cheetah_run(instance, action, &speed, &square);
    if (error)
        return error;
    *reward = (float)(instance->task[0] * speed - action_cost * square);
    observe(instance, observation);
    return 0;
}

static int step_vel(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    double speed, square;
    int error = half_cheetah_run(instance, action, &speed, &square);
    if (error)
        return error;
    *reward = (float)(-fabs(speed - instance->task[0]) - action_cost * square);
    observe(instance, observation);
    return 0;
}

static int step_plain(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    double speed, square;
    int error = half_cheetah_run(instance, action, &speed, &square);
    if (error)
        return error;
    *reward = (float)(speed - plain_action_cost * square);
    half_cheetah_observe(instance, observation);
    return 0;
}

static void sample_nothing(struct random_stream *stream, double *task)
{
    (void)stream, (void)task;
}

static void sample_dir(struct random_stream *stream, double *task)
{
    *task = random_below(stream, 2) ? 1 : -1;
}

static void sample_vel(struct random_stream *stream, double *task)
{
    *task = random_between(stream, 0, speed_limit);
}

// Where root x was when this was observed. The reported place is one engine step old, and the engine's last act
// was x += engine_seconds * velocity; only the first observation of an episode is not old, and off by that much.
static double root_x(const float *observation)
{
    return observation[OBSERVATION - 3] + engine_seconds * observation[JOINTS - 1];
}

static double achieved_speed(const float *observation, const float *next_observation)
{
    return (root_x(next_observation) - root_x(observation)) / step_seconds;
}

// Standing about shows no direction.
static int ideal_dir(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)action;
    double speed = achieved_speed(observation, next_observation);
    if (!(fabs(speed) > unclear))
        return 0;
    *task = speed > 0 ? 1 : -1;
    return 1;
}

// Speeds a little outside the family are ideal for its nearest task, others for none.
static int ideal_vel(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)action;
    double speed = achieved_speed(observation, next_observation), near = fmax(0, fmin(speed_limit, speed));
    if (!(fabs(speed - near) <= unclear))
        return 0;
    *task = near;
    return 1;
}

// What both worlds have in common.
#define HALF_CHEETAH \
    .observation_dim = OBSERVATION, .action_dim = MOTORS, .task_dim = 1, \
    .horizon = 200, .episodes = 2, .discount = 0.97, \
    .action_low = -1, .action_high = 1, .step_seconds = HALF_CHEETAH_FRAME_SKIP * 0.01, \
    .open = open_instance, .close = mechanism_close, .reset = mechanism_reset

const struct world half_cheetah_dir = {
    HALF_CHEETAH,
    .name = "half-cheetah-dir",
    .summary = "run forward or backward, whichever is wanted today",
    .task_names = {"direction"}, .task_low = {-1}, .task_high = {1},
    .sample_task = sample_dir, .step = step_dir, .ideal_task = ideal_dir,
};

const struct world half_cheetah_vel = {
    HALF_CHEETAH,
    .name = "half-cheetah-vel",
    .summary = "run at a hidden speed between 0 and 3 m/s",
    .task_names = {"target speed (m/s)"}, .task_low = {0}, .task_high = {3},
    .sample_task = sample_vel, .step = step_vel, .ideal_task = ideal_vel,
};

const struct world half_cheetah = {
    .name = "half-cheetah",
    .summary = "run forward; nothing is hidden (Gymnasium's HalfCheetah-v4)",
    .observation_dim = OBSERVATION - 3, .action_dim = MOTORS, .task_dim = 0,
    .horizon = 1000, .episodes = 1, .discount = 0.99,
    .action_low = -1, .action_high = 1, .step_seconds = HALF_CHEETAH_FRAME_SKIP * 0.01,
    .open = open_plain, .close = mechanism_close, .sample_task = sample_nothing, .reset = mechanism_reset,
    .step = step_plain, .ideal_task = mechanism_no_ideal_task,
};
