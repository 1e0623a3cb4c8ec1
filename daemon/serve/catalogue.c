// The list of models; the contract is in catalogue.h.
#include "catalogue.h"

#include "daemon/agent/agent.h"
#include "daemon/policy/refuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DAMAGE_REPORT_SIZE = 256 };  // the Error that may stand in an Action's place

static const uint8_t any_digest[WIRE_DIGEST_SIZE];

// Every field at its longest.
static size_t measure_action(const struct model *model)
{
    struct wire_envelope reply = {.request_id = UINT64_MAX, .kind = WIRE_ACTION};
    reply.action = (struct wire_action){
        .seq = UINT64_MAX, .action = {model->action_low, model->action_dim}, .status = WIRE_STATUS_OUT_OF_ORDER,
        .count = UINT64_MAX, .digest = {any_digest, sizeof any_digest}, .task = UINT32_MAX, .reward_p = 1,
        .transition_p = 1, .queue_us = UINT32_MAX, .compute_us = UINT32_MAX, .durable_seq = UINT64_MAX};
    size_t size = (size_t)wire_encode(NULL, 0, &reply, NULL);
    return size > DAMAGE_REPORT_SIZE ? size : DAMAGE_REPORT_SIZE;
}

static struct wire_model describe(const struct model *model)
{
    const struct head *transition = &model->heads[HEAD_TRANSITION], *reward = &model->heads[HEAD_REWARD];
    return (struct wire_model){
        .name = model->name, .world = model->world, .digest = model->digest,
        .observation_dim = (uint32_t)model->observation_dim,
        .action_dim = (uint32_t)model->action_dim,
        .task_dim = (uint32_t)model->task_dim,
        .action_low = {model->action_low, model->action_dim},
        .action_high = {model->action_high, model->action_dim},
        .action_log_sd = {model->action_log_sd, model->action_dim},
        .transition_features = transition->present ? (uint32_t)transition->features : 0,
        .reward_features = reward->present ? (uint32_t)reward->features : 0,
        .provenance = model->provenance, .revision = model->revision,
        .kind = model_kind_name(model->kind), .discrete = model->discrete,
    };
}

struct shared_model *shared_model_new(struct model *model)
{
    struct shared_model *shared = calloc(1, sizeof *shared);
    if (!shared)
        return NULL;
    atomic_init(&shared->references, 1);
    shared->model = model;
    shared->info = describe(model);
    shared->action_bound = measure_action(model);
    shared->belief_bound = 256 + 2 * (MODEL_TASK_LIMIT + FACTORS_LATENT_LIMIT) * sizeof(double);
    shared->state_bound = 1024 + (model->observation_dim + model->action_dim) * sizeof(float);
    for (int h = 0; h < HEAD_COUNT; h++) {
        const struct head *head = &model->heads[h];
        size_t sums = agent_belief_encoded_size(model, h);
        if (sums == 0)
            continue;
        shared->belief_bound +=
            128 + sums + (head->features * head->targets + head->features + head->targets) * sizeof(double);
        shared->state_bound += 16 + sums;
    }
    return shared;
}

struct shared_model *shared_model_ref(struct shared_model *shared)
{
    atomic_fetch_add(&shared->references, 1);
    return shared;
}

void shared_model_unref(struct shared_model *shared)
{
    if (!shared || atomic_fetch_sub(&shared->references, 1) != 1)
        return;
    model_free(shared->model);
    free(shared);
}

int shared_model_equal(const struct shared_model *a, const struct shared_model *b)
{
    return a->model == b->model || (*a->model->digest && !strcmp(a->model->digest, b->model->digest));
}

struct catalogue *catalogue_new(void)
{
    struct catalogue *catalogue = calloc(1, sizeof *catalogue);
    if (catalogue)
        atomic_init(&catalogue->references, 1);
    return catalogue;
}

struct catalogue *catalogue_copy(const struct catalogue *catalogue)
{
    struct catalogue *copy = catalogue_new();
    if (!copy)
        return NULL;
    copy->count = catalogue->count;
    for (size_t i = 0; i < copy->count; i++) {
        copy->models[i] = shared_model_ref(catalogue->models[i]);
        copy->infos[i] = catalogue->infos[i];
    }
    copy->alias_count = catalogue->alias_count;
    memcpy(copy->aliases, catalogue->aliases, sizeof copy->aliases);
    return copy;
}

struct catalogue *catalogue_ref(struct catalogue *catalogue)
{
    atomic_fetch_add(&catalogue->references, 1);
    return catalogue;
}

