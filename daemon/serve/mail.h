#pragma once
// Messages between loops. A letter is part of something larger that the sender made; it is delivered once, by the loop
// that it was posted to, in the order of posting. The only lock is held for a pointer's swap.

#include <pthread.h>
#include <stdint.h>

struct server;
struct house;

struct letter {
    struct letter *next;
    // Called by the addressee's loop with server, or with NULL when the house ends before: then it only frees.
    void (*deliver)(struct letter *letter, struct server *server, uint64_t now_us);
};

struct mailbox {
    pthread_mutex_t lock;
    struct letter *first, *last;
};

void mailbox_init(struct mailbox *mailbox);
void mailbox_release(struct mailbox *mailbox);    // what was not delivered is freed
void mailbox_put(struct mailbox *mailbox, struct letter *letter);
struct letter *mailbox_take_all(struct mailbox *mailbox);  // the first of a list by next; NULL: none

// To the server with that index, and wakes its loop. Any thread.
void mail_post(struct house *house, size_t server, struct letter *letter);
