#pragma once
// TLS over a socket that does not block: who is at the other end is checked, who we are is shown if it is asked.

#include <stddef.h>
#include <sys/types.h>

// Files in PEM; each may be NULL. They are read when a link is made, so they can be replaced at any time.
struct tls_options {
    const char *ca_file;        // who may have signed the daemon's certificate; NULL: whom this system trusts
    const char *certificate, *key;  // who we are, with its chain; both or none
    const char *server_name;    // that the daemon's certificate must have; NULL: the host of the address
};

struct link_tls;

// Begins on a connected socket, which stays the caller's. -EINVAL: a file that cannot be used; -ENOMEM; with a
// sentence.
int link_tls_begin(struct link_tls **tls, int fd, const char *host, const struct tls_options *options, char *why,
              size_t why_size);
void link_tls_end(struct link_tls *tls);  // says goodbye if that is possible at once; NULL is fine

// 0: done. -EAGAIN: wait for link_tls_events(). -EACCES: one end does not accept the other's certificate;
// -EPROTO: not TLS; other negative errno; with a sentence.
int link_tls_shake_hands(struct link_tls *tls, char *why, size_t why_size);

// Bytes moved, at least 1. -EAGAIN: wait for link_tls_events(). link_tls_read: 0 is the end; -EACCES: the other
// end does not accept our certificate (it may say so only now).
ssize_t link_tls_read(struct link_tls *tls, void *bytes, size_t size);
ssize_t link_tls_write(struct link_tls *tls, const void *bytes, size_t size);

short link_tls_events(const struct link_tls *tls);  // POLLIN or POLLOUT: what the last -EAGAIN waits for
