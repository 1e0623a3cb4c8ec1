// GLiBRL's side of a training: when the basis learns, when it is frozen, what of it is served.

#include "glibrl.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Iterations at whose end probes are chosen: the basis changes most in the beginning, and a policy that has learnt
// to read its probes should keep them.
static const uint64_t probe_iterations[] = {0, 2, 10, 30, 60, 100, 150, 200, 300, 400};

static int is_probe_iteration(uint64_t iteration, uint64_t last)
{
    for (size_t i = 0; i < sizeof probe_iterations / sizeof *probe_iterations; i++)
        if (probe_iterations[i] == iteration && iteration <= last)
            return 1;
    return 0;
}

// Components are turned towards what they were, so that they may follow the basis closely while it learns.
static int is_component_iteration(uint64_t iteration)
{
    return iteration < 10 || iteration % 10 == 0;
}

static int init_basis(struct train *train, enum head_kind kind, size_t features)
{
    struct glibrl *own = train->inferring;
    const struct options *o = &train->options;
    size_t d = kind == HEAD_REWARD ? 1 : train->world->observation_dim;
    size_t hidden[] = {o->basis_hidden, o->basis_hidden};
    int inferred = o->noise == NOISE_INFERRED;
    struct basis_prior prior = {
        .noise = inferred ? EVIDENCE_NOISE_INFERRED : EVIDENCE_NOISE_KNOWN, .variance = o->prior_noise,
        .freedom = o->prior_freedom, .precision = o->prior_precision, .learns_mean = o->learn_mean != 0,
        .learns_precision = o->learn_precision != 0, .variance_low = o->prior_noise_low,
        .learns_variance = o->noise == NOISE_KNOWN || (inferred && o->learn_noise),
        .learns_freedom = inferred && o->learn_freedom,
    };
    int error = basis_init(&own->basis[kind], basis_inputs(train, kind), hidden, features, d, &prior);
    if (error == 0)
        error = moments_init(&own->targets[kind], d, 0);
    if (error)
        return error;
    if (kind == HEAD_REWARD && o->reward_reads_next)
        own->basis[kind].skipped = train->world->observation_dim + train->world->action_dim;
    struct random_stream stream = random_stream(o->seed, RANDOM_PARAMETERS, 2 + (uint32_t)kind, 0);
    basis_start(&own->basis[kind], &stream);
    own->probes[kind] = calloc(o->probes * (2 * train->world->observation_dim + train->world->action_dim) + 1,
                                 sizeof(float));
    own->components[kind] = calloc(own->component_count * features * d + 1, sizeof(double));
    return own->probes[kind] && own->components[kind] ? 0 : -ENOMEM;
}

static int start(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    const struct options *o = &train->options;
    struct glibrl *own = train->inferring = calloc(1, sizeof *own);
    if (!own)
        return -ENOMEM;
    own->probe_count = o->space == SPACE_FUNCTION ? o->probes : 0;
    own->component_count = o->space == SPACE_PRINCIPAL ? o->components : 0;
    int error = o->features ? init_basis(train, HEAD_REWARD, o->features) : 0;
    return error == 0 && o->transition ? init_basis(train, HEAD_TRANSITION, o->transition) : error;
}

static int gains_new(struct train *train)
{
    struct glibrl *own = train->inferring;
    unsigned threads = pool_threads(train->pool);
    own->absorbed = calloc(train->rows, 1);
    if (!own->absorbed)
        return -ENOMEM;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        if (!own->basis[kind].features)
            continue;
        own->gains[kind] = calloc(threads, sizeof *own->gains[kind]);
        if (!own->gains[kind])
            return -ENOMEM;
        for (unsigned t = 0; t < threads; t++)
            if (!(own->gains[kind][t] = gain_new(&own->basis[kind], train->rollout.T)))
                return -ENOMEM;
    }
    return 0;
}

static void gains_free(struct train *train)
{
    struct glibrl *own = train->inferring;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        for (unsigned t = 0; own->gains[kind] && t < pool_threads(train->pool); t++)
            gain_free(own->gains[kind][t]);
        free(own->gains[kind]);
    }
    free(own->absorbed);
}

