#pragma once
// Handing sessions from one daemon to another, so that nothing is lost whatever breaks in between.
//
//     A: FREEZE   the session answers BUSY from now on; its state, with a larger epoch, comes out
//     B: Restore  it is there; nobody has been told yet
//     A: CONFIRM  clients are told where it is, and A forgets it
//
// Until CONFIRM has been taken A has the session: when anything goes wrong before, B's copy is closed again and A's
// thaws (which it does by itself after ten seconds, too). A's copy is not given up on a guess.

#include "ctl.h"

struct mover {
    struct control *from;    // control socket of the daemon that has the session
    struct control *to;      // a connection to the one that gets it
    const struct control_options *options;  // to connect there again
    const char *address;     // that clients are told
};

struct moved {
    uint64_t epoch, count;
    uint8_t digest[WIRE_DIGEST_SIZE];
};

// 0; or a negative errno with a sentence: the session is where it was, but for what the sentence says.
int move_session(struct mover *mover, const char *session, struct moved *moved, char *why, size_t why_size);
