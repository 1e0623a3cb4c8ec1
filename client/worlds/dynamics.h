#pragma once
// What wears, loads and tilts a robot, written into its instance's own model from the shared one. First all changes
// of a task, each naming all it touches, so that no earlier task shows through; then dynamics_finish.

#include "mechanism.h"

// A ball of mass (kg) and radius (m), fixed to a body with its centre at place (body frame, 3). Mass 0: none.
void dynamics_payload(struct simulation *simulation, int body, double mass, double radius, const double *place);

// The share of its torque that each motor still has.   strength (nu)
void dynamics_motors(struct simulation *simulation, const double *strength);

// All joints from this degree of freedom on: damping times factor.
void dynamics_damping(struct simulation *simulation, int first, double factor);

// The ground rises by these angles (rad) along x and along y: gravity is tilted, its size stays.
void dynamics_slope(struct simulation *simulation, double along_x, double along_y);

// Derived constants of the model follow what was changed.
void dynamics_finish(struct simulation *simulation);
