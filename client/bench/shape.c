// Models of the three sizes; the contract is in shape.h.
#include "shape.h"

#include "daemon/base/random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char letters[] = "sml";
static const size_t observations[] = {20, 39, 39}, features[] = {16, 32, 64};
static const size_t basis_widths[] = {64, 64, 128}, policy_widths[] = {64, 128, 256};

static void fill_network(struct network *network, struct random_stream *stream)
{
    for (size_t l = 0; l < network->layer_count; l++) {
        struct layer *layer = &network->layers[l];
        double size = 1 / sqrt((double)layer->inputs);
        for (size_t i = 0; i < layer->inputs; i++)
            for (size_t o = 0; o < layer->outputs; o++)
                layer->weight[i * kernel_padded(layer->outputs) + o] = (float)(size * random_normal(stream));
    }
}

static void fill_head(struct head *head, struct random_stream *stream)
{
    size_t D = head->features, d = head->targets;
    fill_network(&head->basis, stream);
    for (size_t i = 0; i < D; i++)
        head->precision[i * D + i] = 1;
    for (size_t j = 0; j < d; j++)
        head->scale[j * d + j] = 1;
    head->degrees = (double)d + 3;
}

struct model *shape_model(char letter, char *why, size_t why_size)
{
    const char *at = letter ? strchr(letters, letter) : NULL;
    if (!at) {
        snprintf(why, why_size, "there is no shape %c: it is s, m or l", letter);
        return NULL;
    }
    size_t which = (size_t)(at - letters), width = basis_widths[which];
    struct model_shape shape = {
        .name = (const char[]){letter, 0}, .world = "bench",
        .observation_dim = observations[which], .action_dim = SHAPE_ACTION,
        .heads[HEAD_TRANSITION] = {.features = features[which], .hidden = {width, width},
                                   .kind = REPRESENTATION_WEIGHT, .parts = REPRESENT_SD},
        .heads[HEAD_REWARD] = {.features = features[which], .hidden = {width, width},
                               .kind = REPRESENTATION_WEIGHT,
                               .parts = REPRESENT_MEAN | REPRESENT_SD | REPRESENT_NOISE},
        .hidden = {policy_widths[which], policy_widths[which]},
    };
    struct model *model;
    if (model_new(&model, &shape, why, why_size))
        return NULL;
    struct random_stream stream = random_stream(1, (uint32_t)letter, 0, 0);
    model->observation_clip = 10;
    model->input_clip = 10;
    for (size_t i = 0; i < SHAPE_ACTION; i++) {
        model->action_low[i] = -1;
        model->action_high[i] = 1;
    }
    for (int h = 0; h < HEAD_COUNT; h++)
        fill_head(&model->heads[h], &stream);
    fill_network(&model->policy, &stream);
    if (model_finish(model, why, why_size)) {
        model_free(model);
        return NULL;
    }
    return model;
}
