// The options of a training: one table for parsing, help and the record of a run.

#include "options.h"

#include "client/worlds/world.h"
#include "inference/inference.h"
#include "policy/algorithm.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct options, field)

// What an option of type 'c' can be, in the order of its enum.
static const struct {
    size_t offset;
    const char *words[4];
} choices[] = {
    {AT(loss), {"evidence", "alpaca"}},
    {AT(noise), {"inferred", "known", "fixed"}},
    {AT(space), {"function", "weight", "natural"}},
};

static const struct option_row rows[] = {
    {"envs", 'u', AT(envs), 1, 1024, "environments, each on one task for a whole meta-episode"},
    {"epochs", 'u', AT(epochs), 1, 1000, "passes of PPO over what was collected"},
    {"minibatch", 'u', AT(minibatch), 1, 1e6, "rows of one gradient step"},
    {"hidden", 'u', AT(hidden), 1, 4096, "width of both hidden layers of actor and critic"},
    {"rate", 'f', AT(rate), 0, 1, "Adam's step size"},
    {"rate-hold", 'f', AT(rate_hold), 0, 1, "share of the frames before the step size falls"},
    {"rate-end", 'f', AT(rate_end), 0, 1, "what it falls to by the end, relative"},
    {"clip", 'f', AT(clip), 0, 10, "of the probability ratio"},
    {"value-clip", 'f', AT(value_clip), 0, 1e6, "of the value's move; 0: none"},
    {"entropy", 'f', AT(entropy), 0, 10, "bonus"},
    {"entropy-end", 'f', AT(entropy_end), 1e-6, 1, "what it falls to by the end, relative, by the same factor in each iteration"},
    {"norm-limit", 'f', AT(norm_limit), 0, 1e6, "of the gradients of actor and critic"},
    {"epsilon", 'f', AT(epsilon), 0, 1, "Adam's"},
    {"discount", 'f', AT(discount), 0, 1, "of future rewards"},
    {"trace", 'f', AT(trace), 0, 1, "lambda of the generalised advantages"},
    {"sd", 'f', AT(sd), 1e-6, 100, "of the first policy's actions"},
    {"sd-low", 'f', AT(sd_low), 1e-6, 100, "which it never falls below"},
    {"memory", 'f', AT(memory), 0, 0.999, "correlation of one step's exploration with the next's"},
    {"divergence-limit", 'f', AT(divergence_limit), 0, 1e6, "nats after which an iteration's epochs end; 0: none"},
    {"divergence-target", 'f', AT(divergence_target), 0, 1e6, "nats of an iteration that the step size is steered to; 0: none"},
    {"rate-high", 'f', AT(rate_high), 0, 1, "that a steered step size never exceeds"},
    {"input-clip", 'f', AT(input_clip), 0.1, 1000, "of normalised inputs"},
    {"window", 'f', AT(window), 0, 1e9, "iterations that the input normaliser remembers; 0: all"},
    {"soft", 'u', AT(soft), 0, 1, "the bonus is paid as a reward, so that future entropy counts too; in its units"},
    {"gain", 'f', AT(gain), 0, 1e6, "paid at first for each nat that the belief learns, in units of the reward"},
    {"gain-until", 'f', AT(gain_until), 1e-6, 1, "share of the frames by which that has fallen to nothing"},
    {"across", 'u', AT(across), 0, 1, "returns run on through the episodes of a task and end with the last"},
    {"critic-sees-time", 'u', AT(critic_sees_time), 0, 1, "and how much of the episode and the task lies behind"},
    {"critic-sees-task", 'u', AT(critic_sees_task), 0, 1, "the critic, which is not served, is told the true task"},
    {"clamp-actions", 'u', AT(clamp_actions), 0, 1, "the world meets actions clipped to its bounds, as when served"},
    {"experience", 'u', AT(experience), 1, 1e8, "SAC: transitions that are kept"},
    {"random-start", 'u', AT(random_start), 0, 1e9, "SAC: frames of uniform actions, before any update"},
    {"update-ratio", 'f', AT(update_ratio), 0, 1000, "SAC: updates for each frame"},
    {"policy-delay", 'u', AT(policy_delay), 1, 1000, "SAC: updates of the critics before as many of the actor"},
    {"critic-rate", 'f', AT(critic_rate), 0, 1, "SAC: Adam's step size for critics and temperature"},
    {"follow", 'f', AT(follow), 0, 1, "SAC: share of a critic that its target takes over in an update"},
    {"reward-scale", 'f', AT(reward_scale), 1e-9, 1e9, "SAC: of the rewards that critics see"},
    {"context", 'u', AT(context), 1, 10000, "PEARL: most transitions of a replayed context"},
    {"features", 'u', AT(features), 0, 256, "D of the reward head, the constant included; 0: no such head"},
    {"transition", 'u', AT(transition), 0, 256, "D of the transition head; 0: no such head"},
    {"probes", 'u', AT(probes), 0, 64, "inputs at which the policy is shown predictions; 0: the weights themselves"},
    {"probe-pool", 'u', AT(probe_pool), 1, 65536, "replayed transitions that probes are chosen from"},
    {"probe-last", 'u', AT(probe_last), 0, 1e9, "iteration after which they stay; chosen after 0, 2, 10, 30, 60, 100, 150, ..."},
    {"reward-reads-next", 'u', AT(reward_reads_next), 0, 1, "rewards are predicted from the next observation alone"},
    {"basis-hidden", 'u', AT(basis_hidden), 1, 4096, "width of both hidden layers of a basis"},
    {"basis-rate", 'f', AT(basis_rate), 0, 1, "Adam's step size for the basis; falls to 0 at the freeze"},
    {"basis-updates", 'u', AT(basis_updates), 0, 1000, "of the basis in one iteration"},
    {"basis-tasks", 'u', AT(basis_tasks), 1, 1024, "replayed meta-episodes of one update"},
    {"basis-stride", 'u', AT(basis_stride), 1, 1000, "every how many-th transition of them is used"},
    {"basis-early", 'f', AT(basis_early), 0, 1, "share of them of which the first transitions are used instead"},
    {"warmup", 'u', AT(warmup), 0, 100000, "updates of the basis after the first rollout"},
    {"basis-norm-limit", 'f', AT(basis_norm_limit), 0, 1e6, "of the basis' gradient"},
    {"freeze", 'f', AT(freeze), 0, 1, "share of the frames after which basis or encoder stay as they are"},
    {"loss", 'c', AT(loss), 0, 1, "of the basis: evidence, or alpaca's predictive density after a random context"},
    {"noise", 'c', AT(noise), 0, 2, "inferred; known: one for all tasks, learnt; or fixed: as given"},
    {"prior-noise", 'f', AT(prior_noise), 1e-9, 1e3, "noise variance that the prior expects, of unit target variance"},
    {"prior-noise-low", 'f', AT(prior_noise_low), 1e-9, 1e3, "that a learnt one never falls below"},
    {"prior-freedom", 'f', AT(prior_freedom), 0.1, 1e6, "degrees of freedom of each target's noise under the prior"},
    {"prior-precision", 'f', AT(prior_precision), 0.02, 148, "of the weights under the prior, at first"},
    {"learn-mean", 'u', AT(learn_mean), 0, 1, "M0 is learnt, else 0"},
    {"learn-precision", 'u', AT(learn_precision), 0, 1, "the diagonal of Xi0 is learnt"},
    {"learn-noise", 'u', AT(learn_noise), 0, 1, "the noise variance that the prior expects is learnt"},
    {"learn-freedom", 'u', AT(learn_freedom), 0, 1, "the prior's degrees of freedom are learnt"},
    {"space", 'c', AT(space), 0, 2, "that the policy sees the belief in: function, weight or natural"},
    {"show-mean", 'u', AT(show_mean), 0, 1, "means are shown to the policy; in natural space C'Y / n"},
    {"show-sd", 'u', AT(show_sd), 0, 1, "so are standard deviations; in natural space C'C / n"},
    {"show-noise", 'u', AT(show_noise), 0, 1, "so is the noise; never when it is the same for all tasks"},
    {"show-count", 'u', AT(show_count), 0, 1, "so is how many transitions were seen"},
    {"embedding", 'u', AT(embedding), 1, 4096, "width of what a recurrent encoder makes of a transition first"},
    {"gru", 'u', AT(gru), 1, 512, "width of its state"},
    {"latent", 'u', AT(latent), 1, 64, "numbers that VariBAD and PEARL tell tasks apart by"},
    {"decode-reward", 'u', AT(decode_reward), 0, 1, "VariBAD's latent predicts rewards"},
    {"decode-transition", 'u', AT(decode_transition), 0, 1, "VariBAD's latent predicts the observations' changes"},
    {"decoder-hidden", 'u', AT(decoder_hidden), 1, 1024, "W: a reward decoder is W, W/2 wide, the transition's 4W, 2W"},
    {"kl-weight", 'f', AT(kl_weight), 0, 1e6, "of the divergence between consecutive posteriors"},
    {"elbo-terms", 'u', AT(elbo_terms), 0, 1e6, "posteriors of a meta-episode that a step looks at; 0: all"},
    {"decodes", 'u', AT(decodes), 0, 1e6, "transitions that each of them predicts; 0: all"},
    {"encoder-rate", 'f', AT(encoder_rate), 0, 1, "Adam's step size for encoder and decoders; falls to 0 at the freeze"},
    {"encoder-norm-limit", 'f', AT(encoder_norm_limit), 0, 1e6, "of their gradient"},
    {"encoder-updates", 'u', AT(encoder_updates), 0, 1000, "of them in one iteration"},
    {"encoder-warmup", 'u', AT(encoder_warmup), 0, 100000, "more of them after the first rollout"},
    {"encoder-trajectories", 'u', AT(encoder_trajectories), 1, 1024, "replayed meta-episodes of one update"},
    {"chunk", 'u', AT(chunk), 2, 1e6, "rows that RL2's gradients go back through"},
    {"chunks", 'u', AT(chunks), 1, 1e6, "chunks of a minibatch of RL2"},
    {"replay", 'u', AT(replay), 1, 65536, "meta-episodes kept for the basis"},
};

