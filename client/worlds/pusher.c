// `pusher-goal`: an arm of seven joints pushes a cylinder to a goal that it cannot see. It is Gymnasium's Pusher-v5
// without the observation's entries of the goal, which there is always the same and here is another with each task.
//
// Observation (20): angles (7) and rates (7) of the arm, places of the hand (3) and the object (3).

#include "disc.h"
#include "mechanism.h"
#include "worlds.h"

#include "daemon/base/random.h"

#include <math.h>

enum { MOTORS = 7, COORDINATES = 11, FRAME_SKIP = 5, HAND = 10, OBJECT = 11, GOAL = 12 };
enum { OBJECT_Y = 7, OBJECT_X, GOAL_Y, GOAL_X };                       // coordinates
enum { OBSERVED_OBJECT = 2 * MOTORS + 3, OBSERVATION = 2 * MOTORS + 6 };

static const double centre[2] = {0.45, -0.05};          // m: coordinates of object and goal count from here
static const double goal_radius = 0.15, beyond = 0.02;  // m
static const double object_nearest = 0.17;              // m, to the goal at the start
static const double velocity_noise = 0.005;
static const double control_scale = 2;
static const double near_price = 0.5, control_cost = 0.1;

extern const char pusher_xml[];
extern const size_t pusher_xml_size;

static struct simulation_model model = {.name = "pusher.xml", .xml = pusher_xml, .xml_size = &pusher_xml_size};

static void observe(const struct world_instance *instance, float *observation)
{
    const mjData *data = instance->simulation.data;
    for (int i = 0; i < MOTORS; i++) {
        observation[i] = (float)data->qpos[i];
        observation[MOTORS + i] = (float)data->qvel[i];
    }
    for (int i = 0; i < 3; i++) {
        observation[2 * MOTORS + i] = (float)data->xpos[3 * HAND + i];
        observation[OBSERVED_OBJECT + i] = (float)data->xpos[3 * OBJECT + i];
    }
}

static const struct mechanism mechanism = {
    .model = &model, .task_dim = 2, .frame_skip = FRAME_SKIP, .observe = observe,
};

static int open_instance(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &mechanism, why, why_size);
}

// The goal stands where the task says. The object is drawn until it is far enough from there.
static void reset(struct world_instance *instance, const double *task, struct random_stream *stream,
                  float *observation)
{
    double qpos[COORDINATES] = {0}, qvel[COORDINATES] = {0};
    qpos[GOAL_X] = task[0] - centre[0];
    qpos[GOAL_Y] = task[1] - centre[1];
    do {
        qpos[OBJECT_Y] = random_between(stream, -0.3, 0);
        qpos[OBJECT_X] = random_between(stream, -0.2, 0.2);
    } while (hypot(qpos[OBJECT_X] - qpos[GOAL_X], qpos[OBJECT_Y] - qpos[GOAL_Y]) <= object_nearest);
    for (int i = 0; i < MOTORS; i++)
        qvel[i] = random_between(stream, -velocity_noise, velocity_noise);
    mechanism_set_task(instance, task);
    mechanism_place(instance, qpos, qvel, observation);
}

static int step(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    const double *xpos = instance->simulation.data->xpos;
    double square;
    int error = mechanism_act(instance, action, control_scale, &square);
    if (error)
        return error;
    *reward = (float)(-mju_dist3(xpos + 3 * OBJECT, xpos + 3 * GOAL)
                      - near_price * mju_dist3(xpos + 3 * OBJECT, xpos + 3 * HAND) - control_cost * square);
    observe(instance, observation);
    return 0;
}

static void sample_task(struct random_stream *stream, double *task)
{
    disc_draw(stream, goal_radius, task);
    task[0] += centre[0];
    task[1] += centre[1];
}

// Where the object arrived, or the nearest goal.
static int ideal_task(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)observation, (void)action;
    double place[2] = {next_observation[OBSERVED_OBJECT] - centre[0],
                       next_observation[OBSERVED_OBJECT + 1] - centre[1]};
    if (!disc_nearest(place, goal_radius, beyond))
        return 0;
    task[0] = centre[0] + place[0];
    task[1] = centre[1] + place[1];
    return 1;
}

const struct world pusher_goal = {
    .name = "pusher-goal",
    .summary = "push a cylinder with an arm of seven joints to a hidden goal",
    .observation_dim = OBSERVATION, .action_dim = MOTORS, .task_dim = 2,
    .horizon = 100, .episodes = 2, .discount = 0.97,
    .action_low = -1, .action_high = 1, .step_seconds = FRAME_SKIP * 0.01,
    .task_names = {"goal x (m)", "goal y (m)"}, .task_low = {0.3, -0.2}, .task_high = {0.6, 0.1},
    .open = open_instance, .close = mechanism_close, .sample_task = sample_task,
    .reset = reset, .step = step, .ideal_task = ideal_task,
};
