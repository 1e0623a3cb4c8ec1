// A model in memory: its arrays, and the check that every number in them can be served.

#include "model.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "arena.h"
#include "daemon/belief/belief.h"
#include "daemon/policy/refuse.h"
#include "model_kinds.h"
#include "tensors.h"

static const char *const name_letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static int is_name(const char *text)
{
    return strlen(text) < MODEL_NAME_LIMIT && text[strspn(text, name_letters)] == 0;
}

static int check_head(const struct model_shape *shape, enum head_kind kind, char *why, size_t why_size)
{
    size_t D = shape->heads[kind].features;
    size_t d = kind == HEAD_REWARD ? 1 : shape->observation_dim;
    int function = shape->heads[kind].kind == REPRESENTATION_FUNCTION;
    int principal = shape->heads[kind].kind == REPRESENTATION_PRINCIPAL;
    size_t components = shape->heads[kind].component_count;
    const char *name = head_name(kind);
    if (D < 2 || D > BELIEF_FEATURES_LIMIT)
        return refuse(why, why_size, -EINVAL, "the %s head has %zu features, not 2 to %d", name, D,
                      BELIEF_FEATURES_LIMIT);
    if (d > BELIEF_TARGETS_LIMIT)
        return refuse(why, why_size, -EINVAL, "the %s head has %zu targets, more than %d", name, d,
                      BELIEF_TARGETS_LIMIT);
    if (shape->heads[kind].kind > REPRESENTATION_PRINCIPAL)
        return refuse(why, why_size, -EINVAL, "the %s head's representation is unknown", name);
    if (shape->heads[kind].kind != REPRESENTATION_NONE
        && (shape->heads[kind].parts == 0
            || shape->heads[kind].parts > REPRESENT_ALL))
        return refuse(why, why_size, -EINVAL, "the %s head's representation has no such parts", name);
    if (function != (shape->heads[kind].probe_count > 0) || shape->heads[kind].probe_count > MODEL_PROBES_LIMIT)
        return refuse(why, why_size, -EINVAL, "the %s head has %zu probes, not %s", name,
                      shape->heads[kind].probe_count, function ? "1 to 64" : "0 as its representation needs");
    if (principal != (components > 0) || components > REPRESENTATION_COMPONENTS_LIMIT)
        return refuse(why, why_size, -EINVAL, "the %s head has %zu components, not %s", name, components,
                      principal ? "1 to 64" : "0 as its representation needs");
    if (principal && shape->heads[kind].parts & REPRESENT_SD)
        return refuse(why, why_size, -EINVAL, "the %s head's representation is principal, which has no sd", name);
    return 0;
}

static int check_shape(const struct model_shape *shape, char *why, size_t why_size)
{
    if (shape->name == NULL || shape->name[0] == 0 || !is_name(shape->name))
        return refuse(why, why_size, -EINVAL, "the model's name is not 1 to %d of A-Z a-z 0-9 . _ -",
                      MODEL_NAME_LIMIT - 1);
    if (shape->world == NULL || !is_name(shape->world))
        return refuse(why, why_size, -EINVAL, "the world's name is not at most %d of A-Z a-z 0-9 . _ -",
                      MODEL_NAME_LIMIT - 1);
    if (shape->observation_dim == 0 || shape->observation_dim > MODEL_OBSERVATION_LIMIT)
        return refuse(why, why_size, -EINVAL, "the observation has %zu numbers, not 1 to %d",
                      shape->observation_dim, MODEL_OBSERVATION_LIMIT);
    if (shape->action_dim == 0 || shape->action_dim > MODEL_ACTION_LIMIT)
        return refuse(why, why_size, -EINVAL, "the action has %zu numbers, not 1 to %d", shape->action_dim,
                      MODEL_ACTION_LIMIT);
    if (shape->task_dim > MODEL_TASK_LIMIT || (shape->reads_task && shape->task_dim == 0))
        return refuse(why, why_size, -EINVAL, "the task has %zu numbers, not %d to %d", shape->task_dim,
                      shape->reads_task ? 1 : 0, MODEL_TASK_LIMIT);
    if (shape->landmark_count > MODEL_LANDMARKS_LIMIT
        || (shape->landmark_count && (shape->task_dim == 0 || shape->heads[HEAD_REWARD].features == 0)))
        return refuse(why, why_size, -EINVAL, "%zu landmarks: at most %d, with a task and a reward head",
                      shape->landmark_count, MODEL_LANDMARKS_LIMIT);
    int error = model_kind_check(shape, why, why_size);
    for (enum head_kind kind = 0; kind < HEAD_COUNT && error == 0; kind++)
        if (shape->heads[kind].features)
            error = check_head(shape, kind, why, why_size);
    return error;
}