const struct option_row *options_row(size_t i)
{
    return i < sizeof rows / sizeof *rows ? &rows[i] : NULL;
}

const char *learn_kind_name(enum learn_kind kind)
{
    static const char *const names[] = {"glibrl", "varibad", "rl2", "pearl", "oracle", "none"};
    return names[kind];
}

const char *learn_algorithm_name(enum learn_algorithm algorithm)
{
    static const char *const names[] = {"ppo", "sac"};
    return names[algorithm];
}

static int parse_number(double *value, const char *text)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return *text && !*end && errno == 0 && isfinite(*value) ? 0 : -EINVAL;
}

static int parse_whole(uint64_t *value, const char *text)
{
    // 1e7 is as good as 10000000.
    double number;
    if (parse_number(&number, text) || number < 0 || number > 0x1p53 || number != floor(number))
        return -EINVAL;
    *value = (uint64_t)number;
    return 0;
}

static const char *const *words_of(const struct option_row *row)
{
    size_t i = 0;
    while (choices[i].offset != row->offset)
        i++;
    return choices[i].words;
}

static int set_word(uint64_t *at, const struct option_row *row, const char *text, char *why, size_t why_size)
{
    const char *const *words = words_of(row);
    size_t count = (size_t)row->high + 1;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(text, words[i])) {
            *at = i;
            return 0;
        }
    int used = snprintf(why, why_size, "--%s is one of", row->name);
    for (size_t i = 0; i < count && used > 0 && (size_t)used < why_size; i++)
        used += snprintf(why + used, why_size - (size_t)used, " %s", words[i]);
    if (used > 0 && (size_t)used < why_size)
        snprintf(why + used, why_size - (size_t)used, ", not \"%s\"", text);
    return -EINVAL;
}

