// The belief of a session whatever its kind: memory, digest, bytes, and the way back.

#include "agent.h"

#include <errno.h>

static int is_pearl(const struct model *model) { return model->kind == MODEL_PEARL; }

// Dimensions of the sum in this place of a belief; zero: there is none.
static size_t sum_features(const struct model *model, int part)
{
    if (is_pearl(model))
        return part == AGENT_FACTORS ? FACTORS_FEATURES : 0;
    return model->heads[part].present ? model->heads[part].features : 0;
}

static size_t sum_targets(const struct model *model, int part)
{
    return is_pearl(model) ? factors_targets(model->encoder.latent) : model->heads[part].targets;
}

static size_t recurrent_width(const struct model *model)
{
    return model_is_recurrent(model) ? model->encoder.width : 0;
}

size_t agent_belief_size(const struct model *model)
{
    size_t size = recurrent_size(recurrent_width(model));
    for (int part = 0; part < AGENT_PARTS; part++)
        if (sum_features(model, part))
            size += belief_size(sum_features(model, part), sum_targets(model, part));
    return size;
}

void agent_belief_init(struct agent_belief *belief, const struct model *model, void *memory)
{
    uint8_t *place = memory;
    *belief = (struct agent_belief){0};
    for (int part = 0; part < AGENT_PARTS; part++) {
        size_t D = sum_features(model, part), d = sum_targets(model, part);
        if (D) {
            belief_init(&belief->heads[part], D, d, place);
            place += belief_size(D, d);
        }
    }
    if (recurrent_width(model))
        recurrent_init(&belief->recurrent, recurrent_width(model), place);
}

void agent_belief_reset(struct agent_belief *belief)
{
    for (int part = 0; part < AGENT_PARTS; part++)
        if (belief->heads[part].features)
            belief_reset(&belief->heads[part]);
    if (belief->recurrent.width)
        recurrent_reset(&belief->recurrent);
}

uint64_t agent_belief_count(const struct agent_belief *belief)
{
    uint64_t count = belief->recurrent.count;
    for (int part = 0; part < AGENT_PARTS; part++)
        if (belief->heads[part].features)
            count = belief->heads[part].count;
    return count;
}

// Linear as the heads' own digests are: transition + factor * reward, modulo 2^61 - 1.
struct digest agent_belief_digest(const struct agent_belief *belief)
{
    static const uint64_t prime = ((uint64_t)1 << 61) - 1;
    static const uint64_t factor[2] = {0x13198a2e03707344, 0x0a4093822299f31d};  // digits of pi
    struct digest digest = {{0, 0}};
    const struct belief *first = &belief->heads[0], *second = &belief->heads[1];
    if (belief->recurrent.width)
        return belief->recurrent.digest;
    for (int i = 0; i < 2; i++) {
        unsigned __int128 sum = first->features ? first->digest.word[i] : 0;
        if (second->features)
            sum += (unsigned __int128)factor[i] * second->digest.word[i];
        digest.word[i] = (uint64_t)(sum % prime);
    }
    return digest;
}

size_t agent_belief_encoded_size(const struct model *model, int part)
{
    if (recurrent_width(model))
        return part == 0 ? recurrent_encoded_size(recurrent_width(model)) : 0;
    size_t D = sum_features(model, part);
    return D ? belief_encoded_size(D, sum_targets(model, part)) : 0;
}

void agent_belief_encode(uint8_t *out, const struct agent_belief *belief, int part)
{
    if (belief->recurrent.width && part == 0)
        recurrent_encode(out, &belief->recurrent);
    else if (belief->heads[part].features)
        belief_encode(out, &belief->heads[part]);
}

int agent_belief_decode(struct agent_belief *belief, int part, const uint8_t *bytes, size_t size, uint64_t count)
{
    struct belief *sum = &belief->heads[part];
    int error;
    if (belief->recurrent.width && part == 0) {
        error = recurrent_decode(&belief->recurrent, bytes, size);
        return !error && belief->recurrent.count != count ? -ERANGE : error;
    }
    if (!sum->features)
        return size > 0 ? -EINVAL : 0;
    error = belief_decode(sum, bytes, size);
    return !error && sum->count != count ? -ERANGE : error;
}

void agent_take_back(struct observation_item *item)
{
    for (int part = 0; part < AGENT_PARTS; part++)
        if (item->z[part])
            belief_remove(&item->belief->heads[part], item->z[part]);
    if (item->before.width)
        recurrent_restore(&item->belief->recurrent, &item->before);
}
