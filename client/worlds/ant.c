// The ant: a ball on four legs, with the tasks of MAML, PEARL and VariBAD. `ant-dir` wants it to run forward or
// backward, `ant-dir-2d` in any direction of the plane, `ant-goal` to a place. In `ant-dir-radians` there are the two
// directions of VariBAD's released code, which took -1 and 1 for angles.
//
// Observation of the first three (27): positions without x and y of the torso (13), velocities (14). Of ant-goal (113):
// all positions (15), velocities (14), forces of contact on every body, clipped to -1..1 (84).

#include "ant.h"
#include "disc.h"

#include "daemon/base/random.h"

#include <math.h>

enum { BODIES = 14, GOAL_OBSERVATION = ANT_COORDINATES + ANT_SPEEDS + 6 * BODIES };
enum { VELOCITY = ANT_COORDINATES - 2 };  // of the torso, in an observation without place

static const double step_seconds = ANT_FRAME_SKIP * 0.01;
static const double contact_limit = 1, contact_price = 5e-4;
static const double alive_reward = 1, action_cost = 0.5, goal_action_cost = 0.1;
static const double lowest = 0.2, highest = 1;  // place of the torso (m)
static const double goal_radius = 3;            // m
static const double unclear = 0.25;             // a speed (m/s) that shows no direction; a place (m) this far outside

extern const char ant_xml[];
extern const size_t ant_xml_size;

struct simulation_model ant_model = {.name = "ant.xml", .xml = ant_xml, .xml_size = &ant_xml_size};

void ant_observe(const struct world_instance *instance, float *observation)
{
    const mjData *data = instance->simulation.data;
    for (int i = 2; i < ANT_COORDINATES; i++)
        *observation++ = (float)data->qpos[i];
    for (int i = 0; i < ANT_SPEEDS; i++)
        *observation++ = (float)data->qvel[i];
}

static void observe_all(const struct world_instance *instance, float *observation)
{
    const mjData *data = instance->simulation.data;
    for (int i = 0; i < ANT_COORDINATES; i++)
        *observation++ = (float)data->qpos[i];
    for (int i = 0; i < ANT_SPEEDS; i++)
        *observation++ = (float)data->qvel[i];
    for (int i = 0; i < 6 * BODIES; i++)
        *observation++ = (float)fmax(-contact_limit, fmin(contact_limit, data->cfrc_ext[i]));
}

#define ANT_MECHANISM \
    .model = &ant_model, .frame_skip = ANT_FRAME_SKIP, .position_noise = 0.1, .velocity_noise = 0.1, .contact_forces = 1

static const struct mechanism along_line = {ANT_MECHANISM, .task_dim = 1, .observe = ant_observe};
static const struct mechanism in_plane = {ANT_MECHANISM, .task_dim = 2, .observe = ant_observe};
static const struct mechanism to_goal = {ANT_MECHANISM, .task_dim = 2, .observe = observe_all};

static int open_along_line(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &along_line, why, why_size);
}

static int open_in_plane(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &in_plane, why, why_size);
}

static int open_to_goal(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &to_goal, why, why_size);
}

// The torso's place is that of the engine's last stage, before and after, as published.
int ant_run(struct world_instance *instance, const float *action, double *velocity, double *square,
            double *contact_cost)
{
    const double *torso = instance->simulation.data->xpos + 3 * ANT_TORSO;
    double x = torso[0], y = torso[1];
    int error = mechanism_act(instance, action, 1, square);
    if (error)
        return error;
    velocity[0] = (torso[0] - x) / step_seconds;
    velocity[1] = (torso[1] - y) / step_seconds;
    *contact_cost = contact_price * mechanism_contact_square(instance, contact_limit);
    return 0;
}

int ant_judge(const struct world_instance *instance, double speed, double square, double contact_cost, float *reward)
{
    double height = instance->simulation.data->qpos[2];
    *reward = (float)(speed + alive_reward - action_cost * square - contact_cost);
    return !(height >= lowest && height <= highest);
}

static int step_towards(struct world_instance *instance, double x, double y, const float *action, float *reward,
                        float *observation)
{
    double velocity[2], square, contact_cost;
    int error = ant_run(instance, action, velocity, &square, &contact_cost);
    if (error)
        return error;
    ant_observe(instance, observation);
    return ant_judge(instance, velocity[0] * x + velocity[1] * y, square, contact_cost, reward);
}

static int step_dir(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    return step_towards(instance, instance->task[0], 0, action, reward, observation);
}

static int step_2d(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    return step_towards(instance, instance->task[0], instance->task[1], action, reward, observation);
}

static int step_radians(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    return step_towards(instance, cos(instance->task[0]), sin(instance->task[0]), action, reward, observation);
}

