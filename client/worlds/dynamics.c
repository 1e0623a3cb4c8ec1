// See dynamics.h.

#include "dynamics.h"

#include <math.h>
#include <string.h>

// to (3,3) += mass (|r|^2 E - r r')      the parallel axis theorem
static void add_point_inertia(double *to, double mass, const double *r)
{
    double square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            to[3 * i + j] += mass * ((i == j ? square : 0) - r[i] * r[j]);
}

void dynamics_payload(struct simulation *simulation, int body, double mass, double radius, const double *place)
{
    const mjModel *base = simulation->source->shared;
    mjModel *model = simulation->own;
    double rotation[9], inertia[9] = {0}, trunk[3], ball[3], unused[9];
    const double *centre = base->body_ipos + 3 * body, *principal = base->body_inertia + 3 * body;
    double own = base->body_mass[body], total = own + mass, *merged = model->body_ipos + 3 * body;
    for (int i = 0; i < 3; i++)
        merged[i] = (own * centre[i] + mass * place[i]) / total;
    for (int i = 0; i < 3; i++) {
        trunk[i] = centre[i] - merged[i];
        ball[i] = place[i] - merged[i];
    }
    // R diag(I) R' + both parts moved to the common centre + the ball's own
    mju_quat2Mat(rotation, base->body_iquat + 4 * body);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 3; k++)
                inertia[3 * i + j] += rotation[3 * i + k] * principal[k] * rotation[3 * j + k];
    add_point_inertia(inertia, own, trunk);
    add_point_inertia(inertia, mass, ball);
    for (int i = 0; i < 3; i++)
        inertia[4 * i] += 0.4 * mass * radius * radius;
    model->body_mass[body] = total;
    mju_eig3(model->body_inertia + 3 * body, unused, model->body_iquat + 4 * body, inertia);
}

void dynamics_motors(struct simulation *simulation, const double *strength)
{
    const mjModel *base = simulation->source->shared;
    for (int i = 0; i < (int)base->nu; i++)
        simulation->own->actuator_gear[6 * i] = strength[i] * base->actuator_gear[6 * i];
}

void dynamics_damping(struct simulation *simulation, int first, double factor)
{
    const mjModel *base = simulation->source->shared;
    for (int i = first; i < (int)base->nv; i++)
        simulation->own->dof_damping[i] = factor * base->dof_damping[i];
}

void dynamics_slope(struct simulation *simulation, double along_x, double along_y)
{
    // The ground's normal is that of the plane z = tan(along_x) x + tan(along_y) y.
    double x = tan(along_x), y = tan(along_y), *gravity = simulation->own->opt.gravity;
    double share = mju_norm3(simulation->source->shared->opt.gravity) / sqrt(1 + x * x + y * y);
    gravity[0] = -share * x;
    gravity[1] = -share * y;
    gravity[2] = -share;
}

void dynamics_finish(struct simulation *simulation)
{
    mj_setConst(simulation->own, simulation->data);
}
