// The basis learns from replay: some meta-episodes at a time, one to a part, gradients added up in order.

#include "glibrl.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct basis_work {
    unsigned threads;
    size_t stride;                  // reals between the gradients of two parts
    float *gradients;               // (basis_tasks, stride)
    double *values;                 // log evidence of each part
    int *errors;
    // Of each thread, (threads, ...)
    float **in;                     // basis inputs of one task   (T, inputs)
    double **y;                     // (T, d)
    struct basis_scratch **scratch[HEAD_COUNT];
};

size_t basis_inputs(const struct train *train, enum head_kind kind)
{
    size_t obs = train->world->observation_dim, act = train->world->action_dim;
    return obs + act + (kind == HEAD_REWARD ? obs : 0);
}

void basis_work_free(struct train *train)
{
    struct glibrl *own = train->inferring;
    struct basis_work *work = own->work;
    if (!work)
        return;
    for (unsigned t = 0; t < work->threads; t++) {
        if (work->in)
            free(work->in[t]);
        if (work->y)
            free(work->y[t]);
        for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
            if (work->scratch[kind])
                basis_scratch_free(work->scratch[kind][t]);
    }
    free(work->in);
    free(work->y);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        free(work->scratch[kind]);
    free(work->gradients);
    free(work->values);
    free(work->errors);
    free(work);
    own->work = NULL;
}

struct basis_work *basis_work_new(struct train *train)
{
    struct glibrl *own = train->inferring;
    const struct options *o = &train->options;
    size_t T = train->replay.steps, widest = train->options.probe_pool;
    size_t rows = T > widest ? T : widest;
    struct basis_work *work = calloc(1, sizeof *work);
    if (!work)
        return NULL;
    own->work = work;
    work->threads = pool_threads(train->pool);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (own->basis[kind].trainee.count > work->stride)
            work->stride = (own->basis[kind].trainee.count + 15) / 16 * 16;
    work->gradients = calloc(o->basis_tasks * work->stride, sizeof *work->gradients);
    work->values = calloc(o->basis_tasks, sizeof *work->values);
    work->errors = calloc(o->basis_tasks, sizeof *work->errors);
    work->in = calloc(work->threads, sizeof *work->in);
    work->y = calloc(work->threads, sizeof *work->y);
    int complete = work->gradients && work->values && work->errors && work->in && work->y;
    for (unsigned t = 0; t < work->threads && complete; t++) {
        work->in[t] = calloc((t == 0 ? rows : T) * basis_inputs(train, HEAD_REWARD), sizeof **work->in);
        work->y[t] = calloc(T * train->world->observation_dim, sizeof **work->y);
        complete = work->in[t] && work->y[t];
    }
    for (enum head_kind kind = 0; kind < HEAD_COUNT && complete; kind++) {
        work->scratch[kind] = calloc(work->threads, sizeof *work->scratch[kind]);
        complete = work->scratch[kind] != NULL;
        for (unsigned t = 0; t < work->threads && complete && own->basis[kind].features; t++) {
            work->scratch[kind][t] = basis_scratch_new(&own->basis[kind], t == 0 ? rows : T);
            complete = work->scratch[kind][t] != NULL;
        }
    }
    if (!complete)
        basis_work_free(train);
    return own->work;
}

float *basis_work_input(struct train *train)
{
    struct glibrl *own = train->inferring;
    return own->work->in[0];
}

double *basis_work_targets(struct train *train)
{
    const struct glibrl *own = train->inferring;
    return own->work->y[0];
}

struct basis_scratch *basis_work_scratch(struct train *train, enum head_kind kind)
{
    struct glibrl *own = train->inferring;
    return own->work->scratch[kind][0];
}

// What the agent shows the basis: s, a, s'. The normaliser is the model's.
void basis_row(const struct train *train, enum head_kind kind, float *in, const float *observation,
               const float *action, const float *next_observation)
{
    in = agent_put_observation(in, train->model, observation);
    in = agent_put_action(in, train->model, action);
    if (kind == HEAD_REWARD)
        agent_put_observation(in, train->model, next_observation);
}

