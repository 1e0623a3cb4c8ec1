// A sum made again with another model; the contract is in rebuild.h.
//
// A new belief that is a set as well: rows come from the log in pages, those put since the beginning come directly, and
// the latter are remembered, for a later page may have them once more. A recurrent one takes rows by their numbers: those put
// since the last question wait until its answer was taken.
#include "rebuild.h"

#include "batch.h"
#include "house_internal.h"
#include "log.h"
#include "question.h"
#include "session_log.h"
#include "session_state.h"
#include "ticket.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A row that waits.
struct late_row {
    struct late_row *next;
    struct store_transition row;
    float numbers[];           // observation, action, next observation
};

struct rebuild {
    struct question question;
    struct server *server;
    struct ticket *ticket;
    struct session *session;   // NULL: it left
    struct session *fresh;     // in no table: the new belief, and as its writers' numbers those that came directly
    struct late_row *late, **last_late;  // put since the log was asked last, in their order; recurrent beliefs only
    size_t late_count;
    int behind;                // more than LATE_LIMIT: the log must be asked again
    unsigned rounds;           // how often it was because of that
    int failed;                // a negative errno; `why` tells
    char why[160];
};

enum { LATE_LIMIT = 4096, ROUNDS_LIMIT = 100 };  // who puts more in the time of an answer, again and again, is told BUSY

static void take_page(struct question *question, struct server *server, const struct store_answer *answer,
                      uint64_t now_us);

static int is_recurrent(const struct rebuild *rebuild) { return model_is_recurrent(rebuild->fresh->served->model); }

// Later tasks begin anew.
static void follow_task(struct rebuild *rebuild, uint32_t task)
{
    if (rebuild->fresh->task == task)
        return;
    agent_belief_reset(&rebuild->fresh->belief);
    rebuild->fresh->task = task;
}

static void absorb(struct rebuild *rebuild, const struct store_transition *row)
{
    struct session *fresh = rebuild->fresh;
    if (row->status != WIRE_STATUS_ABSORBED || row->task != fresh->task || rebuild->failed)
        return;
    if (is_recurrent(rebuild) && row->writer == 0 && row->seq <= fresh->belief.recurrent.through)
        return;  // a page had it already, although it was put after the question
    struct observation_item item = {
        .belief = &fresh->belief, .observation = row->observation, .action = row->action,
        .next_observation = row->next_observation, .reward = row->reward, .number = row->seq};
    if (row->writer == 0 || !is_recurrent(rebuild)) {
        agent_observe(fresh->served->model, fresh->served->scratch, &item, 1);
        if (item.status == OBSERVE_ABSORBED)
            return;
    }
    rebuild->failed = -EDOM;
    snprintf(rebuild->why, sizeof rebuild->why, "the new model does not absorb transition %llu of writer %u",
             (unsigned long long)row->seq, row->writer);
}

static void forget_late(struct rebuild *rebuild)
{
    while (rebuild->late) {
        struct late_row *next = rebuild->late->next;
        free(rebuild->late);
        rebuild->late = next;
    }
    rebuild->last_late = &rebuild->late;
    rebuild->late_count = 0;
    rebuild->behind = 0;
}

static void let_wait(struct rebuild *rebuild, const struct store_transition *row)
{
    size_t obs = row->observation_dim, act = row->action_dim;
    struct late_row *late =
        rebuild->late_count < LATE_LIMIT ? malloc(sizeof *late + (2 * obs + act) * sizeof(float)) : NULL;
    if (!late) {
        rebuild->behind = 1;
        return;
    }
    float *numbers = late->numbers;
    late->next = NULL;
    late->row = *row;
    late->row.observation = memcpy(numbers, row->observation, obs * sizeof *numbers);
    late->row.action = memcpy(numbers + obs, row->action, act * sizeof *numbers);
    late->row.next_observation = memcpy(numbers + obs + act, row->next_observation, obs * sizeof *numbers);
    *rebuild->last_late = late;
    rebuild->last_late = &late->next;
    rebuild->late_count++;
}

