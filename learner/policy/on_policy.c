// PPO on what was collected: normalised inputs, scaled rewards, advantages, then actor and critic side by side.

#include "on_policy.h"

#include "algorithm.h"
#include "daemon/base/random.h"
#include "learner/inference/inference.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// The price of a nat of entropy.
static double temperature(const struct train *train)
{
    return train->options.entropy * pow(train->options.entropy_end, train_progress(train));
}

static struct ppo_settings settings_of(const struct train *train)
{
    const struct options *o = &train->options;
    return (struct ppo_settings){
        .epochs = o->epochs, .minibatch = o->minibatch, .clip = o->clip, .value_clip = o->value_clip,
        .entropy = o->soft ? 0 : temperature(train), .norm_limit = o->norm_limit, .epsilon = o->epsilon, .sd_low = o->sd_low,
        .divergence_limit = o->divergence_limit,
    };
}

static int init_nets(struct train *train, struct on_policy *own)
{
    const struct options *o = &train->options;
    size_t hidden[] = {o->hidden, o->hidden};
    int error = actor_init(&own->actor, train->input_dim, hidden, train->world->action_dim, train->world->discrete);
    if (error == 0)
        error = critic_init(&own->critic, own->critic_dim, hidden);
    if (error)
        return error;
    struct random_stream actor = random_stream(o->seed, RANDOM_PARAMETERS, 0, 0);
    struct random_stream critic = random_stream(o->seed, RANDOM_PARAMETERS, 1, 0);
    actor_start(&own->actor, o->sd, &actor);
    critic_start(&own->critic, &critic);
    return 0;
}

static int start(struct train *train, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    const struct options *o = &train->options;
    size_t rows = train->rows, finals = o->envs * rollout_finals(train->world);
    struct on_policy *own = train->acting = calloc(1, sizeof *own);
    if (!own)
        return -ENOMEM;
    own->critic_dim = train->critic_dim + (o->critic_sees_time ? CLOCK : 0);
    if (init_nets(train, own))
        return -ENOMEM;
    own->steering = 1;
    own->input = malloc(rows * own->critic_dim * sizeof(float));
    own->reward = malloc(5 * rows * sizeof(float));
    own->final_input = malloc(finals * (own->critic_dim + 1) * sizeof(float));
    own->discounted = calloc(o->envs, sizeof(double));
    if (o->gain > 0 && !(own->gain = malloc(rows * sizeof(float))))
        return -ENOMEM;
    own->actor_scratch = ppo_scratch_new(&own->actor.net, o->minibatch, rows);
    own->critic_scratch = ppo_scratch_new(&own->critic.net, o->minibatch, rows);
    if (!own->input || !own->reward || !own->final_input || !own->discounted || !own->actor_scratch
        || !own->critic_scratch)
        return -ENOMEM;
    own->advantage = own->reward + rows;
    own->target = own->advantage + rows;
    own->value = own->target + rows;
    own->value_after = own->value + rows;
    own->final_value = own->final_input + finals * own->critic_dim;
    return 0;
}

static void stop(struct train *train)
{
    struct on_policy *own = train->acting;
    if (!own)
        return;
    actor_release(&own->actor);
    critic_release(&own->critic);
    ppo_scratch_free(own->actor_scratch);
    ppo_scratch_free(own->critic_scratch);
    free(own->input);
    free(own->reward);
    free(own->final_input);
    free(own->discounted);
    free(own->gain);
    free(own);
    train->acting = NULL;
}

static void shape(const struct train *train, struct model_shape *shape)
{
    shape->hidden[0] = shape->hidden[1] = train->options.hidden;
}

static void fill(struct train *train, struct model *model)
{
    struct on_policy *own = train->acting;
    if (!own)
        return;
    const real *parameters = own->actor.trainee.parameters;
    for (size_t i = 0; i < own->actor.trainee.count - own->actor.log_sd_at; i++)
        model->action_log_sd[i] = parameters[own->actor.log_sd_at + i];
    fill_network(&model->policy, &own->actor.net, parameters);
}