size_t basis_rows(const struct train *train, enum head_kind kind, float *in, double *y, size_t slot, size_t first,
                  size_t stride, size_t limit)
{
    const struct replay *r = &train->replay;
    const struct head *head = &train->model->heads[kind];
    size_t obs = r->observation_dim, inputs = basis_inputs(train, kind), count = 0;
    for (size_t t = first; t < r->count[slot] && count < limit; t += stride, count++) {
        size_t row = slot * r->steps + t;
        const float *s = r->observation + row * obs, *next = r->next_observation + row * obs;
        basis_row(train, kind, in + count * inputs, s, r->action + row * r->action_dim, next);
        for (size_t i = 0; i < head->targets; i++) {
            double value = kind == HEAD_REWARD ? (double)r->reward[row] : (double)next[i] - (double)s[i];
            y[count * head->targets + i] = (value - head->target_mean[i]) / head->target_scale[i];
        }
    }
    return count;
}

struct basis_job {
    struct train *train;
    enum head_kind kind;
    size_t update;
};

// One task of one update.
static void basis_part(void *context, size_t part, unsigned thread)
{
    const struct basis_job *job = context;
    struct train *train = job->train;
    struct glibrl *own = train->inferring;
    struct basis_work *work = own->work;
    const struct options *o = &train->options;
    struct random_stream stream =
        random_stream(o->seed, RANDOM_BASIS, (uint32_t)train_iteration(train),
                      (uint32_t)((job->update * HEAD_COUNT + job->kind) * o->basis_tasks + part));
    size_t slot, rows = 0;
    // An empty slot (everything in it was void) has nothing to say; another is drawn.
    for (int tries = 0; rows == 0 && tries < 100; tries++) {
        slot = random_below(&stream, (uint32_t)replay_slots(&train->replay));
        size_t first = random_below(&stream, (uint32_t)o->basis_stride), stride = o->basis_stride;
        // What is predicted from few data matters as much as what is from many, and comes seldom.
        if (o->basis_early > 0 && random_uniform(&stream) < o->basis_early) {
            first = 0;
            stride = 1;
        }
        size_t limit = (train->replay.steps + o->basis_stride - 1) / o->basis_stride;
        rows = basis_rows(train, job->kind, work->in[thread], work->y[thread], slot, first, stride, limit);
    }
    const struct basis *basis = &own->basis[job->kind];
    struct basis_scratch *scratch = work->scratch[job->kind][thread];
    float *gradient = work->gradients + part * work->stride;
    if (rows == 0)
        work->errors[part] = -EDOM;
    else if (o->loss == LOSS_EVIDENCE)
        work->errors[part] = basis_evidence(basis, &work->values[part], gradient, work->in[thread], work->y[thread],
                                            rows, scratch);
    else
        work->errors[part] = basis_ahead(basis, &work->values[part], gradient, work->in[thread], work->y[thread], rows,
                                         random_below(&stream, (uint32_t)rows), scratch);
}

static int update_head(struct train *train, enum head_kind kind, size_t update, double rate)
{
    struct glibrl *own = train->inferring;
    struct basis *basis = &own->basis[kind];
    struct basis_work *work = own->work;
    const struct options *o = &train->options;
    struct basis_job job = {train, kind, update};
    pool_run(train->pool, basis_part, &job, o->basis_tasks);

    float share = 1 / (float)o->basis_tasks;
    double value = 0;
    memset(basis->trainee.gradient, 0, basis->trainee.count * sizeof(float));
    for (size_t part = 0; part < o->basis_tasks; part++) {
        if (work->errors[part])
            return work->errors[part];
        value += (double)share * work->values[part];
        const float *gradient = work->gradients + part * work->stride;
        for (size_t i = 0; i < basis->trainee.count; i++)
            basis->trainee.gradient[i] += share * gradient[i];
    }
    double norm;
    if (trainee_step(&basis->trainee, rate, o->basis_norm_limit, 1e-8, &norm))
        return -EDOM;
    basis_clamp(basis);
    own->evidence[kind] = value;
    return 0;
}

// What the basis sees and predicts, from the moments; the rest of the model is not read here.
static void refresh_normalisers(struct train *train)
{
    struct glibrl *own = train->inferring;
    struct model *m = train->model;
    fill_normaliser(m, train);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        for (size_t i = 0; i < m->heads[kind].targets; i++) {
            m->heads[kind].target_mean[i] = own->targets[kind].mean[i];
            m->heads[kind].target_scale[i] = moments_sd(&own->targets[kind], i);
        }
}

int learn_basis(struct train *train, size_t updates, double rate, char *why, size_t why_size)
{
    struct glibrl *own = train->inferring;
    refresh_normalisers(train);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        for (size_t update = 0; own->basis[kind].features && update < updates; update++)
            if (update_head(train, kind, update, rate))
                return train_not_finite(train, kind == HEAD_REWARD ? "reward basis" : "transition basis", why,
                                        why_size);
    return 0;
}
