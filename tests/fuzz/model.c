// Model files as a stranger would write them: first the container, every byte of every tensor looked at, then the
// model, and if that is good, a step with it.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/agent/agent.h"
#include "daemon/policy/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

// Bytes of a tensor by its own account of them.
static size_t tensor_size(const struct tensor *tensor)
{
    const char *digits = strpbrk(tensor->dtype, "12368");
    size_t bits = digits ? (size_t)atoi(digits) : 8;
    return tensor->count * bits / 8;
}

static void look_at_container(const uint8_t *bytes, size_t size)
{
    struct safetensors *file;
    char why[200] = "";
    if (safetensors_parse(&file, bytes, size, why, sizeof why)) {
        if (why[0] == 0)
            abort();
        return;
    }
    volatile uint8_t all = 0;
    const struct tensor *tensor;
    for (size_t i = 0; (tensor = safetensors_at(file, i)); i++) {
        if (safetensors_find(file, tensor->name) != tensor)
            abort();
        for (size_t j = 0; j < tensor_size(tensor); j++)
            all = (uint8_t)(all ^ ((const uint8_t *)tensor->data)[j]);
    }
    safetensors_metadata(file, "format");
    safetensors_free(file);
}

static void *zeroed(size_t size)
{
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, size / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT + KERNEL_ALIGNMENT);
    if (memory == NULL)
        abort();
    memset(memory, 0, size);
    return memory;
}

// A belief's bytes are taken back, and say the same.
static void through_bytes(const struct model *model, struct agent_belief *belief)
{
    for (int part = 0; part < AGENT_PARTS; part++) {
        size_t size = agent_belief_encoded_size(model, part);
        uint8_t *bytes = zeroed(size), *again = zeroed(size);
        agent_belief_encode(bytes, belief, part);
        if (agent_belief_decode(belief, part, bytes, size, agent_belief_count(belief)))
            abort();
        agent_belief_encode(again, belief, part);
        if (memcmp(bytes, again, size) != 0)
            abort();
        free(bytes), free(again);
    }
}

// Observes and acts once, from zeros; whatever the numbers are, an action is within the bounds.
static void step(const struct model *model)
{
    struct agent_scratch *scratch = agent_scratch_new(model);
    if (scratch == NULL)
        abort();
    void *memory = zeroed(agent_belief_size(model));
    float *zeros = zeroed((model->observation_dim + model->action_dim + model->task_dim) * sizeof *zeros);
    float *action = zeroed(model->action_dim * sizeof *action);
    struct agent_belief belief;
    agent_belief_init(&belief, model, memory);
    struct observation_item seen = {.belief = &belief, .observation = zeros, .action = zeros,
                                    .next_observation = zeros};
    agent_observe(model, scratch, &seen, 1);
    through_bytes(model, &belief);
    struct action_item item = {.belief = &belief, .observation = zeros, .task = zeros, .z = seen.z,
                               .action = action};
    agent_act(model, scratch, &item, 1);
    for (size_t i = 0; i < model->action_dim; i++)
        if (!(action[i] >= model->action_low[i] && action[i] <= model->action_high[i]))
            abort();
    agent_scratch_free(scratch);
    free(memory), free(zeros), free(action);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    look_at_container(bytes, size);
    struct model *model;
    char why[200] = "";
    if (model_parse(&model, bytes, size, why, sizeof why) == 0) {
        step(model);
        model_free(model);
    } else if (why[0] == 0) {
        abort();
    }
    return 0;
}
