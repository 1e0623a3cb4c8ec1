#pragma once
// A checksum of 64 bits over a transition, kept beside it: a page whose bytes were changed on disk may still
// look sound to SQLite. Each round is a bijection of what was before, so a change within one word always
// shows. Against accidents, not against somebody who means it.

#include "store.h"

#include <string.h>

static inline uint64_t checksum_word(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9E3779B97F4A7C15;
    return sum ^ sum >> 32;
}

static inline uint64_t checksum_floats(uint64_t sum, const float *numbers, size_t count)
{
    size_t i = 0;
    for (; i + 2 <= count; i += 2) {
        uint64_t word;
        memcpy(&word, numbers + i, sizeof word);
        sum = checksum_word(sum, word);
    }
    if (i < count) {
        uint32_t word;
        memcpy(&word, numbers + i, sizeof word);
        sum = checksum_word(sum, word);
    }
    return sum;
}

// The reward as SQLite hands it back: it knows neither a negative zero nor what kind of NaN.
static inline uint64_t checksum_transition(const struct store_transition *t)
{
    float reward = t->reward != t->reward ? 0 : t->reward + 0.0f;
    uint32_t bits;
    memcpy(&bits, &reward, sizeof bits);
    uint64_t sum = checksum_word(checksum_word(0, t->session), t->seq);
    sum = checksum_word(sum, (uint64_t)t->writer << 32 | t->task);
    sum = checksum_word(sum, (uint64_t)t->status << 2 | (t->first ? 1 : 0) | (t->last ? 2 : 0));
    sum = checksum_word(sum, (uint64_t)(t->reward != t->reward) << 32 | bits);
    sum = checksum_word(sum, (uint64_t)t->observation_dim << 32 | t->action_dim);
    sum = checksum_floats(sum, t->observation, t->observation_dim);
    sum = checksum_floats(sum, t->action, t->action_dim);
    return checksum_floats(sum, t->next_observation, t->observation_dim);
}
