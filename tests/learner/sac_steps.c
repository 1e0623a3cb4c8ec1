// For another implementation to be held against (torch_sac.py), and to be timed beside it.
//
//     sac_steps check             parameters, batch, noise of one update, and what became of the parameters, as JSON
//     sac_steps time N THREADS    milliseconds of wall and processor time of an update of the sizes of CleanRL's
//                                 half cheetah: the fastest of N groups of 20

#include "daemon/base/random.h"
#include "learner/parallel.h"
#include "learner/policy/sac.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef I  // complex.h, by way of cblas.h

enum { SHARDS = 2, ROUND = 20 };

struct steps {
    struct sac sac;
    struct sac_settings settings;
    struct sac_batch batch;
    struct sac_shard *shards[SHARDS];
    size_t I, A, rows;
};

static float *normal(size_t count, struct random_stream *stream)
{
    float *x = calloc(count, sizeof *x);
    if (!x)
        exit(1);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)random_normal(stream);
    return x;
}

static void begin(struct steps *s, size_t B, size_t I, size_t A, size_t H)
{
    size_t hidden[] = {H, H};
    struct random_stream stream = random_stream(1, 0, 0, 0);
    openblas_set_num_threads(1);
    *s = (struct steps){.I = I, .A = A, .rows = B / SHARDS};
    s->settings = (struct sac_settings){.discount = 0.99, .follow = 0.005, .entropy = -(double)A,
                                        .norm_limit = INFINITY, .epsilon = 1e-8};
    if (sac_init(&s->sac, I, I, A, hidden))
        exit(1);
    sac_start(&s->sac, &stream);
    s->batch = (struct sac_batch){
        .B = B, .input = normal(B * I, &stream), .next_input = normal(B * I, &stream),
        .judged = normal(B * (I + A), &stream), .next_judged = normal(B * (I + A), &stream),
        .reward = normal(B, &stream), .goes_on = normal(B, &stream),
    };
    for (size_t b = 0; b < B; b++) {
        memcpy(s->batch.judged + b * (I + A), s->batch.input + b * I, I * sizeof(float));
        memcpy(s->batch.next_judged + b * (I + A), s->batch.next_input + b * I, I * sizeof(float));
        for (size_t i = 0; i < A; i++) {
            float *action = s->batch.judged + b * (I + A) + I + i;
            *action = tanhf(*action);
        }
        s->batch.goes_on[b] = s->batch.goes_on[b] > -1;
    }
    for (size_t k = 0; k < SHARDS; k++)
        if (!(s->shards[k] = sac_shard_new(&s->sac, s->rows, 0)))
            exit(1);
}

static void end(struct steps *s)
{
    for (size_t k = 0; k < SHARDS; k++)
        sac_shard_free(s->shards[k]);
    float *const arrays[] = {s->batch.input, s->batch.next_input, s->batch.judged, s->batch.next_judged,
                             s->batch.reward, s->batch.goes_on};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    sac_release(&s->sac);
}

static void critics(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct steps *s = context;
    sac_critic_loss(&s->sac, &s->settings, &s->batch, part * s->rows, s->rows, s->shards[part]);
}

static void critic_step(void *context, size_t k, unsigned thread)
{
    (void)thread;
    struct steps *s = context;
    if (sac_critic_step(&s->sac, k, s->shards, SHARDS, &s->settings, 1e-3))
        exit(1);
}

static void actor(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct steps *s = context;
    sac_actor_loss(&s->sac, &s->batch, part * s->rows, s->rows, s->shards[part]);
}

static void actor_step(struct steps *s)
{
    if (sac_actor_step(&s->sac, s->shards, SHARDS, &s->settings, 3e-4)
        || sac_temperature_step(&s->sac, s->shards, SHARDS, s->batch.B, &s->settings, 1e-3))
        exit(1);
}

static void draw_noise(struct steps *s, struct random_stream *stream)
{
    for (size_t k = 0; k < SHARDS; k++)
        for (size_t i = 0; i < s->rows * s->A; i++)
            s->shards[k]->noise[i] = (float)random_normal(stream);
}

