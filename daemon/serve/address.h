#pragma once
// Where to listen: "unix:PATH" or "tcp:HOST:PORT", HOST a loopback address. Parsing and sockets, no event loop.

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

struct address {
    char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];  // as the operator wrote it
    struct sockaddr_storage sockaddr;
    socklen_t size;
};

// -EINVAL with a sentence: not an address, or a TCP address that others than this machine can reach.
int address_parse(struct address *address, const char *text, char *why, size_t why_size);

struct listener_socket {
    int fd;
    int is_unix;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];  // of a Unix socket
    dev_t device;     // which file is ours
    ino_t inode;
    int port;         // of TCP, as the system chose it
};

// Bound but not listening yet. A Unix socket that a dead daemon left is replaced; one that somebody answers at is
// refused. A negative errno with a sentence.
int listener_open(struct listener_socket *listener, const struct address *address, mode_t mode, char *why,
                  size_t why_size);
// Removes our socket file, if it is still ours. Safe in a signal handler; does not close fd.
void listener_unlink(const struct listener_socket *listener);