// The schedule alone: constant, then falling.
static double planned_rate(const struct train *train)
{
    const struct options *o = &train->options;
    double past = train_progress(train) - o->rate_hold;
    if (past <= 0)
        return o->rate;
    double share = past / (1 - o->rate_hold);
    return o->rate * (1 + share * (o->rate_end - 1));
}

// The actor's: the schedule times what steering has found.
static double actor_rate(const struct train *train)
{
    return fmin(planned_rate(train) * ((const struct on_policy *)train->acting)->steering, train->options.rate_high);
}

// A policy that moved too far in this iteration takes smaller steps in the next, one that hardly moved larger ones.
// What is too far falls with the schedule.
static void steer(struct train *train)
{
    struct on_policy *own = train->acting;
    double *factor = &own->steering;
    double target = train->options.divergence_target * planned_rate(train) / train->options.rate;
    if (!(target > 0))
        return;
    if (own->report.divergence > 1.5 * target)
        *factor = fmax(*factor / 1.2, 0.03);
    else if (own->report.divergence < target / 1.5)
        *factor = fmin(*factor * 1.2, 30);
}

// What a step taught is paid for, less and less: gain at first, nothing from gain-until on.
static double price_of_gain(const struct train *train)
{
    const struct options *o = &train->options;
    return o->gain * fmax(0, 1 - train_progress(train) / o->gain_until);
}

static void gain_part(void *context, size_t e, unsigned thread)
{
    struct train *train = context;
    float *gain = ((const struct on_policy *)train->acting)->gain + e * train->rollout.T;
    memset(gain, 0, train->rollout.T * sizeof *gain);
    train->inference->gain(train, gain, e, thread);
}

// Rewards are divided by the running sd of the discounted return, and not centred.
static void scale_rewards(struct train *train)
{
    const struct rollout *r = &train->rollout;
    struct on_policy *own = train->acting;
    double discount = train->options.discount, price = own->gain ? price_of_gain(train) : 0;
    double soft = train->options.soft ? temperature(train) : 0, *c = own->returned;
    if (price > 0)
        pool_run(train->pool, gain_part, train, r->N);
    for (size_t e = 0; e < r->N; e++)
        for (size_t t = 0; t < r->T; t++) {
            size_t row = e * r->T + t;
            double *sum = &own->discounted[e];
            // E[-ln p(a)] is the entropy
            own->reward[row] = r->reward[row] - (float)soft * r->log_density[row];
            if (price > 0)
                own->reward[row] += (float)price * own->gain[row];
            *sum = (r->begins[row] ? 0 : discount * *sum) + (double)own->reward[row];
            // Welford
            double away = *sum - c[1];
            c[0]++;
            c[1] += away / c[0];
            c[2] += away * (*sum - c[1]);
        }
    double sd = fmax(sqrt(c[2] / c[0]), 1e-6);
    for (size_t row = 0; row < train->rows; row++)
        own->reward[row] = (float)((double)own->reward[row] / sd);
}

// What the critic sees of a row, or of what would have followed it.
static void fill_row(const struct train *train, float *out, const float *raw, size_t row)
{
    const struct on_policy *own = train->acting;
    const struct rollout *r = &train->rollout;
    train_policy_row(train, out, raw, r->task + row * train->world->task_dim);
    memcpy(out + train->critic_dim, r->clock + row * CLOCK, (own->critic_dim - train->critic_dim) * sizeof *out);
}

// Part e of the preparation: normalised inputs, values and advantages of one environment.
static void prepare(void *context, size_t e, unsigned thread)
{
    (void)thread;
    struct train *train = context;
    struct on_policy *own = train->acting;
    const struct rollout *r = &train->rollout;
    for (size_t row = e * r->T; row < (e + 1) * r->T; row++) {
        fill_row(train, own->input + row * own->critic_dim, r->input + row * r->input_dim, row);
        if (r->final_of[row] >= 0)
            fill_row(train, own->final_input + (size_t)r->final_of[row] * own->critic_dim,
                     r->final_input + (size_t)r->final_of[row] * r->input_dim, row);
    }
}

