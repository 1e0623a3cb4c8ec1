// Two servers in turns; the contract is in duel.h.
#include "duel.h"

#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { TURN = 200, WARM_UP = 2000, SAMPLES_LIMIT = 1 << 21, READY_FD = 3 };
static const double SLICE = 0.1;  // seconds of one turn with 64 clients

double duel_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu_of(const struct duel_server *server)
{
    struct timespec time = {0};
    clock_gettime(server->clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// ---- Servers --------------------------------------------------------------------------------------------------

// The servers' last words.
static void show(const char *path)
{
    char line[512];
    FILE *log = fopen(path, "r");
    while (log && fgets(line, sizeof line, log))
        fputs(line, stderr);
    if (log)
        fclose(log);
}

void duel_start(struct duel_server *server, int cpu, const char *log, char **argv)
{
    int ready[2];
    char word[8];
    if (pipe2(ready, O_CLOEXEC))
        load_die("no pipe: %s", strerror(errno));
    server->pid = fork();
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (cpu >= 0)
            load_run_on(cpu);
        dup2(open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), STDERR_FILENO);
        if (ready[1] == READY_FD)
            fcntl(READY_FD, F_SETFD, 0);
        else
            dup2(ready[1], READY_FD);
        execv(argv[0], argv);
        fprintf(stderr, "bel-bench: %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(ready[1]);
    if (server->pid < 0 || read(ready[0], word, sizeof word) < 6 || clock_getcpuclockid(server->pid, &server->clock)) {
        show(log);
        load_die("%s does not start", argv[0]);
    }
    close(ready[0]);
}

void duel_init(struct duel_server *server)
{
    server->samples = malloc(SAMPLES_LIMIT * sizeof *server->samples);
    if (!server->samples)
        load_die("no memory for samples");
}

void duel_release(struct duel_server *server)
{
    free(server->samples);
}

// ---- Measuring ------------------------------------------------------------------------------------------------

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void duel_one_client(struct duel_server servers[2], double seconds)
{
    struct asker askers[2];
    for (int s = 0; s < 2; s++) {
        asker_join(&askers[s], servers[s].name, servers[s].path, servers[s].is_grpc);
        for (int i = 0; i < WARM_UP; i++)
            asker_ask(&askers[s], WIRE_STEP);
    }
    for (double end = duel_now() + seconds; duel_now() < end;)
        for (int s = 0; s < 2; s++)
            for (int i = 0; i < TURN && servers[s].sample_count < SAMPLES_LIMIT; i++)
                servers[s].samples[servers[s].sample_count++] = asker_ask(&askers[s], WIRE_STEP);
    for (int s = 0; s < 2; s++) {
        asker_leave(&askers[s]);
        qsort(servers[s].samples, servers[s].sample_count, sizeof *servers[s].samples, ascending);
    }
}

int duel_join(struct asker *askers, const struct duel_server *server)
{
    int poll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < DUEL_CLIENTS; i++) {
        asker_join(&askers[i], server->name, server->path, server->is_grpc);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &askers[i]};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, askers[i].fd, &event))
            load_die("no epoll: %s", strerror(errno));
    }
    return poll;
}

void duel_leave(int poll, struct asker *askers)
{
    for (int i = 0; i < DUEL_CLIENTS; i++)
        asker_leave(&askers[i]);
    close(poll);
}

uint64_t duel_slice(int poll, struct asker *askers, double seconds)
{
    size_t waiting = DUEL_CLIENTS;
    uint64_t requests = DUEL_CLIENTS;
    for (int i = 0; i < DUEL_CLIENTS; i++)
        asker_send(&askers[i], WIRE_STEP);
    for (double end = duel_now() + seconds; waiting;) {
        struct epoll_event events[DUEL_CLIENTS];
        int ready = epoll_wait(poll, events, DUEL_CLIENTS, -1), more = duel_now() < end;
        for (int e = 0; e < ready; e++) {
            if (!asker_receive(events[e].data.ptr))
                continue;
            if (!more) {
                waiting--;
                continue;
            }
            asker_send(events[e].data.ptr, WIRE_STEP);
            requests++;
        }
    }
    return requests;
}

void duel_many_clients(struct duel_server servers[2], double seconds)
{
    static struct asker askers[2][DUEL_CLIENTS];
    int polls[2];
    for (int s = 0; s < 2; s++) {
        polls[s] = duel_join(askers[s], &servers[s]);
        duel_slice(polls[s], askers[s], SLICE);  // warm
    }
    for (double end = duel_now() + seconds; duel_now() < end;) {
        for (int s = 0; s < 2; s++) {
            double before = cpu_of(&servers[s]);
            servers[s].requests += duel_slice(polls[s], askers[s], SLICE);
            servers[s].cpu_seconds += cpu_of(&servers[s]) - before;
        }
    }
    for (int s = 0; s < 2; s++)
        duel_leave(polls[s], askers[s]);
}

double duel_quantile(const struct duel_server *server, double share)
{
    return server->samples[(size_t)(share * (double)(server->sample_count - 1))];
}

double duel_cpu_us(const struct duel_server *server)
{
    return server->cpu_seconds / (double)server->requests * 1e6;
}
