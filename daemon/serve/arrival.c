// Where a session is, and how it comes; the contract is in arrival.h. Here is the way between servers: one asks by
// letter, the other sends the session itself when everything that it put into its log queue is on disk, so that
// the two queues never tell different stories. recall.c brings sessions from the log.
#include "arrivals.h"

#include "batch.h"
#include "daemon/base/fnv.h"
#include "house_internal.h"
#include "log.h"
#include "session_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Passages --------------------------------------------------------------------------------------------------------

static struct passage **bucket_of(const struct server *server, const char *name)
{
    return &server->arrivals->buckets[fnv_of_name(name) % PASSAGE_BUCKETS];
}

static struct passage *passage_of(const struct server *server, const char *name)
{
    struct passage *passage = *bucket_of(server, name);
    while (passage && strcmp(passage->name, name))
        passage = passage->next;
    return passage;
}

static struct passage *passage_new(struct server *server, const char *name, enum way way)
{
    struct passage *passage = calloc(1, sizeof *passage);
    if (!passage)
        return NULL;
    struct passage **bucket = bucket_of(server, name);
    snprintf(passage->name, sizeof passage->name, "%s", name);
    passage->way = way;
    passage->server = server;
    passage->next = *bucket;
    *bucket = passage;
    server->arrivals->count++;
    return passage;
}

// It waits for the disk.
static void add_unsettled(struct passage *passage, uint64_t position)
{
    struct arrivals *arrivals = passage->server->arrivals;
    passage->position = position;
    passage->next_unsettled = arrivals->unsettled;
    if (arrivals->unsettled)
        arrivals->unsettled->previous_unsettled = passage;
    arrivals->unsettled = passage;
    store_want(passage->server->queue, position);
}

static void remove_unsettled(struct passage *passage)
{
    struct arrivals *arrivals = passage->server->arrivals;
    if (passage->position == 0)
        return;
    if (passage->previous_unsettled)
        passage->previous_unsettled->next_unsettled = passage->next_unsettled;
    else
        arrivals->unsettled = passage->next_unsettled;
    if (passage->next_unsettled)
        passage->next_unsettled->previous_unsettled = passage->previous_unsettled;
    passage->previous_unsettled = passage->next_unsettled = NULL;
    passage->position = 0;
}

// Out of the table; then freed by passage_free.
static void passage_unlink(struct passage *passage)
{
    struct passage **link = bucket_of(passage->server, passage->name);
    while (*link != passage)
        link = &(*link)->next;
    *link = passage->next;
    remove_unsettled(passage);
    passage->server->arrivals->count--;
}

static void passage_add(struct passage *passage, struct ticket *ticket)
{
    ticket->behind = NULL;
    if (passage->last)
        passage->last->behind = ticket;
    else
        passage->first = ticket;
    passage->last = ticket;
}

static struct ticket *passage_take(struct passage *passage)
{
    struct ticket *ticket = passage->first;
    if (ticket && !(passage->first = ticket->behind))
        passage->last = NULL;
    return ticket;
}

static void want(struct passage *passage, size_t server)
{
    passage->wanted[server / 64] |= 1ull << server % 64;
}

// The first server that wants it, which then does not any more; -1: nobody.
static long take_wanted(struct passage *passage)
{
    for (size_t i = 0; i < LOOPS_LIMIT / 64; i++) {
        if (!passage->wanted[i])
            continue;
        size_t bit = (size_t)__builtin_ctzll(passage->wanted[i]);
        passage->wanted[i] &= passage->wanted[i] - 1;
        return (long)(64 * i + bit);
    }
    return -1;
}

// ---- Letters ---------------------------------------------------------------------------------------------------------

// "Send me the session of that name", or in answer: "it is not here (any more), look again".
struct errand {
    struct letter letter;
    size_t from;
    char name[WIRE_SESSION_LIMIT + 1];
};

