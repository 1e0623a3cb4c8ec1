#pragma once
// A request whose answer takes a while: the disk, another server or a slow job has it first. The connection counts it
// among those that wait (`parked`), and the room for its reply is kept. A connection that ends leaves its tickets without
// one; whoever holds them finds that nobody asks any more.

#include "request.h"

struct ticket {
    struct ticket *previous, *next;  // all of the server
    struct ticket *behind;           // the holder's: the next that waits for the same
    struct connection *connection;   // NULL: it has ended
    struct identity identity;        // who asked
    uint64_t request_id;
    uint64_t deadline_us;
    size_t promised;                 // bytes kept for the reply
    enum wire_kind kind;
    size_t size;
    uint8_t frame[];                 // the request itself, if it is to be taken again  (size)
};

// For the request r. with_message: keeps it. NULL: no memory, and the refusal was sent.
struct ticket *ticket_new(const struct request *r, int with_message);
// Answers, and frees the ticket.
void ticket_reply(struct server *server, struct ticket *ticket, struct wire_envelope *reply, uint64_t now_us);
__attribute__((format(printf, 6, 7)))
void ticket_refuse(struct server *server, struct ticket *ticket, enum wire_error_code code, const char *field,
                   uint64_t now_us, const char *format, ...);
// Takes the request that was kept again, as who asked it, and frees the ticket.
void ticket_take_again(struct server *server, struct ticket *ticket, uint64_t now_us);
void ticket_free(struct server *server, struct ticket *ticket);

void tickets_drop(struct server *server, const struct connection *connection);  // it ends
