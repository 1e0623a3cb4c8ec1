// `half-cheetah-body`: a half cheetah that runs forward as fast as it can, and whose body is another one with each
// task: a payload somewhere on its trunk, a slope, stiff or loose joints, motors that are worn, and mostly one that
// is dead or wired the wrong way. What is wanted is known; what an action does is not, and only the dynamics can tell.
//
// Observation (17): positions without root x (8), velocities (9).

#include "dynamics.h"
#include "half_cheetah.h"

#include "daemon/base/random.h"

enum { JOINTS = HALF_CHEETAH_JOINTS, MOTORS = HALF_CHEETAH_MOTORS, TRUNK = 1, FIRST_JOINT = 3 };
enum { PAYLOAD, PLACE, SLOPE, DAMPING, STRENGTH, TASK = STRENGTH + MOTORS };  // numbers of a task

static const double action_cost = 0.05;
static const double payload_limit = 7;           // kg, half of the robot
static const double payload_radius = 0.1;        // m
static const double place_limit = 0.5;           // m, the trunk's ends
static const double slope_limit = 0.15;          // rad
static const double damping_low = 0.5, damping_high = 2;
static const double strength_low = 0.5;          // of a motor that still works

static void build(struct world_instance *instance)
{
    struct simulation *simulation = &instance->simulation;
    const double *task = instance->task;
    dynamics_payload(simulation, TRUNK, task[PAYLOAD], payload_radius, (double[]){task[PLACE], 0, 0});
    dynamics_slope(simulation, task[SLOPE], 0);
    dynamics_damping(simulation, FIRST_JOINT, task[DAMPING]);
    dynamics_motors(simulation, task + STRENGTH);
    dynamics_finish(simulation);
}

static const struct mechanism mechanism = {
    .model = &half_cheetah_model, .task_dim = TASK, .frame_skip = HALF_CHEETAH_FRAME_SKIP,
    .position_noise = 0.1, .velocity_noise = 0.1, .build = build, .observe = half_cheetah_observe,
};

static int open_instance(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &mechanism, why, why_size);
}

static void sample_task(struct random_stream *stream, double *task)
{
    task[PAYLOAD] = random_between(stream, 0, payload_limit);
    task[PLACE] = random_between(stream, -place_limit, place_limit);
    task[SLOPE] = random_between(stream, -slope_limit, slope_limit);
    task[DAMPING] = random_between(stream, damping_low, damping_high);
    for (int i = 0; i < MOTORS; i++)
        task[STRENGTH + i] = random_between(stream, strength_low, 1);
    uint32_t fault = random_below(stream, 2 * MOTORS + 1);  // dead, or wired the wrong way; the last: none is
    if (fault < 2 * MOTORS)
        task[STRENGTH + fault % MOTORS] *= fault < MOTORS ? 0 : -1;
}

static int step(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    double speed, square;
    int error = half_cheetah_run(instance, action, &speed, &square);
    if (error)
        return error;
    *reward = (float)(speed - action_cost * square);
    half_cheetah_observe(instance, observation);
    return 0;
}

const struct world half_cheetah_body = {
    .name = "half-cheetah-body",
    .summary = "run forward with an unknown payload, slope and wear, and mostly a dead or a miswired motor",
    .observation_dim = 2 * JOINTS - 1, .action_dim = MOTORS, .task_dim = TASK,
    .horizon = 200, .episodes = 2, .discount = 0.97,
    .action_low = -1, .action_high = 1, .step_seconds = HALF_CHEETAH_FRAME_SKIP * 0.01,
    .task_names = {"payload (kg)", "place of the payload (m)", "slope (rad)", "damping (factor)",
                   "strength, back thigh", "strength, back shin", "strength, back foot",
                   "strength, front thigh", "strength, front shin", "strength, front foot"},
    .task_low = {0, -0.5, -0.15, 0.5, -1, -1, -1, -1, -1, -1}, .task_high = {7, 0.5, 0.15, 2, 1, 1, 1, 1, 1, 1},
    .open = open_instance, .close = mechanism_close, .sample_task = sample_task,
    .reset = mechanism_reset, .step = step, .ideal_task = mechanism_no_ideal_task,
};