static void deliver_want(struct letter *letter, struct server *server, uint64_t now_us);
static void deliver_look_again(struct letter *letter, struct server *server, uint64_t now_us);

static int send_errand(struct house *house, const char *name, size_t from, size_t to,
                       void (*deliver)(struct letter *, struct server *, uint64_t))
{
    struct errand *errand = calloc(1, sizeof *errand);
    if (!errand)
        return -ENOMEM;
    errand->letter.deliver = deliver;
    errand->from = from;
    snprintf(errand->name, sizeof errand->name, "%s", name);
    mail_post(house, to, &errand->letter);
    return 0;
}

// A session between two servers.
struct transfer {
    struct letter letter;
    struct session *session;
    struct shared_model *shared;  // session->served is nobody's while it is under way
};

static void deliver_session(struct letter *letter, struct server *server, uint64_t now_us);

// ---- Leaving ---------------------------------------------------------------------------------------------------------

// Whoever else wanted it asks where it went.
static void forward_wants(struct passage *passage)
{
    struct house *house = passage->server->house;
    size_t owner;
    for (long from; (from = take_wanted(passage)) >= 0;) {
        if (directory_find(&house->directory, passage->name, &owner) || owner == (size_t)from)
            send_errand(house, passage->name, passage->server->index, (size_t)from, deliver_look_again);
        else
            send_errand(house, passage->name, (size_t)from, owner, deliver_want);
    }
}

// All that it put is on disk: it goes.
static void depart(struct passage *passage, struct session *session, uint64_t now_us)
{
    struct server *server = passage->server;
    struct transfer *transfer = malloc(sizeof *transfer);
    if (!transfer) {
        log_event(LOG_ERROR, "session_stays", LOG_TEXT("session", session->name), LOG_TEXT("why", "no memory"));
        session->leaving = 0;
        forward_wants(passage);
        passage_end(passage, now_us);
        return;
    }
    size_t to = (size_t)take_wanted(passage);
    *transfer = (struct transfer){{NULL, deliver_session}, session, shared_model_ref(session->served->shared)};
    session_log_move(server, session);
    session_unlink(&server->sessions, session);
    served_lose_session(session->served);
    session->served = NULL;
    directory_pass(&server->house->directory, session->name, to);
    mail_post(server->house, to, &transfer->letter);
    forward_wants(passage);
    passage_end(passage, now_us);
}

static void begin_to_leave(struct server *server, struct session *session, size_t to, uint64_t now_us)
{
    if (session->waiting != WAITING_FOR_NOTHING)
        batch_run_all(server);
    struct passage *passage = passage_new(server, session->name, WAY_LEAVING);
    if (!passage) {
        send_errand(server->house, session->name, server->index, to, deliver_look_again);
        return;
    }
    server_let_go(session);
    session->leaving = 1;
    want(passage, to);
    if (session_is_durable(server, session) || store_refusing(server->house->store))
        depart(passage, session, now_us);
    else
        add_unsettled(passage, session->position);
}

static void deliver_want(struct letter *letter, struct server *server, uint64_t now_us)
{
    struct errand *errand = (struct errand *)letter;
    if (server) {
        struct session *session = session_find(&server->sessions, errand->name);
        struct passage *passage = passage_of(server, errand->name);
        size_t owner;
        if (passage)
            want(passage, errand->from);
        else if (session)
            begin_to_leave(server, session, errand->from, now_us);
        else if (directory_find(&server->house->directory, errand->name, &owner) || owner == errand->from)
            send_errand(server->house, errand->name, server->index, errand->from, deliver_look_again);
        else
            send_errand(server->house, errand->name, errand->from, owner, deliver_want);
    }
    free(errand);
}

// ---- Coming ----------------------------------------------------------------------------------------------------------

