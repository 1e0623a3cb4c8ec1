#include "process.h"

#include "tests/support/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_LIMIT = 1 << 20, WORDS = 1500, MODELS = 8, READY_DESCRIPTOR = 3 };

const char *beliefd_path;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

// ---- Directories

void directory_make(char *directory, size_t size)
{
    // Short, because it is part of a socket's name.
    snprintf(directory, size, "/tmp/beliefd-test.XXXXXX");
    ck_assert_msg(mkdtemp(directory) != NULL, "%s: %s", directory, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

void directory_remove(const char *directory)
{
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

// ---- Processes

// ready: a pipe's end for the program's descriptor 3, or -1.
static void start(struct process *process, const char *directory, const char *const *arguments, int ready)
{
    static unsigned number;
    *process = (struct process){0};
    snprintf(process->path, sizeof process->path, "%s/output.%u", directory, number++);
    pid_t parent = getpid();
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    process->pid = fork();
    if (process->pid) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        ck_assert_int_ge(process->pid, 0);
        return;
    }
    // The child: ends with the test, however that ends. Nothing of check's here, whose lock another thread may have held,
    // and whose handler would pass a signal that comes before execv on to the test.
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    int output = open(process->path, O_WRONLY | O_CREAT | O_TRUNC, 0600), input = open("/dev/null", O_RDONLY);
    if (output < 0 || input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        _exit(127);
    if (ready >= 0 && dup2(ready, READY_DESCRIPTOR) < 0)
        _exit(127);
    execv(arguments[0], (char *const *)(uintptr_t)arguments);
    fprintf(stderr, "%s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

void process_start(struct process *process, const char *directory, const char *const *arguments)
{
    start(process, directory, arguments, -1);
}

static void read_output(struct process *process)
{
    free(process->output);
    process->output = calloc(1, OUTPUT_LIMIT);
    int file = open(process->path, O_RDONLY);
    if (file < 0)
        return;
    ssize_t size = read(file, process->output, OUTPUT_LIMIT - 1);
    process->output[size > 0 ? size : 0] = 0;
    close(file);
}

const char *process_words(const struct process *process)
{
    const char *output = process->output ? process->output : "";
    size_t size = strlen(output);
    return size > WORDS ? output + size - WORDS : output;
}

int process_running(struct process *process)
{
    siginfo_t state = {0};
    return process->pid && waitid(P_PID, (id_t)process->pid, &state, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           state.si_pid == 0;
}

int process_wait(struct process *process, double seconds)
{
    int status = 0;
    double until = now() + seconds;
    pid_t ended;
    while ((ended = waitpid(process->pid, &status, WNOHANG)) == 0 && now() < until)
        nap();
    if (ended == 0) {
        kill(process->pid, SIGKILL);
        waitpid(process->pid, &status, 0);
    }
    process->pid = 0;
    read_output(process);
    ck_assert_msg(ended != 0, "did not end within %g s; it said:\n%s", seconds, process_words(process));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void process_signal(struct process *process, int number)
{
    ck_assert_int_eq(kill(process->pid, number), 0);
}

void process_release(struct process *process)
{
    if (process->pid) {
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
        process->pid = 0;
    }
    free(process->output);
    process->output = NULL;
}

// ---- The daemon

// A TCP port that was free a moment ago.
static unsigned free_port(void)
{
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    ck_assert_int_eq(bind(probe, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(probe, (struct sockaddr *)&address, &size), 0);
    close(probe);
    return ntohs(address.sin_port);
}

void daemon_restart(struct daemon *daemon)
{
    char models[MODELS][128], config[128], ready_descriptor[8];
    const char *arguments[2 * MODELS + 10] = {beliefd_path, "--listen", daemon->unix_address, "--listen",
                                             daemon->tcp_address, "--ready-fd", ready_descriptor};
    size_t count = 7;
    snprintf(ready_descriptor, sizeof ready_descriptor, "%d", READY_DESCRIPTOR);
    for (int i = 0; i < MODELS; i++) {
        snprintf(models[i], sizeof models[i], "%s/%d.safetensors", daemon->directory, i);
        if (access(models[i], R_OK))
            break;
        arguments[count++] = "--model";
        arguments[count++] = models[i];
    }
    snprintf(config, sizeof config, "%s/config", daemon->directory);
    if (access(config, R_OK) == 0) {
        arguments[count++] = "--config";
        arguments[count++] = config;
    }
    int ready[2];
    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    start(&daemon->process, daemon->directory, arguments, ready[1]);
    close(ready[1]);

    char said[16] = "";
    struct pollfd wait = {.fd = ready[0], .events = POLLIN};
    if (poll(&wait, 1, 60000) == 1 && read(ready[0], said, sizeof said - 1) < 0)
        said[0] = 0;
    close(ready[0]);
    if (strncmp(said, "READY", 5) != 0) {
        read_output(&daemon->process);
        ck_abort_msg("beliefd did not become ready; it said:\n%s", process_words(&daemon->process));
    }
}

void daemon_start(struct daemon *daemon, struct model *const *models, size_t count, const char *settings)
{
    *daemon = (struct daemon){0};
    directory_make(daemon->directory, sizeof daemon->directory);
    ck_assert_uint_le(count, MODELS);
    for (size_t i = 0; i < count; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%zu.safetensors", daemon->directory, i);
        ck_assert_int_eq(model_save(models[i], path), 0);
    }
    if (settings) {
        char path[128];
        snprintf(path, sizeof path, "%s/config", daemon->directory);
        FILE *file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        for (const char *c = settings; *c; c++)
            *c == '@' ? fputs(daemon->directory, file) : fputc(*c, file);
        ck_assert_int_eq(fclose(file), 0);
    }
    snprintf(daemon->unix_address, sizeof daemon->unix_address, "unix:%s/socket", daemon->directory);
    snprintf(daemon->tcp_address, sizeof daemon->tcp_address, "tcp:127.0.0.1:%u", free_port());
    daemon_restart(daemon);
}

int daemon_stop(struct daemon *daemon)
{
    process_signal(&daemon->process, SIGTERM);
    return process_wait(&daemon->process, 60);
}

void daemon_release(struct daemon *daemon)
{
    process_release(&daemon->process);
    directory_remove(daemon->directory);
}

int connect_to(const char *address)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_in internet;
    } to = {0};
    socklen_t size;
    if (!strncmp(address, "unix:", 5)) {
        to.local.sun_family = AF_UNIX;
        snprintf(to.local.sun_path, sizeof to.local.sun_path, "%s", address + 5);
        size = sizeof to.local;
    } else {
        to.internet.sin_family = AF_INET;
        to.internet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.internet.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
        size = sizeof to.internet;
    }
    int link = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), at_once = 1;
    if (to.any.sa_family == AF_INET)
        setsockopt(link, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    ck_assert_msg(connect(link, &to.any, size) == 0, "%s: %s", address, strerror(errno));
    return link;
}