static void evaluate_critic(struct train *train)
{
    struct on_policy *own = train->acting;
    const struct rollout *r = &train->rollout;
    size_t finals = r->N * r->finals;
    critic_values(&own->critic, own->value, own->input, own->critic_dim, train->rows, own->critic_scratch);
    critic_values(&own->critic, own->final_value, own->final_input, own->critic_dim, finals,
                  own->critic_scratch);
    for (size_t row = 0; row < train->rows; row++)
        own->value_after[row] = r->final_of[row] >= 0 ? own->final_value[r->final_of[row]] : 0;
    for (size_t e = 0; e < r->N; e++) {
        size_t at = e * r->T;
        advantages(own->advantage + at, own->target + at, own->reward + at, own->value + at,
                   own->value_after + at, r->end + at, r->T, train->options.discount, train->options.trace);
    }
    standardise(own->advantage, train->rows);
}

struct update {
    struct train *train;
    struct experience experience;
    struct ppo_settings settings;
    double rate[2];
    int errors[2];
};

// Part 0 is the critic's update, part 1 the actor's.
static void update_part(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct update *update = context;
    struct train *train = update->train;
    struct on_policy *own = train->acting;
    uint32_t iteration = (uint32_t)train_iteration(train);
    struct random_stream stream = random_stream(train->options.seed, part ? RANDOM_ACTOR : RANDOM_CRITIC, iteration, 0);
    const struct inference *inference = train->inference;
    if (part == 0)
        update->errors[part] = critic_update(&own->critic, &update->experience, &update->settings, update->rate[0],
                                             &stream, own->critic_scratch, &own->report);
    else if (inference->update_actor)
        update->errors[part] = inference->update_actor(train, &own->actor, &update->experience, &update->settings,
                                                       update->rate[1], &stream, &own->report);
    else
        update->errors[part] = actor_update(&own->actor, &update->experience, &update->settings, update->rate[1],
                                            &stream, own->actor_scratch, &own->report);
}

static void tell(struct train *train)
{
    const struct on_policy *own = train->acting;
    const struct ppo_report *r = &own->report;
    double sd = 0;
    for (size_t i = own->actor.log_sd_at; i < own->actor.trainee.count; i++)
        sd += exp((double)own->actor.trainee.parameters[i]) / (double)train->world->action_dim;
    const struct events_value values[] = {
        {"policy/divergence", r->divergence}, {"policy/clipped", r->clipped}, {"policy/entropy", r->entropy},
        {"policy/sd", sd}, {"policy/loss", r->actor_loss}, {"policy/gradient", r->actor_norm},
        {"policy/epochs", (double)r->epochs}, {"value/loss", r->critic_loss}, {"value/gradient", r->critic_norm},
        {"rate/policy", actor_rate(train)},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        train_tell(train, values[i].name, values[i].value);
    train_say(train, ", KL %.3f, sd %.2f", r->divergence, sd);
}

static int learn(struct train *train, char *why, size_t why_size)
{
    struct on_policy *own = train->acting;
    scale_rewards(train);
    pool_run(train->pool, prepare, train, train->rollout.N);
    evaluate_critic(train);
    struct update update = {
        .train = train, .settings = settings_of(train),
        .rate = {planned_rate(train), actor_rate(train)},
        .experience = {
            .rows = train->rows, .input = own->input, .input_stride = own->critic_dim,
            .action = train->rollout.action, .log_density = train->rollout.log_density,
            .advantage = own->advantage, .value = own->value, .target = own->target,
        },
    };
    pool_run(train->pool, update_part, &update, 2);
    if (update.errors[0])
        return train_not_finite(train, "critic", why, why_size);
    if (update.errors[1])
        return train_not_finite(train, "actor", why, why_size);
    tell(train);
    steer(train);
    return 0;
}

static void state(struct train *train, struct train_list *list)
{
    struct on_policy *own = train->acting;
    list_trainee(list, "actor", &own->actor.trainee);
    list_trainee(list, "critic", &own->critic.trainee);
    list_array(list, "steering", "F64", &own->steering, 1);
    list_array(list, "returned", "F64", own->returned, 3);
    list_array(list, "discounted", "F64", own->discounted, train->options.envs);
}

const struct algorithm algorithm_ppo = {
    .start = start, .stop = stop, .shape = shape, .fill = fill, .learn = learn, .state = state,
};
