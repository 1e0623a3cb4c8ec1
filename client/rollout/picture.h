#pragma once
// belief.svg: what each robot should do, what its belief thinks, and what it does, over time.

#include "fleet.h"

// Returns per episode of the others, for the sentence at the top; NaN: not known.
struct picture_returns {
    double prior;   // the same robots with the belief held at the prior
    double oracle;  // robots that are told their task
};

// The first 16 robots of a traced fleet. -errno.
int picture_draw(const struct fleet *fleet, const struct picture_returns *returns, const char *path);