static void gain(struct train *train, float *gain, size_t e, unsigned thread)
{
    struct glibrl *own = train->inferring;
    const struct rollout *r = &train->rollout;
    size_t T = r->T, obs = train->world->observation_dim, act = train->world->action_dim;
    for (size_t t = 0; t < T; t++)
        own->absorbed[e * T + t] = r->end[e * T + t] != ROW_VOID;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        if (!own->basis[kind].features)
            continue;
        real *in = gain_input(own->gains[kind][thread]);
        size_t inputs = basis_inputs(train, kind);
        for (size_t t = 0, row = e * T; t < T; t++, row++)
            basis_row(train, kind, in + t * inputs, r->observation + row * obs, r->met + row * act,
                      r->next_observation + row * obs);
        gain_add(own->gains[kind][thread], &own->basis[kind], gain, r->begins + e * T, own->absorbed + e * T, T);
    }
}

static int ready(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    if (!basis_work_new(train))
        return -ENOMEM;
    return train->options.gain > 0 ? gains_new(train) : 0;
}

static void stop(struct train *train)
{
    struct glibrl *own = train->inferring;
    if (!own)
        return;
    gains_free(train);
    basis_work_free(train);
    landmarks_release(&own->landmarks);
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        basis_release(&own->basis[kind]);
        moments_release(&own->targets[kind]);
        free(own->probes[kind]);
        free(own->components[kind]);
    }
    free(own);
    train->inferring = NULL;
}

static size_t replay_slots_of(const struct options *options)
{
    return options->replay;
}

static int is_frozen(const struct train *train)
{
    return train_progress(train) >= train->options.freeze;
}

static double basis_rate(const struct train *train)
{
    return is_frozen(train) ? 0 : train->options.basis_rate * (1 - train_progress(train) / train->options.freeze);
}

// What the policy is shown follows the basis. -ENOMEM, -EDOM.
static int choose_shown(struct train *train)
{
    struct glibrl *own = train->inferring;
    size_t iteration = train_iteration(train);
    int error = 0;
    for (enum head_kind kind = 0; kind < HEAD_COUNT && error == 0; kind++) {
        if (!own->basis[kind].features)
            continue;
        if (own->probe_count && is_probe_iteration(iteration, train->options.probe_last))
            error = choose_probes(train, kind);
        if (own->component_count && is_component_iteration(iteration))
            error = choose_components(train, kind);
    }
    return error;
}

static int learn(struct train *train, char *why, size_t why_size)
{
    struct glibrl *own = train->inferring;
    size_t iteration = train_iteration(train);
    train_tell(train, "rate/basis", basis_rate(train));
    if (is_frozen(train))
        return 0;
    train_add_moments(train, own->basis[HEAD_REWARD].features ? &own->targets[HEAD_REWARD] : NULL,
                      own->basis[HEAD_TRANSITION].features ? &own->targets[HEAD_TRANSITION] : NULL);
    rollout_store(&train->rollout, &train->replay);
    size_t updates = train->options.basis_updates + (iteration == 0 ? train->options.warmup : 0);
    if (learn_basis(train, updates, basis_rate(train), why, why_size))
        return -EDOM;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (own->basis[kind].features)
            train_tell(train, kind == HEAD_REWARD ? "evidence/reward" : "evidence/transition", own->evidence[kind]);
    if (own->basis[HEAD_REWARD].features)
        train_say(train, ", evidence %.2f", own->evidence[HEAD_REWARD]);
    int error = choose_shown(train);
    if (error)
        snprintf(why, why_size, "%s", error == -ENOMEM ? "no memory to choose what the policy is shown of the belief"
                                                       : "the posterior means of the replayed tasks are not finite");
    return error;
}

static void shape_of_representation(const struct options *o, struct model_shape *shape, enum head_kind kind)
{
    int function = o->space == SPACE_FUNCTION && o->probes, principal = o->space == SPACE_PRINCIPAL;
    shape->heads[kind].kind = o->space == SPACE_NATURAL ? REPRESENTATION_NATURAL
                              : principal               ? REPRESENTATION_PRINCIPAL
                              : function                ? REPRESENTATION_FUNCTION
                                                        : REPRESENTATION_WEIGHT;
    // Known noise is a constant, and hardly even that once it was rounded: nothing to normalise and show.
    shape->heads[kind].parts = (o->show_mean ? REPRESENT_MEAN : 0u) | (o->show_sd && !principal ? REPRESENT_SD : 0u)
                               | (o->show_noise && o->noise == NOISE_INFERRED ? REPRESENT_NOISE : 0u)
                               | (o->show_count ? REPRESENT_COUNT : 0u);
    shape->heads[kind].probe_count = function ? o->probes : 0;
    shape->heads[kind].component_count = principal ? o->components : 0;
}