static int set_row(struct options *options, const struct option_row *row, const char *text, char *why, size_t why_size)
{
    char *at = (char *)options + row->offset;
    double value;
    if (row->type == 'c')
        return set_word((uint64_t *)(void *)at, row, text, why, why_size);
    if (parse_number(&value, text) || value < row->low || value > row->high
        || (row->type == 'u' && value != floor(value))) {
        snprintf(why, why_size, "--%s takes %s from %g to %g, not \"%s\"", row->name,
                 row->type == 'u' ? "a whole number" : "a number", row->low, row->high, text);
        return -EINVAL;
    }
    if (row->type == 'u')
        *(uint64_t *)(void *)at = (uint64_t)value;
    else
        *(double *)(void *)at = value;
    return 0;
}

static int set_common(struct options *options, const char *name, const char *text, char *why, size_t why_size)
{
    uint64_t whole = 0;
    const struct { const char *name; uint64_t *at; } numbers[] = {
        {"frames", &options->frames}, {"seed", &options->seed}, {"threads", &whole},
        {"stop-after", &options->stop_after}, {"evaluation-tasks", &options->evaluation_tasks},
        {"evaluation-seed", &options->evaluation_seed},
    };
    const struct { const char *name; const char **at; } texts[] = {
        {"out", &options->out}, {"log", &options->log}, {"checkpoint", &options->checkpoint},
        {"oracle", &options->oracle}, {"from", &options->from}, {"alias", &options->alias},
        {"learner", &options->learner}, {"token-file", &options->token_file},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!strcmp(name, numbers[i].name)) {
            if (parse_whole(numbers[i].at, text) || (numbers[i].at == &whole && whole > 256)) {
                snprintf(why, why_size, "--%s takes a whole number, not \"%s\"", name, text);
                return -EINVAL;
            }
            if (numbers[i].at == &whole)
                options->threads = (unsigned)whole;
            return 0;
        }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(name, texts[i].name)) {
            *texts[i].at = text;
            return 0;
        }
    if (!strcmp(name, "checkpoint-seconds") || !strcmp(name, "patience")) {
        double *at = *name == 'p' ? &options->patience : &options->checkpoint_seconds;
        if (!parse_number(at, text) && *at >= 0)
            return 0;
        snprintf(why, why_size, "--%s takes seconds, not \"%s\"", name, text);
        return -EINVAL;
    }
    snprintf(why, why_size, "there is no option --%s (see bel-learn --help)", name);
    return -EINVAL;
}

