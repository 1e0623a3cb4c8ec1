#pragma once
// Before a plain loop: gcc makes a version of it for each instruction set and chooses at start. Every entry must be
// computed by itself or in one fixed order, so that every version gives the same bits.

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define EACH_MACHINE __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define EACH_MACHINE
#endif
