// Models in service; the contract is in served.h.
#include "served.h"

#include "proto/frame.h"

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
        .seq = UINT64_MAX, .action = {model->action_low, model->action_dim}, .status = WIRE_STATUS_OTHER_TASK,
        .count = UINT64_MAX, .digest = {any_digest, sizeof any_digest}, .task = UINT32_MAX, .reward_p = 1,
        .transition_p = 1, .queue_us = UINT32_MAX, .compute_us = UINT32_MAX};
    return (size_t)wire_encode(NULL, 0, &reply, NULL);
}

static int inspection_init(struct inspection *inspection, const struct head *head)
{
    inspection->sums_size = belief_encoded_size(head->features, head->targets);
    inspection->memory = aligned_alloc(KERNEL_ALIGNMENT, (posterior_size(head->prior, 0) + KERNEL_ALIGNMENT - 1) /
                                                             KERNEL_ALIGNMENT * KERNEL_ALIGNMENT);
    inspection->noise = calloc(head->targets, sizeof *inspection->noise);
    inspection->sums = malloc(inspection->sums_size);
    if (!inspection->memory || !inspection->noise || !inspection->sums)
        return -ENOMEM;
    posterior_init(&inspection->posterior, head->prior, 0, inspection->memory);
    return 0;
}

int served_init(struct served *served, const struct model *model)
{
    *served = (struct served){.model = model};
    served->info = (struct wire_model){
        .name = model->name, .world = model->world, .digest = model->digest,
        .observation_dim = (uint32_t)model->observation_dim,
        .action_dim = (uint32_t)model->action_dim,
        .task_dim = (uint32_t)model->task_dim,
        .action_low = {model->action_low, model->action_dim},
        .action_high = {model->action_high, model->action_dim},
        .action_log_sd = {model->action_log_sd, model->action_dim},
        .transition_features =
            model->heads[HEAD_TRANSITION].present ? (uint32_t)model->heads[HEAD_TRANSITION].features : 0,
        .reward_features = model->heads[HEAD_REWARD].present ? (uint32_t)model->heads[HEAD_REWARD].features : 0,
        .provenance = model->provenance,
    };
    size_t action = measure_action(model);
    served->action_bound = action > DAMAGE_REPORT_SIZE ? action : DAMAGE_REPORT_SIZE;
    served->belief_bound = 256 + 2 * MODEL_TASK_LIMIT * sizeof(double);
    served->scratch = agent_scratch_new(model);
    if (!served->scratch)
        goto fail;
    for (int h = 0; h < HEAD_COUNT; h++) {
        const struct head *head = &model->heads[h];
        if (!head->present)
            continue;
        if (inspection_init(&served->heads[h], head))
            goto fail;
        served->belief_bound += 128 + served->heads[h].sums_size +
                                (head->features * head->targets + head->features + head->targets) * sizeof(double);
    }
    return 0;
fail:
    served_release(served);
    return -ENOMEM;
}

void served_release(struct served *served)
{
    for (int h = 0; h < HEAD_COUNT; h++) {
        free(served->heads[h].memory);
        free(served->heads[h].noise);
        free(served->heads[h].sums);
    }
    agent_scratch_free(served->scratch);
    *served = (struct served){0};
}

int served_warm_up(struct served *served)
{
    const struct model *model = served->model;
    size_t belief_size = (agent_belief_size(model) + KERNEL_ALIGNMENT - 1) / KERNEL_ALIGNMENT * KERNEL_ALIGNMENT;
    void *memory = aligned_alloc(KERNEL_ALIGNMENT, belief_size);
    float *observation = calloc(model->observation_dim, sizeof *observation);
    float *action = calloc(model->action_dim, sizeof *action);
    int result = -ENOMEM;
    if (!memory || !observation || !action)
        goto done;
    struct agent_belief belief;
    agent_belief_init(&belief, model, memory);
    result = 0;
    for (size_t batch = 1; batch <= AGENT_BATCH_LIMIT; batch += AGENT_BATCH_LIMIT - 1) {
        for (size_t i = 0; i < batch; i++) {
            served->observations[i] = (struct observation_item){
                .belief = &belief, .observation = observation, .action = action, .next_observation = observation};
            served->actions[i] = (struct action_item){
                .belief = &belief, .observation = observation, .action = action};
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
    return result;
}
