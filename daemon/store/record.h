#pragma once
// What travels through a queue's ring: records of 8-byte aligned bytes, each a head and its contents.

#include "store.h"

#include <string.h>

enum record_kind { RECORD_TRANSITION, RECORD_SESSION, RECORD_STATE, RECORD_FORGET, RECORD_LET_GO, RECORD_EXPLORED,
                   RECORD_FORGET_EXPLORED };
enum { RECORD_FIRST = 1, RECORD_LAST = 2 };

struct record {
    uint32_t size;                  // in the ring, with this
    uint16_t kind;                  // enum record_kind
    uint16_t flags;                 // of a transition
    uint64_t session;
};

// Behind it: observation, action, next_observation.
struct transition_record {
    struct record head;
    uint64_t seq, count;
    uint8_t digest[STORE_DIGEST_SIZE];
    uint32_t writer, task, status;
    float reward;
    uint32_t observation_dim, action_dim;
};

// Behind it: told_task; name, identity, model and model_digest, each with its 0.
struct session_record {
    struct record head;
    uint64_t epoch, opener, count;
    uint8_t digest[STORE_DIGEST_SIZE];
    uint32_t task;
    uint32_t hold_prior;
    uint64_t told_count;
};

// What is forgotten are the explored sessions up to that number.
struct number_record {
    struct record head;
    uint64_t number;
};

// Behind it: the bytes.
struct state_record {
    struct record head;
    uint64_t size;
};

static inline size_t record_padded(size_t size) { return (size + 7) / 8 * 8; }

// What a record tells; pointers go into it.
static inline struct store_transition record_transition(const struct record *record)
{
    const struct transition_record *r = (const struct transition_record *)record;
    const float *numbers = (const float *)(r + 1);
    return (struct store_transition){
        .session = r->head.session, .writer = r->writer, .task = r->task, .seq = r->seq, .status = r->status,
        .observation = numbers, .action = numbers + r->observation_dim,
        .next_observation = numbers + r->observation_dim + r->action_dim,
        .observation_dim = r->observation_dim, .action_dim = r->action_dim, .reward = r->reward,
        .first = r->head.flags & RECORD_FIRST, .last = (r->head.flags & RECORD_LAST) != 0,
        .count = r->count, .digest = r->digest,
    };
}

static inline struct store_session record_session(const struct record *record)
{
    const struct session_record *r = (const struct session_record *)record;
    struct store_session session = {
        .id = r->head.session, .epoch = r->epoch, .opener = r->opener, .task = r->task,
        .hold_prior = (int)r->hold_prior, .count = r->count,
        .told_task = (const float *)(r + 1), .told_count = r->told_count,
    };
    memcpy(session.digest, r->digest, sizeof session.digest);
    const char *text = (const char *)(session.told_task + session.told_count);
    const char **fields[] = {&session.name, &session.identity, &session.model, &session.model_digest};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        *fields[i] = text;
        text += strlen(text) + 1;
    }
    return session;
}
