// `ant-body`: an ant that runs forward as fast as it can, and whose body is another one with each task: a payload
// somewhere on its torso, a slope, stiff or loose joints, motors that are worn, and mostly one leg that is dead.
//
// Observation (27): positions without x and y of the torso (13), velocities (14).

#include "ant.h"
#include "dynamics.h"

#include "daemon/base/random.h"

enum { FIRST_JOINT = 6, LEGS = 4 };
enum { PAYLOAD, PLACE, SLOPE = PLACE + 2, DAMPING = SLOPE + 2, STRENGTH, TASK = STRENGTH + ANT_MOTORS };

static const double payload_limit = 0.5;    // kg, half of the robot
static const double payload_radius = 0.05;  // m
static const double place_limit = 0.2;      // m, along x and along y
static const double slope_limit = 0.15;     // rad
static const double damping_low = 0.5, damping_high = 2;
static const double strength_low = 0.5;     // of a motor that still works

static void build(struct world_instance *instance)
{
    struct simulation *simulation = &instance->simulation;
    const double *task = instance->task;
    dynamics_payload(simulation, ANT_TORSO, task[PAYLOAD], payload_radius,
                     (double[]){task[PLACE], task[PLACE + 1], 0});
    dynamics_slope(simulation, task[SLOPE], task[SLOPE + 1]);
    dynamics_damping(simulation, FIRST_JOINT, task[DAMPING]);
    dynamics_motors(simulation, task + STRENGTH);
    dynamics_finish(simulation);
}

static const struct mechanism mechanism = {
    .model = &ant_model, .task_dim = TASK, .frame_skip = ANT_FRAME_SKIP, .position_noise = 0.1,
    .velocity_noise = 0.1, .contact_forces = 1, .build = build, .observe = ant_observe,
};

static int open_instance(struct world_instance **instance, char *why, size_t why_size)
{
    return mechanism_open(instance, &mechanism, why, why_size);
}

static void sample_task(struct random_stream *stream, double *task)
{
    task[PAYLOAD] = random_between(stream, 0, payload_limit);
    for (int i = 0; i < 2; i++) {
        task[PLACE + i] = random_between(stream, -place_limit, place_limit);
        task[SLOPE + i] = random_between(stream, -slope_limit, slope_limit);
    }
    task[DAMPING] = random_between(stream, damping_low, damping_high);
    for (int i = 0; i < ANT_MOTORS; i++)
        task[STRENGTH + i] = random_between(stream, strength_low, 1);
    uint32_t crippled = random_below(stream, LEGS + 1);  // the last: none is
    if (crippled < LEGS)
        task[STRENGTH + 2 * crippled] = task[STRENGTH + 2 * crippled + 1] = 0;
}

static int step(struct world_instance *instance, const float *action, float *reward, float *observation)
{
    double velocity[2], square, contact_cost;
    int error = ant_run(instance, action, velocity, &square, &contact_cost);
    if (error)
        return error;
    ant_observe(instance, observation);
    return ant_judge(instance, velocity[0], square, contact_cost, reward);
}

const struct world ant_body = {
    .name = "ant-body",
    .summary = "run forward on four legs with an unknown payload, slope and wear, and mostly a dead leg",
    .observation_dim = ANT_OBSERVATION, .action_dim = ANT_MOTORS, .task_dim = TASK,
    .horizon = 200, .episodes = 2, .discount = 0.97,
    .action_low = -1, .action_high = 1, .step_seconds = ANT_FRAME_SKIP * 0.01,
    .task_names = {"payload (kg)", "payload, forward (m)", "payload, to the left (m)", "slope, forward (rad)",
                   "slope, to the left (rad)", "damping (factor)", "strength, front right hip",
                   "strength, front right ankle", "strength, front left hip", "strength, front left ankle",
                   "strength, back left hip", "strength, back left ankle", "strength, back right hip",
                   "strength, back right ankle"},
    .task_low = {0, -0.2, -0.2, -0.15, -0.15, 0.5}, .task_high = {0.5, 0.2, 0.2, 0.15, 0.15, 2, 1, 1, 1, 1, 1, 1, 1, 1},
    .open = open_instance, .close = mechanism_close, .sample_task = sample_task,
    .reset = mechanism_reset, .step = step, .ideal_task = mechanism_no_ideal_task,
};
