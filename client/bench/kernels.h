#pragma once

// `bel-bench kernels`: the numeric kernels beside OpenBLAS and beside this core's peak. argv[0] is the
// word itself, options follow (--help tells them). Returns an exit code. May run the whole program again,
// because OpenBLAS reads its environment before main().
int bench_kernels(int argc, char **argv);
