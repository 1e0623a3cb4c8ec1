// One set of kernels as a table.

#include "set.h"

const struct kernels KERNEL(kernels) = {
    .name = KERNEL_SET_NAME,
    .layer = KERNEL(layer),
    .tanh = KERNEL(tanh),
    .sum_add = KERNEL(sum_add),
    .sum_merge = KERNEL(sum_merge),
    .sum_to_panel = KERNEL(sum_to_panel),
    .factor = KERNEL(factor),
    .back_substitute = KERNEL(back_substitute),
};
