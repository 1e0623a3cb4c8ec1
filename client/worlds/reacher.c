// `reacher-goal`: an arm of two links reaches for a goal that it cannot see. It is Gymnasium's Reacher-v5 without the
// observation's entries of the goal.
//
// Observation (6): cosines and sines of both angles, both rates.

#include "disc.h"
#include "mechanism.h"
#include "worlds.h"

#include "daemon/base/random.h"

#include <math.h>

enum { MOTORS = 2, COORDINATES = 4, FRAME_SKIP = 2, FINGERTIP = 3, TARGET = 4 };
enum { COSINE = 0, SINE = 2, RATE = 4, OBSERVATION = 6 };

static const double goal_radius = 0.2, beyond = 0.02;      // m
static const double upper_arm = 0.1, forearm = 0.11;       // m, up to the fingertip
static const double position_noise = 0.1, velocity_noise = 0.005;

extern const char reacher_xml[];
extern const size_t reacher_xml_size;

static struct simulation_model model = {.name = "reacher.xml", .xml = reacher_xml, .xml_size = &reacher_xml_size};

static void observe(const struct world_instance *instance, float *observation)
{
    const mjData *data = instance->simulation.data;
    for (int i = 0; i < MOTORS; i++) {
        observation[COSINE + i] = (float)cos(data->qpos[i]);
        observation[SINE + i] = (float)sin(data->qpos[i]);
        observation[RATE + i] = (float)data->qvel[i];
    }
}

static const struct mechanism mechanism = {
    .model = &model, .task_dim = 2, .frame_skip = FRAME_SKIP, .observe = observe,
};

static int open_instance(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &mechanism, why, why_size);
}

// The target stands where the task says; nothing moves it.
static void reset(struct world_instance *instance, const double *task, struct random_stream *stream,
                  float *observation)
{
    double qpos[COORDINATES] = {0, 0, task[0], task[1]}, qvel[COORDINATES] = {0};
    for (int i = 0; i < MOTORS; i++)
        qpos[i] = random_between(stream, -position_noise, position_noise);
    for (int i = 0; i < MOTORS; i++)
        qvel[i] = random_between(stream, -velocity_noise, velocity_noise);
    mechanism_set_task(instance, task);
    mechanism_place(instance, qpos, qvel, observation);
}

static int step(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    const double *xpos = instance->simulation.data->xpos;
    double square;
    int error = mechanism_act(instance, action, 1, &square);
    if (error)
        return error;
    *reward = (float)(-mju_dist3(xpos + 3 * FINGERTIP, xpos + 3 * TARGET) - square);
    observe(instance, observation);
    return 0;
}

static void sample_task(struct random_stream *stream, double *task)
{
    disc_draw(stream, goal_radius, task);
}

// Where the fingertip arrived, by the sums of angles; or the nearest goal.
static int ideal_task(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)observation, (void)action;
    const float *c = next_observation + COSINE, *s = next_observation + SINE;
    double tip[2] = {upper_arm * c[0] + forearm * (c[0] * c[1] - s[0] * s[1]),
                     upper_arm * s[0] + forearm * (s[0] * c[1] + c[0] * s[1])};
    if (!disc_nearest(tip, goal_radius, beyond))
        return 0;
    task[0] = tip[0];
    task[1] = tip[1];
    return 1;
}

const struct world reacher_goal = {
    .name = "reacher-goal",
    .summary = "reach with an arm of two links for a hidden goal",
    .observation_dim = OBSERVATION, .action_dim = MOTORS, .task_dim = 2,
    .horizon = 50, .episodes = 2, .discount = 0.97,
    .action_low = -1, .action_high = 1, .step_seconds = FRAME_SKIP * 0.01,
    .task_names = {"goal x (m)", "goal y (m)"}, .task_low = {-0.2, -0.2}, .task_high = {0.2, 0.2},
    .open = open_instance, .close = mechanism_close, .sample_task = sample_task,
    .reset = reset, .step = step, .ideal_task = ideal_task,
};
