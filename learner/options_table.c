// The table of a training's hyper-parameters: names, bounds, who reads them; and the record of a run that it makes.

#include "options.h"

#include "client/worlds/world.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct options, field)

// Who reads an option: a bit for each pair of model kind and algorithm.
#define PAIR(kind, algorithm) (1u << ((unsigned)(kind) * LEARN_ALGORITHMS + (unsigned)(algorithm)))
#define KIND(kind) (PAIR(kind, LEARN_PPO) | PAIR(kind, LEARN_SAC))
enum {
    GLIBRL = KIND(LEARN_GLIBRL), VARIBAD = KIND(LEARN_VARIBAD), RL2 = KIND(LEARN_RL2), PEARL = KIND(LEARN_PEARL),
    ORACLE = KIND(LEARN_ORACLE), NONE = KIND(LEARN_NONE),
    ALL = GLIBRL | VARIBAD | RL2 | PEARL | ORACLE | NONE,
    PPO = PAIR(LEARN_GLIBRL, LEARN_PPO) | PAIR(LEARN_VARIBAD, LEARN_PPO) | PAIR(LEARN_RL2, LEARN_PPO)
        | PAIR(LEARN_PEARL, LEARN_PPO) | PAIR(LEARN_ORACLE, LEARN_PPO) | PAIR(LEARN_NONE, LEARN_PPO),
    SAC = ALL & ~PPO,
};

// What an option of type 'c' can be, in the order of its enum.
static const struct {
    size_t offset;
    const char *words[5];  // the last is NULL
} choices[] = {
    {AT(loss), {"evidence", "alpaca"}},
    {AT(noise), {"inferred", "known", "fixed"}},
    {AT(space), {"function", "weight", "natural", "principal"}},
};

