// The service manager; the contract is in notify.h.
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_LIMIT = 1024 };

int notify_send(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (!path || !*path)
        return 0;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if ((*path != '/' && *path != '@') || length >= sizeof to.sun_path)
        return -EINVAL;
    memcpy(to.sun_path, path, length);
    if (*path == '@')
        to.sun_path[0] = '\0';  // an abstract name
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ssize_t sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to, size);
    int error = sent < 0 ? -errno : 0;
    close(fd);
    return error;
}

__attribute__((format(printf, 1, 2)))
static int send_text(const char *format, ...)
{
    char text[TEXT_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return notify_send(text);
}

int notify_ready(const char *status)
{
    return send_text("READY=1\nSTATUS=%s", status);
}

int notify_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return send_text("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading files again",
                     (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
}

int notify_stopping(void)
{
    return notify_send("STOPPING=1\nSTATUS=draining");
}

int notify_status(const char *format, ...)
{
    char line[TEXT_LIMIT - 8];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return send_text("STATUS=%s", line);
}

int notify_watchdog(void)
{
    return notify_send("WATCHDOG=1");
}

// A whole number in the environment; -1: none that makes sense.
static long long number(const char *name)
{
    const char *text = getenv(name);
    char *end;
    if (!text || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return *end || errno ? -1 : value;
}

// Meant for this process, and not for one that started it?
static int is_for_us(const char *name)
{
    return !getenv(name) || number(name) == getpid();
}

uint64_t notify_watchdog_us(void)
{
    long long interval_us = number("WATCHDOG_USEC");
    return interval_us > 0 && is_for_us("WATCHDOG_PID") ? (uint64_t)interval_us : 0;
}

int notify_listen_fds(int *fds, size_t room)
{
    long long count = number("LISTEN_FDS");
    int ours = getenv("LISTEN_PID") && is_for_us("LISTEN_PID");
    int present = getenv("LISTEN_FDS") != NULL;
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    if (!present || !ours)
        return 0;
    if (count < 0 || (unsigned long long)count > room)
        return -EINVAL;
    for (int i = 0; i < (int)count; i++) {
        fds[i] = NOTIFY_FDS_START + i;
        if (fcntl(fds[i], F_SETFD, FD_CLOEXEC))
            return -errno;
    }
    return (int)count;
}
