#pragma once
// Held-out predictive log density of two models, of whatever kind, on the same trajectories, by how much of the task
// they had seen.

#include "calibration.h"

struct curve {
    size_t bins;
    size_t low[CALIBRATION_BINS], high[CALIBRATION_BINS];
    double mean[CALIBRATION_BINS];        // nats per transition, in the world's units
    double error[CALIBRATION_BINS];       // standard error of it, over tasks
    size_t counted, missing;              // transitions; missing: the model had no density for them
};

enum { VARIBAD_SAMPLES = 64 };            // draws from the encoder's posterior for each density

// 0, or a negative errno with a sentence: -ENOTSUP of a kind that predicts nothing.
int curve_make(struct curve *curve, const struct model *model, enum head_kind kind, const struct trajectories *on,
               struct pool *pool, char *why, size_t why_size);

struct named_curve {
    const char *name;
    const struct curve *curve;
};
int curves_draw(const struct named_curve *curves, size_t count, const char *title, const char *path);  // as svg_close
