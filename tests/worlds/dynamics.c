// Changes of a robot's dynamics: against the engine's own composition of bodies, and against what they mean.

#include "client/worlds/dynamics.h"
#include "client/worlds/half_cheetah.h"
#include "daemon/base/random.h"
#include "tests/support/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOINTS = HALF_CHEETAH_JOINTS, MOTORS = HALF_CHEETAH_MOTORS };
enum { PAYLOAD, PLACE, SLOPE, DAMPING, STRENGTH };

static const double plain[10] = {0, 0, 0, 1, 1, 1, 1, 1, 1, 1};

static struct world_instance *begin(const struct world *world)
{
    struct world_instance *instance = NULL;
    char why[300] = "";
    int error = world->open(&instance, why, sizeof why);
    ck_assert_msg(!error, "%d %s", error, why);
    return instance;
}

static void open_text(struct simulation_model *source, struct simulation *simulation)
{
    char why[300] = "";
    ck_assert_msg(simulation_open(simulation, source, why, sizeof why) == 0, "%s", why);
    ck_assert_int_eq(simulation_own(simulation, why, sizeof why), 0);
}

// The inertia matrix of a body about its centre, in the body's frame.
static void inertia_of(const mjModel *model, int body, double *inertia)
{
    double rotation[9];
    mju_quat2Mat(rotation, model->body_iquat + 4 * body);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            inertia[3 * i + j] = 0;
            for (int k = 0; k < 3; k++)
                inertia[3 * i + j] += rotation[3 * i + k] * model->body_inertia[3 * body + k] * rotation[3 * j + k];
        }
}

START_TEST(a_payload_is_what_the_engine_makes_of_a_ball)
{
    static const char crooked[] = "<geom type='box' size='.3 .2 .1' pos='.1 .2 .3' euler='20 30 40' mass='5'/>";
    static const struct {
        double mass, radius, place[3];
    } loads[] = {{2, 0.1, {0.4, 0, 0}}, {7, 0.05, {-0.5, 0.3, 0.2}}, {0.01, 0.2, {0.1, 0.2, 0.3}}};
    for (size_t l = 0; l < sizeof loads / sizeof *loads; l++) {
        char bare_text[500], loaded_text[700];
        const double *p = loads[l].place;
        snprintf(bare_text, sizeof bare_text, "<mujoco><worldbody><body><freejoint/>%s</body></worldbody></mujoco>",
                 crooked);
        snprintf(loaded_text, sizeof loaded_text, "<mujoco><worldbody><body><freejoint/>%s<geom type='sphere' "
                 "size='%.17g' mass='%.17g' pos='%.17g %.17g %.17g'/></body></worldbody></mujoco>",
                 crooked, loads[l].radius, loads[l].mass, p[0], p[1], p[2]);
        size_t bare_size = strlen(bare_text), loaded_size = strlen(loaded_text);
        struct simulation_model bare = {.name = "bare.xml", .xml = bare_text, .xml_size = &bare_size};
        struct simulation_model loaded = {.name = "loaded.xml", .xml = loaded_text, .xml_size = &loaded_size};
        struct simulation ours, engines;
        open_text(&bare, &ours);
        open_text(&loaded, &engines);
        dynamics_payload(&ours, 1, 3, 0.3, (double[]){9, 9, 9});  // an earlier task's, which must not show
        dynamics_payload(&ours, 1, loads[l].mass, loads[l].radius, p);
        dynamics_finish(&ours);
        ck_assert_double_eq_tol(ours.model->body_mass[1], engines.model->body_mass[1], 1e-12);
        ck_assert_double_eq_tol(ours.model->body_subtreemass[0], engines.model->body_subtreemass[0], 1e-12);
        double inertia[2][9];
        inertia_of(ours.model, 1, inertia[0]);
        inertia_of(engines.model, 1, inertia[1]);
        for (int i = 0; i < 3; i++)
            ck_assert_double_eq_tol(ours.model->body_ipos[3 + i], engines.model->body_ipos[3 + i], 1e-12);
        for (int i = 0; i < 9; i++)
            ck_assert_double_eq_tol(inertia[0][i], inertia[1][i], 1e-11);
        for (int i = 0; i < 2; i++)
            ck_assert_double_eq_tol(ours.model->body_invweight0[2 + i], engines.model->body_invweight0[2 + i], 1e-9);
        simulation_close(&ours);
        simulation_close(&engines);
    }
}
END_TEST

