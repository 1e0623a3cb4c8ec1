// GetModel, and who may teach; the contract is in learning.h.
#include "house_internal.h"
#include "learning.h"
#include "ticket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_LIMIT_MS = 10000 };

struct awaited {
    struct awaited *next;
    struct ticket *ticket;
    uint64_t unlike, until_us;
    char model[MODEL_NAME_LIMIT];
};

int request_may_teach(const struct request *r, const char *model, const char *learner)
{
    char holder[MODEL_NAME_LIMIT] = "";
    size_t length = strlen(learner);
    if (length < 1 || length >= MODEL_NAME_LIMIT) {
        request_refuse(r, WIRE_INVALID, "learner", MODEL_NAME_LIMIT - 1, "a learner says its name, of 1 to %d letters",
                       MODEL_NAME_LIMIT - 1);
        return 0;
    }
    if (strlen(model) >= MODEL_NAME_LIMIT) {
        request_refuse(r, WIRE_INVALID, "model", MODEL_NAME_LIMIT - 1, "a model's name has 1 to %d letters",
                       MODEL_NAME_LIMIT - 1);
        return 0;
    }
    int error = teaching_take(&r->server->house->teaching, model, learner, r->connection, holder);
    if (error == -EBUSY)
        request_refuse(r, WIRE_LIMIT, "learner", 1, "%s is learnt by %s, and by one learner at a time", model, holder);
    else if (error)
        request_refuse(r, WIRE_LIMIT, "learner", TEACHING_LIMIT, "no more than %d models are learnt at once",
                       TEACHING_LIMIT);
    return !error;
}

// 1: answered.
static int answer(struct server *server, struct awaited *awaited, uint64_t now_us)
{
    const struct served *served = house_model(server, awaited->model);
    int is_late = now_us >= awaited->until_us;
    if (!is_late && (!served || served->model->revision == awaited->unlike))
        return 0;
    if (!served) {
        ticket_refuse(server, awaited->ticket, WIRE_UNKNOWN_MODEL, "model", now_us, "no model of that name is served");
        return 1;
    }
    struct wire_model info = served->info;
    info.provenance = NULL;
    struct wire_envelope reply = {.kind = WIRE_MODEL_LIST, .model_list = {.models = &info, .model_count = 1}};
    ticket_reply(server, awaited->ticket, &reply, now_us);
    return 1;
}

void models_awaited(struct server *server, uint64_t now_us)
{
    for (struct awaited **link = &server->awaited, *awaited; (awaited = *link);) {
        if (answer(server, awaited, now_us)) {
            *link = awaited->next;
            free(awaited);
        } else {
            link = &awaited->next;
        }
    }
}

void request_take_get_model(const struct request *r)
{
    const struct wire_get_model *wanted = &r->message->get_model;
    struct awaited *awaited = calloc(1, sizeof *awaited);
    if (!awaited || !(awaited->ticket = ticket_new(r, 0))) {
        if (!awaited)
            request_refuse(r, WIRE_INTERNAL, "", 0, "no memory for this request");
        free(awaited);
        return;
    }
    uint32_t wait_ms = wanted->wait_ms < WAIT_LIMIT_MS ? wanted->wait_ms : WAIT_LIMIT_MS;
    awaited->unlike = wanted->unlike;
    awaited->until_us = r->now_us + 1000 * (uint64_t)wait_ms;
    // A name that is longer than any can be is cut, and so still names nothing.
    snprintf(awaited->model, sizeof awaited->model, "%s", wanted->model);
    if (answer(r->server, awaited, r->now_us)) {
        free(awaited);
        return;
    }
    awaited->next = r->server->awaited;
    r->server->awaited = awaited;
}

void awaited_release(struct server *server)
{
    while (server->awaited) {
        struct awaited *awaited = server->awaited;
        server->awaited = awaited->next;
        ticket_free(server, awaited->ticket);
        free(awaited);
    }
}
