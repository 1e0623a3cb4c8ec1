// A socket with deadlines; the contract is in link.h. The socket never blocks: waiting is done in poll, with the
// time that is left.
#include "link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int64_t link_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int link_init(struct link *link)
{
    *link = (struct link){.fd = -1};
    int error = frame_buffer_init(&link->in, LINK_BUFFER_SIZE, LINK_FRAME_LIMIT + FRAME_HEADER_SIZE);
    return error ? error : frame_buffer_init(&link->out, LINK_BUFFER_SIZE, LINK_FRAME_LIMIT + FRAME_HEADER_SIZE);
}

void link_release(struct link *link)
{
    link_hang_up(link);
    frame_buffer_release(&link->in);
    frame_buffer_release(&link->out);
}

void link_hang_up(struct link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    link->dialling = 0;
    frame_buffer_consume(&link->in, frame_buffer_size(&link->in));
    frame_buffer_consume(&link->out, frame_buffer_size(&link->out));
    frame_buffer_trim(&link->in);
    frame_buffer_trim(&link->out);
}

// Waits for events. Returns what happened, or a negative errno.
static int await(const struct link *link, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - link_now();
        if (left < 0)
            left = 0;
        struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        struct pollfd poll = {.fd = link->fd, .events = events};
        int ready = ppoll(&poll, 1, &timeout, NULL);
        if (ready > 0)
            return poll.revents;
        if (ready == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

// Begins to connect; 0 or -EINPROGRESS, or a negative errno.
static int begin(struct link *link, int family, const struct sockaddr *to, socklen_t size)
{
    link->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0)
        return -errno;
    if (family != AF_UNIX)
        setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(link->fd, to, size) == 0)
        return 0;
    // A Unix socket whose queue is full says EAGAIN: it has not begun, and is tried again like one that refuses.
    int error = -errno;
    if (error == -EINPROGRESS || error == -EINTR) {
        link->dialling = 1;
        return -EINPROGRESS;
    }
    link_hang_up(link);
    return error;
}

static int begin_unix(struct link *link, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof to.sun_path)
        return -EINVAL;
    strcpy(to.sun_path, path);
    return begin(link, AF_UNIX, (const struct sockaddr *)&to, sizeof to);
}

// "HOST:PORT" or "[HOST]:PORT"; the first of the host's addresses that takes us.
static int begin_tcp(struct link *link, const char *rest)
{
    char host[256];
    const char *colon = strrchr(rest, ':');
    if (!colon || !colon[1])
        return -EINVAL;
    size_t length = (size_t)(colon - rest);
    if (length > 1 && rest[0] == '[' && rest[length - 1] == ']')
        rest++, length -= 2;
    if (length == 0 || length >= sizeof host)
        return -EINVAL;
    memcpy(host, rest, length);
    host[length] = 0;

    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, colon + 1, &wanted, &found))
        return -EHOSTUNREACH;
    int result = -EHOSTUNREACH;
    for (const struct addrinfo *a = found; a && result && result != -EINPROGRESS; a = a->ai_next)
        result = begin(link, a->ai_family, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(found);
    return result;
}

static int finish(struct link *link, int64_t deadline)
{
    int events = await(link, POLLOUT, deadline);
    if (events == -ETIMEDOUT)
        return events;
    int error = 0;
    if (events < 0)
        error = -events;
    else if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}))
        error = errno;
    if (error)
        link_hang_up(link);
    else
        link->dialling = 0;
    return -error;
}

int link_dial(struct link *link, const char *address, int64_t deadline, char *why, size_t why_size)
{
    int result;
    if (link->dialling)
        result = -EINPROGRESS;
    else if (strncmp(address, "unix:", 5) == 0)
        result = begin_unix(link, address + 5);
    else if (strncmp(address, "tcp:", 4) == 0)
        result = begin_tcp(link, address + 4);
    else
        result = -EINVAL;
    if (result == -EINPROGRESS)
        result = finish(link, deadline);

    if (result == -EINVAL)
        snprintf(why, why_size, "\"%s\" is not an address: it is unix:PATH or tcp:HOST:PORT", address);
    else if (result == -ETIMEDOUT)
        snprintf(why, why_size, "%s does not take the connection in time", address);
    else if (result)
        snprintf(why, why_size, "no connection to %s: %s", address, strerror(-result));
    return result;
}

// Reads what is there, at least `want` bytes of room being made. 0: something or nothing came.
static int pull(struct link *link, size_t want)
{
    uint8_t *room = frame_buffer_reserve(&link->in, want ? want : 1);
    if (!room)
        return -ENOMEM;
    ssize_t got = recv(link->fd, room, link->in.capacity - link->in.end, 0);
    if (got > 0)
        frame_buffer_append(&link->in, (size_t)got);
    else if (got == 0)
        return -ECONNRESET;
    else if (errno != EAGAIN && errno != EINTR)
        return -errno;
    return 0;
}

int link_flush(struct link *link, int64_t deadline)
{
    while (frame_buffer_size(&link->out)) {
        ssize_t sent = send(link->fd, frame_buffer_data(&link->out), frame_buffer_size(&link->out), MSG_NOSIGNAL);
        if (sent > 0) {
            frame_buffer_consume(&link->out, (size_t)sent);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        short wanted = frame_buffer_room(&link->in) ? POLLIN | POLLOUT : POLLOUT;
        int events = await(link, wanted, deadline);
        if (events < 0)
            return events;
        int error = events & POLLIN ? pull(link, 0) : 0;
        if (error)
            return error;
    }
    return 0;
}

int link_next(struct link *link, int64_t deadline, const uint8_t **body, size_t *size)
{
    for (;;) {
        int whole = frame_next(&link->in, LINK_FRAME_LIMIT, body, size);
        if (whole < 0)
            return whole;
        if (whole) {
            // The bytes stay where they are until something is read, which is not before the next call.
            frame_buffer_consume(&link->in, FRAME_HEADER_SIZE + *size);
            return 0;
        }
        int events = await(link, POLLIN, deadline);
        if (events < 0)
            return events;
        int error = pull(link, *size - frame_buffer_size(&link->in));
        if (error)
            return error;
    }
}
