// Monitoring over HTTP, as Prometheus and a load balancer ask.

#include "daemon/serve/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/suite.h"

enum { REPLY_MS = 30000, ANSWER = 1 << 20 };

static struct admin *admin;
static struct sockaddr_in address;
static char answer[ANSWER];

// What the daemon would say.
static const char *sick, *busy;
static size_t metrics_size;

static char *metrics(void *context)
{
    ck_assert_ptr_eq(context, &admin);
    char *text = malloc(metrics_size + 1);
    memset(text, 'm', metrics_size);
    text[metrics_size] = '\0';
    return text;
}

static int judge(const char *sentence, char *why, size_t why_size)
{
    snprintf(why, why_size, "%s", sentence ? sentence : "");
    return sentence ? -EAGAIN : 0;
}

static int health(void *context, char *why, size_t why_size)
{
    (void)context;
    return judge(sick, why, why_size);
}

static int ready(void *context, char *why, size_t why_size)
{
    (void)context;
    return judge(busy, why, why_size);
}

static void set_up(void)
{
    char why[256];
    socklen_t size = sizeof address;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(listen(fd, 128), 0);
    sick = busy = NULL;
    metrics_size = 100;
    const struct admin_options options = {fd, metrics, health, ready, &admin};
    ck_assert_msg(admin_start(&admin, &options, why, sizeof why) == 0, "%s", why);
}

static void tear_down(void)
{
    admin_stop(admin);
    admin = NULL;
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void ask(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

// All until the other end closes.
static const char *hear(int fd)
{
    size_t used = 0;
    ssize_t got;
    struct pollfd wait = {fd, POLLIN, 0};
    do {
        ck_assert_int_eq(poll(&wait, 1, REPLY_MS), 1);
        got = recv(fd, answer + used, sizeof answer - 1 - used, 0);
        used += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    answer[used] = '\0';
    close(fd);
    return answer;
}

// Request and answer; the status.
static int get(const char *method, const char *path)
{
    char text[256];
    int fd = dial(), status = 0;
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n", method, path);
    ask(fd, text);
    ck_assert_msg(sscanf(hear(fd), "HTTP/1.1 %d", &status) == 1, "%s", answer);
    return status;
}

static const char *body(void)
{
    const char *end = strstr(answer, "\r\n\r\n");
    ck_assert_ptr_nonnull(end);
    return end + 4;
}

START_TEST(metrics_are_told_whole)
{
    for (metrics_size = 1; metrics_size < 300000; metrics_size = metrics_size * 7 + 1) {
        ck_assert_int_eq(get("GET", "/metrics"), 200);
        ck_assert_uint_eq(strlen(body()), metrics_size);
        ck_assert_uint_eq(strspn(body(), "m"), metrics_size);
        ck_assert_ptr_nonnull(strstr(answer, "Content-Type: text/plain; version=0.0.4"));
    }
    ck_assert_int_eq(get("HEAD", "/metrics"), 200);
    ck_assert_str_eq(body(), "");
}
END_TEST

START_TEST(health_and_readiness_are_two_questions)
{
    ck_assert_int_eq(get("GET", "/healthz"), 200);
    ck_assert_str_eq(body(), "ok\n");
    ck_assert_int_eq(get("GET", "/readyz"), 200);
    busy = "no model is served";
    ck_assert_int_eq(get("GET", "/healthz"), 200);
    ck_assert_int_eq(get("GET", "/readyz"), 503);
    ck_assert_str_eq(body(), "no model is served\n");
    sick = "loop 1 does not turn";
    ck_assert_int_eq(get("GET", "/healthz?probe=1"), 503);
    ck_assert_str_eq(body(), "loop 1 does not turn\n");
    busy = sick = NULL;
    ck_assert_int_eq(get("GET", "/readyz"), 200);
}
END_TEST

START_TEST(anything_else_is_refused)
{
    static const char *const paths[] = {"/", "/metrics/", "/metrics/..", "/../etc/passwd", "/READYZ", "*", "/%2e%2e"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        ck_assert_int_ge(get("GET", paths[i]), 400);
    ck_assert_int_eq(get("GET", "/other"), 404);
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        ck_assert_int_eq(get(methods[i], "/metrics"), 405);
        ck_assert_ptr_nonnull(strstr(answer, "Allow: GET, HEAD"));
    }
    int fd = dial();
    ask(fd, "POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    ck_assert_msg(!strncmp(hear(fd), "HTTP/1.1 405", 12), "%s", answer);
}
END_TEST

START_TEST(one_connection_asks_many_times)
{
    int fd = dial();
    for (int i = 0; i < 50; i++)
        ask(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    ask(fd, "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    int count = 0;
    for (const char *at = hear(fd); (at = strstr(at, "\r\n\r\nok\n")); at++)
        count++;
    ck_assert_int_eq(count, 51);
}
END_TEST

START_TEST(garbage_and_floods_of_headers_are_cut_off)
{
    static const char *const lines[] = {"\r\n\r\n\r\n", "\x16\x03\x01\x02\x01\x01\r\n\r\n", "GET\r\n\r\n",
                                        "GET /metrics HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int fd = dial();
        ask(fd, lines[i]);
        struct pollfd wait = {fd, POLLIN, 0};
        poll(&wait, 1, 50);  // an answer, or none: blank lines are no request yet
        ssize_t size = recv(fd, answer, sizeof answer - 1, MSG_DONTWAIT);
        answer[size > 0 ? size : 0] = '\0';
        ck_assert_msg(!strstr(answer, "mmmm"), "%s", answer);
        close(fd);
    }
    // More headers than it keeps memory for.
    int fd = dial();
    ask(fd, "GET /metrics HTTP/1.1\r\nHost: h\r\n");
    char header[600];
    int header_size = snprintf(header, sizeof header, "X-Header: %0500d\r\n", 0);
    size_t sent = 0;
    while (send(fd, header, (size_t)header_size, MSG_NOSIGNAL) > 0 && sent < 10 * ADMIN_MEMORY)
        sent += (size_t)header_size;
    hear(fd);
    ck_assert_ptr_null(strstr(answer, "200 OK"));
    ck_assert_int_eq(get("GET", "/healthz"), 200);
}
END_TEST

// Connections that say nothing take places; there are few, and who comes beyond them waits until one is free.
START_TEST(places_are_few_and_come_back)
{
    int silent[ADMIN_CONNECTIONS];
    for (int i = 0; i < ADMIN_CONNECTIONS; i++)
        silent[i] = dial();
    int late = dial();
    ask(late, "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    struct pollfd wait = {late, POLLIN, 0};
    ck_assert_int_eq(poll(&wait, 1, 200), 0);
    for (int i = 0; i < ADMIN_CONNECTIONS; i++)
        close(silent[i]);
    ck_assert_msg(!strncmp(hear(late), "HTTP/1.1 200", 12), "%s", answer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin");
    SUITE_TEST_WITH(suite, metrics_are_told_whole, set_up, tear_down);
    SUITE_TEST_WITH(suite, health_and_readiness_are_two_questions, set_up, tear_down);
    SUITE_TEST_WITH(suite, anything_else_is_refused, set_up, tear_down);
    SUITE_TEST_WITH(suite, one_connection_asks_many_times, set_up, tear_down);
    SUITE_TEST_WITH(suite, garbage_and_floods_of_headers_are_cut_off, set_up, tear_down);
    SUITE_TEST_WITH(suite, places_are_few_and_come_back, set_up, tear_down);
    return suite_finish(suite);
}