// Only what can be trained is known.
static const char *model_choice(size_t i)
{
    return inference_of((enum learn_kind)i) ? learn_kind_name((enum learn_kind)i) : NULL;
}

static const char *algorithm_choice(size_t i)
{
    return algorithm_of((enum learn_algorithm)i) ? learn_algorithm_name((enum learn_algorithm)i) : NULL;
}

// Which of the names text is; -EINVAL with a sentence that lists them.
static int parse_choice(const char *option, const char *text, const char *(*name)(size_t i), size_t count, char *why,
                        size_t why_size)
{
    for (size_t i = 0; i < count; i++)
        if (name(i) && !strcmp(text, name(i)))
            return (int)i;
    int used = snprintf(why, why_size, "%s is one of", option);
    for (size_t i = 0; i < count && used > 0 && (size_t)used < why_size; i++)
        if (name(i))
            used += snprintf(why + used, why_size - (size_t)used, " %s", name(i));
    if (used > 0 && (size_t)used < why_size)
        snprintf(why + used, why_size - (size_t)used, ", not \"%s\"", text);
    return -EINVAL;
}

// What does not go together.
static int check_together(const struct options *options, char *why, size_t why_size)
{
    if (options->resume && !options->checkpoint) {
        snprintf(why, why_size, "--resume needs --checkpoint FILE to resume from");
        return -EINVAL;
    }
    if (options->algorithm == LEARN_SAC && options->world->discrete) {
        snprintf(why, why_size, "SAC draws actions from a continuum, and %s has choices: --algorithm ppo",
                 options->world->name);
        return -EINVAL;
    }
    if (options->algorithm == LEARN_SAC && (options->kind == LEARN_VARIBAD || options->kind == LEARN_RL2)) {
        snprintf(why, why_size, "--algorithm sac goes with --model glibrl, pearl, oracle or none, whose beliefs can be "
                 "built again from what is replayed, not with %s", learn_kind_name(options->kind));
        return -EINVAL;
    }
    if (options->kind == LEARN_PEARL && (options->algorithm != LEARN_SAC || options->critic_sees_task)) {
        snprintf(why, why_size, "PEARL's encoder learns from critics that are not told the task: --algorithm sac, and "
                 "--critic-sees-task 0");
        return -EINVAL;
    }
    if (options->gain > 0 && (options->kind != LEARN_GLIBRL || options->algorithm != LEARN_PPO)) {
        snprintf(why, why_size, "only --model glibrl with --algorithm ppo can be paid with --gain for what it learns");
        return -EINVAL;
    }
    if (options->features == 1 || options->transition == 1) {
        snprintf(why, why_size, "a head has at least two features, the constant and one more");
        return -EINVAL;
    }
    if (options->kind == LEARN_VARIBAD && !options->decode_reward && !options->decode_transition) {
        snprintf(why, why_size, "an encoder needs --decode-reward or --decode-transition to learn from");
        return -EINVAL;
    }
    if (options->kind == LEARN_GLIBRL && !options->features && !options->transition) {
        snprintf(why, why_size, "a belief needs --features or --transition");
        return -EINVAL;
    }
    int shows_noise = options->show_noise && options->noise == NOISE_INFERRED;
    if (!options->show_mean && !options->show_sd && !shows_noise && !options->show_count) {
        snprintf(why, why_size, "a policy needs some of --show-mean, --show-sd, --show-noise (inferred) and --show-count");
        return -EINVAL;
    }
    return 0;
}