// The log had all that was put before it was asked, and these came after that.
static void absorb_late(struct rebuild *rebuild)
{
    for (const struct late_row *late = rebuild->late; late; late = late->next)
        absorb(rebuild, &late->row);
    forget_late(rebuild);
}

void rebuild_also(struct rebuild *rebuild, const struct store_transition *row)
{
    if (is_recurrent(rebuild)) {
        let_wait(rebuild, row);
        return;
    }
    follow_task(rebuild, rebuild->session->task);
    absorb(rebuild, row);
    struct writer *writer = session_writer_with_room(rebuild->fresh, row->writer);
    if (writer) {
        seen_add(&writer->seen, row->seq);
        return;
    }
    rebuild->failed = -ENOMEM;
    snprintf(rebuild->why, sizeof rebuild->why, "no memory");
}

void rebuild_abandon(struct session *session)
{
    session->rebuild->session = NULL;  // the answer that is under way finds nobody
    session->rebuild = NULL;
}

static void end(struct rebuild *rebuild)
{
    if (rebuild->session)
        rebuild->session->rebuild = NULL;
    session_destroy(rebuild->fresh);
    forget_late(rebuild);
    free(rebuild);
}

// The session has the new model and belief, `fresh` the old ones.
static void exchange(struct session *session, struct session *fresh)
{
    const struct model *model = session->served->model;
    size_t observation = model->observation_dim * sizeof(float), action = model->action_dim * sizeof(float);
    memcpy(fresh->observation, session->observation, observation);
    memcpy(fresh->new_observation, session->new_observation, observation);
    memcpy(fresh->action, session->action, action);
    memcpy(fresh->executed, session->executed, action);
    session_tell(fresh, (struct wire_floats){session->told_task, session_told_dim(fresh)});
    const struct session old = *session;
    session->served = fresh->served;
    session->belief = fresh->belief;
    session->memory = fresh->memory;
    session->observation = fresh->observation;
    session->new_observation = fresh->new_observation;
    session->action = fresh->action;
    session->executed = fresh->executed;
    session->told_task = fresh->told_task;
    fresh->served = old.served;
    fresh->memory = old.memory;
}

static void finish(struct rebuild *rebuild, uint64_t now_us)
{
    struct server *server = rebuild->server;
    struct session *session = rebuild->session;
    if (session->waiting != WAITING_FOR_NOTHING)
        batch_run_all(server);
    follow_task(rebuild, session->task);
    uint64_t count = agent_belief_count(&session->belief), found = agent_belief_count(&rebuild->fresh->belief);
    int both_count = model_believes(session->served->model) && model_believes(rebuild->fresh->served->model);
    if (rebuild->failed) {
        ticket_refuse(server, rebuild->ticket, WIRE_WRONG_MODEL, "session", now_us, "%s", rebuild->why);
    } else if (both_count && found != count) {
        ticket_refuse(server, rebuild->ticket, WIRE_INVALID, "session", now_us,
                      "the log has %llu of the session's %llu transitions; the others came from another daemon",
                      (unsigned long long)found, (unsigned long long)count);
    } else {
        exchange(session, rebuild->fresh);
        // Should the log not take them now, a session that comes back is made of the row and the transitions it has.
        session->row_due = session_log_row(server, session) || session_log_state(server, session);
        log_event(LOG_INFO, "rebuilt", LOG_TEXT("session", session->name),
                  LOG_TEXT("model", session->served->model->digest), LOG_NUMBER("transitions", found));
        uint8_t digest[WIRE_DIGEST_SIZE];
        digest_bytes(digest, agent_belief_digest(&session->belief));
        struct wire_envelope reply = {.kind = WIRE_DONE};
        reply.done = (struct wire_done){session->task, found, {digest, sizeof digest}};
        ticket_reply(server, rebuild->ticket, &reply, now_us);
    }
    end(rebuild);
}

static int ask(struct rebuild *rebuild, uint32_t writer, uint64_t seq)
{
    rebuild->question.answered = take_page;
    forget_late(rebuild);
    return store_ask_transitions(rebuild->server->queue, question_cookie(&rebuild->question), rebuild->session->id,
                                 writer, seq);
}