static int step_goal(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    double velocity[2], square, contact_cost;
    int error = ant_run(instance, action, velocity, &square, &contact_cost);
    if (error)
        return error;
    const double *torso = instance->simulation.data->xpos + 3 * ANT_TORSO, *goal = instance->task;
    double way = fabs(torso[0] - goal[0]) + fabs(torso[1] - goal[1]);
    *reward = (float)(-way - goal_action_cost * square - contact_cost);
    observe_all(instance, observation);
    return 0;
}

static void sample_sign(struct random_stream *stream, double *task)
{
    *task = random_below(stream, 2) ? 1 : -1;
}

static void sample_2d(struct random_stream *stream, double *task)
{
    double angle = random_between(stream, 0, 2 * M_PI);
    task[0] = cos(angle);
    task[1] = sin(angle);
}

static void sample_goal(struct random_stream *stream, double *task)
{
    disc_draw(stream, goal_radius, task);
}

// An observation has no place; the mean of the velocities at both ends is close to that of the way between.
static void mean_velocity(const float *observation, const float *next_observation, double *velocity)
{
    for (int i = 0; i < 2; i++)
        velocity[i] = (observation[VELOCITY + i] + next_observation[VELOCITY + i]) / 2.0;
}

static int ideal_dir(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)action;
    double velocity[2];
    mean_velocity(observation, next_observation, velocity);
    if (!(fabs(velocity[0]) > unclear))
        return 0;
    *task = velocity[0] > 0 ? 1 : -1;
    return 1;
}

static int ideal_2d(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)action;
    double velocity[2], speed;
    mean_velocity(observation, next_observation, velocity);
    speed = hypot(velocity[0], velocity[1]);
    if (!(speed > unclear))
        return 0;
    task[0] = velocity[0] / speed;
    task[1] = velocity[1] / speed;
    return 1;
}

// The direction that paid more, if it paid and was clearly more.
static int ideal_radians(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)action;
    double velocity[2];
    mean_velocity(observation, next_observation, velocity);
    if (!(fabs(velocity[1]) > unclear && velocity[0] * cos(1) + fabs(velocity[1]) * sin(1) > unclear))
        return 0;
    *task = velocity[1] > 0 ? 1 : -1;
    return 1;
}

// Where it arrived; places a little outside the family are ideal for its nearest goal.
static int ideal_goal(const float *observation, const float *action, const float *next_observation, double *task)
{
    (void)observation, (void)action;
    double place[2] = {next_observation[0], next_observation[1]};
    if (!disc_nearest(place, goal_radius, unclear))
        return 0;
    task[0] = place[0];
    task[1] = place[1];
    return 1;
}

// What all four worlds have in common.
#define ANT \
    .action_dim = ANT_MOTORS, .horizon = 200, .episodes = 2, .discount = 0.97, \
    .action_low = -1, .action_high = 1, .step_seconds = ANT_FRAME_SKIP * 0.01, \
    .close = mechanism_close, .reset = mechanism_reset

const struct world ant_dir = {
    ANT,
    .name = "ant-dir", .summary = "run forward or backward on four legs, whichever is wanted today",
    .observation_dim = ANT_OBSERVATION, .task_dim = 1,
    .task_names = {"direction"}, .task_low = {-1}, .task_high = {1},
    .open = open_along_line, .sample_task = sample_sign, .step = step_dir, .ideal_task = ideal_dir,
};

const struct world ant_dir_2d = {
    ANT,
    .name = "ant-dir-2d", .summary = "run in a hidden direction of the plane",
    .observation_dim = ANT_OBSERVATION, .task_dim = 2,
    .task_names = {"direction x", "direction y"}, .task_low = {-1, -1}, .task_high = {1, 1},
    .open = open_in_plane, .sample_task = sample_2d, .step = step_2d, .ideal_task = ideal_2d,
};

const struct world ant_dir_radians = {
    ANT,
    .name = "ant-dir-radians", .summary = "run at an angle of one radian to the left or to the right",
    .observation_dim = ANT_OBSERVATION, .task_dim = 1,
    .task_names = {"direction (rad)"}, .task_low = {-1}, .task_high = {1},
    .open = open_along_line, .sample_task = sample_sign, .step = step_radians, .ideal_task = ideal_radians,
};

const struct world ant_goal = {
    ANT,
    .name = "ant-goal", .summary = "go to a hidden place up to 3 m away",
    .observation_dim = GOAL_OBSERVATION, .task_dim = 2,
    .sees_place = 1, .task_names = {"goal x (m)", "goal y (m)"}, .task_low = {-3, -3}, .task_high = {3, 3},
    .open = open_to_goal, .sample_task = sample_goal, .step = step_goal, .ideal_task = ideal_goal,
};
