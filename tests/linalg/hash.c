// Prints the fingerprint of each set of kernels that this machine can run; fails if one is not the
// golden one. A program of its own so that it can be built for another processor without the test
// framework and run there, or under an emulator.

#include "fingerprint.h"

#include <inttypes.h>
#include <stdio.h>

int main(void)
{
    int failed = 0;
    for (size_t i = 0; kernels_at(i); i++) {
        uint64_t fingerprint = kernels_fingerprint(kernels_at(i));
        printf("%s %016" PRIx64 "\n", kernels_at(i)->name, fingerprint);
        failed |= fingerprint != KERNELS_FINGERPRINT;
    }
    return failed;
}
