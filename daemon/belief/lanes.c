// Which set of lanes goes with which set of kernels: the one of the same name.

#include "lanes.h"

#include <string.h>

extern const struct lanes lanes_generic;

#ifdef __x86_64__
extern const struct lanes lanes_v3, lanes_v4;
#endif

const struct lanes *lanes_for(const struct kernels *kernels)
{
#ifdef __x86_64__
    if (!strcmp(kernels->name, "x86-64-v4"))
        return &lanes_v4;
    if (!strcmp(kernels->name, "x86-64-v3"))
        return &lanes_v3;
#endif
    (void)kernels;
    return &lanes_generic;
}