static void place_head(struct arena *arena, struct head *head)
{
    size_t D = head->features, d = head->targets;
    head->target_mean = arena_take(arena, d, sizeof(double));
    head->target_scale = arena_take(arena, d, sizeof(double));
    head->precision = arena_take(arena, D * D, sizeof(double));
    head->mean = arena_take(arena, D * d, sizeof(double));
    head->scale = arena_take(arena, d * d, sizeof(double));
    head->probes = arena_take(arena, head->representation.probe_count * D, sizeof(double));
    head->representation.probes = head->representation.probe_count ? head->probes : NULL;
    head->components = arena_take(arena, D * d * kernel_padded(head->representation.component_count), sizeof(double));
    head->representation.components = head->components;
    head->representation.origin = head->mean;
}

static void place(struct arena *arena, struct model *model)
{
    model->observation_mean = arena_take(arena, model->observation_dim, sizeof(float));
    model->observation_scale = arena_take(arena, model->observation_dim, sizeof(float));
    model->action_low = arena_take(arena, model->action_dim, sizeof(float));
    model->action_high = arena_take(arena, model->action_dim, sizeof(float));
    model->action_log_sd = arena_take(arena, model->action_dim, sizeof(float));
    model->input_mean = arena_take(arena, model->input_dim, sizeof(float));
    model->input_scale = arena_take(arena, model->input_dim, sizeof(float));
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (model->heads[kind].present)
            place_head(arena, &model->heads[kind]);
    model_kind_place(arena, model);
    size_t D = model->heads[HEAD_REWARD].features;
    model->landmark_features = arena_take(arena, model->landmark_count * D, sizeof(double));
    model->landmark_tasks = arena_take(arena, model->landmark_count * model->task_dim, sizeof(double));
}

// Everything of the shape that is a number; returns the policy's inputs.
static void take_shape(struct model *model, const struct model_shape *shape)
{
    strcpy(model->name, shape->name);
    strcpy(model->world, shape->world);
    model->observation_dim = shape->observation_dim;
    model->action_dim = shape->action_dim;
    model->task_dim = shape->task_dim;
    model->reads_task = shape->reads_task != 0;
    model->landmark_count = shape->landmark_count;
    model->input_dim = model->observation_dim + model_kind_take_shape(model, shape);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        struct head *head = &model->heads[kind];
        size_t D = shape->heads[kind].features, d = kind == HEAD_REWARD ? 1 : shape->observation_dim;
        if (D == 0)
            continue;
        head->present = 1;
        head->features = D;
        head->targets = d;
        head->judged = kind == HEAD_REWARD;
        head->representation.kind = shape->heads[kind].kind;
        int shown = head->representation.kind != REPRESENTATION_NONE;
        head->representation.parts = shown ? shape->heads[kind].parts : 0;
        head->representation.features = D;
        head->representation.targets = d;
        head->representation.probe_count = shape->heads[kind].probe_count;
        head->representation.component_count = shape->heads[kind].component_count;
        model->input_dim += representation_count(&head->representation);
    }
}

static void fill_ones(struct model *model)
{
    model->observation_clip = model->input_clip = 1;
    for (size_t i = 0; i < model->observation_dim; i++)
        model->observation_scale[i] = 1;
    for (size_t i = 0; i < model->input_dim; i++)
        model->input_scale[i] = 1;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        for (size_t i = 0; i < model->heads[kind].targets; i++)
            model->heads[kind].target_scale[i] = 1;
}

int model_new(struct model **result, const struct model_shape *shape, char *why, size_t why_size)
{
    int error = check_shape(shape, why, why_size);
    if (error)
        return error;
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return refuse(why, why_size, -ENOMEM, "no memory for a model");
    take_shape(model, shape);

    struct arena arena = {0};
    place(&arena, model);
    error = model_network(&model->policy, model->input_dim, shape->hidden, model->action_dim,
                          model->squash ? ACTIVATION_TANH : ACTIVATION_NONE, "policy", why, why_size);
    model->policy.hidden = shape->activation == ACTIVATION_RELU ? ACTIVATION_RELU : ACTIVATION_TANH;
    for (enum head_kind kind = 0; kind < HEAD_COUNT && error == 0; kind++)
        if (model->heads[kind].present)
            error = model_network(&model->heads[kind].basis, head_inputs(model, kind), shape->heads[kind].hidden,
                                  model->heads[kind].features - 1, ACTIVATION_TANH, head_name(kind), why, why_size);
    if (error == 0)
        error = model_kind_networks(model, shape, why, why_size);
    if (error == 0 && !arena_allocate(&arena))
        error = refuse(why, why_size, -ENOMEM, "no memory for a model");
    if (error) {
        model_free(model);
        return error;
    }
    model->memory = arena.base;
    place(&arena, model);
    fill_ones(model);
    *result = model;
    return 0;
}

// Index of the first number that breaks the tensor's rule, or the count.
static size_t first_bad(const struct model_tensor *tensor)
{
    size_t count = model_tensor_count(tensor), i = 0;
    for (; i < count; i++) {
        double value = model_tensor_value(tensor, i);
        if (!isfinite(value) || (tensor->rule == RULE_POSITIVE && value <= 0))
            break;
    }
    return i;
}

