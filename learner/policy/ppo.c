// Proximal policy optimisation: advantages, the two losses with their gradients, and the epochs over minibatches.

#include "ppo.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const double LOG_TWO_PI = 1.8378770664093453;

struct ppo_scratch {
    size_t B;
    real *input, *activations, *dactivations;
    uint32_t *order;  // of the rows in this epoch
};

struct ppo_scratch *ppo_scratch_new(const struct net *net, size_t minibatch, size_t rows)
{
    size_t B = minibatch, activations = net_activations(net, B);
    struct ppo_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->B = B;
    s->input = malloc((B * net->sizes[0] + 2 * activations) * sizeof *s->input);
    s->order = malloc(rows * sizeof *s->order);
    if (!s->input || !s->order) {
        ppo_scratch_free(s);
        return NULL;
    }
    s->activations = s->input + B * net->sizes[0];
    s->dactivations = s->activations + activations;
    return s;
}

void ppo_scratch_free(struct ppo_scratch *scratch)
{
    if (!scratch)
        return;
    free(scratch->input);
    free(scratch->order);
    free(scratch);
}

int actor_init(struct actor *actor, size_t inputs, const size_t hidden[PPO_HIDDEN_LAYERS], size_t actions,
               int discrete)
{
    size_t sizes[] = {inputs, hidden[0], hidden[1], actions};
    net_init(&actor->net, sizes, 3, 0);
    actor->discrete = discrete;
    actor->log_sd_at = actor->net.count;
    return trainee_init(&actor->trainee, actor->net.count + (discrete ? 0 : actions));
}

void actor_start(struct actor *actor, double sd, struct random_stream *stream)
{
    // A last layer near zero: the first policy is the same everywhere.
    net_orthogonal(&actor->net, actor->trainee.parameters, sqrt(2), 0.01, stream);
    for (size_t i = actor->log_sd_at; i < actor->trainee.count; i++)
        actor->trainee.parameters[i] = (real)log(sd);
}

void actor_release(struct actor *actor)
{
    trainee_release(&actor->trainee);
}

int critic_init(struct critic *critic, size_t inputs, const size_t hidden[PPO_HIDDEN_LAYERS])
{
    size_t sizes[] = {inputs, hidden[0], hidden[1], 1};
    net_init(&critic->net, sizes, 3, 0);
    return trainee_init(&critic->trainee, critic->net.count);
}

void critic_start(struct critic *critic, struct random_stream *stream)
{
    net_orthogonal(&critic->net, critic->trainee.parameters, sqrt(2), 1, stream);
}

void critic_release(struct critic *critic)
{
    trainee_release(&critic->trainee);
}

double gaussian_log_density(const real *action, const real *mean, const real *log_sd, size_t A)
{
    double sum = -0.5 * (double)A * LOG_TWO_PI;
    for (size_t i = 0; i < A; i++) {
        double z = ((double)action[i] - (double)mean[i]) * exp(-(double)log_sd[i]);
        sum -= 0.5 * z * z + (double)log_sd[i];
    }
    return sum;
}

double choice_probabilities(double *probability, const real *score, size_t A)
{
    double highest = (double)score[0], sum = 0;
    for (size_t i = 1; i < A; i++)
        highest = fmax(highest, (double)score[i]);
    for (size_t i = 0; i < A; i++)
        sum += probability[i] = exp((double)score[i] - highest);
    for (size_t i = 0; i < A; i++)
        probability[i] /= sum;
    return highest + log(sum);
}

double choice_log_density(const real *action, const real *score, size_t A)
{
    double probability[PPO_ACTIONS_LIMIT], chosen = 0;
    double log_sum = choice_probabilities(probability, score, A);
    for (size_t i = 0; i < A; i++)
        chosen += (double)action[i] * (double)score[i];
    return chosen - log_sum;
}