// Both from one state with the same actions; returns the largest difference of positions after some steps.
static double apart_after(const struct world *world, const double *task, const struct world *other,
                          const double *other_task, int steps)
{
    struct world_instance *one = begin(world), *two = begin(other);
    struct random_stream stream = random_stream(1, 2, 3, 4);
    double qpos[JOINTS], qvel[JOINTS], apart = 0;
    float observation[20], reward;
    for (int i = 0; i < JOINTS; i++) {
        qpos[i] = random_between(&stream, -0.1, 0.1);
        qvel[i] = 0.1 * random_normal(&stream);
    }
    mechanism_set_task(one, task);
    mechanism_set_task(two, other_task);
    mechanism_place(one, qpos, qvel, observation);
    mechanism_place(two, qpos, qvel, observation);
    for (int t = 0; t < steps; t++) {
        float action[MOTORS];
        for (int i = 0; i < MOTORS; i++)
            action[i] = (float)random_between(&stream, -1, 1);
        ck_assert_int_eq(world->step(one, action, &reward, observation), 0);
        ck_assert_int_eq(other->step(two, action, &reward, observation), 0);
    }
    for (int i = 0; i < JOINTS; i++)
        apart = fmax(apart, fabs(one->simulation.data->qpos[i] - two->simulation.data->qpos[i]));
    world->close(one);
    other->close(two);
    return apart;
}

START_TEST(a_body_without_trouble_is_the_plain_half_cheetah)
{
    double forward = 1;
    ck_assert_double_lt(apart_after(&half_cheetah_body, plain, &half_cheetah_dir, &forward, 20), 1e-9);
}
END_TEST

START_TEST(each_number_of_a_body_changes_the_motion)
{
    static const double changed[10] = {3, 0.4, 0.1, 1.7, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6};
    for (int k = 0; k < 10; k++) {
        double one[10], other[10];
        memcpy(one, plain, sizeof one);
        one[PAYLOAD] = 1;  // so that its place matters
        memcpy(other, one, sizeof other);
        other[k] = changed[k];
        double apart = apart_after(&half_cheetah_body, one, &half_cheetah_body, other, 20);
        ck_assert_msg(apart > 1e-3, "number %d changes positions by only %g", k, apart);
    }
}
END_TEST

START_TEST(a_dead_motor_does_nothing)
{
    struct world_instance *instance = begin(&half_cheetah_body);
    for (int dead = 0; dead < MOTORS; dead++) {
        double task[10];
        memcpy(task, plain, sizeof task);
        task[STRENGTH + dead] = 0;
        float observation[2][17], reward, action[MOTORS] = {0};
        for (int way = 0; way < 2; way++) {
            struct random_stream stream = random_stream(5, 0, 0, 0);
            half_cheetah_body.reset(instance, task, &stream, observation[way]);
            action[dead] = way ? 1 : -1;
            for (int t = 0; t < 10; t++)
                ck_assert_int_eq(half_cheetah_body.step(instance, action, &reward, observation[way]), 0);
        }
        ck_assert_mem_eq(observation[0], observation[1], sizeof *observation);
    }
    half_cheetah_body.close(instance);
}
END_TEST

START_TEST(gravity_tilts_with_the_slope_and_keeps_its_size)
{
    struct world_instance *instance = begin(&half_cheetah_body);
    struct simulation *simulation = &instance->simulation;
    static const double slopes[][2] = {{0, 0}, {0.15, 0}, {-0.1, 0}, {0, 0.2}, {0.3, -0.2}};
    for (size_t i = 0; i < sizeof slopes / sizeof *slopes; i++) {
        dynamics_slope(simulation, slopes[i][0], slopes[i][1]);
        const double *g = simulation->model->opt.gravity;
        ck_assert_double_eq_tol(mju_norm3(g), 9.81, 1e-12);
        ck_assert_double_eq_tol(atan2(-g[0], -g[2]), slopes[i][0], 1e-12);
        ck_assert_double_eq_tol(atan2(-g[1], -g[2]), slopes[i][1], 1e-12);
    }
    half_cheetah_body.close(instance);
}
END_TEST

