// What a training is told when nobody says otherwise, for each world, model and algorithm (docs/training.md tells why).

#include "options.h"

#include "client/worlds/world.h"

#include <string.h>

// What SAC asks for differs in everything that is about the policy (CleanRL's sac_continuous_action.py, but for the
// meta-episodes that are collected between updates).
static void sac_defaults(struct options *options)
{
    options->envs = options->world->horizon * options->world->episodes < 1000 ? 4 : 1;
    options->minibatch = options->hidden = 256;
    options->norm_limit = 1e6;
    options->epsilon = 1e-8;
    options->discount = options->world->discount;
    options->checkpoint_seconds = 600;  // the experience is in the checkpoint
    options->frames = options->world->task_dim ? 600000 : 1000000;
    if (options->kind == LEARN_PEARL) {
        options->reward_scale = 5;       // published
        options->kl_weight = 0.01;       // published is 0.1, with batches that are sixteen times as large
        options->encoder_rate = 1e-3;
        options->critic_sees_task = 0;   // or the encoder would have nothing to tell it
    }
}

// What the belief has heads for, the latent has decoders for. An encoder learns more slowly than a basis: to the end, in
// steps that shorten.
static void varibad_defaults(struct options *options)
{
    options->decode_reward = options->features != 0;
    options->decode_transition = options->transition != 0;
    options->replay = 1024;
    options->freeze = 1;
}

// Tasks that want the same of another robot: what the reward is does not tell them apart, how the world moves does.
static int is_of_bodies(const struct world *world)
{
    static const char *const names[] = {"half-cheetah-body", "ant-body", "hopper-params", "walker-params"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(world->name, names[i]))
            return 1;
    return 0;
}

// What is looked for in the first episode decides what the later ones are worth, so returns run on; and choices that
// cannot be told apart yet are kept open by paying for entropy, ever less. Each goal twice in an iteration.
static void gridworld_defaults(struct options *options)
{
    options->frames = 1900000;
    options->envs = 42;
    options->epochs = 4;
    options->hidden = 64;
    options->rate = 1e-3;
    options->divergence_target = 0.03;
    options->across = 1;
    options->critic_sees_time = 1;
    options->soft = 1;
    options->entropy = 0.15;
    options->entropy_end = 0.05;
    if (options->kind != LEARN_GLIBRL)
        return;
    // A belief for each cell, all of them shown, and how much was seen.
    options->features = 26;
    options->probes = 25;
    options->show_sd = options->show_noise = options->show_count = 1;
    options->basis_tasks = 16;
    options->basis_stride = 1;
    options->freeze = 0.05;
}

// Rewards are rare at first: wide exploration, large batches, in which the few that were met are not lost in noise, and
// pay for what the belief learns until it finds them by itself. A belief about places needs no action to look at.
static void point_sparse_defaults(struct options *options)
{
    options->features = 24;
    options->probes = 24;
    options->probe_last = 400;
    options->reward_reads_next = 1;
    options->freeze = 0.35;
    if (options->algorithm != LEARN_PPO)
        return;
    options->frames = 3000000;
    options->envs = 48;
    options->discount = 0.98;
    options->minibatch = 600;
    options->epochs = 4;
    options->hidden = 64;
    options->rate = 1e-3;
    options->rate_high = 3e-3;
    options->divergence_target = 0.03;
    options->sd = 1;
    options->sd_low = 0.1;
    options->across = 1;
    options->critic_sees_time = 1;
    options->gain = options->kind == LEARN_GLIBRL ? 2 : 0;
    options->gain_until = 0.9;
    options->entropy = 0.01;
}

// Robots that fall, with bodies of many numbers: longer sight, wider exploration, and the body told less loudly.
static void params_defaults(struct options *options)
{
    options->discount = 0.99;
    options->sd = 0.8;
    options->sd_low = 0.3;
    options->task_scale = 0.1;
}

void options_defaults(struct options *options, const struct world *world, enum learn_kind kind,
                      enum learn_algorithm algorithm)
{
    *options = (struct options){
        .world = world, .kind = kind, .algorithm = algorithm, .frames = 3000000, .seed = 1,
        .checkpoint_seconds = 60, .evaluation_tasks = 256, .evaluation_seed = 1, .patience = 60,
        .envs = 16, .epochs = 8, .minibatch = 200, .hidden = 128, .rate = 3e-4, .rate_hold = 0.5, .rate_end = 0.1,
        .clip = 0.2, .value_clip = 0.2, .entropy = 0, .entropy_end = 1, .gain_until = 0.5, .norm_limit = 0.5,
        .epsilon = 1e-5, .discount = world->discount, .trace = 0.9, .sd = 0.4, .sd_low = 0.15, .divergence_target = 0.06,
        .rate_high = 1.5e-3, .input_clip = 8, .task_scale = 1, .critic_sees_task = 1, .clamp_actions = 1,
        .experience = 1000000, .random_start = 5000, .update_ratio = 1, .policy_delay = 2, .critic_rate = 1e-3,
        .follow = 0.005, .reward_scale = 1, .context = 100,
        .features = 16, .transition = 0, .probes = 3, .probe_pool = 1024, .probe_last = 30, .components = 8, .basis_hidden = 64,
        .basis_rate = 1e-2, .basis_updates = 16, .basis_tasks = 8, .basis_stride = 4, .basis_early = 0.5, .warmup = 50,
        .basis_norm_limit = 1, .freeze = 0.35, .prior_noise = 0.01, .prior_noise_low = 1e-3,
        .prior_freedom = 2, .prior_precision = 1,
        .learn_mean = 1, .learn_precision = 1, .show_mean = 1, .replay = 512,
        .embedding = 64, .gru = 128, .latent = 5, .decode_reward = 1, .decoder_hidden = 64, .kl_weight = 0.1,
        .elbo_terms = 50, .decodes = 50, .encoder_rate = 3e-3, .encoder_norm_limit = 1, .encoder_updates = 8,
        .encoder_warmup = 100, .encoder_trajectories = 10, .chunk = 50, .chunks = 16,
    };
    if (!strncmp(world->name, "point", 5)) {
        // Short episodes: more environments for as many rows. A precise goal: less exploration in the end, and
        // smaller moves, as an iteration's divergence counts in squares of it.
        options->frames = 1500000;
        options->envs = 32;
        options->sd_low = 0.06;
        options->divergence_target = 0.02;
        options->features = 16;
        options->probes = 16;
        options->show_sd = options->show_noise = 1;
        options->prior_noise = 0.05;
        options->basis_tasks = 16;
        options->basis_stride = 1;
        options->freeze = 0.15;
        // The dense reward asks for no patience; what is far away would only be noise in the advantages.
        if (!strcmp(world->name, "point"))
            options->discount = 0.9;
        else
            point_sparse_defaults(options);
    }
    if (!strcmp(world->name, "gridworld"))
        gridworld_defaults(options);
    if (is_of_bodies(world)) {
        options->features = 0;
        options->transition = 32;
        options->space = SPACE_PRINCIPAL;  // one prediction is as many numbers as there are observations
        options->prior_noise = 1e-3;
    }
    if (strstr(world->name, "-params"))
        params_defaults(options);
    if (kind == LEARN_VARIBAD)
        varibad_defaults(options);
    if (algorithm == LEARN_SAC)
        sac_defaults(options);
}
