// Nanoseconds per step by stage, for the shapes S, M and L of docs/design.md, alone and in a batch of 64, over 64
// live sessions; then whole steps of every model kind at shape S. CPU time of the thread; the best of a few rounds, for
// the machine is shared.
//
//     stages [rounds]

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sample.h"

enum { SESSIONS = AGENT_BATCH_LIMIT };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

enum stage { FEATURES, BASIS, OBSERVE, ACT, POLICY, STAGES };

struct work {
    const struct model *model;
    struct agent_scratch *scratch;
    struct observation_item *items;
    struct action_item *acts;
    int judged;
    float *in, *out, *room;  // of a bare network pass
    size_t stride;
};

static void forward(const struct work *work, const struct network *network, size_t batch)
{
    network_forward(network, kernels_best(), work->out, work->stride, work->in, work->stride, batch, work->room);
}

static void run(const struct work *work, enum stage stage, size_t batch)
{
    for (size_t i = 0; i < SESSIONS; i += batch)
        switch (stage) {
        case FEATURES:
            agent_features(work->model, work->scratch, work->items + i, batch);
            break;
        case BASIS:
            forward(work, &work->model->heads[HEAD_TRANSITION].basis, batch);
            forward(work, &work->model->heads[HEAD_REWARD].basis, batch);
            break;
        case OBSERVE:
            agent_observe(work->model, work->scratch, work->items + i, batch);
            break;
        case ACT:
            for (size_t b = i; b < i + batch; b++)
                work->acts[b].z = work->judged ? work->items[b].z : NULL;
            agent_act(work->model, work->scratch, work->acts + i, batch);
            break;
        case POLICY:
            forward(work, &work->model->policy, batch);
            break;
        case STAGES:
            break;
        }
}

// Best of the rounds, ns per step.
static double measure(const struct work *work, enum stage stage, size_t batch, int rounds)
{
    enum { TURNS = 8 };
    double best = 1;
    for (int round = 0; round < rounds; round++) {
        double start = seconds();
        for (int turn = 0; turn < TURNS; turn++)
            run(work, stage, batch);
        double time = (seconds() - start) / (TURNS * SESSIONS);
        best = time < best ? time : best;
    }
    return 1e9 * best;
}

static float *take(size_t floats)
{
    float *memory = aligned_alloc(KERNEL_ALIGNMENT, (floats * sizeof *memory + 63) / 64 * 64);
    if (memory == NULL)
        abort();
    memset(memory, 0, floats * sizeof *memory);
    return memory;
}

// Sessions that have seen a few dozen different transitions, the items' the last.
static void live(const struct work *work, struct agent_belief *beliefs, struct random_stream *stream)
{
    for (size_t b = 0; b < SESSIONS; b++)
        agent_belief_reset(&beliefs[b]);
    for (size_t i = 0; i < 50; i++) {
        for (size_t b = 0; b < SESSIONS; b++)
            sample_transition(work->model, stream, (float *)work->items[b].observation, (float *)work->items[b].action,
                              (float *)work->items[b].next_observation, &work->items[b].reward);
        agent_observe(work->model, work->scratch, work->items, SESSIONS);
    }
}

// A work bench of that shape, and its sessions.
struct bench {
    struct work work;
    struct agent_belief beliefs[SESSIONS];
    void *memory[SESSIONS];
    float *block, *actions;
};

static struct bench *bench_new(const struct model_shape *shape)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct model *model = sample_model(shape, 1);
    struct work *work = &bench->work;
    *work = (struct work){.model = model, .scratch = agent_scratch_new(model), .stride = 512};
    work->items = sample_items(model, SESSIONS, 2, &bench->block);
    work->acts = calloc(SESSIONS, sizeof *work->acts);
    work->in = take(SESSIONS * work->stride), work->out = take(SESSIONS * work->stride);
    size_t room = network_scratch(&model->policy, SESSIONS);
    if (model->kind == MODEL_GLIBRL)
        room += network_scratch(&model->heads[0].basis, SESSIONS);
    work->room = take(room);
    struct random_stream stream = random_stream(3, 0, 0, 0);
    for (size_t i = 0; i < SESSIONS * work->stride; i++)
        work->in[i] = (float)random_normal(&stream);
    bench->actions = take(SESSIONS * model->action_dim);
    for (size_t i = 0; i < SESSIONS; i++) {
        bench->beliefs[i] = sample_belief(model, &bench->memory[i]);
        work->items[i].belief = &bench->beliefs[i];
        work->acts[i] = (struct action_item){.belief = &bench->beliefs[i],
                                             .observation = work->items[i].next_observation,
                                             .action = bench->actions + i * model->action_dim};
    }
    return bench;
}

