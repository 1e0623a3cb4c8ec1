// Addresses and the sockets that listen there; the contract is in address.h.
#include "address.h"

#include "daemon/policy/refuse.h"

#include <arpa/inet.h>
#include <errno.h>
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

static int parse_tcp(struct address *address, const char *text, char *why, size_t why_size)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    in_port_t port;
    if (!colon || parse_port(colon + 1, &port) || (size_t)(colon - text) >= sizeof host)
        return refuse(why, why_size, -EINVAL, "tcp: needs HOST:PORT, such as tcp:127.0.0.1:7447");
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
    int loopback;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        address->size = sizeof *v4;
        loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        address->size = sizeof *v6;
        loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    } else {
        return refuse(why, why_size, -EINVAL, "%s is not an IP address", host);
    }
    if (!loopback)
        return refuse(why, why_size, -EINVAL,
                      "%s can be reached from other machines; without encryption and passwords this release "
                      "listens on loopback and Unix sockets only",
                      host);
    return 0;
}

int address_parse(struct address *address, const char *text, char *why, size_t why_size)
{
    memset(address, 0, sizeof *address);
    snprintf(address->text, sizeof address->text, "%s", text);
    char reason[REASON_SIZE];
    int error = !strncmp(text, "unix:", 5)  ? parse_unix(address, text + 5, reason, sizeof reason)
                : !strncmp(text, "tcp:", 4) ? parse_tcp(address, text + 4, reason, sizeof reason)
                                            : refuse(reason, sizeof reason, -EINVAL,
                                                     "an address is unix:PATH or tcp:HOST:PORT");
    return error ? refuse(why, why_size, error, "\"%.128s\": %s", text, reason) : 0;
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
    listener->port = ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
                                                      : ((struct sockaddr_in6 *)&bound)->sin6_port);
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

void listener_unlink(const struct listener_socket *listener)
{
    struct stat file;
    if (listener->is_unix && !lstat(listener->path, &file) && file.st_dev == listener->device &&
        file.st_ino == listener->inode)
        unlink(listener->path);
}