void catalogue_unref(struct catalogue *catalogue)
{
    if (!catalogue || atomic_fetch_sub(&catalogue->references, 1) != 1)
        return;
    for (size_t i = 0; i < catalogue->count; i++)
        shared_model_unref(catalogue->models[i]);
    free(catalogue);
}

static size_t index_of(const struct catalogue *catalogue, const char *name)
{
    size_t i = 0;
    while (i < catalogue->count && strcmp(catalogue->models[i]->model->name, name))
        i++;
    return i;
}

static struct alias *alias_of(struct catalogue *catalogue, const char *alias)
{
    for (size_t i = 0; i < catalogue->alias_count; i++)
        if (!strcmp(catalogue->aliases[i].alias, alias))
            return &catalogue->aliases[i];
    return NULL;
}

static void drop_alias(struct catalogue *catalogue, struct alias *alias)
{
    size_t after = (size_t)(&catalogue->aliases[catalogue->alias_count] - alias) - 1;
    memmove(alias, alias + 1, after * sizeof *alias);
    catalogue->alias_count--;
}

struct shared_model *catalogue_find(const struct catalogue *catalogue, const char *name)
{
    size_t i = *name ? index_of(catalogue, name) : 0;
    for (size_t a = 0; i == catalogue->count && a < catalogue->alias_count; a++)
        if (!strcmp(catalogue->aliases[a].alias, name))
            return catalogue->models[index_of(catalogue, catalogue->aliases[a].model)];
    return i < catalogue->count ? catalogue->models[i] : NULL;
}

int catalogue_put(struct catalogue *catalogue, struct shared_model *shared, char *why, size_t why_size)
{
    const char *name = shared->model->name;
    size_t i = index_of(catalogue, name);
    if (i == catalogue->count) {
        if (i == MODELS_LIMIT)
            return refuse(why, why_size, -ENOSPC, "no more than %d models", MODELS_LIMIT);
        if (alias_of(catalogue, name))
            return refuse(why, why_size, -EINVAL, "%s is an alias of %s", name, alias_of(catalogue, name)->model);
        catalogue->count++;
    } else {
        shared_model_unref(catalogue->models[i]);
    }
    catalogue->models[i] = shared_model_ref(shared);
    catalogue->infos[i] = shared->info;
    return 0;
}

int catalogue_remove(struct catalogue *catalogue, const char *name, char *why, size_t why_size)
{
    size_t i = index_of(catalogue, name);
    if (i == catalogue->count)
        return refuse(why, why_size, -ENOENT, "no model of that name is served");
    if (catalogue->count == 1)
        return refuse(why, why_size, -EINVAL, "%s is the only model served", name);
    for (size_t a = catalogue->alias_count; a-- > 0;)
        if (!strcmp(catalogue->aliases[a].model, name))
            drop_alias(catalogue, &catalogue->aliases[a]);
    shared_model_unref(catalogue->models[i]);
    size_t after = --catalogue->count - i;
    memmove(&catalogue->models[i], &catalogue->models[i + 1], after * sizeof *catalogue->models);
    memmove(&catalogue->infos[i], &catalogue->infos[i + 1], after * sizeof *catalogue->infos);
    return 0;
}

static int is_name(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(text);
    return length >= 1 && length < MODEL_NAME_LIMIT && strspn(text, allowed) == length;
}

int catalogue_alias(struct catalogue *catalogue, const char *alias, const char *model, char *why, size_t why_size)
{
    struct alias *present = alias_of(catalogue, alias);
    if (!is_name(alias))
        return refuse(why, why_size, -EINVAL, "an alias is 1 to %d of A-Z a-z 0-9 . _ -", MODEL_NAME_LIMIT - 1);
    if (!*model) {
        if (!present)
            return refuse(why, why_size, -ENOENT, "there is no alias of that name");
        drop_alias(catalogue, present);
        return 0;
    }
    if (index_of(catalogue, alias) < catalogue->count)
        return refuse(why, why_size, -EINVAL, "%s is the name of a model", alias);
    if (index_of(catalogue, model) == catalogue->count)
        return refuse(why, why_size, -ENOENT, "no model of that name is served");
    if (!present && catalogue->alias_count == ALIASES_LIMIT)
        return refuse(why, why_size, -ENOSPC, "no more than %d aliases", ALIASES_LIMIT);
    if (!present)
        present = &catalogue->aliases[catalogue->alias_count++];
    strcpy(present->alias, alias);
    strcpy(present->model, model);
    return 0;
}
