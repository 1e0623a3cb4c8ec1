// From parameters in training to a model that serves.

#include "train.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANDMARKS = 31 };           // bins along a task of one dimension
enum { LANDMARK_SIDE = 12 };       // and along each of two
enum { LANDMARK_LEAST = 20 };      // transitions that make a bin a landmark

static void shape_of(const struct train *train, size_t landmarks, struct model_shape *shape)
{
    const struct options *o = &train->options;
    const struct world *world = train->world;
    *shape = (struct model_shape){
        .name = world->name, .world = world->name, .observation_dim = world->observation_dim,
        .action_dim = world->action_dim, .task_dim = world->task_dim, .reads_task = o->kind == LEARN_ORACLE,
        .hidden = {o->hidden, o->hidden}, .landmark_count = landmarks,
    };
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        if (!train->basis[kind].features)
            continue;
        shape->heads[kind].features = train->basis[kind].features;
        shape->heads[kind].hidden[0] = shape->heads[kind].hidden[1] = o->basis_hidden;
        shape->heads[kind].kind = o->probes ? REPRESENTATION_FUNCTION : REPRESENTATION_WEIGHT;
        shape->heads[kind].parts = REPRESENT_MEAN | REPRESENT_SD | REPRESENT_NOISE;
        shape->heads[kind].probe_count = o->probes;
    }
}

int train_model_new(struct train *train, char *why, size_t why_size)
{
    struct model_shape shape;
    shape_of(train, 0, &shape);
    return model_new(&train->model, &shape, why, why_size);
}

// Rows padded to whole vectors.
static void fill_network(struct network *network, const struct net *net, const real *parameters)
{
    for (size_t l = 0; l < net->layer_count; l++) {
        size_t in = net->sizes[l], out = net->sizes[l + 1], stride = kernel_padded(out);
        for (size_t i = 0; i < in; i++)
            for (size_t o = 0; o < out; o++)
                network->layers[l].weight[i * stride + o] = (float)parameters[net->weight_at[l] + i * out + o];
        for (size_t o = 0; o < out; o++)
            network->layers[l].bias[o] = (float)parameters[net->bias_at[l] + o];
    }
}

static void fill_head(struct train *train, struct model *model, enum head_kind kind)
{
    struct basis *basis = &train->basis[kind];
    struct head *head = &model->heads[kind];
    size_t D = basis->features, d = basis->targets, obs = model->observation_dim, act = model->action_dim;
    const real *parameters = basis->trainee.parameters;
    fill_network(&head->basis, &basis->net, parameters);
    for (size_t i = 0; i < d; i++) {
        head->target_mean[i] = train->targets[kind].mean[i];
        head->target_scale[i] = moments_sd(&train->targets[kind], i);
        head->scale[i * d + i] = basis->scale;
    }
    for (size_t i = 0; i < D; i++)
        head->precision[i * D + i] = exp((double)parameters[basis->log_precision_at + i]);
    for (size_t i = 0; i < D * d; i++)
        head->mean[i] = (double)parameters[basis->mean_at + i];
    head->degrees = basis->degrees;

    size_t width = 2 * obs + act, inputs = basis_inputs(train, kind);
    if (train->work && train->probe_count) {
        for (size_t k = 0; k < train->probe_count; k++) {
            const float *probe = train->probes[kind] + k * width;
            basis_row(train, kind, basis_work_input(train) + k * inputs, probe, probe + obs, probe + obs + act);
        }
        basis_features(basis, head->probes, basis_work_input(train), train->probe_count,
                       basis_work_scratch(train, kind));
    }
}

static void fill(struct train *train, struct model *model)
{
    const struct options *o = &train->options;
    for (size_t i = 0; i < model->observation_dim; i++) {
        model->observation_mean[i] = (float)train->observations.mean[i];
        model->observation_scale[i] = (float)moments_sd(&train->observations, i);
    }
    model->observation_clip = (float)o->input_clip;
    for (size_t i = 0; i < model->action_dim; i++) {
        model->action_low[i] = train->world->action_low;
        model->action_high[i] = train->world->action_high;
        if (train->actor.trainee.count)
            model->action_log_sd[i] = train->actor.trainee.parameters[train->actor.log_sd_at + i];
    }
    for (size_t i = 0; i < model->input_dim; i++) {
        model->input_mean[i] = (float)train->inputs.mean[i];
        model->input_scale[i] = (float)moments_sd(&train->inputs, i);
    }
    model->input_clip = (float)o->input_clip;
    fill_network(&model->policy, &train->actor.net, train->actor.trainee.parameters);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (train->basis[kind].features)
            fill_head(train, model, kind);
}

