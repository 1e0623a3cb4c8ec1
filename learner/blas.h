#pragma once
// OpenBLAS chooses its kernels before main begins, by the CPU's model number. A CPU that is newer than the library gets
// the oldest kernels, several times slower than what it could run.

// If that has happened, runs the program again with OPENBLAS_CORETYPE set to kernels that the CPU has the instructions
// for. Respects a setting that is already there (it may be meant to make results comparable). Returns if there is
// nothing to do; says so on stderr if there was.
void blas_choose(char **argv);
