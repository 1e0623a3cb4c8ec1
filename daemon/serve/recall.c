// A session comes back from the experience log: its row and last state, then the transitions that the state does not
// have, page by page. A session keeps the model it was made with; if that is not served any more, the file is in the
// log too, and is read and warmed by the house's helper.
#include "arrivals.h"

#include "house_internal.h"
#include "log.h"
#include "session_state.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void unpin(struct passage *passage)
{
    if (passage->pinned)
        passage->pinned->sessions--;
    passage->pinned = NULL;
}

static void pin(struct passage *passage, struct served *served)
{
    unpin(passage);
    passage->pinned = served;
    served->sessions++;
}

__attribute__((format(printf, 3, 4)))
static void fail(struct passage *passage, uint64_t now_us, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(passage->why, sizeof passage->why, format, arguments);
    va_end(arguments);
    log_event(LOG_ERROR, "session_lost_for_now", LOG_TEXT("session", passage->name), LOG_TEXT("why", passage->why));
    session_destroy(passage->session);
    passage->session = NULL;
    unpin(passage);
    passage->way = WAY_FAILED;
    passage_end(passage, now_us);
}

// ---- A model that is not served any more -----------------------------------------------------------------------------

// Goes to the helper as a job and comes back as a letter. The passage waits for it.
struct fetch {
    struct job job;
    struct letter letter;
    struct passage *passage;
    size_t server;
    char digest[65];
    struct served *served;
    char why[256];
};

static void got_model(struct letter *letter, struct server *server, uint64_t now_us)
{
    struct fetch *fetch = (struct fetch *)((char *)letter - offsetof(struct fetch, letter));
    struct passage *passage = fetch->passage;
    if (!server) {
        served_free(fetch->served);
    } else if (!fetch->served) {
        fail(passage, now_us, "its model cannot be had: %s", fetch->why);
    } else {
        serving_add(&server->serving, fetch->served);
        server_measure(server);
        pin(passage, fetch->served);
        if (recall_start(passage))  // the same again, and now there is the model
            fail(passage, now_us, "the experience log is asked too much");
    }
    free(fetch);
}

static void fetch_model(struct job *job, struct house *house)
{
    struct fetch *fetch = (struct fetch *)job;
    uint8_t *bytes = NULL;
    size_t size;
    struct model *model;
    if (!house) {
        free(fetch);
        return;
    }
    int error = store_load_model(house->store, fetch->digest, &bytes, &size, fetch->why, sizeof fetch->why);
    if (!error)
        error = model_parse(&model, bytes, size, fetch->why, sizeof fetch->why);
    free(bytes);
    if (!error) {
        struct shared_model *shared = shared_model_new(model);
        if (!shared)
            model_free(model);
        fetch->served = shared ? served_new(shared) : NULL;
        shared_model_unref(shared);
        if (fetch->served)
            served_warm_up(fetch->served);
        else
            snprintf(fetch->why, sizeof fetch->why, "no memory");
    }
    mail_post(house, fetch->server, &fetch->letter);
}

// 0, or a negative errno.
static int send_for_model(struct passage *passage, const char *digest)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        return -ENOMEM;
    fetch->job.run = fetch_model;
    fetch->letter.deliver = got_model;
    fetch->passage = passage;
    fetch->server = passage->server->index;
    snprintf(fetch->digest, sizeof fetch->digest, "%s", digest);
    int error = helper_post(&passage->server->house->helper, passage->server->house, &fetch->job);
    if (error)
        free(fetch);
    return error;
}

// ---- What the log says -----------------------------------------------------------------------------------------------

static void take_page(struct question *question, struct server *server, const struct store_answer *answer,
                      uint64_t now_us);

static int ask_page(struct passage *passage, uint32_t writer, uint64_t seq)
{
    session_replay_skip(passage->session, &writer, &seq);
    passage->question.answered = take_page;
    return store_ask_transitions(passage->server->queue, question_cookie(&passage->question), passage->session->id,
                                 writer, seq);
}

static struct passage *passage_of_question(struct question *question)
{
    return (struct passage *)((char *)question - offsetof(struct passage, question));
}

static void take_page(struct question *question, struct server *server, const struct store_answer *answer,
                      uint64_t now_us)
{
    struct passage *passage = passage_of_question(question);
    char why[128];
    if (answer->error) {
        fail(passage, now_us, "%s", answer->why);
        return;
    }
    if (session_replay(server, passage->session, answer->transitions, answer->transition_count, why, sizeof why)) {
        fail(passage, now_us, "%s", why);
        return;
    }
    if (answer->more) {
        const struct store_transition *last = &answer->transitions[answer->transition_count - 1];
        if (ask_page(passage, last->writer, last->seq))
            fail(passage, now_us, "the experience log is asked too much");
        return;
    }
    struct session *session = passage->session;
    passage->session = NULL;
    unpin(passage);
    session_replay_end(session);
    session->heard_us = now_us;
    session_link(&server->sessions, session);
    count_add(&server->metrics.sessions_loaded, 1);
    passage_end(passage, now_us);
}

static void take_session(struct question *question, struct server *server, const struct store_answer *answer,
                         uint64_t now_us)
{
    struct passage *passage = passage_of_question(question);
    if (answer->error == -ENOENT) {
        unpin(passage);
        passage->way = WAY_NOWHERE;
        passage_end(passage, now_us);
        return;
    }
    if (answer->error) {
        fail(passage, now_us, "%s", answer->why);
        return;
    }
    struct served *served = house_model_by_digest(server, answer->session.model_digest);
    if (!served) {
        if (send_for_model(passage, answer->session.model_digest))
            fail(passage, now_us, "no memory, or no thread");
        return;
    }
    pin(passage, served);
    char why[128];
    passage->session =
        session_recall(server, &answer->session, answer->state, answer->state_size, served, why, sizeof why);
    if (!passage->session)
        fail(passage, now_us, "%s", why);
    else if (ask_page(passage, 0, 0))
        fail(passage, now_us, "the experience log is asked too much");
}

int recall_start(struct passage *passage)
{
    passage->question.answered = take_session;
    return store_ask_session(passage->server->queue, question_cookie(&passage->question), passage->name);
}

void recall_stop(struct passage *passage)
{
    session_destroy(passage->session);
    unpin(passage);
}
