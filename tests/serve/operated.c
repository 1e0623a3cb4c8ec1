// The daemon and those who run it: sockets that systemd passes, what the service manager hears, monitoring over HTTP.
//
//     test_operated PATH-OF-BELIEFD

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guard.h"
#include "tests/support/suite.h"

static int listening(struct sockaddr *at, socklen_t size)
{
    int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, at, size), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, at, &size), 0);
    return fd;
}

// Sockets of the service manager outlive the daemon: who connects between two daemons waits, and is served.
START_TEST(passed_sockets_outlive_the_daemon)
{
    struct sockaddr_un local = guard_unix("passed");
    struct sockaddr_in internet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int sockets[] = {listening((struct sockaddr *)&local, sizeof local),
                     listening((struct sockaddr *)&internet, sizeof internet)};
    char settings[GUARD_TEXT];
    snprintf(settings, sizeof settings, "listen = tcp:127.0.0.1:%u\nlisten = unix:%s/passed\n", ntohs(internet.sin_port),
             guard_directory);
    struct guard_link early = guard_link(guard_dial_unix("passed"));
    for (int round = 0; round < 2; round++) {
        guard_launch(settings, sockets, 2);
        ck_assert_msg(!strncmp(guard_told(), "READY=1\n", 8), "not ready; log:\n%s", guard_log());
        uint8_t digest[WIRE_DIGEST_SIZE];
        guard_live(&early, "early", 5, digest);
        guard_close(&early);
        kill(guard_pid, SIGTERM);
        ck_assert_msg(!strncmp(guard_told(), "STOPPING=1\n", 11), "stopping");
        ck_assert_int_eq(guard_ends_with(), 0);
        ck_assert_int_eq(access(guard_path("passed"), F_OK), 0);
        early = guard_link(guard_dial_unix("passed"));
    }
    guard_close(&early);
    // One that nobody asked for.
    snprintf(settings, sizeof settings, "listen = unix:%s/passed\n", guard_directory);
    guard_launch(settings, sockets, 2);
    ck_assert_int_eq(guard_ends_with(), 1);
    ck_assert_msg(strstr(guard_log(), "socket 2 of those that were passed") != NULL, "%s", guard_log());
    close(sockets[0]);
    close(sockets[1]);
}
END_TEST

// The whole answer to a GET.
static const char *get(const char *address, const char *path)
{
    static char answer[1 << 18];
    char request[128];
    size_t used = 0, got;
    struct guard_link link = guard_link(guard_dial(address));
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", path);
    guard_send(&link, (const uint8_t *)request, (size_t)size);
    while ((got = guard_receive(&link, (uint8_t *)answer + used, sizeof answer - 1 - used)) > 0)
        used += got;
    answer[used] = '\0';
    guard_close(&link);
    return answer;
}

START_TEST(monitoring_tells_what_happened)
{
    setenv("WATCHDOG_USEC", "300000", 1);
    unsetenv("WATCHDOG_PID");
    guard_start("listen = unix:%s/socket\nadmin = 127.0.0.1:0\nloops = 2\n", guard_directory);
    unsetenv("WATCHDOG_USEC");
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(guard_told(), "WATCHDOG=1");
    uint8_t digest[WIRE_DIGEST_SIZE];
    struct guard_link links[3];
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        links[i] = guard_link(guard_dial_unix("socket"));
        guard_live(&links[i], name, 11, digest);
    }
    const char *text = get("127.0.0.1:0", "/readyz");
    for (int i = 0; i < 200 && strncmp(text, "HTTP/1.1 200", 12); i++) {
        usleep(20000);  // until each loop has turned once
        text = get("127.0.0.1:0", "/readyz");
    }
    ck_assert_msg(!strncmp(text, "HTTP/1.1 200", 12), "%s", text);
    text = get("127.0.0.1:0", "/healthz");
    ck_assert_msg(!strncmp(text, "HTTP/1.1 200", 12), "%s", text);
    text = get("127.0.0.1:0", "/metrics");
    static const char *const lines[] = {
        "\nbeliefd_requests_total{kind=\"step\"} 30\n", "\nbeliefd_requests_total{kind=\"act\"} 3\n",
        "\nbeliefd_transitions_total{status=\"absorbed\"} 30\n", "\nbeliefd_sessions_opened_total 3\n",
        "\nbeliefd_request_seconds_count 33\n", "\nbeliefd_connections{door=\"frames\"} 3\n",
        "\nbeliefd_loop_beat_age_seconds{loop=\"1\"}", "\nbeliefd_ready 1\n", "\nbeliefd_draining 0\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(text, lines[i]) != NULL, "no %s in %s", lines[i], text);
    for (int i = 0; i < 3; i++)
        guard_close(&links[i]);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    guard_program = argv[1];
    Suite *suite = suite_create("operated");
    SUITE_TEST_WITH(suite, passed_sockets_outlive_the_daemon, guard_set_up, guard_tear_down);
    SUITE_TEST_WITH(suite, monitoring_tells_what_happened, guard_set_up, guard_tear_down);
    return suite_finish(suite);
}