void advantages(real *advantage, real *target, const real *reward, const real *value, const real *value_after,
                const uint8_t *end, size_t T, double discount, double trace)
{
    double next_advantage = 0, next_value = 0;
    for (size_t t = T; t-- > 0;) {
        double V = (double)value[t];
        if (end[t] == ROW_VOID) {
            // The row before it ends where this one stands; there is nothing to learn from the row itself.
            advantage[t] = 0;
            target[t] = value[t];
            next_advantage = 0;
            next_value = V;
            continue;
        }
        if (end[t] == ROW_STOPPED) {
            next_advantage = 0;
            next_value = (double)value_after[t];
        } else if (end[t] == ROW_FAILED) {
            next_advantage = next_value = 0;
        }
        double delta = (double)reward[t] + discount * next_value - V;
        next_advantage = delta + discount * trace * next_advantage;
        next_value = V;
        advantage[t] = (real)next_advantage;
        target[t] = (real)(next_advantage + V);
    }
}

void standardise(real *x, size_t count)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i];
    double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    double scale = 1 / (sqrt(squares / (double)count) + 1e-8);
    for (size_t i = 0; i < count; i++)
        x[i] = (real)(((double)x[i] - mean) * scale);
}

static void gather(real *to, const real *from, size_t width, size_t stride, const uint32_t *index, size_t B)
{
    for (size_t b = 0; b < B; b++)
        memcpy(to + b * width, from + index[b] * stride, width * sizeof *to);
}

// Sums over a minibatch.
struct surrogate {
    double loss, divergence, clipped;
};

// One row's part of -min(ratio A, clip(ratio) A), and its slope in the log density, which vanishes where the clipped
// one is chosen.
static double surrogate_add(struct surrogate *sum, const struct experience *experience, uint32_t row,
                            double log_density, double clip, double share)
{
    double advantage = (double)experience->advantage[row];
    double log_ratio = log_density - (double)experience->log_density[row];
    double ratio = exp(log_ratio), bounded = fmin(fmax(ratio, 1 - clip), 1 + clip);
    int held = ratio * advantage > bounded * advantage;
    sum->loss -= share * (held ? bounded : ratio) * advantage;
    sum->divergence += share * (ratio - 1 - log_ratio);
    sum->clipped += share * (bounded != ratio);
    return held ? 0 : -share * ratio * advantage;
}

// Fills the gradients of outputs and log sd; returns the mean entropy.
static double gaussian_loss(const struct actor *actor, real *dmean, const real *mean,
                            const struct experience *experience, const uint32_t *index, size_t B,
                            const struct ppo_settings *settings, struct surrogate *sum)
{
    size_t A = actor->trainee.count - actor->log_sd_at;
    const real *log_sd = actor->trainee.parameters + actor->log_sd_at;
    real *dlog_sd = actor->trainee.gradient + actor->log_sd_at;
    double share = 1 / (double)B, entropy = 0, inverse[PPO_ACTIONS_LIMIT], z[PPO_ACTIONS_LIMIT];
    memset(dlog_sd, 0, A * sizeof *dlog_sd);
    for (size_t i = 0; i < A; i++)
        inverse[i] = exp(-(double)log_sd[i]);
    for (size_t b = 0; b < B; b++) {
        const real *action = experience->action + index[b] * A;
        // ln p = sum of -z z / 2 - ln sd - ln(2 pi) / 2,  z = (a - mean) / sd
        double log_density = -0.5 * (double)A * LOG_TWO_PI;
        for (size_t i = 0; i < A; i++) {
            z[i] = ((double)action[i] - (double)mean[b * A + i]) * inverse[i];
            log_density -= 0.5 * z[i] * z[i] + (double)log_sd[i];
        }
        double dlog_density = surrogate_add(sum, experience, index[b], log_density, settings->clip, share);
        for (size_t i = 0; i < A; i++) {
            dmean[b * A + i] = (real)(dlog_density * z[i] * inverse[i]);
            dlog_sd[i] += (real)(dlog_density * (z[i] * z[i] - 1));
        }
    }
    for (size_t i = 0; i < A; i++) {
        entropy += (double)log_sd[i] + 0.5 * (LOG_TWO_PI + 1);
        dlog_sd[i] -= (real)settings->entropy;
    }
    return entropy;
}

