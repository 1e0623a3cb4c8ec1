// Models in service; the contract is in served.h.
#include "served.h"

#include "proto/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int inspection_init(struct inspection *inspection, const struct head *head)
{
    inspection->memory = aligned_alloc(KERNEL_ALIGNMENT, (posterior_size(head->prior, 0) + KERNEL_ALIGNMENT - 1) /
                                                             KERNEL_ALIGNMENT * KERNEL_ALIGNMENT);
    inspection->noise = calloc(head->targets, sizeof *inspection->noise);
    if (!inspection->memory || !inspection->noise)
        return -ENOMEM;
    posterior_init(&inspection->posterior, head->prior, 0, inspection->memory);
    return 0;
}

struct served *served_new(struct shared_model *shared)
{
    struct served *served = calloc(1, sizeof *served);
    if (!served)
        return NULL;
    served->shared = shared_model_ref(shared);
    served->model = shared->model;
    served->info = shared->info;
    served->action_bound = shared->action_bound;
    served->belief_bound = shared->belief_bound;
    served->scratch = agent_scratch_new(served->model);
    int failed = !served->scratch;
    for (int h = 0; h < HEAD_COUNT && !failed; h++)
        if (served->model->heads[h].present)
            failed = inspection_init(&served->heads[h], &served->model->heads[h]) != 0;
    for (int part = 0; part < AGENT_PARTS && !failed; part++) {
        served->sums_size[part] = agent_belief_encoded_size(served->model, part);
        if (served->sums_size[part])
            failed = !(served->sums[part] = malloc(served->sums_size[part]));
    }
    if (!failed)
        return served;
    served_free(served);
    return NULL;
}

void served_free(struct served *served)
{
    if (!served)
        return;
    for (int h = 0; h < HEAD_COUNT; h++) {
        free(served->heads[h].memory);
        free(served->heads[h].noise);
    }
    for (int part = 0; part < AGENT_PARTS; part++)
        free(served->sums[part]);
    agent_scratch_free(served->scratch);
    shared_model_unref(served->shared);
    free(served);
}

int served_warm_up(struct served *served)
{
    const struct model *model = served->model;
    size_t belief_size = (agent_belief_size(model) + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, belief_size);
    float *observation = calloc(model->observation_dim, sizeof *observation);
    float *action = calloc(model->action_dim, sizeof *action);
    float *task = calloc(model->task_dim + 1, sizeof *task);
    int result = -ENOMEM;
    if (!memory || !observation || !action || !task)
        goto done;
    struct agent_belief belief;
    agent_belief_init(&belief, model, memory);
    result = 0;
    for (size_t batch = 1; batch <= AGENT_BATCH_LIMIT; batch += AGENT_BATCH_LIMIT - 1) {
        for (size_t i = 0; i < batch; i++) {
            served->observations[i] = (struct observation_item){
                .belief = &belief, .observation = observation, .action = action, .next_observation = observation};
            served->actions[i] = (struct action_item){
                .belief = &belief, .observation = observation, .task = task, .action = action};
        }
        agent_observe(model, served->scratch, served->observations, batch);
        agent_act(model, served->scratch, served->actions, batch);
        for (size_t i = 0; i < batch; i++)
            if (served->actions[i].error)
                result = -EDOM;
    }
done:
    free(memory);
    free(observation);
    free(action);
    free(task);
    return result;
}

static struct served *in_list(struct served *list, const struct shared_model *shared)
{
    while (list && !shared_model_equal(list->shared, shared))
        list = list->next;
    return list;
}

static void free_list(struct served *list)
{
    while (list) {
        struct served *next = list->next;
        served_free(list);
        list = next;
    }
}

static void unlink_from(struct served **list, const struct served *served)
{
    while (*list != served)
        list = &(*list)->next;
    *list = served->next;
}

int serving_init(struct serving *serving, struct catalogue *catalogue)
{
    *serving = (struct serving){0};
    return serving_change(serving, catalogue, NULL);
}

void serving_release(struct serving *serving)
{
    free_list(serving->first);
    catalogue_unref(serving->catalogue);
    *serving = (struct serving){0};
}

int serving_change(struct serving *serving, struct catalogue *catalogue, struct served *fresh)
{
    struct served *added = NULL;
    for (size_t i = 0; i < catalogue->count; i++) {
        struct shared_model *shared = catalogue->models[i];
        if (in_list(serving->first, shared) || in_list(added, shared))
            continue;
        struct served *served = in_list(fresh, shared);
        if (served)
            unlink_from(&fresh, served);
        else
            served = served_new(shared);
        if (!served) {
            free_list(added);
            free_list(fresh);
            return -ENOMEM;
        }
        served->next = added;
        added = served;
    }
    free_list(fresh);
    while (added) {
        struct served *next = added->next;
        added->next = serving->first;
        serving->first = added;
        added = next;
    }
    catalogue_ref(catalogue);
    catalogue_unref(serving->catalogue);
    serving->catalogue = catalogue;
    for (struct served *served = serving->first; served; served = served->next) {
        served->offered = 0;
        for (size_t i = 0; i < catalogue->count; i++)
            served->offered |= shared_model_equal(served->shared, catalogue->models[i]);
    }
    serving_sweep(serving);
    return 0;
}

struct served *serving_named(const struct serving *serving, const char *name)
{
    const struct shared_model *shared = catalogue_find(serving->catalogue, name);
    return shared ? in_list(serving->first, shared) : NULL;
}

struct served *serving_with_digest(const struct serving *serving, const char *digest)
{
    struct served *served = serving->first;
    while (served && strcmp(served->model->digest, digest))
        served = served->next;
    return served;
}

struct served *serving_of(struct serving *serving, struct shared_model *shared)
{
    struct served *served = in_list(serving->first, shared);
    if (!served && (served = served_new(shared)))
        serving_add(serving, served);
    return served;
}

void serving_add(struct serving *serving, struct served *served)
{
    served->next = serving->first;
    serving->first = served;
}

void serving_sweep(struct serving *serving)
{
    for (struct served **link = &serving->first; *link;) {
        struct served *served = *link;
        if (served->offered || served->sessions > 0 || served->waiting_count > 0) {
            link = &served->next;
        } else {
            *link = served->next;
            served_free(served);
        }
    }
}
