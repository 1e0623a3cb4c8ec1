#pragma once

// `bel-bench peers`: a step through the daemon beside servers that people build instead, and beside Redis. argv[0] is
// the word itself, options follow (--help tells them). Returns an exit code.
int bench_peers(int argc, char **argv);
