// One set of kernels as a table.

#include "set.h"
#include "simd.h"

const struct kernels KERNEL(kernels) = {
    .name = KERNEL_SET_NAME,
    .layer = KERNEL(layer),
    .tanh = KERNEL(tanh),
    .sum_add = KERNEL(sum_add),
    .sum_merge = KERNEL(sum_merge),
    .sum_to_panel = KERNEL(sum_to_panel),
    .factor = KERNEL(factor),
    .back_substitute = KERNEL(back_substitute),
    .group = F64_LANES,
    .group_sum_to_panel = KERNEL(group_sum_to_panel),
    .group_factor = KERNEL(group_factor),
    .group_back_substitute = KERNEL(group_back_substitute),
    .group_inverse_squares = KERNEL(group_inverse_squares),
    .group_diagonal = KERNEL(group_diagonal),
    .group_exceeds = KERNEL(group_exceeds),
    .group_squares = KERNEL(group_squares),
    .group_combine = KERNEL(group_combine),
};
