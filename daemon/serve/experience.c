// Experience: pages of sessions that explored, out of the experience log, as learners ask for them.
//
// A connection that asks has a feed: the requests that it sent ahead (its credits), each for one page, and a cursor. One
// page at a time is asked of the log; when it is here the first credit is answered, and the cursor moves on. A feed
// without credits asks for nothing, so a learner that is slow costs no memory; one without news waits until the log
// tells that a session was finished.
#include "house_internal.h"
#include "learning.h"
#include "question.h"
#include "session_log.h"
#include "ticket.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAIT_LIMIT_MS = 10000,
    PAGE_BASE = 512,            // a page without transitions
    TRANSITION_BASE = 64,       // a transition without its vectors
};

struct credit {
    struct credit *next;
    struct ticket *ticket;
    int follow, newest;
    uint64_t after, seq;        // unless it follows
    uint64_t until_us;
    char model[MODEL_NAME_LIMIT];
};

struct feed {
    struct feed *next;          // of the server
    struct question question;
    const struct connection *connection;  // NULL: it has ended, and the feed waits for its last answer
    struct credit *first, *last;
    int begun;                  // the cursor is the first credit's
    int asking;
    uint64_t after, seq;        // the cursor: sessions above this number, transitions of the first of them above that
    uint64_t looked;            // there is nothing above the cursor among the sessions up to this number
};

static void credit_pop(struct feed *feed)
{
    struct credit *credit = feed->first;
    feed->first = credit->next;
    if (!feed->first)
        feed->last = NULL;
    feed->begun = 0;
    free(credit);
}

static void feed_free(struct server *server, struct feed *feed)
{
    struct feed **link = &server->feeds;
    while (*link != feed)
        link = &(*link)->next;
    *link = feed->next;
    while (feed->first) {
        ticket_free(server, feed->first->ticket);
        credit_pop(feed);
    }
    free(feed);
}

static void tell_nothing(struct server *server, struct feed *feed, uint64_t now_us)
{
    struct wire_envelope reply = {.kind = WIRE_EXPERIENCED, .experienced.number = store_explored(house_store(server->house))};
    ticket_reply(server, feed->first->ticket, &reply, now_us);
    credit_pop(feed);
}

static size_t wire_size(const struct store_transition *t)
{
    return TRANSITION_BASE + (2 * t->observation_dim + t->action_dim) * sizeof(float);
}

// As many of the answer's transitions as a page holds, in the wire's words.
static size_t fill_page(const struct server *server, struct wire_transition *page, const struct store_answer *answer)
{
    size_t limit = server->limits.frame_bytes < EXPERIENCE_BYTES ? server->limits.frame_bytes : EXPERIENCE_BYTES;
    size_t used = PAGE_BASE, count = 0;
    const struct store_transition *before = NULL;
    for (; count < answer->transition_count && count < OBSERVE_LIMIT; count++) {
        const struct store_transition *t = &answer->transitions[count];
        used += wire_size(t);
        if (used > limit && count > 0)
            break;
        size_t obs = t->observation_dim;
        int follows = before && !t->first && before->observation_dim == obs &&
                      !memcmp(before->next_observation, t->observation, obs * sizeof(float));
        page[count] = (struct wire_transition){
            .seq = t->seq, .observation = {t->observation, follows ? 0 : obs}, .action = {t->action, t->action_dim},
            .reward = t->reward, .next_observation = {t->next_observation, obs}, .first = t->first, .last = t->last,
            .task = t->task, .status = (enum wire_status)t->status};
        before = t;
    }
    return count;
}

static void tell_page(struct server *server, struct feed *feed, const struct store_answer *answer, uint64_t now_us)
{
    struct wire_transition *page = calloc(answer->transition_count + 1, sizeof *page);
    if (!page) {
        ticket_refuse(server, feed->first->ticket, WIRE_INTERNAL, "", now_us, "no memory for a page of experience");
        credit_pop(feed);
        return;
    }
    size_t count = fill_page(server, page, answer);
    int more = answer->more || count < answer->transition_count;
    struct wire_envelope reply = {.kind = WIRE_EXPERIENCED};
    reply.experienced = (struct wire_experienced){
        .number = answer->number, .session = answer->session.name, .model_digest = answer->session.model_digest,
        .count = answer->session.count, .digest = {answer->session.digest, STORE_DIGEST_SIZE},
        .transitions = page, .transition_count = count, .more = more};
    feed->after = more ? answer->number - 1 : answer->number;
    feed->seq = more ? page[count - 1].seq : 0;
    ticket_reply(server, feed->first->ticket, &reply, now_us);
    credit_pop(feed);
    free(page);
}

static void feed_go(struct server *server, struct feed *feed, uint64_t now_us);

