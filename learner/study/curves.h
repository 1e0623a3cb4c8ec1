#pragma once
// Curves of an agent: over its runs the interquartile mean, and its 95 % bootstrap interval, point by point.

#include "results.h"

enum { CURVE_POINTS = 2048, CURVE_GRID = 160 };

struct curve {
    size_t count;
    double x[CURVE_POINTS], y[CURVE_POINTS], low[CURVE_POINTS], high[CURVE_POINTS];
};

enum curve_axis { CURVE_FRAMES, CURVE_CPU_SECONDS };

// Training return against frames or CPU seconds, averaged over a thirtieth of the way, as far as all runs came. Runs
// without a log are left out; without any, count is 0. -ENOMEM.
int curve_of_learning(struct curve *curve, const struct result *runs, size_t count, enum curve_axis axis);

// Evaluated reward of each step of a task, from the first. -ENOMEM.
int curve_of_adaptation(struct curve *curve, const struct result *runs, size_t count);
