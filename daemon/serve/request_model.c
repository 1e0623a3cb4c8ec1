// What operators ask about models: ListModels, LoadModel, UnloadModel, AliasModel, Reload; PublishModel, which learners
// ask; and Drain. Reading, checking
// and warming are the helper's; its result comes back by letter, then a round counts who uses what.
#include "house_internal.h"
#include "learning.h"
#include "round.h"
#include "ticket.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_SIZE = 8192, USES_LIMIT = 4 * MODELS_LIMIT, REFUSED_LIMIT = 64 };

struct use {
    char digest[65];
    uint64_t sessions;
};

struct model_call {
    struct round round;             // to count uses, and to come home from the helper
    struct job job;
    struct house *house;
    size_t home;
    struct ticket *ticket;
    enum wire_kind kind;
    uint8_t *file;                  // LoadModel, PublishModel
    size_t file_size;
    char name[2 * MODEL_NAME_LIMIT], model[2 * MODEL_NAME_LIMIT];
    int error;
    char why[WHY_SIZE];             // sentences, one a line
    struct use uses[USES_LIMIT];
    size_t use_count;
};

static void call_free(struct model_call *call)
{
    free(call->file);
    free(call);
}

static void count_uses(struct round *round, struct server *server, uint64_t now_us)
{
    (void)now_us;
    struct model_call *call = (struct model_call *)round;
    for (const struct served *served = server->serving.first; served; served = served->next) {
        size_t i = 0;
        while (i < call->use_count && strcmp(call->uses[i].digest, served->model->digest))
            i++;
        if (i == USES_LIMIT)
            continue;
        if (i == call->use_count)
            strcpy(call->uses[call->use_count++].digest, served->model->digest);
        call->uses[i].sessions += served->sessions;
    }
}

static int is_offered(const struct catalogue *catalogue, const char *digest)
{
    for (size_t i = 0; i < catalogue->count; i++)
        if (!strcmp(catalogue->models[i]->model->digest, digest))
            return 1;
    return 0;
}

static void reply_list(struct round *round, struct server *server, uint64_t now_us)
{
    struct model_call *call = (struct model_call *)round;
    if (!server) {
        call_free(call);
        return;
    }
    struct catalogue *catalogue = house_catalogue(server->house);
    struct wire_model models[MODELS_LIMIT];
    struct wire_alias aliases[ALIASES_LIMIT];
    struct wire_use uses[USES_LIMIT];
    const char *refused[REFUSED_LIMIT];
    size_t refused_count = 0, use_count = 0;
    for (size_t i = 0; i < catalogue->count; i++) {
        models[i] = catalogue->infos[i];
        models[i].provenance = NULL;
    }
    for (size_t i = 0; i < catalogue->alias_count; i++)
        aliases[i] = (struct wire_alias){catalogue->aliases[i].alias, catalogue->aliases[i].model};
    for (size_t i = 0; i < call->use_count; i++) {
        int offered = is_offered(catalogue, call->uses[i].digest);
        if (offered || call->uses[i].sessions > 0)
            uses[use_count++] = (struct wire_use){call->uses[i].digest, call->uses[i].sessions, offered};
    }
    for (char *line = strtok(call->why, "\n"); line && refused_count < REFUSED_LIMIT; line = strtok(NULL, "\n"))
        refused[refused_count++] = line;
    struct wire_envelope reply = {.kind = WIRE_MODEL_LIST};
    reply.model_list = (struct wire_model_list){
        .models = models, .model_count = catalogue->count, .aliases = aliases, .alias_count = catalogue->alias_count,
        .uses = uses, .use_count = use_count, .refused = refused, .refused_count = refused_count};
    ticket_reply(server, call->ticket, &reply, now_us);
    catalogue_unref(catalogue);
    call_free(call);
}