static void answered(struct question *question, struct server *server, const struct store_answer *answer, uint64_t now_us)
{
    struct feed *feed = (struct feed *)((char *)question - offsetof(struct feed, question));
    feed->asking = 0;
    if (!feed->connection) {
        feed_free(server, feed);
        return;
    }
    if (answer->error && answer->error != -ENOENT) {
        ticket_refuse(server, feed->first->ticket, WIRE_INTERNAL, "", now_us, "%s", answer->why);
        credit_pop(feed);
    } else if (!answer->error && feed->seq > 0 && answer->number != feed->after + 1) {
        feed->after = answer->number - 1;  // the one that was being told was forgotten meanwhile: this one from its start
        feed->seq = 0;
        feed->looked = 0;
    } else if (!answer->error) {
        feed->looked = 0;
        tell_page(server, feed, answer, now_us);
    }
    feed_go(server, feed, now_us);
}

static void feed_go(struct server *server, struct feed *feed, uint64_t now_us)
{
    struct credit *credit = feed->first;
    if (!credit || feed->asking || !feed->connection)
        return;
    if (!feed->begun && !credit->follow && !credit->newest) {
        feed->after = credit->after;
        feed->seq = credit->seq;
        feed->looked = 0;
    }
    feed->begun = 1;
    const struct served *served = house_model(server, credit->model);
    uint64_t newest = store_explored(house_store(server->house));
    if (credit->newest) {
        tell_nothing(server, feed, now_us);
    } else if (served && newest > feed->after && newest > feed->looked) {
        feed->question.answered = answered;
        feed->looked = newest;
        feed->asking = !store_ask_explored(server->queue, question_cookie(&feed->question), served->model->name,
                                           feed->after, feed->seq);
        if (feed->asking)
            return;
        ticket_refuse(server, credit->ticket, WIRE_BUSY, "", now_us, "the experience log is asked too much");
        credit_pop(feed);
    } else if (!served && now_us >= credit->until_us) {
        ticket_refuse(server, credit->ticket, WIRE_UNKNOWN_MODEL, "model", now_us, "no model of that name is served");
        credit_pop(feed);
    } else if (now_us >= credit->until_us) {
        tell_nothing(server, feed, now_us);
    } else {
        return;
    }
    feed_go(server, feed, now_us);
}

void feeds_turn(struct server *server, uint64_t now_us)
{
    for (struct feed *feed = server->feeds, *next; feed; feed = next) {
        next = feed->next;
        feed_go(server, feed, now_us);
    }
}

static struct feed *feed_of(struct server *server, const struct connection *connection)
{
    struct feed *feed = server->feeds;
    while (feed && feed->connection != connection)
        feed = feed->next;
    if (!feed && (feed = calloc(1, sizeof *feed))) {
        feed->connection = connection;
        feed->next = server->feeds;
        server->feeds = feed;
    }
    return feed;
}

void request_take_experience(const struct request *r)
{
    struct server *server = r->server;
    const struct wire_experience *wanted = &r->message->experience;
    if (!server->queue) {
        request_refuse(r, WIRE_UNSUPPORTED, "body", 0, "this daemon keeps no experience log");
        return;
    }
    if (!request_may_teach(r, wanted->model, wanted->learner))
        return;
    if (wanted->forget > 0 && session_log_forget_explored(server, wanted->forget)) {
        request_refuse(r, WIRE_UNDURABLE, "forget", 0, "the experience log cannot take it now");
        return;
    }
    struct credit *credit = calloc(1, sizeof *credit);
    struct feed *feed = credit ? feed_of(server, r->connection) : NULL;
    if (!feed) {
        free(credit);
        request_refuse(r, WIRE_INTERNAL, "", 0, "no memory for this request");
        return;
    }
    if (!(credit->ticket = ticket_new(r, 0))) {
        free(credit);
        return;
    }
    uint32_t wait_ms = wanted->wait_ms < WAIT_LIMIT_MS ? wanted->wait_ms : WAIT_LIMIT_MS;
    credit->follow = wanted->follow;
    credit->newest = wanted->newest;
    credit->after = wanted->after;
    credit->seq = wanted->seq;
    credit->until_us = r->now_us + 1000 * (uint64_t)wait_ms;
    snprintf(credit->model, sizeof credit->model, "%s", wanted->model);
    if (feed->last)
        feed->last->next = credit;
    else
        feed->first = credit;
    feed->last = credit;
    feed_go(server, feed, r->now_us);
}

void feed_drop(struct server *server, const struct connection *connection)
{
    struct feed *feed = server->feeds;
    while (feed && feed->connection != connection)
        feed = feed->next;
    if (!feed)
        return;
    feed->connection = NULL;
    while (feed->first) {
        ticket_free(server, feed->first->ticket);
        credit_pop(feed);
    }
    if (!feed->asking)
        feed_free(server, feed);
}

void feeds_release(struct server *server)
{
    while (server->feeds)
        feed_free(server, server->feeds);
}
