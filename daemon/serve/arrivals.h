#pragma once
// Sessions on their way to this server, or away from it; what arrival.c (between servers) and recall.c (from the
// experience log) share. A name that is under way has one record on each server that has to do with it; requests for it
// wait behind the record.

#include "arrival.h"
#include "question.h"
#include "ticket.h"

enum way {
    WAY_FROM_SERVER,   // another one was asked for it
    WAY_FROM_LOG,      // the log was asked, or its model is being loaded
    WAY_LEAVING,       // it is here, and goes to another server when all that it put is on disk
    WAY_LEFT,          // it is not here any more, and its last records are not on disk yet
    WAY_NOWHERE,       // known not to exist: who waits is told now
    WAY_FAILED,        // `why` tells; the same
};

struct passage {
    struct passage *next;                 // in its bucket
    char name[WIRE_SESSION_LIMIT + 1];
    enum way way;
    struct ticket *first, *last;          // requests that wait for it
    uint64_t wanted[LOOPS_LIMIT / 64];    // servers that asked for it, a bit each
    uint64_t position;                    // of the queue, that has to be on disk: LEAVING, LEFT
    struct passage *previous_unsettled, *next_unsettled;  // those
    struct question question;             // to the log
    struct server *server;
    struct session *session;              // being put together from the log, in no table yet
    struct served *pinned;                // its model, kept meanwhile
    char why[192];
};

enum { PASSAGE_BUCKETS = 1024 };

struct arrivals {
    struct passage *buckets[PASSAGE_BUCKETS];
    struct passage *unsettled;            // those that wait for the disk
    size_t count;
};

// recall.c: asks the log for the session of that name. A negative errno if the log cannot be asked now.
int recall_start(struct passage *passage);
void recall_stop(struct passage *passage);  // the server ends

// Who waited is told, and the passage freed: the session is in the table, or `passage->way` tells. By then it may have
// been forgotten, or be on its way elsewhere.
void passage_end(struct passage *passage, uint64_t now_us);