int options_parse(struct options *options, int argc, char **argv, char *why, size_t why_size)
{
    if (argc < 1 || !(options->world = world_find(argv[0]))) {
        int used = snprintf(why, why_size, argc < 1 ? "train which world?" : "there is no world \"%s\";",
                            argc < 1 ? "" : argv[0]);
        for (size_t i = 0; world_at(i) && used > 0 && (size_t)used < why_size; i++)
            used += snprintf(why + used, why_size - (size_t)used, "%s %s", i ? "," : " known are", world_at(i)->name);
        return -EINVAL;
    }

    // Model and algorithm decide the defaults, so they are read before the rest.
    int kind = LEARN_GLIBRL, algorithm = LEARN_PPO;
    for (int i = 1; i + 1 < argc && kind >= 0 && algorithm >= 0; i++)
        if (!strcmp(argv[i], "--model"))
            kind = parse_choice(argv[i], argv[i + 1], model_choice, LEARN_KINDS, why, why_size);
        else if (!strcmp(argv[i], "--algorithm"))
            algorithm = parse_choice(argv[i], argv[i + 1], algorithm_choice, LEARN_ALGORITHMS, why, why_size);
    if (kind < 0 || algorithm < 0)
        return -EINVAL;
    options_defaults(options, options->world, (enum learn_kind)kind, (enum learn_algorithm)algorithm);

    for (int i = 1; i < argc; i++) {
        const char *name = argv[i] + 2;
        if (strncmp(argv[i], "--", 2)) {
            snprintf(why, why_size, "\"%s\" is not an option (see bel-learn --help)", argv[i]);
            return -EINVAL;
        }
        const struct { const char *name; int *at; } flags[] = {
            {"resume", &options->resume}, {"json", &options->json}, {"quiet", &options->quiet},
            {"forget", &options->forget},
        };
        int is_flag = 0;
        for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
            if (!strcmp(name, flags[f].name))
                is_flag = *flags[f].at = 1;
        if (is_flag)
            continue;
        if (i + 1 >= argc) {
            snprintf(why, why_size, "%s needs a value", argv[i]);
            return -EINVAL;
        }
        const char *text = argv[++i];
        if (!strcmp(name, "model") || !strcmp(name, "algorithm"))
            continue;
        const struct option_row *row = NULL;
        for (size_t r = 0; options_row(r); r++)
            if (!strcmp(name, options_row(r)->name))
                row = options_row(r);
        int error = row ? set_row(options, row, text, why, why_size) : set_common(options, name, text, why, why_size);
        if (error)
            return error;
    }
    return check_together(options, why, why_size);
}

static double value_of(const struct options *options, const struct option_row *row)
{
    const char *at = (const char *)options + row->offset;
    return row->type == 'f' ? *(const double *)(const void *)at : (double)*(const uint64_t *)(const void *)at;
}