START_TEST(a_body_is_its_own_and_the_shared_model_stays)
{
    struct world_instance *body = begin(&half_cheetah_body), *other = begin(&half_cheetah_body);
    struct world_instance *sharing = begin(&half_cheetah_vel);
    const mjModel *shared = sharing->simulation.model;
    ck_assert_ptr_eq(body->simulation.source->shared, shared);
    ck_assert_ptr_ne(body->simulation.model, shared);
    ck_assert_ptr_ne(body->simulation.model, other->simulation.model);
    static const double heavy[10] = {7, 0.5, 0.15, 2, 0, 0, 0, 0, 0, 0};
    mechanism_set_task(other, plain);
    mechanism_set_task(body, heavy);
    ck_assert_double_eq_tol(shared->body_mass[1], 6.25020920502092, 1e-12);
    ck_assert_double_eq_tol(other->simulation.model->body_mass[1], 6.25020920502092, 1e-12);
    ck_assert_double_eq_tol(body->simulation.model->body_mass[1], 13.25020920502092, 1e-12);
    ck_assert_double_eq(shared->opt.gravity[0], 0);
    ck_assert_double_eq(body->simulation.model->actuator_gear[0], 0);
    mechanism_set_task(body, plain);  // nothing of the last task is left
    for (int i = 0; i < JOINTS; i++)
        ck_assert_double_eq(body->simulation.model->dof_damping[i], shared->dof_damping[i]);
    for (int i = 0; i < MOTORS; i++)
        ck_assert_double_eq(body->simulation.model->actuator_gear[6 * i], shared->actuator_gear[6 * i]);
    ck_assert_double_eq_tol(body->simulation.model->body_mass[1], shared->body_mass[1], 1e-15);
    half_cheetah_body.close(body);
    half_cheetah_body.close(other);
    half_cheetah_vel.close(sharing);
}
END_TEST

START_TEST(a_reward_is_the_speed_forward_less_what_the_action_costs)
{
    struct world_instance *instance = begin(&half_cheetah_body);
    struct random_stream stream = random_stream(6, 0, 0, 0);
    for (int episode = 0; episode < 5; episode++) {
        double task[10];
        float observation[17], reward, action[MOTORS];
        half_cheetah_body.sample_task(&stream, task);
        half_cheetah_body.reset(instance, task, &stream, observation);
        for (int t = 0; t < 50; t++) {
            double before = instance->simulation.data->qpos[0], expected = 0;
            for (int i = 0; i < MOTORS; i++) {
                action[i] = (float)random_between(&stream, -1.5, 1.5);
                expected -= 0.05 * action[i] * action[i];
            }
            ck_assert_int_eq(half_cheetah_body.step(instance, action, &reward, observation), 0);
            expected += (instance->simulation.data->qpos[0] - before) / 0.05;
            ck_assert_float_eq_tol(reward, (float)expected, 1e-5f);
            for (int i = 0; i < 8; i++)
                ck_assert_float_eq(observation[i], (float)instance->simulation.data->qpos[1 + i]);
            for (int i = 0; i < JOINTS; i++)
                ck_assert_float_eq(observation[8 + i], (float)instance->simulation.data->qvel[i]);
        }
    }
    half_cheetah_body.close(instance);
}
END_TEST

START_TEST(of_thirteen_bodies_one_has_all_its_motors)
{
    struct random_stream stream = random_stream(7, 0, 0, 0);
    int faults[2 * MOTORS + 1] = {0};  // dead ones, miswired ones, none
    for (int n = 0; n < 13000; n++) {
        double task[10];
        int which = 2 * MOTORS, count = 0;
        half_cheetah_body.sample_task(&stream, task);
        for (int i = 0; i < MOTORS; i++) {
            double strength = task[STRENGTH + i];
            ck_assert(strength == 0 || (fabs(strength) >= 0.5 && fabs(strength) <= 1));
            if (strength <= 0) {
                which = strength == 0 ? i : MOTORS + i;
                count++;
            }
        }
        ck_assert_int_le(count, 1);
        faults[which]++;
    }
    for (int i = 0; i <= 2 * MOTORS; i++)
        ck_assert_int_lt(abs(faults[i] - 1000), 5 * 31);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dynamics");
    SUITE_TEST(suite, a_payload_is_what_the_engine_makes_of_a_ball);
    SUITE_TEST(suite, a_body_without_trouble_is_the_plain_half_cheetah);
    SUITE_TEST(suite, each_number_of_a_body_changes_the_motion);
    SUITE_TEST(suite, a_dead_motor_does_nothing);
    SUITE_TEST(suite, gravity_tilts_with_the_slope_and_keeps_its_size);
    SUITE_TEST(suite, a_body_is_its_own_and_the_shared_model_stays);
    SUITE_TEST(suite, a_reward_is_the_speed_forward_less_what_the_action_costs);
    SUITE_TEST(suite, of_thirteen_bodies_one_has_all_its_motors);
    return suite_finish(suite);
}
