// Addresses and the sockets that listen there; the contract is in address.h.
#include "address.h"

#include "daemon/policy/refuse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REASON_SIZE = 256 };

static int parse_unix(struct address *address, const char *path, char *why, size_t why_size)
{
    struct sockaddr_un *to = (struct sockaddr_un *)&address->sockaddr;
    if (!*path)
        return refuse(why, why_size, -EINVAL, "unix: needs a path");
    if (strlen(path) >= sizeof to->sun_path)
        return refuse(why, why_size, -EINVAL, "a Unix socket's path has at most %zu bytes",
                      sizeof to->sun_path - 1);
    to->sun_family = AF_UNIX;
    strcpy(to->sun_path, path);
    address->size = sizeof *to;
    return 0;
}

static int parse_port(const char *text, in_port_t *port)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value > 65535)
        return -EINVAL;
    *port = htons((in_port_t)value);
    return 0;
}

// "HOST:PORT" after a prefix that was cut off.
static int parse_ip(struct address *address, const char *text, char *why, size_t why_size)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    in_port_t port;
    if (!colon || parse_port(colon + 1, &port) || (size_t)(colon - text) >= sizeof host)
        return refuse(why, why_size, -EINVAL, "%.4s needs HOST:PORT with a port up to 65535, such as %.4s127.0.0.1:7447", address->text,
                      address->text);
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    size_t length = strlen(host);
    if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
        memmove(host, host + 1, length - 2);
        host[length - 2] = '\0';
    }
    if (!strcmp(host, "localhost"))
        strcpy(host, "127.0.0.1");
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address->sockaddr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->sockaddr;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        address->size = sizeof *v4;
        address->loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        address->size = sizeof *v6;
        address->loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    } else {
        return refuse(why, why_size, -EINVAL, "%s is not an IP address", host);
    }
    return 0;
}

int address_parse(struct address *address, const char *text, char *why, size_t why_size)
{
    memset(address, 0, sizeof *address);
    snprintf(address->text, sizeof address->text, "%s", text);
    char reason[REASON_SIZE];
    int error;
    if (!strncmp(text, "unix:", 5)) {
        address->kind = ADDRESS_UNIX;
        address->loopback = 1;
        error = parse_unix(address, text + 5, reason, sizeof reason);
    } else if (!strncmp(text, "tcp:", 4) || !strncmp(text, "tls:", 4)) {
        address->kind = text[1] == 'c' ? ADDRESS_TCP : ADDRESS_TLS;
        error = parse_ip(address, text + 4, reason, sizeof reason);
    } else {
        error = refuse(reason, sizeof reason, -EINVAL, "an address is unix:PATH, tcp:HOST:PORT or tls:HOST:PORT");
    }
    return error ? refuse(why, why_size, error, "\"%.128s\": %s", text, reason) : 0;
}

static in_port_t port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET    ? ((const struct sockaddr_in *)address)->sin_port
           : address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                            : 0;
}

// Makes way for our Unix socket. A file that is not a socket, or a socket that somebody answers at, stays.
static int clear_path(const struct address *address, const char *path, char *why, size_t why_size)
{
    struct stat file;
    if (lstat(path, &file))
        return errno == ENOENT ? 0 : refuse(why, why_size, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(file.st_mode))
        return refuse(why, why_size, -EEXIST, "%s exists and is not a socket", path);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return refuse(why, why_size, -errno, "no socket: %s", strerror(errno));
    int result = connect(probe, (const struct sockaddr *)&address->sockaddr, address->size);
    int error = errno;
    close(probe);
    if (result == 0 || error != ECONNREFUSED)
        return refuse(why, why_size, -EADDRINUSE, "another daemon listens at %s", path);
    if (unlink(path) && errno != ENOENT)
        return refuse(why, why_size, -errno, "%s: %s", path, strerror(errno));
    return 0;
}

static int bind_unix(struct listener_socket *listener, const struct address *address, mode_t mode, char *why,
                     size_t why_size)
{
    strcpy(listener->path, ((const struct sockaddr_un *)&address->sockaddr)->sun_path);
    int error = clear_path(address, listener->path, why, why_size);
    if (error)
        return error;
    // Nobody may connect before the mode is set.
    mode_t mask = umask(0777);
    int result = bind(listener->fd, (const struct sockaddr *)&address->sockaddr, address->size);
    error = errno;
    umask(mask);
    struct stat file;
    if (result || chmod(listener->path, mode) || lstat(listener->path, &file))
        return refuse(why, why_size, result ? -error : -errno, "%s: %s", listener->path,
                      strerror(result ? error : errno));
    listener->is_unix = 1;
    listener->device = file.st_dev;
    listener->inode = file.st_ino;
    return 0;
}

static int bind_tcp(struct listener_socket *listener, const struct address *address, char *why, size_t why_size)
{
    int on = 1;
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener->fd, (const struct sockaddr *)&address->sockaddr, address->size) ||
        getsockname(listener->fd, (struct sockaddr *)&bound, &size))
        return refuse(why, why_size, -errno, "%s: %s", address->text, strerror(errno));
    listener->port = ntohs(port_of(&bound));
    return 0;
}

int listener_open(struct listener_socket *listener, const struct address *address, mode_t mode, char *why,
                  size_t why_size)
{
    *listener = (struct listener_socket){0};
    listener->fd = socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return refuse(why, why_size, -errno, "%s: %s", address->text, strerror(errno));
    int error = address->sockaddr.ss_family == AF_UNIX ? bind_unix(listener, address, mode, why, why_size)
                                                       : bind_tcp(listener, address, why, why_size);
    if (error)
        close(listener->fd);
    return error;
}

static int is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family || port_of(a) != port_of(b))
        return 0;
    if (a->ss_family == AF_UNIX)
        return !strcmp(((const struct sockaddr_un *)a)->sun_path, ((const struct sockaddr_un *)b)->sun_path);
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr == ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return a->ss_family == AF_INET6 &&
           IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)a)->sin6_addr,
                              &((const struct sockaddr_in6 *)b)->sin6_addr);
}

int listener_inherit(struct listener_socket *listener, const struct address *address, int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sockaddr_storage bound = {0};
        socklen_t size = sizeof bound, flag_size = sizeof(int);
        int listening = 0;
        if (fds[i] < 0 || getsockname(fds[i], (struct sockaddr *)&bound, &size) ||
            getsockopt(fds[i], SOL_SOCKET, SO_ACCEPTCONN, &listening, &flag_size) || !listening ||
            !is_same(&bound, &address->sockaddr))
            continue;
        *listener = (struct listener_socket){
            .fd = fds[i], .is_unix = bound.ss_family == AF_UNIX, .inherited = 1, .port = ntohs(port_of(&bound))};
        fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
        fds[i] = -1;
        return 1;
    }
    return 0;
}

int listener_accept(const struct listener_socket *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd >= 0 ? fd : -errno;
}

void listener_unlink(const struct listener_socket *listener)
{
    struct stat file;
    if (listener->is_unix && !listener->inherited && !lstat(listener->path, &file) && file.st_dev == listener->device &&
        file.st_ino == listener->inode)
        unlink(listener->path);
}
