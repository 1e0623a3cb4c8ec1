// The sweep's cells one after the other, in one thread, timed by the processor's clock so that others do not matter.

#include "sweep.h"

#include "daemon/agent/agent.h"
#include "learner/arguments.h"
#include "learner/commands.h"
#include "learner/inference/glibrl.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 16, TIMED_UPDATES = 20, TIMED_STEPS = 2000 };

struct sweep {
    const struct world *world;
    size_t features[SIZES], transition[SIZES], features_count, transition_count, tasks;
    uint64_t frames, seed;
    int json;
};

struct cell {
    size_t features, transition;
    size_t inputs, bytes;        // the policy's; of a belief
    double step, update;         // CPU seconds: observing and acting once; one update of all bases
    double evidence[HEAD_COUNT]; // per transition and target, nats; NaN: no such head
    double mean_return;          // per episode; NaN: not evaluated
    double cpu_seconds;          // of the training
};

// Observing and acting, as the daemon does for one session, with what the training saw last.
static int time_steps(struct cell *cell, const struct train *train, const struct model *model)
{
    const struct rollout *r = &train->rollout;
    size_t obs = model->observation_dim, act = model->action_dim;
    struct agent_scratch *scratch = agent_scratch_new(model);
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, (agent_belief_size(model) / KERNEL_ALIGNMENT + 1) * KERNEL_ALIGNMENT);
    if (!scratch || !memory) {
        agent_scratch_free(scratch);
        free(memory);
        return -ENOMEM;
    }
    struct agent_belief belief;
    agent_belief_init(&belief, model, memory);
    float action[MODEL_ACTION_LIMIT];
    double start = pool_cpu_seconds();
    for (size_t i = 0; i < TIMED_STEPS; i++) {
        size_t row = i % train->rows;
        struct observation_item seen = {
            .belief = &belief, .observation = r->observation + row * obs, .action = r->action + row * act,
            .next_observation = r->next_observation + row * obs, .reward = r->reward[row]};
        agent_observe(model, scratch, &seen, 1);
        struct action_item decision = {
            .belief = &belief, .observation = seen.next_observation, .z = seen.z, .action = action};
        agent_act(model, scratch, &decision, 1);
    }
    cell->step = (pool_cpu_seconds() - start) / TIMED_STEPS;
    agent_scratch_free(scratch);
    free(memory);
    return 0;
}

static int time_updates(struct cell *cell, struct train *train, char *why, size_t why_size)
{
    double start = pool_cpu_seconds();
    int error = learn_basis(train, TIMED_UPDATES, 0, why, why_size);
    cell->update = (pool_cpu_seconds() - start) / TIMED_UPDATES;
    return error;
}

static int judge_cell(struct cell *cell, const struct sweep *sweep, const struct train *train,
                      const struct model *model)
{
    struct evaluation evaluation = {.returns = calloc(sweep->tasks * sweep->world->episodes, sizeof(double))};
    if (!evaluation.returns)
        return -ENOMEM;
    int error = evaluate(&evaluation, sweep->world, model, EVALUATE_BELIEF, sweep->tasks, 777, train->pool);
    cell->mean_return = 0;
    for (size_t i = 0; i < evaluation.episodes && !error; i++)
        cell->mean_return += evaluation.mean[i] / (double)evaluation.episodes;
    free(evaluation.returns);
    return error;
}

static int run_cell(struct cell *cell, const struct sweep *sweep, char *why, size_t why_size)
{
    struct options options;
    options_defaults(&options, sweep->world, LEARN_GLIBRL, LEARN_PPO);
    options.features = cell->features;
    options.transition = cell->transition;
    options.frames = sweep->frames;
    options.seed = sweep->seed;
    options.threads = 1;
    struct train *train = NULL;
    struct model *model = NULL;
    double start = pool_cpu_seconds();
    int error = train_new(&train, &options, why, why_size);
    while (error == 0 && !train_done(train))
        error = train_iterate(train, why, why_size);
    cell->cpu_seconds = pool_cpu_seconds() - start;
    if (error == 0)
        error = train_final_model(train, &model, NULL, why, why_size);
    if (error == 0) {
        const struct glibrl *own = train->inferring;
        cell->inputs = model->input_dim;
        cell->bytes = agent_belief_size(model);
        for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
            cell->evidence[kind] = own->basis[kind].features ? own->evidence[kind] : NAN;
        error = time_updates(cell, train, why, why_size);
    }
    if (error == 0 && ((error = time_steps(cell, train, model)) || (error = judge_cell(cell, sweep, train, model))))
        snprintf(why, why_size, "%s", strerror(-error));
    model_free(model);
    train_free(train);
    return error;
}

