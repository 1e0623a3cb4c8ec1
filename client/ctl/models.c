// beliefctl models: what is served, and changing it. reload: the files again.
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *alias_of(const struct wire_model_list *list, const char *model, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < list->alias_count && used < size; i++)
        if (strcmp(list->aliases[i].model, model) == 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "," : "", list->aliases[i].alias);
    return text;
}

static const struct wire_use *use_of(const struct wire_model_list *list, const char *digest)
{
    for (size_t i = 0; i < list->use_count; i++)
        if (strcmp(list->uses[i].digest, digest) == 0)
            return &list->uses[i];
    return NULL;
}

static void print_list(const struct wire_model_list *list)
{
    char aliases[256];
    printf("%-20s %-14s %-7s %4s %3s %3s %3s %9s  %-16s  %s\n", "model", "world", "kind", "obs", "act", "D_T", "D_R", "sessions",
           "digest", "aliases");
    for (size_t i = 0; i < list->model_count; i++) {
        const struct wire_model *m = &list->models[i];
        const struct wire_use *use = use_of(list, m->digest);
        printf("%-20s %-14s %-7s %4u %3u %3u %3u %9llu  %.16s  %s\n", m->name, m->world, m->kind,
               m->observation_dim, m->action_dim, m->transition_features, m->reward_features, use ? (unsigned long long)use->sessions : 0,
               m->digest, alias_of(list, m->name, aliases, sizeof aliases));
    }
    for (size_t i = 0; i < list->use_count; i++)
        if (!list->uses[i].serving)
            printf("%-20s %-14s %-7s %4s %3s %3s %3s %9llu  %.16s\n", "(no longer served)", "", "", "", "", "", "",
                   (unsigned long long)list->uses[i].sessions, list->uses[i].digest);
}

static cJSON *list_json(const struct wire_model_list *list)
{
    cJSON *object = cJSON_CreateObject(), *models = cJSON_AddArrayToObject(object, "models");
    for (size_t i = 0; i < list->model_count; i++) {
        const struct wire_model *m = &list->models[i];
        const struct wire_use *use = use_of(list, m->digest);
        cJSON *model = cJSON_CreateObject();
        cJSON_AddItemToArray(models, model);
        cJSON_AddStringToObject(model, "name", m->name);
        cJSON_AddStringToObject(model, "world", m->world);
        cJSON_AddStringToObject(model, "kind", m->kind);
        cJSON_AddBoolToObject(model, "discrete", m->discrete);
        cJSON_AddStringToObject(model, "digest", m->digest);
        json_add_number(model, "observation_dim", m->observation_dim);
        json_add_number(model, "action_dim", m->action_dim);
        json_add_number(model, "transition_features", m->transition_features);
        json_add_number(model, "reward_features", m->reward_features);
        json_add_number(model, "sessions", use ? use->sessions : 0);
    }
    cJSON *aliases = cJSON_AddObjectToObject(object, "aliases");
    for (size_t i = 0; i < list->alias_count; i++)
        cJSON_AddStringToObject(aliases, list->aliases[i].alias, list->aliases[i].model);
    cJSON *old = cJSON_AddArrayToObject(object, "no_longer_served");
    for (size_t i = 0; i < list->use_count; i++)
        if (!list->uses[i].serving) {
            cJSON *use = cJSON_CreateObject();
            cJSON_AddItemToArray(old, use);
            cJSON_AddStringToObject(use, "digest", list->uses[i].digest);
            json_add_number(use, "sessions", list->uses[i].sessions);
        }
    cJSON *refused = cJSON_AddArrayToObject(object, "refused");
    for (size_t i = 0; i < list->refused_count; i++)
        cJSON_AddItemToArray(refused, cJSON_CreateString(list->refused[i]));
    return object;
}

// Asks, and shows the list that every question about models is answered with.
static int ask_and_print(const struct ctl *ctl, const struct wire_envelope *request)
{
    struct control control;
    struct wire_envelope reply;
    int code = ctl_connect(ctl, &control);
    if (code)
        return code;
    int error = control_ask(&control, request, WIRE_MODEL_LIST, &reply);
    if (error) {
        code = ctl_refused(ctl, &control, error);
    } else {
        if (ctl->json)
            ctl_print(list_json(&reply.model_list));
        else
            print_list(&reply.model_list);
        for (size_t i = 0; i < reply.model_list.refused_count; i++)
            fprintf(stderr, "beliefctl: refused: %s\n", reply.model_list.refused[i]);
        code = reply.model_list.refused_count ? CTL_FAILED : CTL_DONE;
    }
    control_close(&control);
    return code;
}

static int load(const struct ctl *ctl, const char *path)
{
    FILE *file = fopen(path, "re");
    uint8_t *bytes = NULL;
    size_t size = 0;
    int code;
    if (file && (bytes = malloc(LINK_FRAME_LIMIT + 1)))
        size = fread(bytes, 1, LINK_FRAME_LIMIT + 1, file);
    if (!bytes || ferror(file))
        code = ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(errno));
    else if (size > LINK_FRAME_LIMIT)
        code = ctl_fail(ctl, CTL_FAILED, "%s: larger than %d bytes, too large to be sent", path, LINK_FRAME_LIMIT);
    else
        code = ask_and_print(ctl, &(struct wire_envelope){.kind = WIRE_LOAD_MODEL,
                                                          .load_model.file = {bytes, size}});
    free(bytes);
    if (file)
        fclose(file);
    return code;
}

int models_run(struct ctl *ctl)
{
    const char *verb = ctl->word_count ? ctl->words[0] : "list";
    int rest = ctl->word_count - 1;
    char **words = ctl->words + 1;
    if (strcmp(verb, "list") == 0 && rest <= 0)
        return ask_and_print(ctl, &(struct wire_envelope){.kind = WIRE_LIST_MODELS});
    if (strcmp(verb, "load") == 0 && rest == 1)
        return load(ctl, words[0]);
    if (strcmp(verb, "unload") == 0 && rest == 1)
        return ask_and_print(ctl, &(struct wire_envelope){.kind = WIRE_UNLOAD_MODEL,
                                                          .unload_model.model = words[0]});
    if (strcmp(verb, "alias") == 0 && (rest == 1 || rest == 2))
        return ask_and_print(ctl, &(struct wire_envelope){.kind = WIRE_ALIAS_MODEL,
                                                          .alias_model = {words[0], rest == 2 ? words[1] : ""}});
    return ctl_fail(ctl, CTL_USAGE, "it is: beliefctl models [list | load FILE | unload NAME | alias ALIAS [NAME]]");
}

int reload_run(struct ctl *ctl)
{
    return ask_and_print(ctl, &(struct wire_envelope){.kind = WIRE_RELOAD});
}