int train_export(struct train *train, char *why, size_t why_size)
{
    fill(train, train->model);
    return model_finish(train->model, why, why_size);
}

// Bins of the task space, and what fell into them.
struct bins {
    size_t side[WORLD_TASK_LIMIT], dims, count;
    double *task, *features, *transitions;  // sums (count, task_dim), (count, D); how many (count)
};

static int bins_init(struct bins *bins, const struct world *world, size_t D)
{
    *bins = (struct bins){.dims = world->task_dim, .count = 1};
    for (size_t i = 0; i < bins->dims; i++) {
        bins->side[i] = bins->dims == 1 ? LANDMARKS : bins->dims == 2 ? LANDMARK_SIDE : 4;
        bins->count *= bins->side[i];
    }
    bins->task = calloc(bins->count * (bins->dims + D + 1), sizeof *bins->task);
    if (!bins->task)
        return -ENOMEM;
    bins->features = bins->task + bins->count * bins->dims;
    bins->transitions = bins->features + bins->count * D;
    return 0;
}

static size_t bin_of(const struct bins *bins, const struct world *world, const double *task)
{
    size_t bin = 0;
    for (size_t i = 0; i < bins->dims; i++) {
        double share = (task[i] - world->task_low[i]) / (world->task_high[i] - world->task_low[i]);
        double place = floor(share * (double)bins->side[i]);
        size_t index = place < 0 ? 0 : place >= (double)bins->side[i] ? bins->side[i] - 1 : (size_t)place;
        bin = bin * bins->side[i] + index;
    }
    return bin;
}

// Features of each replayed transition that would have been ideal in some task, as if its action had cost nothing.
static void fill_bins(struct train *train, struct bins *bins)
{
    const struct replay *r = &train->replay;
    const struct world *world = train->world;
    struct basis *basis = &train->basis[HEAD_REWARD];
    size_t obs = r->observation_dim, act = r->action_dim, D = basis->features;
    float *in = basis_work_input(train);
    float rest[MODEL_ACTION_LIMIT] = {0};
    double task[WORLD_TASK_LIMIT], phi[256];
    for (size_t slot = 0; slot < replay_slots(r); slot++)
        for (size_t t = 0; t < r->count[slot]; t++) {
            size_t row = slot * r->steps + t;
            const float *s = r->observation + row * obs, *next = r->next_observation + row * obs;
            if (!world->ideal_task(s, r->action + row * act, next, task))
                continue;
            basis_row(train, HEAD_REWARD, in, s, rest, next);
            basis_features(basis, phi, in, 1, basis_work_scratch(train, HEAD_REWARD));
            size_t bin = bin_of(bins, world, task);
            bins->transitions[bin]++;
            for (size_t i = 0; i < bins->dims; i++)
                bins->task[bin * bins->dims + i] += task[i];
            for (size_t i = 0; i < D; i++)
                bins->features[bin * D + i] += phi[i];
        }
}

int train_final_model(struct train *train, struct model **result, char *provenance, char *why, size_t why_size)
{
    struct bins bins = {0};
    size_t landmarks = 0, D = train->basis[HEAD_REWARD].features;
    *result = NULL;
    // Features are made with the normalisers of the training's own model, which may be older than the parameters.
    int error = train_export(train, why, why_size);
    if (error == 0 && D) {
        if (bins_init(&bins, train->world, D)) {
            snprintf(why, why_size, "no memory for landmarks");
            error = -ENOMEM;
        }
    }
    if (error) {
        free(provenance);
        return error;
    }
    if (D) {
        fill_bins(train, &bins);
        for (size_t b = 0; b < bins.count; b++)
            landmarks += bins.transitions[b] >= LANDMARK_LEAST;
    }
    struct model_shape shape;
    shape_of(train, landmarks, &shape);
    error = model_new(result, &shape, why, why_size);
    if (error == 0) {
        struct model *model = *result;
        fill(train, model);
        for (size_t b = 0, l = 0; b < bins.count; b++) {
            double n = bins.transitions[b];
            if (n < LANDMARK_LEAST)
                continue;
            for (size_t i = 0; i < bins.dims; i++)
                model->landmark_tasks[l * bins.dims + i] = bins.task[b * bins.dims + i] / n;
            for (size_t i = 0; i < D; i++)
                model->landmark_features[l * D + i] = bins.features[b * D + i] / n;
            l++;
        }
        model->provenance = provenance;
        provenance = NULL;
        error = model_finish(model, why, why_size);
    }
    free(bins.task);
    free(provenance);
    if (error) {
        model_free(*result);
        *result = NULL;
    }
    return error;
}