static const struct option_row rows[] = {
    {"envs", 'u', AT(envs), 1, 1024, ALL, "environments, each on one task for a whole meta-episode"},
    {"epochs", 'u', AT(epochs), 1, 1000, PPO, "passes of PPO over what was collected"},
    {"minibatch", 'u', AT(minibatch), 1, 1e6, ALL, "rows of one gradient step"},
    {"hidden", 'u', AT(hidden), 1, 4096, ALL, "width of both hidden layers of actor and critic"},
    {"rate", 'f', AT(rate), 0, 1, ALL, "Adam's step size"},
    {"rate-hold", 'f', AT(rate_hold), 0, 1, PPO, "share of the frames before the step size falls"},
    {"rate-end", 'f', AT(rate_end), 0, 1, PPO, "what it falls to by the end, relative"},
    {"clip", 'f', AT(clip), 0, 10, PPO, "of the probability ratio"},
    {"value-clip", 'f', AT(value_clip), 0, 1e6, PPO, "of the value's move; 0: none"},
    {"entropy", 'f', AT(entropy), 0, 10, PPO, "bonus"},
    {"entropy-end", 'f', AT(entropy_end), 1e-6, 1, PPO,
     "what it falls to by the end, relative, by the same factor in each iteration"},
    {"norm-limit", 'f', AT(norm_limit), 0, 1e6, ALL, "of the gradients of actor and critic"},
    {"epsilon", 'f', AT(epsilon), 0, 1, ALL, "Adam's"},
    {"discount", 'f', AT(discount), 0, 1, ALL, "of future rewards"},
    {"trace", 'f', AT(trace), 0, 1, PPO, "lambda of the generalised advantages"},
    {"sd", 'f', AT(sd), 1e-6, 100, PPO, "of the first policy's actions"},
    {"sd-low", 'f', AT(sd_low), 1e-6, 100, PPO, "which it never falls below"},
    {"memory", 'f', AT(memory), 0, 0.999, PPO, "correlation of one step's exploration with the next's"},
    {"divergence-limit", 'f', AT(divergence_limit), 0, 1e6, PPO,
     "nats after which an iteration's epochs end; 0: none"},
    {"divergence-target", 'f', AT(divergence_target), 0, 1e6, PPO,
     "nats of an iteration that the step size is steered to; 0: none"},
    {"rate-high", 'f', AT(rate_high), 0, 1, PPO, "that a steered step size never exceeds"},
    {"input-clip", 'f', AT(input_clip), 0.1, 1000, ALL, "of normalised inputs"},
    {"task-scale", 'f', AT(task_scale), 1e-3, 1e3, ALL,
     "of what actor and critic are shown of the task, normalised; observations have 1"},
    {"window", 'f', AT(window), 0, 1e9, ALL, "iterations that the input normaliser remembers; 0: all"},
    {"soft", 'u', AT(soft), 0, 1, PPO,
     "the bonus is paid as a reward, so that future entropy counts too; in its units"},
    {"gain", 'f', AT(gain), 0, 1e6, GLIBRL & PPO,
     "paid at first for each nat that the belief learns, in units of the reward"},
    {"gain-until", 'f', AT(gain_until), 1e-6, 1, GLIBRL & PPO,
     "share of the frames by which that has fallen to nothing"},
    {"across", 'u', AT(across), 0, 1, ALL,
     "returns run on through the episodes of a task and end with the last"},
    {"critic-sees-time", 'u', AT(critic_sees_time), 0, 1, PPO,
     "and how much of the episode and the task lies behind"},
    {"critic-sees-task", 'u', AT(critic_sees_task), 0, 1, ALL & ~ORACLE,
     "the critic, which is not served, is told the true task"},
    {"clamp-actions", 'u', AT(clamp_actions), 0, 1, PPO,
     "the world meets actions clipped to its bounds, as when served"},
    {"experience", 'u', AT(experience), 1, 1e8, SAC, "transitions that are kept"},
    {"random-start", 'u', AT(random_start), 0, 1e9, SAC, "frames of uniform actions, before any update"},
    {"update-ratio", 'f', AT(update_ratio), 0, 1000, SAC, "updates for each frame"},
    {"policy-delay", 'u', AT(policy_delay), 1, 1000, SAC, "updates of the critics before as many of the actor"},
    {"critic-rate", 'f', AT(critic_rate), 0, 1, SAC, "Adam's step size for critics and temperature"},
    {"follow", 'f', AT(follow), 0, 1, SAC, "share of a critic that its target takes over in an update"},
    {"reward-scale", 'f', AT(reward_scale), 1e-9, 1e9, SAC, "of the rewards that critics see"},
    {"context", 'u', AT(context), 1, 10000, PEARL, "most transitions of a replayed context"},
    {"features", 'u', AT(features), 0, 256, GLIBRL,
     "D of the reward head, the constant included; 0: no such head"},
    {"transition", 'u', AT(transition), 0, 256, GLIBRL, "D of the transition head; 0: no such head"},
    {"probes", 'u', AT(probes), 0, 64, GLIBRL,
     "inputs at which the policy is shown predictions; 0: the weights themselves"},
    {"probe-pool", 'u', AT(probe_pool), 1, 1024, GLIBRL, "replayed transitions that probes are chosen from"},
    {"probe-last", 'u', AT(probe_last), 0, 1e9, GLIBRL,
     "iteration after which they stay; chosen after 0, 2, 10, 30, 60, 100, 150, ..."},
    {"components", 'u', AT(components), 1, 64, GLIBRL,
     "of principal space: directions in which the posterior means of tasks differ most"},
    {"reward-reads-next", 'u', AT(reward_reads_next), 0, 1, GLIBRL,
     "rewards are predicted from the next observation alone"},
    {"basis-hidden", 'u', AT(basis_hidden), 1, 4096, GLIBRL | PEARL, "width of both hidden layers of a basis"},
    {"basis-rate", 'f', AT(basis_rate), 0, 1, GLIBRL,
     "Adam's step size for the basis; falls to 0 at the freeze"},
    {"basis-updates", 'u', AT(basis_updates), 0, 1000, GLIBRL, "of the basis in one iteration"},
    {"basis-tasks", 'u', AT(basis_tasks), 1, 1024, GLIBRL, "replayed meta-episodes of one update"},
    {"basis-stride", 'u', AT(basis_stride), 1, 1000, GLIBRL, "every how many-th transition of them is used"},
    {"basis-early", 'f', AT(basis_early), 0, 1, GLIBRL,
     "share of them of which the first transitions are used instead"},
    {"warmup", 'u', AT(warmup), 0, 100000, GLIBRL, "updates of the basis after the first rollout"},
    {"basis-norm-limit", 'f', AT(basis_norm_limit), 0, 1e6, GLIBRL, "of the basis' gradient"},
    {"freeze", 'f', AT(freeze), 0, 1, GLIBRL | VARIBAD | PEARL,
     "share of the frames after which basis or encoder stay as they are"},
    {"loss", 'c', AT(loss), 0, 1, GLIBRL,
     "of the basis: evidence, or alpaca's predictive density after a random context"},
    {"noise", 'c', AT(noise), 0, 2, GLIBRL, "inferred; known: one for all tasks, learnt; or fixed: as given"},
    {"prior-noise", 'f', AT(prior_noise), 1e-9, 1e3, GLIBRL,
     "noise variance that the prior expects, of unit target variance"},
    {"prior-noise-low", 'f', AT(prior_noise_low), 1e-9, 1e3, GLIBRL, "that a learnt one never falls below"},
    {"prior-freedom", 'f', AT(prior_freedom), 0.1, 1e6, GLIBRL,
     "degrees of freedom of each target's noise under the prior"},
    {"prior-precision", 'f', AT(prior_precision), 0.02, 148, GLIBRL,
     "of the weights under the prior, at first"},
    {"learn-mean", 'u', AT(learn_mean), 0, 1, GLIBRL, "M0 is learnt, else 0"},
    {"learn-precision", 'u', AT(learn_precision), 0, 1, GLIBRL, "the diagonal of Xi0 is learnt"},
    {"learn-noise", 'u', AT(learn_noise), 0, 1, GLIBRL, "the noise variance that the prior expects is learnt"},
    {"learn-freedom", 'u', AT(learn_freedom), 0, 1, GLIBRL, "the prior's degrees of freedom are learnt"},
    {"space", 'c', AT(space), 0, 3, GLIBRL,
     "that the policy sees the belief in: function, weight, natural or principal"},
    {"show-mean", 'u', AT(show_mean), 0, 1, GLIBRL, "means are shown to the policy; in natural space C'Y / n"},
    {"show-sd", 'u', AT(show_sd), 0, 1, GLIBRL, "so are standard deviations; in natural space C'C / n, in principal space nothing"},
    {"show-noise", 'u', AT(show_noise), 0, 1, GLIBRL,
     "so is the noise; never when it is the same for all tasks"},
    {"show-count", 'u', AT(show_count), 0, 1, GLIBRL, "so is how many transitions were seen"},
    {"embedding", 'u', AT(embedding), 1, 4096, VARIBAD | RL2,
     "width of what a recurrent encoder makes of a transition first"},
    {"gru", 'u', AT(gru), 1, 512, VARIBAD | RL2, "width of its state"},
    {"latent", 'u', AT(latent), 1, 64, VARIBAD | PEARL, "numbers that VariBAD and PEARL tell tasks apart by"},
    {"decode-reward", 'u', AT(decode_reward), 0, 1, VARIBAD, "VariBAD's latent predicts rewards"},
    {"decode-transition", 'u', AT(decode_transition), 0, 1, VARIBAD,
     "VariBAD's latent predicts the observations' changes"},
    {"decoder-hidden", 'u', AT(decoder_hidden), 1, 1024, VARIBAD,
     "W: a reward decoder is W, W/2 wide, the transition's 4W, 2W"},
    {"kl-weight", 'f', AT(kl_weight), 0, 1e6, VARIBAD | PEARL,
     "of the divergence between consecutive posteriors"},
    {"elbo-terms", 'u', AT(elbo_terms), 0, 1e6, VARIBAD,
     "posteriors of a meta-episode that a step looks at; 0: all"},
    {"decodes", 'u', AT(decodes), 0, 1e6, VARIBAD, "transitions that each of them predicts; 0: all"},
    {"encoder-rate", 'f', AT(encoder_rate), 0, 1, VARIBAD | PEARL,
     "Adam's step size for encoder and decoders; falls to 0 at the freeze"},
    {"encoder-norm-limit", 'f', AT(encoder_norm_limit), 0, 1e6, VARIBAD | PEARL, "of their gradient"},
    {"encoder-updates", 'u', AT(encoder_updates), 0, 1000, VARIBAD, "of them in one iteration"},
    {"encoder-warmup", 'u', AT(encoder_warmup), 0, 100000, VARIBAD, "more of them after the first rollout"},
    {"encoder-trajectories", 'u', AT(encoder_trajectories), 1, 1024, VARIBAD,
     "replayed meta-episodes of one update"},
    {"chunk", 'u', AT(chunk), 2, 1e6, RL2, "rows that RL2's gradients go back through"},
    {"chunks", 'u', AT(chunks), 1, 1e6, RL2, "chunks of a minibatch of RL2"},
    {"replay", 'u', AT(replay), 1, 65536, GLIBRL | VARIBAD, "meta-episodes kept for the basis"},
};

