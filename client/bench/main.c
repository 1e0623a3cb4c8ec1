// bel-bench: what the parts cost, each beside something known that ran at the same time.
#include "echo.h"
#include "kernels.h"
#include "memory.h"
#include "peers.h"
#include "serve.h"
#include "worlds.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;  // NULL: not for people
} benches[] = {
    {"kernels", bench_kernels, "the kernels of a step beside OpenBLAS and this processor's peak"},
    {"serve", bench_serve, "a step through the daemon beside an echo of the same messages"},
    {"peers", bench_peers, "a step through the daemon beside servers that people build instead, and Redis"},
    {"memory", bench_memory, "what a session that waits costs, beside its packed integers"},
    {"worlds", bench_worlds, "steps of the simulated worlds beside bare steps of their engine"},
    {"echo-server", bench_echo_server, NULL},
};

int main(int argc, char **argv)
{
    enum { COUNT = sizeof benches / sizeof *benches };
    for (size_t i = 0; argc > 1 && i < COUNT; i++)
        if (strcmp(argv[1], benches[i].name) == 0)
            return benches[i].run(argc - 1, argv + 1);
    int wanted = argc > 1 && strcmp(argv[1], "--help") == 0;
    FILE *out = wanted ? stdout : stderr;
    fprintf(out, "bel-bench: what the parts cost, beside something known that ran at the same time\n\n");
    for (size_t i = 0; i < COUNT; i++)
        if (benches[i].summary)
            fprintf(out, "    bel-bench %-8s  %s\n", benches[i].name, benches[i].summary);
    fprintf(out, "\nbel-bench NAME --help tells its options.\n");
    return wanted ? 0 : 2;
}