static void add_cell(cJSON *cells, const struct cell *cell)
{
    cJSON *json = cJSON_CreateObject();
    const struct { const char *name; double value; } numbers[] = {
        {"features", (double)cell->features}, {"transition", (double)cell->transition},
        {"policy_inputs", (double)cell->inputs}, {"belief_bytes", (double)cell->bytes},
        {"step_microseconds", 1e6 * cell->step}, {"update_milliseconds", 1e3 * cell->update},
        {"evidence_reward", cell->evidence[HEAD_REWARD]}, {"evidence_transition", cell->evidence[HEAD_TRANSITION]},
        {"return", cell->mean_return}, {"cpu_seconds", cell->cpu_seconds},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cJSON_AddItemToObject(json, numbers[i].name,
                              isfinite(numbers[i].value) ? cJSON_CreateNumber(numbers[i].value) : cJSON_CreateNull());
    cJSON_AddItemToArray(cells, json);
}

static void print_cell(const struct cell *cell)
{
    printf("%4zu %4zu %8zu %8zu %9.2f %10.3f", cell->features, cell->transition, cell->inputs, cell->bytes,
           1e6 * cell->step, 1e3 * cell->update);
    for (int i = 0; i < 2; i++) {
        double evidence = cell->evidence[i ? HEAD_TRANSITION : HEAD_REWARD];
        if (isfinite(evidence))
            printf(" %9.3f", evidence);
        else
            printf(" %9s", "-");
    }
    printf(" %10.2f %8.1f\n", cell->mean_return, cell->cpu_seconds);
    fflush(stdout);
}

static int run(const struct sweep *sweep)
{
    cJSON *json = cJSON_CreateObject(), *cells = cJSON_AddArrayToObject(json, "cells");
    cJSON_AddStringToObject(json, "world", sweep->world->name);
    cJSON_AddNumberToObject(json, "frames", (double)sweep->frames);
    cJSON_AddNumberToObject(json, "seed", (double)sweep->seed);
    cJSON_AddNumberToObject(json, "tasks", (double)sweep->tasks);
    if (!sweep->json)
        printf("%s, %llu frames, seed %llu, return of %zu tasks\n%4s %4s %8s %8s %9s %10s %9s %9s %10s %8s\n",
               sweep->world->name, (unsigned long long)sweep->frames, (unsigned long long)sweep->seed, sweep->tasks,
               "D_R", "D_T", "inputs", "bytes", "step us", "update ms", "evid. R", "evid. T", "return", "CPU s");
    for (size_t i = 0; i < sweep->features_count; i++)
        for (size_t k = 0; k < sweep->transition_count; k++) {
            struct cell cell = {.features = sweep->features[i], .transition = sweep->transition[k]};
            char why[WHY] = "";
            if (!cell.features && !cell.transition)
                continue;
            if (run_cell(&cell, sweep, why, sizeof why)) {
                cJSON_Delete(json);
                return fail("with %zu and %zu features: %s", cell.features, cell.transition, why);
            }
            if (sweep->json)
                add_cell(cells, &cell);
            else
                print_cell(&cell);
        }
    if (sweep->json)
        return print_json(json);
    cJSON_Delete(json);
    return 0;
}

// "4,8,16": numbers that are not 1, up to 256. Returns how many, 0 for anything else.
static size_t parse_sizes(size_t sizes[SIZES], const char *text)
{
    size_t count = 0;
    for (;;) {
        char *end;
        unsigned long size = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 1;
        if (size == 1 || size > BELIEF_FEATURES_LIMIT || count == SIZES)
            return 0;
        sizes[count++] = size;
        if (!*end)
            return count;
        if (*end != ',')
            return 0;
        text = end + 1;
    }
}

// 0; or -1 with what to exit with in status.
static int parse(struct sweep *sweep, int argc, char **argv, int *status)
{
    const char *features = "8", *transition = "0";
    uint64_t tasks = 64;
    *sweep = (struct sweep){.frames = 100000, .seed = 1};
    const struct argument arguments[] = {
        {"--features", 't', &features, 0, 0, "N,N,..", "D of the reward head (8)"},
        {"--transition", 't', &transition, 0, 0, "N,N,..", "D of the transition head (0); each with each is trained"},
        {"--frames", 'u', &sweep->frames, 1, 0x1p53, "F", "of each training (1e5)"},
        {"--seed", 'u', &sweep->seed, 0, 0x1p53, "S", "of each training (1)"},
        {"--tasks", 'u', &tasks, 2, 1e6, "N", "of the evaluation, of seed 777 (64)"},
        {"--json", 'f', &sweep->json, 0, 0, NULL, "one JSON line instead of a table"},
    };
    const struct command_line line = {
        "study --sweep", "bel-learn study --sweep trains beliefs of several sizes, and tells what each costs and buys.\n\n"
        "    bel-learn study --sweep WORLD [options]", "which world?", 1, 1, arguments,
        sizeof arguments / sizeof *arguments};
    if (arguments_read(&line, argc, argv, status) < 0)
        return -1;
    *status = 2;
    sweep->tasks = (size_t)tasks;
    if (!(sweep->world = world_find(argv[2])))
        return fail("there is no world \"%s\" (see bel-learn --help)", argv[2]), -1;
    sweep->features_count = parse_sizes(sweep->features, features);
    sweep->transition_count = parse_sizes(sweep->transition, transition);
    if (sweep->features_count && sweep->transition_count)
        return 0;
    fail("%s takes at most %d sizes such as 4,8,16, none of them 1 or above %d, not \"%s\"",
         sweep->features_count ? "--transition" : "--features", SIZES, BELIEF_FEATURES_LIMIT,
         sweep->features_count ? transition : features);
    return -1;
}

int sweep_command(int argc, char **argv)
{
    struct sweep sweep;
    int status;
    return parse(&sweep, argc, argv, &status) ? status : run(&sweep);
}