// The name was claimed, or not, and is `owner`'s. The passage then waits for another server or the log, or has ended:
// WAY_NOWHERE, WAY_FAILED.
static void set_out(struct passage *passage, int claimed, size_t owner)
{
    struct server *server = passage->server;
    struct house *house = server->house;
    int error = 0;
    if (claimed < 0) {
        error = claimed;
    } else if (claimed == 0) {
        // If it is ours already, then the session is in the mail.
        passage->way = WAY_FROM_SERVER;
        if (owner != server->index)
            error = send_errand(house, passage->name, server->index, owner, deliver_want);
    } else if (server->queue) {
        passage->way = WAY_FROM_LOG;
        error = recall_start(passage);
    } else {
        passage->way = WAY_NOWHERE;
    }
    if (!error)
        return;
    passage->way = WAY_FAILED;
    snprintf(passage->why, sizeof passage->why, "the session cannot be looked for now: %s", strerror(-error));
    if (claimed == 1)
        directory_drop(&house->directory, passage->name);
}

static void look(struct passage *passage)
{
    const struct server *server = passage->server;
    size_t owner;
    int claimed = directory_claim(&server->house->directory, passage->name, server->index, &owner);
    set_out(passage, claimed, owner);
}

static void deliver_look_again(struct letter *letter, struct server *server, uint64_t now_us)
{
    struct errand *errand = (struct errand *)letter;
    struct passage *passage = server ? passage_of(server, errand->name) : NULL;
    if (passage && passage->way == WAY_FROM_SERVER) {
        look(passage);
        if (passage->way == WAY_NOWHERE || passage->way == WAY_FAILED)
            passage_end(passage, now_us);
    }
    free(errand);
}

static void deliver_session(struct letter *letter, struct server *server, uint64_t now_us)
{
    struct transfer *transfer = (struct transfer *)letter;
    struct session *session = transfer->session;
    struct served *served = server ? serving_of(&server->serving, transfer->shared) : NULL;
    if (server && !served) {
        log_event(LOG_ERROR, "session_waits", LOG_TEXT("session", session->name), LOG_TEXT("why", "no memory"));
        mail_post(server->house, server->index, letter);
        return;
    }
    if (!server) {
        session_destroy(session);  // the house ends; what it absorbed is in the log, if there is one
    } else {
        server_measure(server);
        session->served = served;
        served_gain_session(served);
        session->leaving = 0;
        session_link(&server->sessions, session);
        struct passage *passage = passage_of(server, session->name);
        if (passage)
            passage_end(passage, now_us);
    }
    shared_model_unref(transfer->shared);
    free(transfer);
}

void passage_end(struct passage *passage, uint64_t now_us)
{
    struct server *server = passage->server;
    char name[WIRE_SESSION_LIMIT + 1];
    strcpy(name, passage->name);
    // Known not to exist, or why not: as long as those who waited are told. A session that is here, or has left, needs no
    // passage: who asks finds it, or sends for it again.
    int tells = passage->way == WAY_NOWHERE || passage->way == WAY_FAILED;
    if (!tells)
        passage_unlink(passage);
    for (struct ticket *ticket; (ticket = passage_take(passage));) {
        ticket_take_again(server, ticket, now_us);
        if (tells && passage->way != WAY_NOWHERE && passage->way != WAY_FAILED)
            return;  // its name became somebody else's: it waits again
    }
    if (tells)
        passage_unlink(passage);
    size_t owner;
    struct session *session = session_find(&server->sessions, name);
    if (session) {
        long to = session->leaving ? -1 : take_wanted(passage);
        if (to >= 0)
            begin_to_leave(server, session, (size_t)to, now_us);
    } else if (tells && !passage_of(server, name) && !directory_find(&server->house->directory, name, &owner) &&
               owner == server->index) {
        directory_drop(&server->house->directory, name);  // nobody made it
    }
    forward_wants(passage);
    free(passage);
}

// ---- What others call ------------------------------------------------------------------------------------------------