// The same where the action is a choice:  ln p = a'score - ln sum exp(score),  H = -p' ln p
//     d ln p / dscore = a - p,   dH / dscore_i = -p_i (ln p_i + H)
static double choice_loss(real *dscore, const real *score, size_t A, const struct experience *experience,
                          const uint32_t *index, size_t B, const struct ppo_settings *settings, struct surrogate *sum)
{
    double share = 1 / (double)B, entropy = 0, p[PPO_ACTIONS_LIMIT];
    for (size_t b = 0; b < B; b++) {
        const real *action = experience->action + index[b] * A, *own = score + b * A;
        double log_sum = choice_probabilities(p, own, A), chosen = 0, spread = 0;
        for (size_t i = 0; i < A; i++) {
            chosen += (double)action[i] * (double)own[i];
            spread -= p[i] * ((double)own[i] - log_sum);
        }
        double dlog_density = surrogate_add(sum, experience, index[b], chosen - log_sum, settings->clip, share);
        for (size_t i = 0; i < A; i++)
            dscore[b * A + i] = (real)(dlog_density * ((double)action[i] - p[i])
                                       + settings->entropy * share * p[i] * ((double)own[i] - log_sum + spread));
        entropy += share * spread;
    }
    return entropy;
}

double actor_loss(struct actor *actor, const struct experience *experience, const uint32_t *index, size_t B,
                  const struct ppo_settings *settings, struct ppo_scratch *scratch, struct ppo_report *report)
{
    const struct net *net = &actor->net;
    gather(scratch->input, experience->input, net->sizes[0], experience->input_stride, index, B);
    const real *out = net_forward(net, actor->trainee.parameters, scratch->activations, scratch->input, B);
    real *dout = net_doutput(net, scratch->dactivations, B);
    struct surrogate sum = {0};
    double entropy = actor->discrete
        ? choice_loss(dout, out, net->sizes[net->layer_count], experience, index, B, settings, &sum)
        : gaussian_loss(actor, dout, out, experience, index, B, settings, &sum);
    net_backward(net, actor->trainee.parameters, actor->trainee.gradient, scratch->activations,
                 scratch->dactivations, scratch->input, B);
    report->actor_loss += sum.loss;
    report->divergence += sum.divergence;
    report->clipped += sum.clipped;
    report->entropy += entropy;
    return sum.loss - settings->entropy * entropy;
}

void actor_dinput(const struct actor *actor, real *dinput, size_t B, const struct ppo_scratch *scratch)
{
    net_dinput(&actor->net, actor->trainee.parameters, dinput, scratch->dactivations, B);
}

double critic_loss(struct critic *critic, const struct experience *experience, const uint32_t *index, size_t B,
                   const struct ppo_settings *settings, struct ppo_scratch *scratch)
{
    const struct net *net = &critic->net;
    gather(scratch->input, experience->input, net->sizes[0], experience->input_stride, index, B);
    const real *value = net_forward(net, critic->trainee.parameters, scratch->activations, scratch->input, B);
    real *dvalue = net_doutput(net, scratch->dactivations, B);

    double loss = 0, share = 1 / (double)B;
    for (size_t b = 0; b < B; b++) {
        double V = (double)value[b], old = (double)experience->value[index[b]];
        double target = (double)experience->target[index[b]], error = V - target;
        // loss = max((V - target)^2, (old + clip(V - old) - target)^2) / 2
        double square = error * error, slope = error;
        if (settings->value_clip > 0) {
            double moved = fmin(fmax(V - old, -settings->value_clip), settings->value_clip);
            double held_error = old + moved - target;
            if (held_error * held_error > square) {
                square = held_error * held_error;
                slope = moved == V - old ? held_error : 0;
            }
        }
        loss += 0.5 * share * square;
        dvalue[b] = (real)(share * slope);
    }
    net_backward(net, critic->trainee.parameters, critic->trainee.gradient, scratch->activations,
                 scratch->dactivations, scratch->input, B);
    return loss;
}

