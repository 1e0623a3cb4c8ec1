// The daemon of a test on a network; the contract is in guard.h.
#include "guard.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/agent/sample.h"
#include "tests/support/suite.h"

const char *guard_program;
char guard_directory[64];
struct model *guard_model;
pid_t guard_pid;
static int manager = -1;          // where the service manager listens
struct certificate guard_authority, guard_certificate;

const char *guard_path(const char *name)
{
    static char paths[8][128];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", guard_directory, name);
    return path;
}

void guard_write(const char *name, const char *format, ...)
{
    FILE *file = fopen(guard_path(name), "w");
    ck_assert_ptr_nonnull(file);
    fchmod(fileno(file), 0600);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fclose(file);
}

const char *guard_log(void)
{
    static char text[1 << 20];
    FILE *file = fopen(guard_path("log"), "r");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[size] = '\0';
    if (file)
        fclose(file);
    return text;
}

const char *guard_sha256(const char *token)
{
    static char text[2 * SHA256_DIGEST_LENGTH + 1];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256((const uint8_t *)token, strlen(token), hash);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        sprintf(text + 2 * i, "%02x", hash[i]);
    return text;
}

struct sockaddr_un guard_unix(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%.100s", guard_path(name));
    return at;
}

void guard_set_up(void)
{
    strcpy(guard_directory, "/tmp/test-guard-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(guard_directory));
    guard_model = sample_model(&sample_small, 1);
    ck_assert_int_eq(model_save(guard_model, guard_path("model")), 0);
    guard_authority = certificate_make(NULL, "authority", NULL, -DAY, DAY);
    guard_certificate = certificate_make(&guard_authority, "server", "DNS:server.plant", -DAY, DAY);
    certificate_write(&guard_authority, guard_path("ca"));
    certificate_write(&guard_certificate, guard_path("certificate"));
    certificate_write_key(&guard_certificate, guard_path("key"));
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_un at = guard_unix("notify");
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&at, sizeof at), 0);
}

void guard_tear_down(void)
{
    // To its end, for that is when a sanitizer of the daemon's speaks.
    if (guard_pid) {
        kill(guard_pid, SIGTERM);
        ck_assert_msg(guard_ends_with() == 0, "%s", guard_log());
    }
    close(manager);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", guard_directory);
    ck_assert_int_eq(system(command), 0);
    model_free(guard_model);
    certificate_free(&guard_authority);
    certificate_free(&guard_certificate);
}

// The next datagram to the service manager.
const char *guard_told(void)
{
    static char text[1024];
    struct pollfd wait = {manager, POLLIN, 0};
    ck_assert_msg(poll(&wait, 1, GUARD_WAIT_MS) == 1, "nothing was told; log:\n%s", guard_log());
    ssize_t size = recv(manager, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

int guard_ends_with(void)
{
    int status;
    for (int i = 0; waitpid(guard_pid, &status, WNOHANG) == 0; i++) {
        ck_assert_msg(i < GUARD_WAIT_MS / 5, "it does not end");
        usleep(5000);
    }
    guard_pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// beliefd with this configuration, the service manager's environment, and descriptors 3 ... as passed sockets.
void guard_launch(const char *settings, const int *passed, int count)
{
    guard_write("conf", "model = %s/model\n%s", guard_directory, settings);
    guard_pid = fork();
    ck_assert_int_ge(guard_pid, 0);
    if (guard_pid)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // it ends with the test, however that ends
    int log = open(guard_path("log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(log, 1);
    dup2(log, 2);
    for (int i = 0; i < count; i++)
        dup2(passed[i], 3 + i);
    char pid[16], fds[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    snprintf(fds, sizeof fds, "%d", count);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", fds, 1);
    setenv("NOTIFY_SOCKET", guard_path("notify"), 1);
    execl(guard_program, guard_program, "--config", guard_path("conf"), (char *)NULL);
    _exit(127);
}

void guard_start(const char *format, ...)
{
    char settings[2 * GUARD_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(settings, sizeof settings, format, arguments);
    va_end(arguments);
    guard_launch(settings, NULL, 0);
    ck_assert_msg(!strncmp(guard_told(), "READY=1\n", 8), "not ready; log:\n%s", guard_log());
}

void guard_start_tls(const char *format, ...)
{
    char settings[GUARD_TEXT], all[2 * GUARD_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(settings, sizeof settings, format, arguments);
    va_end(arguments);
    snprintf(all, sizeof all, "tls_certificate = %s/certificate\ntls_key = %s/key\n%s", guard_directory, guard_directory,
             settings);
    guard_start("%s", all);
}

void guard_wait_for_log(const char *text)
{
    for (int i = 0; !strstr(guard_log(), text); i++) {
        ck_assert_msg(i < GUARD_WAIT_MS / 10, "no %s in the log:\n%s", text, guard_log());
        usleep(10000);
    }
}

// SIGHUP, until everything has been read again.
void guard_reload(void)
{
    kill(guard_pid, SIGHUP);
    ck_assert_msg(!strncmp(guard_told(), "RELOADING=1\nMONOTONIC_USEC=", 27), "reloading");
    ck_assert_msg(!strncmp(guard_told(), "READY=1\n", 8), "ready again");
}
