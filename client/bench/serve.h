#pragma once

// `bel-bench serve`: one step through the real daemon beside an echo of the same messages. argv[0] is the word
// itself, options follow (--help tells them). Returns an exit code.
int bench_serve(int argc, char **argv);
