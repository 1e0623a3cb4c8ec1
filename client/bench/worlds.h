#pragma once

// `bel-bench worlds`: steps of the simulated worlds, beside the bare steps of their engine. argv[0] is the word itself,
// options follow (--help tells them). Returns an exit code.
int bench_worlds(int argc, char **argv);