static void take_page(struct question *question, struct server *server, const struct store_answer *answer,
                      uint64_t now_us)
{
    struct rebuild *rebuild = (struct rebuild *)question;
    if (!rebuild->session) {
        ticket_refuse(server, rebuild->ticket, WIRE_BUSY, "session", now_us, "the session left meanwhile; try again");
        end(rebuild);
        return;
    }
    if (answer->error) {
        ticket_refuse(server, rebuild->ticket, WIRE_INTERNAL, "session", now_us, "%s", answer->why);
        end(rebuild);
        return;
    }
    batch_run(server, rebuild->fresh->served);  // its scratch is free
    follow_task(rebuild, rebuild->session->task);
    const struct store_transition *row = answer->transitions;
    for (size_t i = 0; i < answer->transition_count; i++, row++) {
        const struct writer *directly = session_find_writer(rebuild->fresh, row->writer);
        if (!directly || !seen_contains(&directly->seen, row->seq))
            absorb(rebuild, row);
    }
    uint32_t writer = answer->more ? row[-1].writer : 0;
    uint64_t seq = answer->more ? row[-1].seq : rebuild->fresh->belief.recurrent.through;
    if (!answer->more && rebuild->session->waiting != WAITING_FOR_NOTHING)
        batch_run_all(server);
    follow_task(rebuild, rebuild->session->task);
    if (!answer->more && !rebuild->behind)
        absorb_late(rebuild);
    if (rebuild->failed || (!answer->more && !rebuild->behind)) {
        finish(rebuild, now_us);
    } else if (!answer->more && ++rebuild->rounds > ROUNDS_LIMIT) {
        ticket_refuse(server, rebuild->ticket, WIRE_BUSY, "session", now_us, "the session steps faster than its log");
        end(rebuild);
    } else if (ask(rebuild, writer, seq)) {
        ticket_refuse(server, rebuild->ticket, WIRE_BUSY, "session", now_us, "the experience log is asked too much");
        end(rebuild);
    }
}

void request_take_rebuild(const struct request *r)
{
    struct server *server = r->server;
    struct session *session = request_session_named(r, r->message->rebuild.session, ACCESS_OWN);
    if (!session)
        return;
    request_settle(r, session);
    const struct model *old = session->served->model;
    struct served *served = house_model(server, old->name);
    if (!served) {
        request_refuse(r, WIRE_UNKNOWN_MODEL, "session", 0, "no model %s is served any more", old->name);
        return;
    }
    if (served == session->served) {
        request_done(r, session);
        return;
    }
    if (!server->queue || session->id == 0) {
        request_refuse(r, WIRE_UNDURABLE, "session", 0, "without an experience log there is nothing to rebuild from");
        return;
    }
    if (session->rebuild || session->frozen_until_us) {
        request_refuse(r, WIRE_BUSY, "session", 0, "the session is being rebuilt, or handed over");
        return;
    }
    if (served->model->observation_dim != old->observation_dim || served->model->action_dim != old->action_dim) {
        request_refuse(r, WIRE_WRONG_MODEL, "session", 0, "the new model %s has other dimensions", old->name);
        return;
    }
    if (model_told_dim(served->model) > 0 && model_told_dim(served->model) != model_told_dim(old)) {
        request_refuse(r, WIRE_WRONG_MODEL, "session", 0, "the new model %s must be told the task, which the session was not",
                       old->name);
        return;
    }
    struct rebuild *rebuild = calloc(1, sizeof *rebuild);
    if (rebuild)
        *rebuild = (struct rebuild){.server = server, .session = session,
                                    .fresh = session_make(session->name, served, &server->limits)};
    if (!rebuild || !rebuild->fresh) {
        free(rebuild);
        request_refuse(r, WIRE_INTERNAL, "", 0, "no memory for another belief");
        return;
    }
    if (!(rebuild->ticket = ticket_new(r, 0))) {
        end(rebuild);
        return;
    }
    rebuild->fresh->task = session->task;
    session->rebuild = rebuild;
    if (ask(rebuild, 0, 0)) {
        ticket_refuse(server, rebuild->ticket, WIRE_BUSY, "session", r->now_us, "the experience log is asked too much");
        end(rebuild);
    }
}
