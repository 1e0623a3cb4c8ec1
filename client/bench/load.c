// The load; the contract is in load.h.
#include "load.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OBSERVATIONS = 256, START_SECONDS = 60 };

static size_t observation_dim;
static float observations[OBSERVATIONS][LOAD_OBSERVATION_LIMIT], rewards[OBSERVATIONS];

void load_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bel-bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// ---- What clients observe -----------------------------------------------------------------------------------------

void load_prepare(size_t dim)
{
    struct random_stream stream = random_stream(2, 0, 0, 0);
    observation_dim = dim;
    for (size_t i = 0; i < OBSERVATIONS; i++) {
        for (size_t k = 0; k < dim; k++)
            observations[i][k] = (float)random_normal(&stream);
        rewards[i] = (float)random_normal(&stream);
    }
}

const float *load_observation(uint64_t i) { return observations[i % OBSERVATIONS]; }
float load_reward(uint64_t i) { return rewards[i % OBSERVATIONS]; }
size_t load_dim(void) { return observation_dim; }

// ---- Processes ----------------------------------------------------------------------------------------------------

void load_run_on(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

// The last processor that this program may use, for servers: the first ones get most of the machine's interrupts.
int load_processors(int *other)
{
    cpu_set_t set;
    int last = -1;
    *other = 0;
    for (int cpu = 0; sched_getaffinity(0, sizeof set, &set) == 0 && cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set)) {
            *other = last < 0 ? cpu : last;
            last = cpu;
        }
    return last < 0 ? 0 : last;
}

static int executable(char *out, size_t room, const char *place, const char *rest)
{
    return (size_t)snprintf(out, room, "%s/%s", place, rest) < room && access(out, X_OK) == 0;
}

int load_find_daemon(char *out, size_t room)
{
    char self[4096];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    self[size > 0 ? size : 0] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    return executable(out, room, self, "../daemon/beliefd") || executable(out, room, self, "beliefd") ||
           executable(out, room, self, "../sbin/beliefd");
}

static void show_log(const char *path)
{
    char line[512];
    FILE *log = fopen(path, "r");
    while (log && fgets(line, sizeof line, log))
        fputs(line, stderr);
    if (log)
        fclose(log);
}

static int dial(const struct load_server *server)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, server->path, sizeof to.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

void load_start(struct load_server *server, int cpu, const char *log, char *const *argv)
{
    server->pid = fork();
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (cpu >= 0)
            load_run_on(cpu);
        int output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
            _exit(127);
        execvp(argv[0], argv);
        fprintf(stderr, "bel-bench: %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    if (server->pid < 0)
        load_die("no process: %s", strerror(errno));
    int fd = -1, status;
    for (double end = now() + START_SECONDS; (fd = dial(server)) < 0;) {
        if (waitpid(server->pid, &status, WNOHANG) == server->pid || now() > end) {
            show_log(log);
            load_die("%s does not start", server->name);
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    close(fd);
    if (clock_getcpuclockid(server->pid, &server->clock))
        load_die("%s has no clock", server->name);
}

void load_stop(struct load_server *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGTERM);
        waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
}

static double cpu_of(const struct load_server *server)
{
    struct timespec time = {0};
    clock_gettime(server->clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

double load_cpu_us(const struct load_server *server)
{
    return server->requests ? server->cpu_seconds / (double)server->requests * 1e6 : 0;
}

// ---- Connections --------------------------------------------------------------------------------------------------

static const char *server_name(const struct load_connection *connection) { return connection->wire->name; }

static void send_out(struct load_connection *connection)
{
    size_t size = frame_buffer_size(&connection->out);
    if (size && send(connection->fd, frame_buffer_data(&connection->out), size, MSG_NOSIGNAL) != (ssize_t)size)
        load_die("%s does not take a request", server_name(connection));
    frame_buffer_consume(&connection->out, size);
}

static void receive(struct load_connection *connection)
{
    uint8_t *room = frame_buffer_reserve(&connection->in, LOAD_FRAME / 4);
    ssize_t got = room ? recv(connection->fd, room, connection->in.capacity - connection->in.end, 0) : -1;
    if (got <= 0)
        load_die("%s hung up", server_name(connection));
    frame_buffer_append(&connection->in, (size_t)got);
}

void load_round_trip(struct load_connection *connection, int (*take)(struct load_connection *connection))
{
    send_out(connection);
    do {
        receive(connection);
    } while (!take(connection));
}

void load_connect(const struct load_server *server, struct load_connection *connection)
{
    *connection = (struct load_connection){.fd = dial(server), .wire = server->wire};
    if (connection->fd < 0 || frame_buffer_init(&connection->in, LOAD_FRAME, LOAD_FRAME) ||
        frame_buffer_init(&connection->out, LOAD_FRAME, LOAD_FRAME))
        load_die("no connection to %s: %s", server->name, strerror(errno));
}

void load_disconnect(struct load_connection *connection)
{
    if (connection->wire->end)
        connection->wire->end(connection);
    close(connection->fd);
    frame_buffer_release(&connection->in);
    frame_buffer_release(&connection->out);
}

void load_join(struct load_server *server)
{
    server->poll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < LOAD_CONNECTIONS; i++) {
        struct load_connection *connection = &server->connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        load_connect(server, connection);
        connection->session = (uint64_t)i + 1;
        if (epoll_ctl(server->poll, EPOLL_CTL_ADD, connection->fd, &event))
            load_die("no epoll: %s", strerror(errno));
        if (server->wire->begin)
            server->wire->begin(connection);
    }
}

void load_leave(struct load_server *server)
{
    for (int i = 0; i < LOAD_CONNECTIONS; i++)
        load_disconnect(&server->connections[i]);
    close(server->poll);
}

void load_slice(struct load_server *server, double seconds, int count)
{
    double before = cpu_of(server);
    size_t waiting = LOAD_CONNECTIONS;
    uint64_t requests = 0;
    for (int i = 0; i < LOAD_CONNECTIONS; i++) {
        server->wire->ask(&server->connections[i]);
        send_out(&server->connections[i]);
    }
    for (double end = now() + seconds; waiting;) {
        struct epoll_event events[LOAD_CONNECTIONS];
        int ready = epoll_wait(server->poll, events, LOAD_CONNECTIONS, -1), more = now() < end;
        for (int e = 0; e < ready; e++) {
            struct load_connection *connection = events[e].data.ptr;
            receive(connection);
            int whole = server->wire->take(connection);
            if (whole) {
                requests++;
                if (more)
                    server->wire->ask(connection);
                else
                    waiting--;
            }
            send_out(connection);  // the request, or what the wire itself had to say
        }
    }
    if (count) {
        server->cpu_seconds += cpu_of(server) - before;
        server->requests += requests;
    }
}