void critic_values(const struct critic *critic, real *values, const real *input, size_t stride, size_t rows,
                   struct ppo_scratch *scratch)
{
    size_t width = critic->net.sizes[0];
    for (size_t first = 0; first < rows; first += scratch->B) {
        size_t B = rows - first < scratch->B ? rows - first : scratch->B;
        for (size_t b = 0; b < B; b++)
            memcpy(scratch->input + b * width, input + (first + b) * stride, width * sizeof *input);
        memcpy(values + first,
               net_forward(&critic->net, critic->trainee.parameters, scratch->activations, scratch->input, B),
               B * sizeof *values);
    }
}

void shuffle_rows(uint32_t *order, size_t count, struct random_stream *stream)
{
    for (size_t i = count; i > 1; i--) {
        uint32_t j = random_below(stream, (uint32_t)i), swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

static void in_order(uint32_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
}

void actor_hold_sd(struct actor *actor, double low)
{
    for (size_t i = actor->log_sd_at; i < actor->trainee.count; i++)
        actor->trainee.parameters[i] = (real)fmax((double)actor->trainee.parameters[i], log(low));
}

int actor_epoch_ends(struct ppo_report *report, const struct ppo_settings *settings, size_t batches)
{
    double share = 1 / (double)batches;
    report->actor_loss *= share;
    report->entropy *= share;
    report->divergence *= share;
    report->clipped *= share;
    report->actor_norm *= share;
    report->epochs++;
    return settings->divergence_limit > 0 && report->divergence > settings->divergence_limit;
}

int actor_update(struct actor *actor, const struct experience *experience, const struct ppo_settings *settings,
                 double rate, struct random_stream *stream, struct ppo_scratch *scratch, struct ppo_report *report)
{
    in_order(scratch->order, experience->rows);
    report->epochs = 0;
    for (size_t epoch = 0; epoch < settings->epochs; epoch++) {
        shuffle_rows(scratch->order, experience->rows, stream);
        report->actor_loss = report->entropy = report->divergence = report->clipped = report->actor_norm = 0;
        size_t batches = 0;
        for (size_t first = 0; first < experience->rows; first += settings->minibatch, batches++) {
            size_t left = experience->rows - first, B = left < settings->minibatch ? left : settings->minibatch;
            actor_loss(actor, experience, scratch->order + first, B, settings, scratch, report);
            double norm;
            if (trainee_step(&actor->trainee, rate, settings->norm_limit, settings->epsilon, &norm))
                return -EDOM;
            actor_hold_sd(actor, settings->sd_low);
            report->actor_norm += norm;
        }
        if (actor_epoch_ends(report, settings, batches))
            break;
    }
    return 0;
}

int critic_update(struct critic *critic, const struct experience *experience, const struct ppo_settings *settings,
                  double rate, struct random_stream *stream, struct ppo_scratch *scratch, struct ppo_report *report)
{
    in_order(scratch->order, experience->rows);
    for (size_t epoch = 0; epoch < settings->epochs; epoch++) {
        shuffle_rows(scratch->order, experience->rows, stream);
        report->critic_loss = report->critic_norm = 0;
        size_t batches = 0;
        for (size_t first = 0; first < experience->rows; first += settings->minibatch, batches++) {
            size_t left = experience->rows - first, B = left < settings->minibatch ? left : settings->minibatch;
            report->critic_loss += critic_loss(critic, experience, scratch->order + first, B, settings, scratch);
            double norm;
            if (trainee_step(&critic->trainee, rate, settings->norm_limit, settings->epsilon, &norm))
                return -EDOM;
            report->critic_norm += norm;
        }
        report->critic_loss /= (double)batches;
        report->critic_norm /= (double)batches;
    }
    return 0;
}