static void bench_free(struct bench *bench)
{
    struct work *work = &bench->work;
    for (size_t i = 0; i < SESSIONS; i++)
        free(bench->memory[i]);
    free(work->items), free(work->acts), free(work->in), free(work->out), free(work->room), free(bench->block);
    free(bench->actions);
    agent_scratch_free(work->scratch);
    model_free((struct model *)work->model);
    free(bench);
}

// The sizes of VariBAD's authors for HalfCheetah: 128 wide, 5 latent numbers.
static struct model_shape shape_of_kind(enum model_kind kind)
{
    struct model_shape shape = sample_bench(0);
    if (kind == MODEL_GLIBRL)
        return shape;
    for (int h = 0; h < HEAD_COUNT; h++)
        shape.heads[h].features = 0;
    shape.kind = kind;
    if (kind == MODEL_VARIBAD || kind == MODEL_RL2)
        shape.encoder.embedding = 64, shape.encoder.width = 128;
    if (kind == MODEL_VARIBAD || kind == MODEL_PEARL)
        shape.encoder.latent = 5;
    if (kind == MODEL_PEARL)
        shape.encoder.hidden[0] = shape.encoder.hidden[1] = 64;
    return shape;
}

static void bench_kind(enum model_kind kind, int rounds)
{
    struct model_shape shape = shape_of_kind(kind);
    struct bench *bench = bench_new(&shape);
    struct random_stream stream = random_stream(5, 0, 0, 0);
    for (size_t batch = 1; batch <= SESSIONS; batch *= SESSIONS) {
        double observe = measure(&bench->work, OBSERVE, batch, rounds);
        live(&bench->work, bench->beliefs, &stream);
        double act = measure(&bench->work, ACT, batch, rounds);
        printf("S %-10s batch %2zu: observe %5.0f  act %5.0f  step %5.0f  a belief is %zu bytes\n", model_kind_name(kind),
               batch, observe, act, observe + act, agent_belief_size(bench->work.model));
    }
    bench_free(bench);
}

static void bench(int which, int rounds)
{
    struct model_shape shape = sample_bench(which);
    struct bench *bench = bench_new(&shape);
    struct work work = bench->work;
    struct model *model = (struct model *)work.model;
    struct random_stream stream = random_stream(4, 0, 0, 0);
    for (int both = 0; both < 2; both++) {
        model->heads[HEAD_TRANSITION].judged = both;
        for (size_t batch = 1; batch <= SESSIONS; batch *= SESSIONS) {
            work.judged = 0;
            double features = measure(&work, FEATURES, batch, rounds), basis = measure(&work, BASIS, batch, rounds);
            double observe = measure(&work, OBSERVE, batch, rounds);
            live(&work, bench->beliefs, &stream);
            double act = measure(&work, ACT, batch, rounds), policy = measure(&work, POLICY, batch, rounds);
            work.judged = 1;
            double judged = batch == SESSIONS ? measure(&work, ACT, batch, rounds) : 0;
            printf("%s %-10s batch %2zu: basis %5.0f  inputs, rounding %4.0f  sums %4.0f  solve, show %5.0f  policy %5.0f"
                   "  step %5.0f", shape.name, both ? "both" : "reward", batch, basis, features - basis,
                   observe - features, act - policy, policy, observe + act);
            if (batch == SESSIONS)
                printf("  judging %5.0f", judged - act);
            printf("\n");
        }
    }
    bench_free(bench);
}

int main(int count, char **arguments)
{
    int rounds = count > 1 ? atoi(arguments[1]) : 20;
    printf("kernels %s, ns per step\n", kernels_best()->name);
    for (int which = 0; which < 3; which++)
        bench(which, rounds);
    for (enum model_kind kind = MODEL_GLIBRL; kind <= MODEL_NONE; kind++)
        if (kind != MODEL_ORACLE)
            bench_kind(kind, rounds);
    return 0;
}
