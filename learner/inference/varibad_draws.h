#pragma once
// What a VariBAD model expects of each transition of a trajectory, from draws of its latent before it saw it. Its
// posteriors are those of the functions that serve.

#include "learner/study/predictive.h"

// means (steps, samples, targets): the decoder's, one row for each draw of m; y (steps, targets): what happened. Both in
// the decoder's standardised units. 0, or a negative errno with a sentence (predict_varibad's).
int varibad_draws(float *means, float *y, const struct model *model, enum head_kind kind,
                  const struct trajectory *trajectory, size_t samples, uint64_t seed, char *why, size_t why_size);

// How well each draw explains what happened, relative to the best: weight (samples), which sum to one. Returns the log
// density of y under their mixture with noise sd exp(log_sd) (targets).
double varibad_mixture(double *weight, const float *means, const float *y, const double *log_sd, size_t samples,
                       size_t targets);
