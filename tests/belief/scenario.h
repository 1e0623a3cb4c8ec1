#pragma once
// What the suites of this folder share: a belief with its prior and posterior, and transitions to feed it.

#include "daemon/base/random.h"
#include "daemon/belief/representation.h"
#include "daemon/linalg/kernels.h"

enum feature_law {
    FEATURES_IID,       // tanh of standard normals
    FEATURES_MANIFOLD,  // in 8 dimensions, plus noise of 1e-3: nearly collinear
};

struct scenario {
    size_t D, d, P;
    enum feature_law law;
    double noise;              // sd of the targets' noise
    double *precision, *mean, *scale;  // the prior's, as given to it
    double degrees;
    double *weights;           // true M                       (D, d)
    double *directions;        // of the manifold              (D, 8)
    struct random_stream stream;
    struct prior *prior;
    struct belief belief;      // empty at first
    struct posterior posterior;
};

struct scenario_options {
    size_t D, d, rows_limit;
    uint64_t seed;
    enum feature_law law;
    double noise;
    double precision;          // Xi0 = this times I, or a dense random matrix if 0
    double scale;              // Omega0 likewise
    double mean;               // sd of M0's entries
};

// Never fails: exits if there is no memory.
void scenario_init(struct scenario *scenario, const struct scenario_options *options);
void scenario_release(struct scenario *scenario);
// One transition in fixed point; z has kernel_padded(D + d) numbers.
void scenario_draw(struct scenario *scenario, int32_t *z);
// `count` transitions, each kernel_padded(P) numbers; free() them.
int32_t *scenario_draw_many(struct scenario *scenario, size_t count);

// z in standard units.
void in_units(double *out, const int32_t *z, size_t count);
void *aligned(size_t size);
struct belief new_belief(size_t D, size_t d);  // free(belief.low)
