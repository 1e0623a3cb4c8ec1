#pragma once
// A socket to a daemon, TLS over it if the address says so, and the frames on it, each wait with a deadline.
// Knows nothing of sessions.
//
// Deadlines are points in time of link_now (monotonic nanoseconds).

#include "tls.h"

#include "proto/frame.h"

enum {
    LINK_BUFFER_SIZE = 64 << 10,      // at rest, each direction; a step of many sessions stays within
    LINK_FRAME_LIMIT = 16 << 20,      // of a frame; a belief of the largest model stays within
};

enum link_stage {
    LINK_NONE,
    LINK_CONNECTING,          // connect() was begun and is not finished
    LINK_SHAKING_HANDS,       // of TLS
    LINK_UP,
};

struct link {
    int fd;                   // -1: none
    enum link_stage stage;
    struct link_tls *tls;          // NULL: the bytes themselves
    const struct tls_options *options;  // for tls: addresses, the caller's; NULL: all at their defaults
    struct frame_buffer in, out;
};

int64_t link_now(void);

int link_init(struct link *link);  // -ENOMEM
void link_release(struct link *link);

// Connects to "unix:PATH", "tcp:HOST:PORT" or "tls:HOST:PORT". -EINVAL: not an address, or a file of the
// options that cannot be used; -EACCES: TLS found that one end does not accept the other; -EPROTO: the other
// end speaks no TLS; -ETIMEDOUT: not yet, dial again to go on waiting; else the system's reason. All with a
// sentence.
int link_dial(struct link *link, const char *address, int64_t deadline, char *why, size_t why_size);
void link_hang_up(struct link *link);  // drops what is in the buffers, too

// Writes all of `out`, reading meanwhile, so that neither side waits for the other.
// -ETIMEDOUT: a part is left for the next time; else a negative errno, the link is broken.
int link_flush(struct link *link, int64_t deadline);

// Waits for the next frame; body is valid until the next call of any of these. -ETIMEDOUT; -EMSGSIZE;
// -ECONNRESET: the other end closed; -EACCES: it does not accept our certificate; else a negative errno.
int link_next(struct link *link, int64_t deadline, const uint8_t **body, size_t *size);
