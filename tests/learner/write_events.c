// Writes what a training would write, for readers that are not ours: write_events DIRECTORY FIRST LAST FACTOR.
// Iterations FIRST .. LAST, 1000 frames each; resumes at iteration FIRST - 1.

#include "learner/events.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "write_events DIRECTORY FIRST LAST FACTOR\n");
        return 2;
    }
    long first = strtol(argv[2], NULL, 10), last = strtol(argv[3], NULL, 10);
    double factor = strtod(argv[4], NULL);
    struct events *events;
    int error = events_open(&events, argv[1], (uint64_t)(first - 1) * 1000, 1);
    for (long i = first; i <= last && !error; i++) {
        struct events_value values[] = {
            {"return/episode_1", factor * (double)i},
            {"evidence", -1.5 * (double)i},
            {"policy/kl", i % 2 ? 1e-3 : NAN},
        };
        error = events_write(events, (uint64_t)i * 1000, 0.25 * (double)i, values, 3, "");
    }
    if (error) {
        fprintf(stderr, "write_events: %s\n", strerror(-error));
        return 1;
    }
    events_close(events);
    return 0;
}
