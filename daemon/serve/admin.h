#pragma once
// What monitoring asks over HTTP/1.1, by libmicrohttpd in a thread of its own, so that it answers when a loop does not:
//
//     GET /metrics   Prometheus text format 0.0.4
//     GET /healthz   200 "ok", or 503 with a sentence: is it alive? If not, start it again
//     GET /readyz    200 "ok", or 503 with a sentence: may it be sent work?

#include <stddef.h>

enum { ADMIN_CONNECTIONS = 64, ADMIN_TIMEOUT_SECONDS = 10, ADMIN_MEMORY = 16 * 1024 };

// Called from that thread. Where an int is returned, 0 is well; otherwise there is a sentence.
struct admin_options {
    int fd;                         // listens already; the admin's from now on
    char *(*metrics)(void *context);  // the admin frees; NULL: no memory
    int (*health)(void *context, char *why, size_t why_size);
    int (*ready)(void *context, char *why, size_t why_size);
    void *context;
};

struct admin;

// A negative errno with a sentence; then the fd is closed.
int admin_start(struct admin **admin, const struct admin_options *options, char *why, size_t why_size);
void admin_stop(struct admin *admin);  // NULL is fine
