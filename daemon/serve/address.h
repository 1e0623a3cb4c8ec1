#pragma once
// Where to listen: "unix:PATH", "tcp:HOST:PORT" or "tls:HOST:PORT", HOST an IP address or localhost. Parsing and
// sockets, no event loop.

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

enum address_kind { ADDRESS_UNIX, ADDRESS_TCP, ADDRESS_TLS };

struct address {
    char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];  // as the operator wrote it
    enum address_kind kind;
    int loopback;               // nobody but this machine can reach it
    struct sockaddr_storage sockaddr;
    socklen_t size;
};

// -EINVAL with a sentence.
int address_parse(struct address *address, const char *text, char *why, size_t why_size);

struct listener_socket {
    int fd;
    int is_unix;
    int inherited;    // systemd's: it listens already, and its file is not ours to remove
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];  // of a Unix socket
    dev_t device;     // which file is ours
    ino_t inode;
    int port;         // of TCP, as the system chose it
};

// Bound but not listening yet. A Unix socket that a dead daemon left is replaced; one that somebody answers at is
// refused. A negative errno with a sentence.
int listener_open(struct listener_socket *listener, const struct address *address, mode_t mode, char *why,
                  size_t why_size);
// Takes the first of `fds` (count) that is a listening socket of this address, and puts -1 in its place. 0: there is
// none.
int listener_inherit(struct listener_socket *listener, const struct address *address, int *fds, size_t count);
// The next connection, not blocking. -EAGAIN: nobody waits any more. -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM: this machine
// has no place now, listen again in a while; other errors are that one connection's.
int listener_accept(const struct listener_socket *listener);
// Removes our socket file, if it is still ours. Safe in a signal handler; does not close fd.
void listener_unlink(const struct listener_socket *listener);