const struct option_row *options_row(size_t i)
{
    return i < sizeof rows / sizeof *rows ? &rows[i] : NULL;
}

const struct option_row *options_find_row(const char *name)
{
    for (size_t i = 0; options_row(i); i++)
        if (!strcmp(name, rows[i].name))
            return &rows[i];
    return NULL;
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

// ---- Who reads what -------------------------------------------------------------------------------------------

int options_read(const struct option_row *row, enum learn_kind kind, enum learn_algorithm algorithm)
{
    return (row->readers & PAIR(kind, algorithm)) != 0;
}

// " a", " a and b", " a, b and c".
static void list_names(FILE *out, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s %s", i == 0 ? "" : i + 1 < count ? "," : " and", names[i]);
}

void options_tell_readers(FILE *out, const struct option_row *row)
{
    const char *names[LEARN_KINDS];
    size_t count = 0;
    if (row->readers == ALL)
        return;
    for (int i = 0; i < LEARN_KINDS; i++)
        if (row->readers & KIND(i))
            names[count++] = learn_kind_name((enum learn_kind)i);
    fprintf(out, " of");
    if (count < LEARN_KINDS)
        list_names(out, names, count);
    if (!(row->readers & PPO) || !(row->readers & SAC))
        fprintf(out, "%s %s", count < LEARN_KINDS ? " with" : "",
                learn_algorithm_name(row->readers & PPO ? LEARN_PPO : LEARN_SAC));
}

int options_refuse_unread(const struct option_row *row, enum learn_kind kind, enum learn_algorithm algorithm, char *why,
                          size_t why_size)
{
    if (options_read(row, kind, algorithm))
        return 0;
    FILE *out = fmemopen(why, why_size, "w");
    if (!out)
        return -ENOMEM;
    int other_algorithm = !(row->readers & (algorithm == LEARN_PPO ? PPO : SAC));
    fprintf(out, "--%s is an option", row->name);
    options_tell_readers(out, row);
    fprintf(out, ", not of %s", other_algorithm ? learn_algorithm_name(algorithm) : learn_kind_name(kind));
    fclose(out);
    return -EINVAL;
}

// ---- Values ---------------------------------------------------------------------------------------------------

int options_number(double *value, const char *text)
{
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return *text && !*end && errno == 0 && isfinite(*value) ? 0 : -EINVAL;
}

int options_whole(uint64_t *value, const char *text)
{
    // 1e7 is as good as 10000000.
    double number;
    if (options_number(&number, text) || number < 0 || number > 0x1p53 || number != floor(number))
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

int options_set(struct options *options, const struct option_row *row, const char *text, char *why, size_t why_size)
{
    char *at = (char *)options + row->offset;
    double value;
    if (row->type == 'c')
        return set_word((uint64_t *)(void *)at, row, text, why, why_size);
    if (options_number(&value, text) || value < row->low || value > row->high
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

static double value_of(const struct options *options, const struct option_row *row)
{
    const char *at = (const char *)options + row->offset;
    return row->type == 'f' ? *(const double *)(const void *)at : (double)*(const uint64_t *)(const void *)at;
}

void options_print(FILE *out, const struct options *options, const struct option_row *row, int width)
{
    double value = value_of(options, row);
    if (row->type == 'c')
        fprintf(out, "%*s", width, words_of(row)[(size_t)value]);
    else if (width)
        fprintf(out, "%*g", width, value);
    else
        fprintf(out, "%.17g", value);
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
        options_print(out, options, options_row(i), 0);
        fprintf(out, "\n");
    }
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

int options_agree(const struct options *options, const char *ours, const char *theirs)
{
    char name[64], other[64];
    double value, limit;
    if (!strcmp(ours, theirs))
        return 1;
    if (sscanf(ours, "%63[^=]=", name) != 1 || sscanf(theirs, "%63[^=]=", other) != 1 || strcmp(name, other))
        return 0;
    const struct option_row *row = options_find_row(name);
    if (!row || !options_read(row, options->kind, options->algorithm))
        return row != NULL;
    return row->type != 'c' && !options_number(&limit, ours + strlen(name) + 1)
        && !options_number(&value, theirs + strlen(name) + 1) && limit == row->high && value > limit;
}
