// bel-learn evaluate: what a model reaches on fresh tasks.

#include "commands.h"

#include "arguments.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DETAILED_TASKS = 4096 };  // of more, a line of JSON would be megabytes

// Mean returns per episode of one agent on fresh tasks; prints a sentence on failure.
static int evaluate_agent(struct evaluation *result, const struct world *world, const struct model *model,
                          enum evaluate_agent agent, size_t tasks, uint64_t seed, struct pool *pool)
{
    int detailed = tasks <= DETAILED_TASKS;
    *result = (struct evaluation){
        .returns = calloc(tasks * world->episodes, sizeof(double)),
        .rewards = detailed ? calloc(world->episodes * world->horizon, sizeof(double)) : NULL,
    };
    int error = -ENOMEM;
    if (result->returns && (result->rewards || !detailed))
        error = evaluate(result, world, model, agent, tasks, seed, pool);
    return error ? fail("the evaluation failed: %s", strerror(-error)) : 0;
}

int evaluations_make(struct evaluations *all, const struct world *world, const struct model *model,
                     const struct model *oracle, struct pool *pool)
{
    enum evaluate_agent agent = model->reads_task ? EVALUATE_ORACLE : EVALUATE_BELIEF;
    all->steps = world->episodes * world->horizon;
    if (world->task_count)
        all->tasks = (all->tasks + world->task_count - 1) / world->task_count * world->task_count;
    all->goal_pays = world->goal_pays;
    all->has_prior = model->kind != MODEL_ORACLE && model->kind != MODEL_NONE;
    all->has_oracle = oracle != NULL;
    if (evaluate_agent(&all->model, world, model, agent, all->tasks, all->seed, pool))
        return 1;
    if (all->has_prior && evaluate_agent(&all->prior, world, model, EVALUATE_PRIOR, all->tasks, all->seed, pool))
        return 1;
    return oracle && evaluate_agent(&all->oracle, world, oracle, EVALUATE_ORACLE, all->tasks, all->seed, pool);
}

void evaluations_release(struct evaluations *all)
{
    struct evaluation *const each[] = {&all->model, &all->prior, &all->oracle};
    for (size_t i = 0; i < 3; i++) {
        free(each[i]->returns);
        free(each[i]->rewards);
        each[i]->returns = each[i]->rewards = NULL;
    }
}

void evaluations_add(cJSON *json, const struct evaluations *all)
{
    cJSON_AddNumberToObject(json, "tasks", (double)all->tasks);
    cJSON_AddNumberToObject(json, "seed", (double)all->seed);
    cJSON_AddItemToObject(json, "belief", json_numbers(all->model.mean, all->model.episodes));
    cJSON_AddItemToObject(json, "standard_error", json_numbers(all->model.standard_error, all->model.episodes));
    if (all->goal_pays)
        cJSON_AddItemToObject(json, "reached", json_numbers(all->model.reached, all->model.episodes));
    cJSON_AddItemToObject(json, "prior",
                          all->has_prior ? json_numbers(all->prior.mean, all->prior.episodes) : cJSON_CreateNull());
    cJSON_AddItemToObject(json, "oracle",
                          all->has_oracle ? json_numbers(all->oracle.mean, all->oracle.episodes) : cJSON_CreateNull());
}

void evaluations_add_details(cJSON *json, const struct evaluations *all)
{
    if (!all->model.rewards)
        return;
    const struct { const char *name; const struct evaluation *of; int there; } each[] = {
        {"belief", &all->model, 1}, {"prior", &all->prior, all->has_prior}, {"oracle", &all->oracle, all->has_oracle},
    };
    cJSON *returns = cJSON_AddObjectToObject(json, "task_returns");
    cJSON *rewards = cJSON_AddObjectToObject(json, "step_rewards");
    for (size_t i = 0; i < 3; i++) {
        if (!each[i].there)
            continue;
        cJSON *rows = cJSON_AddArrayToObject(returns, each[i].name);
        for (size_t task = 0; task < all->tasks; task++)
            cJSON_AddItemToArray(rows, json_numbers(&each[i].of->returns[task * each[i].of->episodes],
                                                    each[i].of->episodes));
        cJSON_AddItemToObject(rewards, each[i].name, json_numbers(each[i].of->rewards, all->steps));
    }
}