static void print(const char *name, const float *x, size_t count)
{
    printf("\"%s\":[", name);
    for (size_t i = 0; i < count; i++)
        printf(i ? ",%.9g" : "%.9g", (double)x[i]);
    printf("],\n");
}

static void print_noise(const struct steps *s, const char *name)
{
    float *noise = calloc(s->batch.B * s->A, sizeof *noise);
    if (!noise)
        exit(1);
    for (size_t k = 0; k < SHARDS; k++)
        memcpy(noise + k * s->rows * s->A, s->shards[k]->noise, s->rows * s->A * sizeof *noise);
    print(name, noise, s->batch.B * s->A);
    free(noise);
}

static void print_nets(const struct steps *s, const char *when)
{
    char name[40];
    const float *const nets[] = {s->sac.acting.parameters, s->sac.judging[0].parameters, s->sac.judging[1].parameters,
                                 s->sac.target[0], s->sac.target[1], s->sac.temperature.parameters};
    static const char *const names[] = {"actor", "critic0", "critic1", "target0", "target1", "temperature"};
    for (size_t i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "%s_%s", names[i], when);
        print(name, nets[i], i == 0 ? s->sac.actor.count : i == 5 ? 1 : s->sac.critic.count);
    }
}

static int check(struct steps *s)
{
    size_t B = 32, I = 5, A = 2, H = 16;
    begin(s, B, I, A, H);
    struct random_stream stream = random_stream(2, 0, 0, 0);
    printf("{\"sizes\":[%zu,%zu,%zu,%zu],\n", B, I, A, H);
    print_nets(s, "before");
    print("judged", s->batch.judged, B * (I + A));
    print("next_input", s->batch.next_input, B * I);
    print("reward", s->batch.reward, B);
    print("goes_on", s->batch.goes_on, B);
    draw_noise(s, &stream);
    print_noise(s, "critic_noise");
    for (size_t k = 0; k < SHARDS; k++)
        critics(s, k, 0);
    for (size_t k = 0; k < SAC_CRITICS; k++)
        critic_step(s, k, 0);
    draw_noise(s, &stream);
    print_noise(s, "actor_noise");
    for (size_t k = 0; k < SHARDS; k++)
        actor(s, k, 0);
    actor_step(s);
    print_nets(s, "after");
    printf("\"end\":0}\n");
    return 0;
}

static double wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// Two updates of the critics, then two of the actor, and so on.
static int measure(struct steps *s, int rounds, unsigned threads)
{
    begin(s, 256, 17, 6, 256);
    struct random_stream stream = random_stream(3, 0, 0, 0);
    struct pool *pool = pool_start(threads);
    if (!pool)
        return 1;
    double best[2] = {INFINITY, INFINITY};
    for (int r = 0; r < rounds; r++) {
        double start = wall(), cpu = pool_cpu_seconds();
        for (int u = 1; u <= ROUND; u++) {
            draw_noise(s, &stream);
            pool_run(pool, critics, s, SHARDS);
            pool_run(pool, critic_step, s, SAC_CRITICS);
            for (int i = 0; u % 2 == 0 && i < 2; i++) {
                draw_noise(s, &stream);
                pool_run(pool, actor, s, SHARDS);
                actor_step(s);
            }
        }
        best[0] = fmin(best[0], (wall() - start) * 1e3 / ROUND);
        best[1] = fmin(best[1], (pool_cpu_seconds() - cpu) * 1e3 / ROUND);
    }
    printf("{\"core\":\"%s\",\"wall\":%.4g,\"cpu\":%.4g}\n", openblas_get_corename(), best[0], best[1]);
    pool_stop(pool);
    return 0;
}

int main(int argc, char **argv)
{
    struct steps s;
    int status;
    if (argc == 2 && !strcmp(argv[1], "check"))
        status = check(&s);
    else if (argc == 4 && !strcmp(argv[1], "time"))
        status = measure(&s, atoi(argv[2]), (unsigned)atoi(argv[3]));
    else
        return fprintf(stderr, "usage: sac_steps check | time N THREADS\n"), 2;
    end(&s);
    return status;
}
