#pragma once
// The loops beside the large products, vectorised for the machine at hand. Each entry is computed by itself or in
// one fixed order, so every instruction set gives the same bits.

#include "real.h"

void tanh_backward(real *d, const real *y, size_t count);                       // d *= 1 - y y
void rectify(real *x, size_t count);                                            // x = max(0, x); NaN stays
void rectify_backward(real *d, const real *y, size_t count);                    // d = 0 where y is
void add_to(real *sum, const real *x, size_t count);                            // sum += x
void follow(real *slow, const real *fast, size_t count, real share);            // slow += share (fast - slow)
void sum_rows(real *sum, const real *rows, size_t count, size_t width);         // sum (width) of rows (count, width)
double sum_squares(const real *x, size_t count);
void adam_update(real *parameters, real *first, real *second, const real *gradient, size_t count, real scale,
                 real beta1, real beta2, real rate, real root_scale, real epsilon);
