#pragma once

// `bel-bench memory`: what a session that waits costs the daemon, beside its packed integers. argv[0] is the word itself,
// options follow (--help tells them). Returns an exit code.
int bench_memory(int argc, char **argv);