// A choice by its word. Width 0: all digits.
static void print_value(FILE *out, const struct options *options, const struct option_row *row, int width)
{
    double value = value_of(options, row);
    if (row->type == 'c')
        fprintf(out, "%*s", width, words_of(row)[(size_t)value]);
    else if (width)
        fprintf(out, "%*g", width, value);
    else
        fprintf(out, "%.17g", value);
}

void options_help(void)
{
    printf("bel-learn trains the models that beliefd serves.\n\n"
           "    bel-learn train WORLD [options]\n"
           "    bel-learn evaluate MODEL [--tasks N] [--seed S] [--oracle MODEL] [--threads T] [--json]\n"
           "    bel-learn study MODEL [--against MODEL] [--tasks N] [--seed S] [--pairs P] [--context C] [--out DIR]\n"
           "                    [--threads T] [--json]\n"
           "    bel-learn study --sweep WORLD [--features N,N,..] [--transition N,N,..] [--frames F] [--seed S]\n"
           "                    [--tasks N] [--json]\n"
           "    bel-learn experiment FILE [--out DIR] [--jobs N] [--only PATTERN] [--list] [--replace] [--json]\n"
           "    bel-learn report DIR... [--out FILE.md]\n"
           "    bel-learn export MODEL --onnx DIR\n\n"
           "worlds\n");
    for (size_t i = 0; world_at(i); i++)
        printf("    %-20s %s\n", world_at(i)->name, world_at(i)->summary);
    printf("\ntrain\n"
           "    --model KIND         glibrl (an exact belief), varibad, rl2 or pearl (learnt encoders), oracle (told the\n"
           "                         task) or none (nothing)\n"
           "    --algorithm NAME     ppo, or sac: fewer frames, more time for each\n"
           "    --frames F           environment steps\n"
           "    --seed S             same seed, same bits, with any number of threads\n"
           "    --threads T          0: one for each processor\n"
           "    --out FILE           the model, for beliefd\n"
           "    --log DIR            train.jsonl and a TensorBoard event file\n"
           "    --checkpoint FILE    written every so often, and on SIGINT and SIGTERM\n"
           "    --checkpoint-seconds S\n"
           "    --resume             go on from the checkpoint, if there is one, with the same bits\n"
           "    --stop-after F       end after F frames as if interrupted\n"
           "    --evaluation-tasks N, --evaluation-seed S    fresh tasks of the last evaluation; 0: none\n"
           "    --oracle MODEL       evaluated beside it\n"
           "    --from ADDRESS       of a daemon: bel-rollout --explore makes the experience, through it (docs/online.md)\n"
           "    --alias NAME         that each model is published under (online)\n"
           "    --learner NAME       who we are; a second learner of one alias is refused\n"
           "    --token-file FILE    for a daemon that asks\n"
           "    --patience S         without experience, then an iteration goes on with what it has (60); 0: it waits\n"
           "    --forget             experience that is in the checkpoint is deleted at the daemon\n"
           "    --json               one JSON line at the end\n"
           "    --quiet              no progress\n\nhyper-parameters (default of half-cheetah-vel, of point)\n");
    struct options cheetah, point;
    options_defaults(&cheetah, world_find("half-cheetah-vel"), LEARN_GLIBRL, LEARN_PPO);
    options_defaults(&point, world_find("point"), LEARN_GLIBRL, LEARN_PPO);
    for (size_t i = 0; options_row(i); i++) {
        const struct option_row *row = options_row(i);
        printf("    --%-18s ", row->name);
        print_value(stdout, &cheetah, row, 8);
        printf(" ");
        print_value(stdout, &point, row, 8);
        printf("  %s\n", row->help);
    }
}

char *options_describe(const struct options *options)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fprintf(out, "world=%s\nmodel=%s\nalgorithm=%s\nframes=%llu\nseed=%llu\n", options->world->name,
            learn_kind_name(options->kind), learn_algorithm_name(options->algorithm),
            (unsigned long long)options->frames, (unsigned long long)options->seed);
    for (size_t i = 0; options_row(i); i++) {
        fprintf(out, "%s=", options_row(i)->name);
        print_value(out, options, options_row(i), 0);
        fprintf(out, "\n");
    }
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
