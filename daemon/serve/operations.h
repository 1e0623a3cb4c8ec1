#pragma once
// The daemon among those who run it: sockets that systemd passes, what the service manager is told, the watchdog, and
// monitoring over HTTP. All by the first loop.

#include "address.h"

struct loops;

// The sockets that were passed, for operations_listen. -EINVAL with a sentence.
int operations_begin(struct loops *loops, char *why, size_t why_size);
// A listening socket at the address: the one that was passed, or a new one. A negative errno with a sentence.
int operations_listen(struct loops *loops, struct listener_socket *listener, const struct address *address, mode_t mode,
                      char *why, size_t why_size);
// After all are listened at: HTTP, if it is configured. Refuses a passed socket that nobody asked for, for its clients
// would wait for ever.
int operations_start(struct loops *loops, char *why, size_t why_size);
void operations_ready(struct loops *loops);      // clients are answered from now on
void operations_reloading(void);                 // operations_ready when it is done
void operations_stopping(void);
void operations_end(struct loops *loops);        // HTTP ends
