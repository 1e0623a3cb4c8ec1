// Makes up for an OpenBLAS that does not know the CPU.

#include "blas.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

// What the CPU can do, in OpenBLAS' words; NULL: what is there is as good.
static const char *better_core(void)
{
#if defined(__x86_64__)
    static const char *const old[] = {"Prescott", "Core2", "Nehalem", "Generic", "Katmai", "Northwood"};
    const char *core = openblas_get_corename();
    int is_old = 0;
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        is_old |= !strcasecmp(core, old[i]);
    __builtin_cpu_init();
    if (is_old && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return __builtin_cpu_supports("avx512bf16") ? "Cooperlake" : "SkylakeX";
    if (is_old && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
#endif
    return NULL;
}

void blas_choose(char **argv)
{
    const char *core = better_core();
    if (!core || getenv("OPENBLAS_CORETYPE") || setenv("OPENBLAS_CORETYPE", core, 0))
        return;
    fprintf(stderr, "bel-learn: OpenBLAS does not know this CPU and chose %s; using its kernels for %s\n",
            openblas_get_corename(), core);
    execv("/proc/self/exe", argv);
    perror("bel-learn: /proc/self/exe");
}
