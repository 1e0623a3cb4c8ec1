// Slots side by side, as a daemon has its sessions: step t of all of them is one pass.

#include "contexts.h"

#include "daemon/agent/tensors.h"
#include "daemon/base/fnv.h"
#include "learner/zeroes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct contexts_worker {
    struct agent_scratch *scratch;
    struct agent_belief beliefs[AGENT_BATCH_LIMIT];
    struct action_item shown[AGENT_BATCH_LIMIT];
    struct observation_item seen[AGENT_BATCH_LIMIT];
    size_t left[AGENT_BATCH_LIMIT];  // slots that still have transitions
    void *memory;                    // behind the beliefs
    float *inputs;                   // raw policy inputs (batch, input_dim)
    float *action;                   // of no use here
    int error;
};

static int worker_init(struct contexts_worker *worker, const struct model *model)
{
    size_t bytes = (agent_belief_size(model) + 63) / 64 * 64;
    worker->scratch = agent_scratch_new(model);
    worker->memory = zeroes(AGENT_BATCH_LIMIT, bytes);
    worker->inputs = zeroes(AGENT_BATCH_LIMIT * model->input_dim, sizeof(float));
    worker->action = zeroes(model->action_dim, sizeof(float));
    if (!worker->scratch || !worker->memory || !worker->inputs || !worker->action)
        return -ENOMEM;
    for (size_t i = 0; i < AGENT_BATCH_LIMIT; i++)
        agent_belief_init(&worker->beliefs[i], model, (uint8_t *)worker->memory + i * bytes);
    return 0;
}

int contexts_init(struct contexts *contexts, const struct replay *replay, const struct model *model, unsigned threads)
{
    *contexts = (struct contexts){
        .width = model->reads_task ? 0 : model->input_dim - model->observation_dim, .steps = replay->steps,
    };
    if (!contexts->width)
        return 0;
    contexts->threads = threads;
    contexts->rows = calloc(replay->slots * (replay->steps + 1) * contexts->width, sizeof(float));
    contexts->fresh = calloc(replay->slots, 1);
    contexts->stale = calloc(replay->slots, sizeof *contexts->stale);
    contexts->workers = calloc(threads, sizeof *contexts->workers);
    int error = contexts->rows && contexts->fresh && contexts->stale && contexts->workers ? 0 : -ENOMEM;
    for (unsigned t = 0; t < threads && !error; t++)
        error = worker_init(&contexts->workers[t], model);
    if (error)
        contexts_release(contexts);
    return error;
}

void contexts_release(struct contexts *contexts)
{
    for (unsigned t = 0; contexts->workers && t < contexts->threads; t++) {
        agent_scratch_free(contexts->workers[t].scratch);
        free(contexts->workers[t].memory);
        free(contexts->workers[t].inputs);
        free(contexts->workers[t].action);
    }
    free(contexts->workers);
    free(contexts->rows);
    free(contexts->fresh);
    free(contexts->stale);
    *contexts = (struct contexts){0};
}

void contexts_touch(struct contexts *contexts, size_t slot)
{
    if (contexts->fresh)
        contexts->fresh[slot] = 0;
}

// Of all numbers of the model that a belief or its representation depends on: all but the policy's.
static uint64_t digest_of(const struct model *model)
{
    struct model_tensor tensors[TENSORS_LIMIT];
    size_t count = model_tensors(tensors, model);
    uint64_t hash = FNV_START;
    for (size_t i = 0; i < count; i++) {
        if (!strncmp(tensors[i].name, "policy.", 7) || !strcmp(tensors[i].name, "action.log_sd"))
            continue;
        for (size_t k = 0; k < model_tensor_count(&tensors[i]); k++) {
            double value = model_tensor_value(&tensors[i], k);
            hash = fnv_add(hash, &value, sizeof value);
        }
    }
    return hash;
}

struct job {
    struct contexts *contexts;
    const struct model *model;
    const struct replay *replay;
    size_t count;             // of stale slots
};

static int show(const struct job *job, struct contexts_worker *worker, const uint32_t *slots, size_t active, size_t t)
{
    const struct replay *r = job->replay;
    const struct model *model = job->model;
    size_t obs = model->observation_dim, width = job->contexts->width;
    for (size_t i = 0; i < active; i++) {
        // Of the observation nothing is asked here: the first one will do.
        size_t lane = worker->left[i];
        worker->shown[i] = (struct action_item){
            .belief = &worker->beliefs[lane], .observation = r->observation + slots[lane] * r->steps * obs,
            .action = worker->action, .input = worker->inputs + i * model->input_dim,
        };
    }
    agent_inputs(model, worker->scratch, worker->shown, active);
    for (size_t i = 0; i < active; i++) {
        if (worker->shown[i].error)
            return -EDOM;
        size_t row = slots[worker->left[i]] * (r->steps + 1) + t;
        memcpy(job->contexts->rows + row * width, worker->inputs + i * model->input_dim + obs, width * sizeof(float));
    }
    return 0;
}

static void observe(const struct job *job, struct contexts_worker *worker, const uint32_t *slots, size_t active,
                    size_t t)
{
    const struct replay *r = job->replay;
    for (size_t i = 0; i < active; i++) {
        size_t lane = worker->left[i], row = slots[lane] * r->steps + t;
        worker->seen[i] = (struct observation_item){
            .belief = &worker->beliefs[lane], .observation = r->observation + row * r->observation_dim,
            .action = r->action + row * r->action_dim,
            .next_observation = r->next_observation + row * r->observation_dim, .reward = r->reward[row],
        };
    }
    agent_observe(job->model, worker->scratch, worker->seen, active);
}

// Up to AGENT_BATCH_LIMIT slots.
static void refresh_part(void *context, size_t part, unsigned thread)
{
    struct job *job = context;
    struct contexts_worker *worker = &job->contexts->workers[thread];
    const uint32_t *slots = job->contexts->stale + part * AGENT_BATCH_LIMIT;
    size_t active = job->count - part * AGENT_BATCH_LIMIT;
    active = active < AGENT_BATCH_LIMIT ? active : AGENT_BATCH_LIMIT;
    for (size_t i = 0; i < active; i++) {
        agent_belief_reset(&worker->beliefs[i]);
        worker->left[i] = i;
    }
    for (size_t t = 0; active && !worker->error; t++) {
        worker->error = show(job, worker, slots, active, t);
        size_t left = 0;
        for (size_t i = 0; i < active; i++)
            if (t < job->replay->count[slots[worker->left[i]]])
                worker->left[left++] = worker->left[i];
        active = left;
        if (active)
            observe(job, worker, slots, active, t);
    }
}

long contexts_refresh(struct contexts *contexts, const struct model *model, const struct replay *replay,
                      struct pool *pool)
{
    if (!contexts->width)
        return 0;
    uint64_t digest = digest_of(model);
    if (digest != contexts->digest)
        memset(contexts->fresh, 0, replay->slots);
    contexts->digest = digest;
    struct job job = {contexts, model, replay, 0};
    for (size_t slot = 0; slot < replay_slots(replay); slot++)
        if (!contexts->fresh[slot]) {
            contexts->stale[job.count++] = (uint32_t)slot;
            contexts->fresh[slot] = 1;
        }
    for (unsigned t = 0; t < contexts->threads; t++)
        contexts->workers[t].error = 0;
    pool_run(pool, refresh_part, &job, (job.count + AGENT_BATCH_LIMIT - 1) / AGENT_BATCH_LIMIT);
    for (unsigned t = 0; t < contexts->threads; t++)
        if (contexts->workers[t].error)
            return contexts->workers[t].error;
    return (long)job.count;
}
