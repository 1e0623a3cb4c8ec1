#pragma once
// A socket to a daemon and the frames on it, each wait with a deadline. Knows nothing of sessions.
//
// Deadlines are points in time of link_now (monotonic nanoseconds).

#include "proto/frame.h"

enum {
    LINK_BUFFER_SIZE = 64 << 10,      // at rest, each direction; a step of many sessions stays within
    LINK_FRAME_LIMIT = 16 << 20,      // of a frame; a belief of the largest model stays within
};

struct link {
    int fd;                   // -1: none
    int dialling;             // connect() was begun and is not finished
    struct frame_buffer in, out;
};

int64_t link_now(void);

int link_init(struct link *link);  // -ENOMEM
void link_release(struct link *link);

// Connects to "unix:PATH" or "tcp:HOST:PORT". -EINVAL: not an address; -ETIMEDOUT: not yet, dial again to go on
// waiting; else the system's reason. All with a sentence.
int link_dial(struct link *link, const char *address, int64_t deadline, char *why, size_t why_size);
void link_hang_up(struct link *link);  // drops what is in the buffers, too

// Writes all of `out`, reading meanwhile, so that neither side waits for the other.
// -ETIMEDOUT: a part is left for the next time; else a negative errno, the link is broken.
int link_flush(struct link *link, int64_t deadline);

// Waits for the next frame; body is valid until the next call of any of these. -ETIMEDOUT; -EMSGSIZE;
// -ECONNRESET: the other end closed; else a negative errno.
int link_next(struct link *link, int64_t deadline, const uint8_t **body, size_t *size);
