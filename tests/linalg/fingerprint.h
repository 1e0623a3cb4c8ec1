#pragma once
// One number for everything that a set of kernels computes: all of them run over fixed pseudo-random
// inputs of many shapes, and the bits of the results are hashed. It does not depend on the instruction
// set, the compiler or its options, which is what it is there to prove.

#include "daemon/linalg/kernels.h"

// Bits of every result that the contract speaks of, and of nothing else. Needs about 2 MB of heap.
uint64_t kernels_fingerprint(const struct kernels *kernels);

// Of the kernels as they are meant. A change here is a change of every action and posterior, so it
// is never an accident: models and logs that were written before no longer replay to the same bits.
#define KERNELS_FINGERPRINT UINT64_C(0x56d581d8847799dc)