// From the helper.
static void came_home(struct letter *letter, struct server *server, uint64_t now_us)
{
    struct model_call *call = (struct model_call *)((char *)letter - offsetof(struct model_call, round.letter));
    static const char *const fields[] = {[WIRE_LOAD_MODEL] = "file", [WIRE_UNLOAD_MODEL] = "model",
                                         [WIRE_ALIAS_MODEL] = "alias", [WIRE_PUBLISH_MODEL] = "file"};
    if (!server) {
        call_free(call);
    } else if (call->error && call->kind != WIRE_RELOAD) {
        enum wire_error_code code = call->error == -ENOENT   ? WIRE_UNKNOWN_MODEL
                                    : call->error == -ENOSPC ? WIRE_LIMIT
                                    : call->error == -EPERM  ? WIRE_UNSUPPORTED
                                    : call->error == -EINVAL ? WIRE_INVALID
                                                             : WIRE_INTERNAL;
        ticket_refuse(server, call->ticket, code, fields[call->kind], now_us, "%s", call->why);
        call_free(call);
    } else if (call->kind == WIRE_PUBLISH_MODEL) {
        ticket_reply(server, call->ticket, &(struct wire_envelope){.kind = WIRE_DONE}, now_us);
        call_free(call);
    } else {
        round_start(&call->round, server, now_us);
    }
}

static void work(struct job *job, struct house *house)
{
    struct model_call *call = (struct model_call *)((char *)job - offsetof(struct model_call, job));
    if (!house) {
        call_free(call);
        return;
    }
    if (call->kind == WIRE_LOAD_MODEL)
        call->error = house_load_model(house, call->file, call->file_size, call->why, WHY_SIZE);
    else if (call->kind == WIRE_PUBLISH_MODEL)
        call->error = house_publish_model(house, call->file, call->file_size, call->name, call->why, WHY_SIZE);
    else if (call->kind == WIRE_UNLOAD_MODEL)
        call->error = house_unload_model(house, call->name, call->why, WHY_SIZE);
    else if (call->kind == WIRE_ALIAS_MODEL)
        call->error = house_alias_model(house, call->name, call->model, call->why, WHY_SIZE);
    else
        call->error = house_reload(house, call->why, WHY_SIZE);
    if (!call->error)
        call->why[0] = '\0';
    call->round.letter.deliver = came_home;
    mail_post(house, call->home, &call->round.letter);
}

static int copy_file(struct model_call *call, struct wire_bytes file)
{
    call->file_size = file.size;
    call->file = malloc(file.size + 1);
    if (call->file && file.size > 0)
        memcpy(call->file, file.bytes, file.size);
    return call->file ? 0 : -ENOMEM;
}

// Names that are longer than any name can be are cut, and so still name nothing.
static int read_arguments(struct model_call *call, const struct wire_envelope *message)
{
    switch (message->kind) {
    case WIRE_LOAD_MODEL:
        return copy_file(call, message->load_model.file);
    case WIRE_PUBLISH_MODEL:
        snprintf(call->name, sizeof call->name, "%s", message->publish_model.alias);
        return copy_file(call, message->publish_model.file);
    case WIRE_UNLOAD_MODEL:
        snprintf(call->name, sizeof call->name, "%s", message->unload_model.model);
        break;
    case WIRE_ALIAS_MODEL:
        snprintf(call->name, sizeof call->name, "%s", message->alias_model.alias);
        snprintf(call->model, sizeof call->model, "%s", message->alias_model.model);
        break;
    default:
        break;
    }
    return 0;
}

void request_take_models(const struct request *r)
{
    struct server *server = r->server;
    const struct wire_publish_model *publish = &r->message->publish_model;
    if (r->message->kind == WIRE_PUBLISH_MODEL && !request_may_teach(r, publish->alias, publish->learner))
        return;
    struct model_call *call = calloc(1, sizeof *call);
    if (!call || read_arguments(call, r->message)) {
        free(call);
        request_refuse(r, WIRE_INTERNAL, "", 0, "no memory for this request");
        return;
    }
    call->kind = r->message->kind;
    call->house = server->house;
    call->home = server->index;
    call->round.visit = count_uses;
    call->round.done = reply_list;
    if (!(call->ticket = ticket_new(r, 0))) {
        call_free(call);
        return;
    }
    if (call->kind == WIRE_LIST_MODELS) {
        round_start(&call->round, server, r->now_us);
        return;
    }
    call->job.run = work;
    if (helper_post(&server->house->helper, server->house, &call->job)) {
        ticket_refuse(server, call->ticket, WIRE_INTERNAL, "", r->now_us, "no thread for this request");
        call_free(call);
    }
}

void request_take_drain(const struct request *r)
{
    const struct house_options *options = house_options(r->server->house);
    if (!options->drain) {
        request_refuse(r, WIRE_UNSUPPORTED, "body", 0, "this daemon cannot be told to stop");
        return;
    }
    request_done(r, NULL);
    options->drain(options->context);
}
