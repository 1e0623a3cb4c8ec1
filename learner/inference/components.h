#pragma once
// Principal components of a head's posterior means: components.c says of what, and in which metric.

#include "spread.h"

// components (D d, K): replaced by those of the spread, turned towards what they were unless that is all zeros. A
// component that the tasks do not need is zero. -ENOMEM; -EDOM: not finite. Fewer than two tasks: left as they are.
int components_of(double *components, const struct spread *spread, size_t K);
