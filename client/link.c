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
    link_tls_end(link->tls);
    link->tls = NULL;
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    link->stage = LINK_NONE;
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
    if (error == -EINPROGRESS || error == -EINTR)
        return -EINPROGRESS;
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

enum { HOST_SIZE = 256 };

// "HOST:PORT" or "[HOST]:PORT" -> host (HOST_SIZE); returns where the port begins, NULL: that is neither.
static const char *split(const char *rest, char *host)
{
    const char *colon = strrchr(rest, ':');
    if (!colon || !colon[1])
        return NULL;
    size_t length = (size_t)(colon - rest);
    if (length > 1 && rest[0] == '[' && rest[length - 1] == ']')
        rest++, length -= 2;
    if (length == 0 || length >= HOST_SIZE)
        return NULL;
    memcpy(host, rest, length);
    host[length] = 0;
    return colon + 1;
}

// The first of the host's addresses that takes us.
static int begin_tcp(struct link *link, const char *rest)
{
    char host[HOST_SIZE];
    const char *port = split(rest, host);
    if (!port)
        return -EINVAL;
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, port, &wanted, &found))
        return -EHOSTUNREACH;
    int result = -EHOSTUNREACH;
    for (const struct addrinfo *a = found; a && result && result != -EINPROGRESS; a = a->ai_next)
        result = begin(link, a->ai_family, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(found);
    return result;
}

static int has_scheme(const char *address, const char *scheme)
{
    return strncmp(address, scheme, 4) == 0;
}

static int begin_any(struct link *link, const char *address)
{
    if (strncmp(address, "unix:", 5) == 0)
        return begin_unix(link, address + 5);
    if (has_scheme(address, "tcp:") || has_scheme(address, "tls:"))
        return begin_tcp(link, address + 4);
    return -EINVAL;
}

static int finish_connecting(struct link *link, int64_t deadline)
{
    int events = await(link, POLLOUT, deadline);
    if (events < 0)
        return events;
    int error = 0;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}))
        error = errno;
    return -error;
}

static int shake_hands(struct link *link, int64_t deadline, char *why, size_t why_size)
{
    int result;
    while ((result = link_tls_shake_hands(link->tls, why, why_size)) == -EAGAIN) {
        int events = await(link, link_tls_events(link->tls), deadline);
        if (events < 0)
            return events;
    }
    return result;
}

// One stage after the other. `reason` may stay as it was.
static int dial(struct link *link, const char *address, int64_t deadline, char *reason, size_t size)
{
    static const struct tls_options defaults;
    int result = 0;
    if (link->stage == LINK_NONE) {
        result = begin_any(link, address);
        if (result && result != -EINPROGRESS)
            return result;
        link->stage = LINK_CONNECTING;
    }
    if (link->stage == LINK_CONNECTING) {
        if (result == -EINPROGRESS || !result)
            result = finish_connecting(link, deadline);
        if (result)
            return result;
        link->stage = LINK_UP;
        char host[HOST_SIZE] = "";
        if (has_scheme(address, "tls:")) {
            split(address + 4, host);
            const struct tls_options *options = link->options ? link->options : &defaults;
            result = link_tls_begin(&link->tls, link->fd, host, options, reason, size);
            link->stage = LINK_SHAKING_HANDS;
        }
    }
    if (!result && link->stage == LINK_SHAKING_HANDS)
        result = shake_hands(link, deadline, reason, size);
    if (!result)
        link->stage = LINK_UP;
    return result;
}

int link_dial(struct link *link, const char *address, int64_t deadline, char *why, size_t why_size)
{
    char reason[256] = "";
    int result = dial(link, address, deadline, reason, sizeof reason);
    if (!result)
        return 0;
    if (result == -ETIMEDOUT) {
        snprintf(why, why_size, "%s does not take the connection in time", address);
        return result;
    }
    if (result == -EINVAL && !reason[0])
        snprintf(why, why_size, "\"%s\" is not an address: it is unix:PATH, tcp:HOST:PORT or tls:HOST:PORT",
                 address);
    else
        snprintf(why, why_size, "no connection to %s: %s", address, reason[0] ? reason : strerror(-result));
    link_hang_up(link);
    return result;
}

// ---- Bytes ---------------------------------------------------------------------------------------------------

// Bytes moved, at least 1; 0: the end; -EAGAIN: wait for *events.
static ssize_t read_some(struct link *link, void *bytes, size_t size, short *events)
{
    ssize_t got = link->tls ? link_tls_read(link->tls, bytes, size) : recv(link->fd, bytes, size, 0);
    *events = link->tls ? link_tls_events(link->tls) : POLLIN;
    if (got >= 0 || link->tls)
        return got;
    return errno == EINTR ? -EAGAIN : -errno;
}

static ssize_t write_some(struct link *link, const void *bytes, size_t size, short *events)
{
    ssize_t sent = link->tls ? link_tls_write(link->tls, bytes, size) : send(link->fd, bytes, size, MSG_NOSIGNAL);
    *events = link->tls ? link_tls_events(link->tls) : POLLOUT;
    if (sent >= 0 || link->tls)
        return sent;
    return errno == EINTR ? -EAGAIN : -errno;
}

// Reads what is there, at least `want` bytes of room being made. 0: something came; -EAGAIN: nothing, wait for
// *events.
static int pull(struct link *link, size_t want, short *events)
{
    uint8_t *room = frame_buffer_reserve(&link->in, want ? want : 1);
    if (!room)
        return -ENOMEM;
    ssize_t got = read_some(link, room, link->in.capacity - link->in.end, events);
    if (got > 0)
        frame_buffer_append(&link->in, (size_t)got);
    return got > 0 ? 0 : got == 0 ? -ECONNRESET : (int)got;
}

int link_flush(struct link *link, int64_t deadline)
{
    short events, also;
    while (frame_buffer_size(&link->out)) {
        ssize_t sent = write_some(link, frame_buffer_data(&link->out), frame_buffer_size(&link->out), &events);
        if (sent > 0) {
            frame_buffer_consume(&link->out, (size_t)sent);
            continue;
        }
        if (sent != -EAGAIN)
            return (int)sent;
        int ready = await(link, frame_buffer_room(&link->in) ? POLLIN | events : events, deadline);
        if (ready < 0)
            return ready;
        int error = ready & POLLIN && frame_buffer_room(&link->in) ? pull(link, 0, &also) : 0;
        if (error && error != -EAGAIN)
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
        short events = POLLIN;
        int error = link->tls ? 0 : await(link, events, deadline);  // TLS may hold bytes that the socket has not
        if (error >= 0)
            error = pull(link, *size - frame_buffer_size(&link->in), &events);
        if (error == -EAGAIN)
            error = await(link, events, deadline);
        if (error < 0)
            return error;
    }
}