static void print_reached(const struct evaluation *evaluation)
{
    printf("%-22s", "goal reached");
    for (size_t i = 0; i < evaluation->episodes; i++)
        printf("  %9.1f %%%-7s", 100 * evaluation->reached[i], "");
    printf("\n");
}

static void print_row(const char *name, const struct evaluation *evaluation)
{
    printf("%-22s", name);
    for (size_t i = 0; i < evaluation->episodes; i++)
        printf("  %9.2f +- %-6.2f", evaluation->mean[i], evaluation->standard_error[i]);
    printf("\n");
}

void evaluations_print(const struct evaluations *all, const struct model *model)
{
    printf("return of each episode on %zu fresh tasks, mean action\n", all->tasks);
    print_row(model->reads_task ? "told the task" : all->has_prior ? "with its belief" : "without a belief",
              &all->model);
    if (all->goal_pays)
        print_reached(&all->model);
    if (all->has_prior)
        print_row("belief held at prior", &all->prior);
    if (all->has_oracle)
        print_row("oracle", &all->oracle);
}

int load_oracle(struct model **oracle, const char *path, const struct world *world)
{
    char why[WHY];
    *oracle = NULL;
    if (!path)
        return 0;
    if (model_load(oracle, path, why, sizeof why))
        return fail("%s: %s", path, why);
    if (strcmp((*oracle)->world, world->name) || !(*oracle)->reads_task) {
        model_free(*oracle);
        *oracle = NULL;
        return fail("%s is not an oracle of %s", path, world->name);
    }
    return 0;
}

int evaluate_command(int argc, char **argv)
{
    const char *oracle_path = NULL;
    uint64_t tasks = 256, seed = 1, threads = 0;
    int json = 0, status;
    const struct argument arguments[] = {
        {"--tasks", 'u', &tasks, 1, 1e6, "N", "how many (256)"},
        {"--seed", 'u', &seed, 0, 0x1p53, "S", "which (1)"},
        {"--oracle", 't', &oracle_path, 0, 0, "MODEL", "an oracle, played on the same tasks"},
        {"--threads", 'u', &threads, 0, 256, "T", "0: one for each processor"},
        {"--json", 'f', &json, 0, 0, NULL, "one JSON line instead of a table"},
    };
    const struct command_line line = {
        "evaluate", "bel-learn evaluate plays a model, with its mean action, on tasks that training never draws.\n\n"
        "    bel-learn evaluate MODEL [options]", "which model?", 1, 1, arguments, sizeof arguments / sizeof *arguments};
    if (arguments_read(&line, argc, argv, &status) < 0)
        return status;
    const char *path = argv[2];
    struct evaluations all = {.tasks = (size_t)tasks, .seed = seed};

    char why[WHY];
    struct model *model = NULL, *oracle = NULL;
    struct pool *pool = NULL;
    status = 1;
    if (model_load(&model, path, why, sizeof why))
        return fail("%s: %s", path, why);
    const struct world *world = world_find(model->world);
    if (!world) {
        fail("%s is a model of \"%s\", which is not a world that is known here", path, model->world);
        goto done;
    }
    if (load_oracle(&oracle, oracle_path, world))
        goto done;
    if (!(pool = pool_start((unsigned)threads))) {
        fail("cannot start %u threads", (unsigned)threads);
        goto done;
    }
    if (evaluations_make(&all, world, model, oracle, pool))
        goto done;
    if (json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "world", world->name);
        cJSON_AddStringToObject(object, "model", model->name);
        cJSON_AddStringToObject(object, "digest", model->digest);
        cJSON_AddStringToObject(object, "commit", learner_commit());
        evaluations_add(object, &all);
        evaluations_add_details(object, &all);
        status = print_json(object);
    } else {
        evaluations_print(&all, model);
        status = 0;
    }
done:
    evaluations_release(&all);
    pool_stop(pool);
    model_free(model);
    model_free(oracle);
    return status;
}
