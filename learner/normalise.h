#pragma once
// Running mean and standard deviation of several numbers at once, in double (Chan, Golub and LeVeque 1983), with an
// optional window: older data then weigh no more than `window` rows.

#include <stddef.h>

struct moments {
    size_t width;
    double window;        // rows; 0: all data weigh the same
    double count;
    double *mean, *square;  // square: sum of squared deviations   (width)
    double *batch;          // working memory                      (2 width)
};

int moments_init(struct moments *moments, size_t width, double window);  // -ENOMEM
void moments_release(struct moments *moments);
// rows (count, stride), of which the first width numbers are read.
void moments_add(struct moments *moments, const float *rows, size_t stride, size_t count);
double moments_sd(const struct moments *moments, size_t i);  // at least 1e-3; 1 before any data
