#pragma once
// Names of one compiled set. Each source beside this file but kernels.c is compiled once per instruction
// set with KERNEL_SET defined to its suffix, so KERNEL(layer) is layer_generic in one object and
// layer_v3 in another.

#include "kernels.h"

#define KERNEL_JOIN_EXPANDED(name, set) name##_##set
#define KERNEL_JOIN(name, set) KERNEL_JOIN_EXPANDED(name, set)
#define KERNEL(name) KERNEL_JOIN(name, KERNEL_SET)

void KERNEL(layer)(float *out, size_t out_stride, const float *in, size_t in_stride, const float *weight,
                   const float *bias, size_t batch, size_t inputs, size_t outputs, enum activation activation);
void KERNEL(tanh)(float *x, size_t count);
int KERNEL(sum_add)(uint64_t *low, int64_t *high, const int32_t *z, size_t P, int sign);
int KERNEL(sum_merge)(uint64_t *low, int64_t *high, const uint64_t *other_low, const int64_t *other_high, size_t count,
                      int sign);
void KERNEL(sum_to_panel)(double *panel, size_t stride, const double *prior, const uint64_t *low,
                          const int64_t *high, size_t P, size_t columns, size_t rows);
size_t KERNEL(factor)(double *panel, size_t stride, size_t D, size_t rows);
void KERNEL(back_substitute)(double *out, size_t out_stride, const double *panel, size_t stride, size_t D,
                             size_t first, size_t count);
void KERNEL(group_sum_to_panel)(double *panel, size_t stride, const double *prior, const uint64_t *const low[],
                                const int64_t *const high[], size_t P, size_t columns, size_t rows);
unsigned KERNEL(group_factor)(double *panel, size_t stride, size_t D, size_t rows);
void KERNEL(group_back_substitute)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count);
void KERNEL(group_inverse_squares)(double *out, const double *panel, size_t stride, size_t D, double *room);
void KERNEL(group_squares)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count);
void KERNEL(group_diagonal)(double *out, const double *panel, size_t stride, size_t D);
unsigned KERNEL(group_exceeds)(const double *x, const double *panel, size_t stride, size_t D, double ratio);
void KERNEL(group_combine)(double *out, const double *panel, size_t stride, size_t D, size_t first, size_t count,
                           size_t row);

extern const struct kernels KERNEL(kernels);
