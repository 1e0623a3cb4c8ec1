// ListSessions: those in memory, from all servers, and those in the experience log only, as one sorted list in pages.
#include "arrival.h"
#include "question.h"
#include "round.h"
#include "session_info.h"
#include "ticket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 128 };  // sessions in a reply

// What is told of one session, with its strings.
struct line {
    struct wire_session_info info;
    char name[WIRE_SESSION_LIMIT + 1], identity[IDENTITY_NAME_LIMIT + 1], model[MODEL_NAME_LIMIT], model_digest[65];
    char peer[64];
    float told_task[MODEL_TASK_LIMIT];
    uint8_t digest[WIRE_DIGEST_SIZE];
};

struct listing {
    struct round round;
    struct question question;
    struct ticket *ticket;
    char after[WIRE_SESSION_LIMIT + 1], only[WIRE_SESSION_LIMIT + 1];
    size_t limit;
    struct line *lines;
    size_t count, capacity;
    char until[WIRE_SESSION_LIMIT + 1];  // the log has told all names up to this one; empty: all there are
    int more;
    int no_memory;
};

static struct line *add(struct listing *listing)
{
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? 2 * listing->capacity : PAGE;
        struct line *lines = realloc(listing->lines, capacity * sizeof *lines);
        if (!lines) {
            listing->no_memory = 1;
            return NULL;
        }
        listing->lines = lines;
        listing->capacity = capacity;
    }
    return &listing->lines[listing->count++];
}

static void copy_told(struct line *line, const float *numbers, size_t count)
{
    line->info.told_task.count = count < MODEL_TASK_LIMIT ? count : MODEL_TASK_LIMIT;
    memcpy(line->told_task, numbers, line->info.told_task.count * sizeof *numbers);
}

#define COPY(to, from) snprintf((to), sizeof(to), "%s", (from) ? (from) : "")

static void add_live(struct round *round, struct server *server, uint64_t now_us)
{
    struct listing *listing = (struct listing *)round;
    struct session **sessions = NULL;
    long found = sessions_after(server, listing->after, listing->only, &sessions);
    listing->no_memory |= found < 0;
    for (long i = 0; i < found && i <= (long)listing->limit; i++) {
        struct line *line = add(listing);
        if (!line)
            break;
        session_info(&line->info, server, sessions[i], line->digest, now_us);
        COPY(line->name, line->info.session);
        COPY(line->identity, line->info.identity);
        COPY(line->model, line->info.model);
        COPY(line->model_digest, line->info.model_digest);
        COPY(line->peer, line->info.peer);
        copy_told(line, line->info.told_task.values, line->info.told_task.count);
    }
    free(sessions);
}

static void add_spilled(struct listing *listing, const struct store_session *session)
{
    for (size_t i = 0; i < listing->count; i++)
        if (!strcmp(listing->lines[i].name, session->name))
            return;  // it is in memory
    struct line *line = add(listing);
    if (!line)
        return;
    COPY(line->name, session->name);
    COPY(line->identity, session->identity);
    COPY(line->model, session->model);
    COPY(line->model_digest, session->model_digest);
    line->peer[0] = '\0';
    memcpy(line->digest, session->digest, sizeof line->digest);
    line->info = (struct wire_session_info){
        .place = WIRE_SPILLED, .epoch = session->epoch, .task = session->task, .count = session->count,
        .last_reward_p = 1};
    copy_told(line, session->told_task, session->told_count);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct line *)a)->name, ((const struct line *)b)->name);
}

static void listing_free(struct listing *listing)
{
    free(listing->lines);
    free(listing);
}

static void answer(struct listing *listing, struct server *server, uint64_t now_us)
{
    size_t count = 0;
    struct wire_session_info *infos = calloc(listing->limit + 1, sizeof *infos);
    if (listing->count > 0)
        qsort(listing->lines, listing->count, sizeof *listing->lines, by_name);
    for (size_t i = 0; infos && i < listing->count && count < listing->limit; i++) {
        struct line *line = &listing->lines[i];
        if (*listing->until && strcmp(line->name, listing->until) > 0)
            break;
        struct wire_session_info *info = &infos[count++];
        *info = line->info;
        info->session = line->name;
        info->identity = line->identity;
        info->model = line->model;
        info->model_digest = line->model_digest;
        info->peer = line->peer;
        info->told_task.values = line->told_task;
        info->digest = (struct wire_bytes){line->digest, sizeof line->digest};
    }
    struct wire_envelope reply = {.kind = WIRE_SESSION_LIST};
    reply.session_list = (struct wire_session_list){infos, count, listing->more || listing->count > count};
    if (listing->no_memory || !infos)
        ticket_refuse(server, listing->ticket, WIRE_INTERNAL, "", now_us, "no memory for the list");
    else
        ticket_reply(server, listing->ticket, &reply, now_us);
    free(infos);
    listing_free(listing);
}

static void log_answered(struct question *question, struct server *server, const struct store_answer *told,
                         uint64_t now_us)
{
    struct listing *listing = (struct listing *)((char *)question - offsetof(struct listing, question));
    if (!told) {
        listing_free(listing);
        return;
    }
    if (told->error && told->error != -ENOENT) {
        ticket_refuse(server, listing->ticket, WIRE_INTERNAL, "", now_us, "%s", told->why);
        listing_free(listing);
        return;
    }
    if (told->kind == STORE_ANSWER_SESSION && !told->error)
        add_spilled(listing, &told->session);
    for (size_t i = 0; told->kind == STORE_ANSWER_SESSIONS && i < told->session_count; i++)
        add_spilled(listing, &told->sessions[i]);
    if (told->kind == STORE_ANSWER_SESSIONS && told->more && told->session_count > 0) {
        COPY(listing->until, told->sessions[told->session_count - 1].name);
        listing->more = 1;
    }
    answer(listing, server, now_us);
}

static void ask_log(struct round *round, struct server *server, uint64_t now_us)
{
    struct listing *listing = (struct listing *)round;
    int error = 0;
    if (!server) {
        listing_free(listing);
        return;
    }
    if (!server->queue || (*listing->only && listing->count > 0)) {
        answer(listing, server, now_us);
        return;
    }
    listing->question.answered = log_answered;
    uint64_t cookie = question_cookie(&listing->question);
    if (*listing->only)
        error = store_ask_session(server->queue, cookie, listing->only);
    else
        error = store_ask_sessions(server->queue, cookie, listing->after, listing->limit + 1);
    if (!error)
        return;
    ticket_refuse(server, listing->ticket, WIRE_BUSY, "", now_us, "the experience log is asked too much");
    listing_free(listing);
}

void request_take_list_sessions(const struct request *r)
{
    const struct wire_list_sessions *list = &r->message->list_sessions;
    struct listing *listing = calloc(1, sizeof *listing);
    if (!listing || !(listing->ticket = ticket_new(r, 0))) {
        free(listing);
        return;
    }
    COPY(listing->after, list->after);
    COPY(listing->only, list->session);
    listing->limit = list->limit > 0 && list->limit < PAGE ? list->limit : PAGE;
    listing->round.visit = add_live;
    listing->round.done = ask_log;
    round_start(&listing->round, r->server, r->now_us);
}
