// What the service manager hears: datagrams at a socket of ours, and descriptors as it passes them.

#include "daemon/serve/notify.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/serve/address.h"
#include "tests/support/suite.h"

static int manager = -1;
static char directory[64], path[96];

// abstract: a name without a file, as containers use.
static void listen_at(int abstract)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(path, sizeof path, abstract ? "@%s" : "%s/notify", directory);
    strcpy(at.sun_path, path);
    if (abstract)
        at.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&at, size), 0);
    setenv("NOTIFY_SOCKET", path, 1);
}

static void set_up(void)
{
    strcpy(directory, "/tmp/test-notify-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void tear_down(void)
{
    if (manager >= 0)
        close(manager);
    manager = -1;
    unlink(path);
    rmdir(directory);
}

static const char *heard(void)
{
    static char text[2048];
    ssize_t size = recv(manager, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

START_TEST(each_word_is_one_datagram)
{
    listen_at(_i);
    ck_assert_int_eq(notify_ready("serving 2 models"), 0);
    ck_assert_str_eq(heard(), "READY=1\nSTATUS=serving 2 models");
    ck_assert_int_eq(notify_status("%d sessions", 7), 0);
    ck_assert_str_eq(heard(), "STATUS=7 sessions");
    ck_assert_int_eq(notify_watchdog(), 0);
    ck_assert_str_eq(heard(), "WATCHDOG=1");
    ck_assert_int_eq(notify_stopping(), 0);
    ck_assert_msg(!strncmp(heard(), "STOPPING=1\n", 11), "stopping");
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    ck_assert_int_eq(notify_reloading(), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    unsigned long long us;
    ck_assert_int_eq(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%llu\n", &us), 1);
    ck_assert_uint_ge(us, (unsigned long long)before.tv_sec * 1000000 + (unsigned long long)before.tv_nsec / 1000);
    ck_assert_uint_le(us, (unsigned long long)after.tv_sec * 1000000 + (unsigned long long)after.tv_nsec / 1000);
    ck_assert_str_eq(heard(), "");
}
END_TEST

START_TEST(without_a_manager_nothing_happens)
{
    unsetenv("NOTIFY_SOCKET");
    ck_assert_int_eq(notify_ready("x"), 0);
    setenv("NOTIFY_SOCKET", "", 1);
    ck_assert_int_eq(notify_ready("x"), 0);
    setenv("NOTIFY_SOCKET", "relative", 1);
    ck_assert_int_eq(notify_ready("x"), -EINVAL);
    char text[300];
    memset(text, 'x', sizeof text);
    text[0] = '/';
    text[sizeof text - 1] = '\0';
    setenv("NOTIFY_SOCKET", text, 1);
    ck_assert_int_eq(notify_ready("x"), -EINVAL);
    setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
    ck_assert_int_eq(notify_ready("x"), -ENOENT);
}
END_TEST

START_TEST(the_watchdog_is_ours_or_not)
{
    char pid[32];
    snprintf(pid, sizeof pid, "%d", getpid());
    ck_assert_uint_eq(notify_watchdog_us(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    ck_assert_uint_eq(notify_watchdog_us(), 30000000);
    setenv("WATCHDOG_PID", pid, 1);
    ck_assert_uint_eq(notify_watchdog_us(), 30000000);
    setenv("WATCHDOG_PID", "1", 1);
    ck_assert_uint_eq(notify_watchdog_us(), 0);
    unsetenv("WATCHDOG_PID");
    static const char *const bad[] = {"0", "-5", "x", "5x", "", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("WATCHDOG_USEC", bad[i], 1);
        ck_assert_uint_eq(notify_watchdog_us(), 0);
    }
}
END_TEST

// Runs in a child, whose descriptors from 3 on are its own.
static void in_child(void (*facts)(void))
{
    pid_t child = fork();
    if (child == 0) {
        facts();
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "fact %d does not hold",
                  WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

#define FACT(number, condition) do { if (!(condition)) _exit(number); } while (0)

static int listening(int domain, struct sockaddr *at, socklen_t size, int wanted)
{
    int fd = socket(domain, SOCK_STREAM, 0);
    FACT(100, bind(fd, at, size) == 0 && listen(fd, 5) == 0 && getsockname(fd, at, &size) == 0);
    if (fd != wanted)
        FACT(101, dup2(fd, wanted) == wanted && close(fd) == 0);
    return wanted;
}

static void sockets_are_found_by_address(void)
{
    closefrom(3);
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in internet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    snprintf(local.sun_path, sizeof local.sun_path, "%s/socket", directory);
    listening(AF_UNIX, (struct sockaddr *)&local, sizeof local, 3);
    listening(AF_INET, (struct sockaddr *)&internet, sizeof internet, 4);
    char pid[32], text[160], why[256];
    snprintf(pid, sizeof pid, "%d", getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    int fds[16];
    FACT(1, notify_listen_fds(fds, 16) == 2 && fds[0] == 3 && fds[1] == 4);
    FACT(2, fcntl(3, F_GETFD) & FD_CLOEXEC);
    FACT(3, !getenv("LISTEN_FDS") && notify_listen_fds(fds, 16) == 0);

    struct address address;
    struct listener_socket listener;
    snprintf(text, sizeof text, "tls:127.0.0.1:%u", ntohs(internet.sin_port));
    FACT(4, address_parse(&address, text, why, sizeof why) == 0 && listener_inherit(&listener, &address, fds, 2) == 1);
    FACT(5, listener.fd == 4 && listener.port == ntohs(internet.sin_port) && fds[0] == 3 && fds[1] == -1);
    FACT(6, fcntl(4, F_GETFL) & O_NONBLOCK);
    FACT(7, listener_inherit(&listener, &address, fds, 2) == 0);
    snprintf(text, sizeof text, "unix:%s/other", directory);
    FACT(8, address_parse(&address, text, why, sizeof why) == 0 && listener_inherit(&listener, &address, fds, 2) == 0);
    snprintf(text, sizeof text, "unix:%s/socket", directory);
    FACT(9, address_parse(&address, text, why, sizeof why) == 0 && listener_inherit(&listener, &address, fds, 2) == 1);
    FACT(10, listener.fd == 3 && listener.is_unix && fds[0] == -1);
    // It is the manager's: it outlives us.
    listener_unlink(&listener);
    FACT(11, access(local.sun_path, F_OK) == 0 && unlink(local.sun_path) == 0);
}

static void descriptors_of_others_are_left_alone(void)
{
    int fds[16];
    char pid[32];
    setenv("LISTEN_FDS", "1", 1);
    FACT(1, notify_listen_fds(fds, 16) == 0);  // nobody says for whom
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", "1", 1);
    FACT(2, notify_listen_fds(fds, 16) == 0);
    snprintf(pid, sizeof pid, "%d", getpid());
    static const char *const bad[] = {"17", "-1", "x", "", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", bad[i], 1);
        FACT(10 + (int)i, notify_listen_fds(fds, 16) == -EINVAL);
    }
    closefrom(3);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "1", 1);
    FACT(20, notify_listen_fds(fds, 16) == -EBADF);
}

START_TEST(passed_sockets_are_found_by_their_address)
{
    in_child(sockets_are_found_by_address);
    in_child(descriptors_of_others_are_left_alone);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    suite_add(suite, "each_word_is_one_datagram", each_word_is_one_datagram, 2, set_up, tear_down);
    SUITE_TEST_WITH(suite, without_a_manager_nothing_happens, set_up, tear_down);
    SUITE_TEST_WITH(suite, the_watchdog_is_ours_or_not, set_up, tear_down);
    SUITE_TEST_WITH(suite, passed_sockets_are_found_by_their_address, set_up, tear_down);
    return suite_finish(suite);
}
