// The daemon's own step, looked at from the inside.

#include "outlook.h"

#include "daemon/agent/agent.h"
#include "daemon/belief/posterior.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    const struct model *model;
    enum head_kind kind;
    struct agent_scratch *scratch;
    struct belief belief;
    struct posterior posterior;
    double *numbers;             // error, scale, mean, sd, y (targets each), phi (features)
    void *belief_memory, *posterior_memory;
};

static void *aligned(size_t size)
{
    return aligned_alloc(KERNEL_ALIGNMENT, (size / KERNEL_ALIGNMENT + 1) * KERNEL_ALIGNMENT);
}

static int walk_init(struct walk *walk, const struct model *model, enum head_kind kind)
{
    const struct head *head = &model->heads[kind];
    size_t D = head->features, d = head->targets;
    *walk = (struct walk){
        .model = model, .kind = kind, .scratch = agent_scratch_new(model),
        .numbers = calloc(5 * d + D, sizeof(double)), .belief_memory = aligned(belief_size(D, d)),
        .posterior_memory = aligned(posterior_size(head->prior, 1)),
    };
    if (!walk->scratch || !walk->numbers || !walk->belief_memory || !walk->posterior_memory)
        return -ENOMEM;
    belief_init(&walk->belief, D, d, walk->belief_memory);
    posterior_init(&walk->posterior, head->prior, 1, walk->posterior_memory);
    return 0;
}

static void walk_release(struct walk *walk)
{
    agent_scratch_free(walk->scratch);
    free(walk->numbers);
    free(walk->belief_memory);
    free(walk->posterior_memory);
}

// What the posterior says of z before it takes it in.
static int look(struct walk *walk, struct outlook *outlook, const int32_t *z)
{
    const struct head *head = &walk->model->heads[walk->kind];
    struct posterior *p = &walk->posterior;
    size_t D = head->features, d = head->targets;
    double *error = walk->numbers, *scale = error + d, *mean = scale + d, *sd = mean + d, *y = sd + d, *phi = y + d;
    int failed = posterior_solve(p, head->prior, &walk->belief, POSTERIOR_SCALE, NULL, 0);
    if (failed)
        return failed;
    for (size_t i = 0; i < D; i++)
        phi[i] = ldexp(z[i], -BELIEF_FRACTION_BITS);
    for (size_t j = 0; j < d; j++)
        y[j] = ldexp(z[D + j], -BELIEF_FRACTION_BITS);
    posterior_predict(p, phi, mean, sd);
    *outlook = (struct outlook){
        .log_density = posterior_assess(p, phi, y).log_density, .freedom = p->degrees - (double)d + 1,
        .error = error, .scale = scale, .mean = mean, .sd = sd, .phi = phi, .y = y,
    };
    for (size_t j = 0; j < d; j++) {
        // sd^2 = (1 + phi' Xi^-1 phi) noise
        double s = sd[j] * sd[j] / posterior_noise(p, j);
        error[j] = y[j] - mean[j];
        scale[j] = sqrt(s * p->scale[j * d + j] / outlook->freedom);
        outlook->log_density -= log(head->target_scale[j]);
    }
    return 0;
}

static int walk_along(struct walk *walk, const struct trajectory *trajectory, outlook_visit *visit, void *context)
{
    const struct model *model = walk->model;
    for (size_t t = 0; t < trajectory->steps; t++) {
        struct observation_item item = {
            .observation = trajectory->observation + t * model->observation_dim,
            .action = trajectory->action + t * model->action_dim,
            .next_observation = trajectory->next_observation + t * model->observation_dim,
            .reward = trajectory->reward[t],
        };
        agent_features(model, walk->scratch, &item, 1);
        const int32_t *z = item.z[walk->kind];
        struct outlook outlook;
        int error = z ? look(walk, &outlook, z) : 0;
        if (error)
            return error;
        visit(context, t, z ? &outlook : NULL);
        if (z)
            belief_add(&walk->belief, z);
    }
    return 0;
}

int outlook_walk(const struct model *model, enum head_kind kind, const struct trajectory *trajectory,
                 outlook_visit *visit, void *context, double *weights, char *why, size_t why_size)
{
    const struct head *head = &model->heads[kind];
    if (!head->present) {
        snprintf(why, why_size, "%s has no %s head", model->name, kind == HEAD_REWARD ? "reward" : "transition");
        return -ENOTSUP;
    }
    struct walk walk;
    int error = walk_init(&walk, model, kind);
    if (error == 0)
        error = walk_along(&walk, trajectory, visit, context);
    if (error == 0 && weights) {
        error = posterior_solve(&walk.posterior, head->prior, &walk.belief, POSTERIOR_MEAN, NULL, 0);
        memcpy(weights, walk.posterior.mean, head->features * head->targets * sizeof *weights);
    }
    walk_release(&walk);
    if (error)
        snprintf(why, why_size, error == -ENOMEM ? "no memory for a walk along a trajectory"
                                                 : "a belief along a trajectory cannot be solved");
    return error;
}

struct predicting {
    struct prediction *prediction;
    const struct head *head;
};

static void predict_step(void *context, size_t step, const struct outlook *outlook)
{
    const struct predicting *p = context;
    size_t d = p->head->targets;
    p->prediction->log_density[step] = outlook ? outlook->log_density : NAN;
    for (size_t j = 0; j < d; j++) {
        if (p->prediction->mean)
            p->prediction->mean[step * d + j] =
                outlook ? p->head->target_mean[j] + p->head->target_scale[j] * outlook->mean[j] : NAN;
        if (p->prediction->sd)
            p->prediction->sd[step * d + j] = outlook ? p->head->target_scale[j] * outlook->sd[j] : NAN;
    }
}

int predict_glibrl(struct prediction *prediction, const struct model *model, enum head_kind kind,
                   const struct trajectory *trajectory, char *why, size_t why_size)
{
    struct predicting predicting = {prediction, &model->heads[kind]};
    return outlook_walk(model, kind, trajectory, predict_step, &predicting, NULL, why, why_size);
}
