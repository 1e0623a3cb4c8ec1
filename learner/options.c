// The arguments of `bel-learn train`.

#include "options.h"

#include "client/worlds/world.h"
#include "inference/inference.h"
#include "nearest.h"
#include "policy/algorithm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AT(field) offsetof(struct options, field)

// What is no hyper-parameter: where things go, how fast, how many.
static const struct common {
    const char *name;
    char type;                   // 'w' a whole number, 'n' one that is an unsigned, 's' seconds, 't' a text, 'y' yes
    size_t offset;
    double low, high;
    int online;                  // means something only with --from
} commons[] = {
    {"frames", 'w', AT(frames), 1, 0x1p53, 0},
    {"seed", 'w', AT(seed), 0, 0x1p53, 0},
    {"threads", 'n', AT(threads), 0, 256, 0},
    {"out", 't', AT(out), 0, 0, 0},
    {"log", 't', AT(log), 0, 0, 0},
    {"checkpoint", 't', AT(checkpoint), 0, 0, 0},
    {"checkpoint-seconds", 's', AT(checkpoint_seconds), 0, 1e9, 0},
    {"resume", 'y', AT(resume), 0, 0, 0},
    {"stop-after", 'w', AT(stop_after), 0, 0x1p53, 0},
    {"evaluation-tasks", 'w', AT(evaluation_tasks), 0, 1e6, 0},
    {"evaluation-seed", 'w', AT(evaluation_seed), 0, 0x1p53, 0},
    {"oracle", 't', AT(oracle), 0, 0, 0},
    {"from", 't', AT(from), 0, 0, 0},
    {"alias", 't', AT(alias), 0, 0, 1},
    {"learner", 't', AT(learner), 0, 0, 1},
    {"token-file", 't', AT(token_file), 0, 0, 1},
    {"patience", 's', AT(patience), 0, 1e9, 1},
    {"forget", 'y', AT(forget), 0, 0, 1},
    {"json", 'y', AT(json), 0, 0, 0},
    {"quiet", 'y', AT(quiet), 0, 0, 0},
};

static const struct common *find_common(const char *name)
{
    for (size_t i = 0; i < sizeof commons / sizeof *commons; i++)
        if (!strcmp(name, commons[i].name))
            return &commons[i];
    return NULL;
}

static int set_common(struct options *options, const struct common *common, const char *text, char *why, size_t why_size)
{
    void *at = (char *)options + common->offset;
    double number = 0;
    uint64_t whole = 0;
    int error = 0;
    if (common->type == 't')
        *(const char **)at = text;
    else if (common->type == 's')
        error = options_number(&number, text);
    else if (!(error = options_whole(&whole, text)))
        number = (double)whole;
    if (error || number < common->low || (common->type != 't' && number > common->high)) {
        int used = snprintf(why, why_size, "--%s takes %s", common->name, common->type == 's' ? "seconds"
                                                                                               : "a whole number");
        if (used > 0 && (size_t)used < why_size && common->high < 0x1p53)
            used += snprintf(why + used, why_size - (size_t)used, " from %.10g to %.10g", common->low, common->high);
        else if (used > 0 && (size_t)used < why_size && common->low > 0)
            used += snprintf(why + used, why_size - (size_t)used, " from %.10g", common->low);
        if (used > 0 && (size_t)used < why_size)
            snprintf(why + used, why_size - (size_t)used, ", not \"%s\"", text);
        return -EINVAL;
    }
    if (common->type == 'w')
        *(uint64_t *)at = whole;
    else if (common->type == 'n')
        *(unsigned *)at = (unsigned)whole;
    else if (common->type == 's')
        *(double *)at = number;
    return 0;
}

static int refuse_unknown(const char *name, char *why, size_t why_size)
{
    const char *names[200] = {"model", "algorithm"};
    size_t count = 2, room = sizeof names / sizeof *names;
    for (size_t i = 0; i < sizeof commons / sizeof *commons && count < room; i++)
        names[count++] = commons[i].name;
    for (size_t i = 0; options_row(i) && count < room; i++)
        names[count++] = options_row(i)->name;
    const char *nearest = nearest_name(name, names, count);
    snprintf(why, why_size, "there is no option --%s%s%s%s (see bel-learn train --help)", name,
             nearest ? "; was it to be --" : "", nearest ? nearest : "", nearest ? "?" : "");
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

static int refuse_world(const char *name, char *why, size_t why_size)
{
    const char *names[64];
    size_t count = 0;
    for (; count < sizeof names / sizeof *names && world_at(count); count++)
        names[count] = world_at(count)->name;
    const char *nearest = name ? nearest_name(name, names, count) : NULL;
    if (nearest) {
        snprintf(why, why_size, "there is no world \"%s\"; was it to be %s?", name, nearest);
        return -EINVAL;
    }
    int used = name ? snprintf(why, why_size, "there is no world \"%s\"; known are", name)
                    : snprintf(why, why_size, "train which world? There are");
    for (size_t i = 0; i < count && used > 0 && (size_t)used < why_size; i++)
        used += snprintf(why + used, why_size - (size_t)used, "%s %s", i ? "," : "", names[i]);
    return -EINVAL;
}

// What the model or the algorithm never reads would be believed to do something. Arguments are known to be well formed.
static int check_read(const struct options *options, int argc, char **argv, char *why, size_t why_size)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i] + 2;
        const struct option_row *row = options_find_row(name);
        const struct common *common = find_common(name);
        if (row && options_refuse_unread(row, options->kind, options->algorithm, why, why_size))
            return -EINVAL;
        if (common && common->online && !options->from) {
            snprintf(why, why_size, "--%s is for learning through a daemon, which --from ADDRESS asks for", name);
            return -EINVAL;
        }
        i += !common || common->type != 'y';
    }
    return 0;
}

int options_parse(struct options *options, int argc, char **argv, char *why, size_t why_size)
{
    if (argc < 1 || !(options->world = world_find(argv[0])))
        return refuse_world(argc < 1 ? NULL : argv[0], why, why_size);

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
            snprintf(why, why_size, "\"%s\" is not an option (see bel-learn train --help)", argv[i]);
            return -EINVAL;
        }
        const struct common *common = find_common(name);
        const struct option_row *row = options_find_row(name);
        int chosen = !strcmp(name, "model") || !strcmp(name, "algorithm");
        if (!common && !row && !chosen)
            return refuse_unknown(name, why, why_size);
        if (common && common->type == 'y') {
            *(int *)(void *)((char *)options + common->offset) = 1;
            continue;
        }
        if (i + 1 >= argc || !strncmp(argv[i + 1], "--", 2)) {
            snprintf(why, why_size, "%s needs a value", argv[i]);
            return -EINVAL;
        }
        const char *text = argv[++i];
        int error = row    ? options_set(options, row, text, why, why_size)
                  : common ? set_common(options, common, text, why, why_size) : 0;
        if (error)
            return error;
    }
    int error = check_together(options, why, why_size);
    return error ? error : check_read(options, argc, argv, why, why_size);
}