static enum arrival of_passage(struct passage *passage, const char **why)
{
    struct server *server = passage->server;
    if (passage->way == WAY_NOWHERE) {
        // Given up by who waited before, it may have become another server's.
        size_t owner;
        int claimed = directory_claim(&server->house->directory, passage->name, server->index, &owner);
        if (claimed >= 0 && owner == server->index)
            return ARRIVAL_NOWHERE;
        set_out(passage, claimed, owner);
    } else if (passage->way == WAY_LEFT && !recall_start(passage)) {
        remove_unsettled(passage);
        passage->way = WAY_FROM_LOG;
    }
    *why = passage->why;
    return passage->way == WAY_FAILED ? ARRIVAL_FAILED : ARRIVAL_COMING;
}

enum arrival arrival_look(struct server *server, const char *name, struct session **session, const char **why)
{
    struct house *house = server->house;
    *session = session_find(&server->sessions, name);
    if (*session && !(*session)->leaving)
        return ARRIVAL_HERE;
    struct passage *passage = passage_of(server, name);
    if (passage)
        return of_passage(passage, why);
    size_t owner;
    int claimed = directory_claim(&house->directory, name, server->index, &owner);
    if (claimed == -ENOSPC)
        return ARRIVAL_FULL;
    if (claimed == 1 && !server->queue)
        return ARRIVAL_NOWHERE;
    *why = "too many sessions are on their way, or there is no memory";
    passage = claimed < 0 ? NULL : passage_new(server, name, WAY_FROM_SERVER);
    if (!passage) {
        if (claimed == 1)
            directory_drop(&house->directory, name);
        return ARRIVAL_FAILED;
    }
    set_out(passage, claimed, owner);
    if (passage->way != WAY_FAILED)
        return ARRIVAL_COMING;
    passage_unlink(passage);
    free(passage);
    return ARRIVAL_FAILED;
}

void arrival_give_up(struct server *server, const char *name)
{
    directory_drop(&server->house->directory, name);
}

void arrival_park(const struct request *r, const char *name)
{
    struct ticket *ticket = ticket_new(r, 1);
    if (ticket)
        passage_add(passage_of(r->server, name), ticket);
}

void arrival_left(struct server *server, const struct session *session)
{
    if (!session_is_durable(server, session) && !store_refusing(server->house->store)) {
        struct passage *passage = passage_new(server, session->name, WAY_LEFT);
        if (passage) {
            add_unsettled(passage, session->position);
            return;
        }
    }
    directory_drop(&server->house->directory, session->name);
}

void arrival_settle(struct server *server, uint64_t now_us)
{
    struct arrivals *arrivals = server->arrivals;
    if (!arrivals->unsettled)
        return;
    int refusing = store_refusing(server->house->store);
    uint64_t durable = store_durable(server->queue);
    for (struct passage *passage = arrivals->unsettled, *next; passage; passage = next) {
        next = passage->next_unsettled;
        if (passage->position > durable && !refusing)
            continue;
        if (passage->way == WAY_LEAVING) {
            depart(passage, session_find(&server->sessions, passage->name), now_us);
        } else {
            directory_drop(&server->house->directory, passage->name);
            passage->way = WAY_FROM_SERVER;
            passage_end(passage, now_us);
        }
    }
}

int arrival_start(struct server *server)
{
    server->arrivals = calloc(1, sizeof *server->arrivals);
    return server->arrivals ? 0 : -ENOMEM;
}

void arrival_stop(struct server *server)
{
    struct arrivals *arrivals = server->arrivals;
    for (size_t i = 0; arrivals && i < PASSAGE_BUCKETS; i++) {
        while (arrivals->buckets[i]) {
            struct passage *passage = arrivals->buckets[i];
            arrivals->buckets[i] = passage->next;
            recall_stop(passage);
            free(passage);
        }
    }
    free(arrivals);
    server->arrivals = NULL;
    while (server->tickets)
        ticket_free(server, server->tickets);
}
