#pragma once
// Are a belief's predictive intervals as often right as they say, and how well does it predict, by how much it has
// seen? On tasks that it was not trained on.

#include "trajectories.h"

enum { CALIBRATION_LEVELS = 4, CALIBRATION_BINS = 16 };
extern const double calibration_levels[CALIBRATION_LEVELS];  // 0.5, 0.8, 0.9, 0.95

// Of all targets of all transitions that came after low .. high - 1 others of their task.
struct calibration_bin {
    size_t low, high;
    double count;                               // targets
    double covered[CALIBRATION_LEVELS];         // share within the belief's own central interval
    double corrected[CALIBRATION_LEVELS];       // and within that times the scale
    double log_density;                         // nats per transition, in the world's units; mean
};

struct calibration {
    double scale;                // of the predictive: what makes its 90 % intervals right on other tasks than these
    size_t transitions, refused; // refused: beyond what the belief takes in
    size_t bins;
    struct calibration_bin bin[CALIBRATION_BINS];
    struct calibration_bin whole;
};

// What a belief said of every transition of every task before it saw it. NaN: refused, or after the task's end.
struct judged {
    size_t tasks, steps, targets;
    size_t refused;              // transitions that the belief did not take in
    double *statistic;           // |y - M' phi| over its scale, a |t| of `freedom` degrees  (tasks, steps, targets)
    double *freedom;             //                                                          (tasks, steps)
    double *log_density;         //                                                          (tasks, steps)
};

// 0, or a negative errno with a sentence.
int judge(struct judged *judged, const struct model *model, enum head_kind kind, const struct trajectories *on,
          struct pool *pool, char *why, size_t why_size);
void judged_release(struct judged *judged);

// The scale is fitted on `fit`, everything else is of `on`. -ENOMEM
int calibrate(struct calibration *calibration, const struct judged *on, const struct judged *fit);

// The x with P(|t| < x) = level, for a Student-t of so many degrees of freedom.
double student_interval(double level, double freedom);

// Bins of context lengths 0, 1, 2 - 3, 4 - 7, ...; returns how many there are for so many steps.
size_t context_bins(size_t low[CALIBRATION_BINS], size_t high[CALIBRATION_BINS], size_t steps);
