// From parameters in training to a model that serves.

#include "train.h"

#include "inference/inference.h"
#include "policy/algorithm.h"

#include <stdio.h>
#include <stdlib.h>

static void shape_of(struct train *train, struct model_shape *shape, int last)
{
    const struct world *world = train->world;
    *shape = (struct model_shape){
        .name = world->name, .world = world->name, .observation_dim = world->observation_dim,
        .action_dim = world->action_dim, .task_dim = world->task_dim,
        .reads_task = train->options.kind == LEARN_ORACLE, .discrete = world->discrete,
    };
    train->algorithm->shape(train, shape);
    if (train->inference->shape)
        train->inference->shape(train, shape, last);
}

int train_model_new(struct train *train, char *why, size_t why_size)
{
    struct model_shape shape;
    shape_of(train, &shape, 0);
    return model_new(&train->model, &shape, why, why_size);
}

// Rows padded to whole vectors.
void fill_network(struct network *network, const struct net *net, const real *parameters)
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

void fill_sequence(struct encoder *encoder, const struct sequence *sequence, const real *parameters)
{
    // Each side of the gates is laid out as a net of one layer is.
    const struct gru_layer *gru = &sequence->gru;
    const real *own = parameters + sequence->gru_at;
    struct net side;
    fill_network(&encoder->embedding, &sequence->embedding, parameters);
    net_init(&side, (size_t[]){gru->inputs, 3 * gru->hidden}, 1, 0);
    fill_network(&encoder->gru.input, &side, own + gru->input_weight_at);
    net_init(&side, (size_t[]){gru->hidden, 3 * gru->hidden}, 1, 0);
    fill_network(&encoder->gru.state, &side, own + gru->state_weight_at);
}

void fill_normaliser(struct model *model, const struct train *train)
{
    for (size_t i = 0; i < model->observation_dim; i++) {
        model->observation_mean[i] = (float)train->observations.mean[i];
        model->observation_scale[i] = (float)moments_sd(&train->observations, i);
    }
}

static void fill(struct train *train, struct model *model, int last)
{
    const struct options *o = &train->options;
    fill_normaliser(model, train);
    model->observation_clip = (float)o->input_clip;
    for (size_t i = 0; i < model->action_dim; i++) {
        model->action_low[i] = train->world->action_low;
        model->action_high[i] = train->world->action_high;
    }
    for (size_t i = 0; i < model->input_dim; i++) {
        model->input_mean[i] = (float)train->inputs.mean[i];
        model->input_scale[i] = (float)moments_sd(&train->inputs, i);
    }
    model->input_clip = (float)o->input_clip;
    train->algorithm->fill(train, model);
    if (train->inference->fill)
        train->inference->fill(train, model, last);
    for (size_t i = model->observation_dim; i < model->input_dim; i++)
        model->input_scale[i] /= (float)o->task_scale;
}

int train_export(struct train *train, char *why, size_t why_size)
{
    fill(train, train->model, 0);
    return model_finish(train->model, why, why_size);
}

int train_final_model(struct train *train, struct model **result, char *provenance, char *why, size_t why_size)
{
    *result = NULL;
    why[0] = 0;
    // Features are made with the normalisers of the training's own model, which may be older than the parameters.
    int error = train_export(train, why, why_size);
    if (error == 0 && train->inference->finish)
        error = train->inference->finish(train, why, why_size);
    struct model_shape shape;
    shape_of(train, &shape, 1);
    if (error == 0)
        error = model_new(result, &shape, why, why_size);
    if (error == 0) {
        fill(train, *result, 1);
        (*result)->provenance = provenance;
        provenance = NULL;
        error = model_finish(*result, why, why_size);
    }
    free(provenance);
    if (error) {
        if (!why[0])
            snprintf(why, why_size, "no memory for the last model");
        model_free(*result);
        *result = NULL;
    }
    return error;
}
