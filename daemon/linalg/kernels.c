// Which set of kernels this machine runs.

#include "kernels.h"

extern const struct kernels kernels_generic;

#ifdef __x86_64__
extern const struct kernels kernels_v3, kernels_v4;

// The levels of the x86-64 psABI, as far as our code depends on them.
static int has_v3(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

static int has_v4(void)
{
    return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

// Worst first; each level includes those before it.
const struct kernels *kernels_at(size_t i)
{
    if (i == 0)
        return &kernels_generic;
#ifdef __x86_64__
    if (i == 1 && has_v3())
        return &kernels_v3;
    if (i == 2 && has_v4())
        return &kernels_v4;
#endif
    return NULL;
}

const struct kernels *kernels_best(void)
{
    // Two threads may both decide the first time; they decide the same.
    static _Atomic(const struct kernels *) best;
    const struct kernels *found = best;
    if (!found) {
        for (size_t i = 0; kernels_at(i); i++)
            found = kernels_at(i);
        best = found;
    }
    return found;
}