static int check_numbers(const struct model *model, char *why, size_t why_size)
{
    struct model_tensor list[TENSORS_LIMIT];
    size_t count = model_tensors(list, model);
    for (size_t t = 0; t < count; t++) {
        size_t i = first_bad(&list[t]);
        if (i < model_tensor_count(&list[t])) {
            double value = model_tensor_value(&list[t], i);
            return refuse(why, why_size, -EINVAL, "number %zu of %s is %g, not %s", i, list[t].name, value,
                          isfinite(value) ? "above 0" : "finite");
        }
    }
    for (size_t i = 0; i < model->action_dim; i++)
        if (!(model->action_low[i] < model->action_high[i]) ||
            !isfinite(model->action_high[i] - model->action_low[i]))
            return refuse(why, why_size, -EINVAL, "number %zu of action.low is %g and of action.high %g: no range",
                          i, (double)model->action_low[i], (double)model->action_high[i]);
    for (size_t i = 0; i < model->action_dim && model->discrete; i++)
        if (model->action_low[i] != 0 || model->action_high[i] != 1 || model->action_log_sd[i] != 0)
            return refuse(why, why_size, -EINVAL,
                          "number %zu of action.low, action.high and action.log_sd are not 0, 1 and 0, as of a "
                          "discrete policy's", i);
    return 0;
}

static int check_symmetric(const double *matrix, size_t n, enum head_kind kind, const char *name, char *why,
                           size_t why_size)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (matrix[i * n + j] != matrix[j * n + i])
                return refuse(why, why_size, -EINVAL, "%s.prior.%s is not symmetric at row %zu, column %zu",
                              head_name(kind), name, i, j);
    return 0;
}

// The head's prior, made or set again.
static int make_prior(struct head *head, enum head_kind kind, char *why, size_t why_size)
{
    int error = check_symmetric(head->precision, head->features, kind, "precision", why, why_size);
    if (error == 0)
        error = check_symmetric(head->scale, head->targets, kind, "scale", why, why_size);
    if (error)
        return error;
    if (!(head->degrees > (double)head->targets - 1))
        return refuse(why, why_size, -EINVAL, "%s.prior.degrees is %g, not above %zu", head_name(kind),
                      head->degrees, head->targets - 1);
    struct prior_values values = {
        .features = head->features, .targets = head->targets, .precision = head->precision, .mean = head->mean,
        .scale = head->scale, .degrees = head->degrees,
    };
    error = head->prior ? prior_set(head->prior, &values) : prior_new(&head->prior, &values);
    if (error == -ENOMEM)
        return refuse(why, why_size, error, "no memory for the %s head's prior", head_name(kind));
    if (error)
        return refuse(why, why_size, -EINVAL, "%s.prior.precision and %s.prior.scale do not make a prior: %s",
                      head_name(kind), head_name(kind),
                      error == -EDOM ? "not positive definite" : "a value is out of range");
    return 0;
}

static int check_provenance(const char *provenance, char *why, size_t why_size)
{
    if (strlen(provenance) > MODEL_PROVENANCE_LIMIT)
        return refuse(why, why_size, -EINVAL, "the provenance has %zu bytes, more than %d", strlen(provenance),
                      MODEL_PROVENANCE_LIMIT);
    cJSON *json = cJSON_ParseWithOpts(provenance, NULL, 1);
    int good = cJSON_IsObject(json);
    cJSON_Delete(json);
    return good ? 0 : refuse(why, why_size, -EINVAL, "the provenance is not a JSON object");
}

int model_finish(struct model *model, char *why, size_t why_size)
{
    int error = check_numbers(model, why, why_size);
    if (error == 0 && model->provenance)
        error = check_provenance(model->provenance, why, why_size);
    int had[HEAD_COUNT], made[HEAD_COUNT] = {0};
    for (enum head_kind kind = 0; kind < HEAD_COUNT && error == 0; kind++) {
        had[kind] = model->heads[kind].prior != NULL;
        if (model->heads[kind].present)
            made[kind] = (error = make_prior(&model->heads[kind], kind, why, why_size)) == 0;
    }
    for (enum head_kind kind = 0; kind < HEAD_COUNT && error; kind++) {
        if (made[kind] && had[kind]) {
            prior_undo(model->heads[kind].prior);
        } else if (made[kind]) {
            prior_free(model->heads[kind].prior);
            model->heads[kind].prior = NULL;
        }
    }
    return error;
}

void model_free(struct model *model)
{
    if (model == NULL)
        return;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        network_release(&model->heads[kind].basis);
        prior_free(model->heads[kind].prior);
    }
    network_release(&model->policy);
    model_kind_release(model);
    free(model->provenance);
    free(model->memory);
    free(model);
}
