// The list of named arrays that is the state of a training.

#include "train.h"

#include "inference/inference.h"
#include "policy/algorithm.h"

#include <assert.h>
#include <stdio.h>

void list_array(struct train_list *list, const char *name, const char *dtype, void *data, size_t count)
{
    assert(list->count < sizeof list->arrays / sizeof *list->arrays);
    struct train_array *array = &list->arrays[list->count++];
    snprintf(array->name, sizeof array->name, "%s", name);
    snprintf(array->dtype, sizeof array->dtype, "%s", dtype);
    array->data = data;
    array->count = count;
    array->most = 0;
}

void list_counts(struct train_list *list, const char *name, uint32_t *data, size_t count, size_t most)
{
    list_array(list, name, "U32", data, count);
    list->arrays[list->count - 1].most = (uint32_t)most;
}

static void list_part(struct train_list *list, const char *owner, const char *part, const char *dtype, void *data,
                      size_t count)
{
    char name[32];
    snprintf(name, sizeof name, "%.16s.%.14s", owner, part);
    list_array(list, name, dtype, data, count);
}

void list_trainee(struct train_list *list, const char *owner, struct trainee *trainee)
{
    list_part(list, owner, "parameters", "F32", trainee->parameters, trainee->count);
    list_part(list, owner, "adam_first", "F32", trainee->adam.first, trainee->count);
    list_part(list, owner, "adam_second", "F32", trainee->adam.second, trainee->count);
    list_part(list, owner, "adam_steps", "U64", &trainee->adam.steps, 1);
}

void list_moments(struct train_list *list, const char *name, struct moments *moments)
{
    list_part(list, name, "count", "F64", &moments->count, 1);
    list_part(list, name, "moments", "F64", moments->mean, 2 * moments->width);
}

static void list_replay(struct train_list *list, struct replay *r)
{
    size_t rows = r->slots * r->steps;
    list_array(list, "replay.added", "U64", &r->added, 1);
    list_counts(list, "replay.count", r->count, r->slots, r->steps);
    list_array(list, "replay.observation", "F32", r->observation, rows * r->observation_dim);
    list_array(list, "replay.action", "F32", r->action, rows * r->action_dim);
    list_array(list, "replay.next_observation", "F32", r->next_observation, rows * r->observation_dim);
    list_array(list, "replay.reward", "F32", r->reward, rows);
}

int train_state(struct train *train, size_t i, struct train_array *array)
{
    struct train_list list = {0};
    list_array(&list, "counters", "F64", train->counters, COUNTERS);
    list_array(&list, "experienced", "U64", train->experienced, train->options.envs);
    list_moments(&list, "inputs", &train->inputs);
    list_moments(&list, "observations", &train->observations);
    train->algorithm->state(train, &list);
    if (train->inference->state)
        train->inference->state(train, &list);
    if (train->replay.slots)
        list_replay(&list, &train->replay);
    if (i >= list.count)
        return 0;
    *array = list.arrays[i];
    return 1;
}