static void shape(struct train *train, struct model_shape *shape, int last)
{
    struct glibrl *own = train->inferring;
    const struct options *o = &train->options;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++) {
        if (!own->basis[kind].features)
            continue;
        shape->heads[kind].features = own->basis[kind].features;
        shape->heads[kind].hidden[0] = shape->heads[kind].hidden[1] = o->basis_hidden;
        shape_of_representation(o, shape, kind);
    }
    if (last)
        shape->landmark_count = own->landmarks.count;
}

static void fill_noise_prior(struct head *head, const struct basis *basis)
{
    double scale[BELIEF_TARGETS_LIMIT];
    basis_noise_prior(basis, scale, &head->degrees);
    for (size_t j = 0; j < basis->targets; j++)
        head->scale[j * basis->targets + j] = scale[j];
}

static void fill_head(struct train *train, struct model *model, enum head_kind kind)
{
    struct glibrl *own = train->inferring;
    struct basis *basis = &own->basis[kind];
    struct head *head = &model->heads[kind];
    size_t D = basis->features, d = basis->targets, obs = model->observation_dim, act = model->action_dim;
    const real *parameters = basis->trainee.parameters;
    fill_network(&head->basis, &basis->net, parameters);
    for (size_t i = 0; i < d; i++) {
        head->target_mean[i] = own->targets[kind].mean[i];
        head->target_scale[i] = moments_sd(&own->targets[kind], i);
    }
    fill_noise_prior(head, basis);
    for (size_t i = 0; i < D; i++)
        head->precision[i * D + i] = exp((double)parameters[basis->log_precision_at + i]);
    for (size_t i = 0; i < D * d; i++)
        head->mean[i] = (double)parameters[basis->mean_at + i];

    size_t width = 2 * obs + act, inputs = basis_inputs(train, kind);
    if (own->work && own->probe_count) {
        for (size_t k = 0; k < own->probe_count; k++) {
            const float *probe = own->probes[kind] + k * width;
            basis_row(train, kind, basis_work_input(train) + k * inputs, probe, probe + obs, probe + obs + act);
        }
        basis_features(basis, head->probes, basis_work_input(train), own->probe_count,
                       basis_work_scratch(train, kind));
    }
    size_t K = own->component_count;
    for (size_t i = 0; K && i < D * d; i++)
        memcpy(head->components + i * kernel_padded(K), own->components[kind] + i * K, K * sizeof(double));
}

static void fill(struct train *train, struct model *model, int last)
{
    const struct glibrl *own = train->inferring;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (own->basis[kind].features)
            fill_head(train, model, kind);
    if (last)
        landmarks_fill(&own->landmarks, model);
}

static int finish(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    struct glibrl *own = train->inferring;
    return own->basis[HEAD_REWARD].features ? landmarks_gather(&own->landmarks, train) : 0;
}

static void state(struct train *train, struct train_list *list)
{
    struct glibrl *own = train->inferring;
    size_t width = 2 * train->world->observation_dim + train->world->action_dim;
    for (enum head_kind kind = 0; kind < HEAD_COUNT; kind++)
        if (own->basis[kind].features) {
            int reward = kind == HEAD_REWARD;
            list_trainee(list, reward ? "reward" : "transition", &own->basis[kind].trainee);
            list_moments(list, reward ? "reward.target" : "change.target", &own->targets[kind]);
            list_array(list, reward ? "reward.probes" : "transition.probes", "F32", own->probes[kind],
                       own->probe_count * width);
            list_array(list, reward ? "reward.components" : "transition.components", "F64", own->components[kind],
                       own->component_count * own->basis[kind].features * own->basis[kind].targets);
        }
}

const struct inference inference_glibrl = {
    .replay_slots = replay_slots_of, .start = start, .ready = ready, .stop = stop, .shape = shape, .fill = fill,
    .gain = gain, .learn = learn, .finish = finish, .state = state,
};
