#pragma once
// How tasks differ in the eyes of a head: posterior means of replayed meta-episodes, about their mean.

#include "glibrl.h"

struct spread {
    size_t tasks, D, d;
    double *weights;   // M_n less the mean over tasks            (tasks, D d)
    double *gram;      // mean of phi phi' over all transitions   (D, D)
    double *noise;     // mean of (y - M_n' phi)^2, above 0       (d)
};

// Of the newest meta-episodes, at most `tasks`. -ENOMEM; tasks is 0 if none has an evidence.
int spread_make(struct spread *spread, struct train *train, enum head_kind kind, size_t tasks);
void spread_release(struct spread *spread);
