// The sustained rate of the experience log; the contract is in sustain.h.
#include "sustain.h"

#include "load.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char LOG_THREAD[] = "beliefd-log";

// Processor time of one thread so far, and whether it is the log's.
static double time_of(int pid, const char *thread, int *is_log)
{
    char path[320], line[1024];
    unsigned long long user, system;
    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", pid, thread);
    FILE *file = fopen(path, "re");
    char *read = file ? fgets(line, sizeof line, file) : NULL;
    if (file)
        fclose(file);
    // The name stands in brackets, then 11 numbers before the two times.
    char *name = read ? strchr(line, '(') : NULL, *end = read ? strrchr(line, ')') : NULL;
    if (!name || !end || sscanf(end + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu", &user, &system) != 2)
        load_die("%s does not tell the thread's time", path);
    *is_log = (size_t)(end - name - 1) == strlen(LOG_THREAD) && !memcmp(name + 1, LOG_THREAD, strlen(LOG_THREAD));
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void read_times(int pid, double *loops, double *log)
{
    char path[64];
    int is_log, found = 0;
    *loops = *log = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    if (!threads)
        load_die("%s: %s", path, strerror(errno));
    for (const struct dirent *thread; (thread = readdir(threads));) {
        if (thread->d_name[0] == '.')
            continue;
        double seconds = time_of(pid, thread->d_name, &is_log);
        *(is_log ? log : loops) += seconds;
        found += is_log;
    }
    closedir(threads);
    if (found != 1)
        load_die("the daemon has %d threads called %s", found, LOG_THREAD);
}

void sustain_measure(struct sustain *out, const struct duel_server *server, double seconds)
{
    static struct asker askers[DUEL_CLIENTS];
    double loops[2], log[2];
    int poll = duel_join(askers, server);
    asker_ask(&askers[0], WIRE_PING);
    read_times(server->pid, &loops[0], &log[0]);
    double begin = duel_now();
    out->transitions = duel_slice(poll, askers, seconds);
    // All sessions of one loop have one queue, and the durable ping waits for all that is in it.
    asker_ask(&askers[0], WIRE_PING);
    out->seconds = duel_now() - begin;
    read_times(server->pid, &loops[1], &log[1]);
    out->loop_seconds = loops[1] - loops[0];
    out->log_seconds = log[1] - log[0];
    duel_leave(poll, askers);
}
