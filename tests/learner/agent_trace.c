// Prints what the agent answers along a random life, as JSON lines, for others to compare with:
//
//     agent_trace MODEL STEPS
//
// {"observation", "task", "action_before", "executed", "reward", "next_observation"}, one line for each step.

#include "daemon/agent/agent.h"
#include "daemon/base/random.h"

#include <stdio.h>
#include <stdlib.h>

static void print(const char *name, const float *values, size_t count, const char *after)
{
    printf("\"%s\":[", name);
    for (size_t i = 0; i < count; i++)
        printf("%s%.9g", i ? "," : "", (double)values[i]);
    printf("]%s", after);
}

int main(int argc, char **argv)
{
    char why[300];
    struct model *model;
    if (argc != 3 || model_load(&model, argv[1], why, sizeof why)) {
        fprintf(stderr, "agent_trace: %s\n", argc == 3 ? why : "MODEL STEPS");
        return 2;
    }
    size_t obs = model->observation_dim, act = model->action_dim, task_dim = model->task_dim;
    float *s = calloc(2 * obs + 2 * act + task_dim + 1, sizeof *s), *next = s + obs;
    float *action = next + obs, *executed = action + act, *task = executed + act;
    struct agent_belief belief;
    void *memory = aligned_alloc(64, (agent_belief_size(model) + 127) / 64 * 64);
    agent_belief_init(&belief, model, memory);
    agent_belief_reset(&belief);
    struct agent_scratch *scratch = agent_scratch_new(model);
    struct random_stream stream = random_stream(20, 0, 0, 0);
    for (size_t i = 0; i < obs; i++)
        s[i] = model->observation_mean[i] + model->observation_scale[i] * (float)random_normal(&stream);
    for (size_t i = 0; i < task_dim; i++)
        task[i] = (float)random_normal(&stream);
    for (long step = 0, steps = atol(argv[2]); step < steps; step++) {
        struct action_item act_item = {.belief = &belief, .observation = s, .task = task, .action = action};
        agent_act(model, scratch, &act_item, 1);
        for (size_t i = 0; i < act; i++)
            executed[i] = action[i] + 0.5f * (float)random_normal(&stream);
        for (size_t i = 0; i < obs; i++)
            next[i] = s[i] + 0.3f * model->observation_scale[i] * (float)random_normal(&stream);
        struct observation_item item = {
            .belief = &belief, .observation = s, .action = executed, .next_observation = next,
            .reward = (float)random_normal(&stream),
        };
        if (!model->reads_task)
            agent_observe(model, scratch, &item, 1);
        if (act_item.error || item.status != OBSERVE_ABSORBED) {
            fprintf(stderr, "agent_trace: step %ld was refused\n", step);
            return 1;
        }
        printf("{");
        print("observation", s, obs, ",");
        print("task", task, task_dim, ",");
        print("action_before", action, act, ",");
        print("executed", executed, act, ",");
        print("reward", &item.reward, 1, ",");
        print("next_observation", next, obs, "}\n");
        for (size_t i = 0; i < obs; i++)
            s[i] = next[i];
    }
    agent_scratch_free(scratch);
    model_free(model);
    free(memory);
    free(s);
    return 0;
}
