// A session's whole state from a stranger: Restore takes it, and so does coming back from the log. What is taken has a
// belief that agrees with its digest and can act; told again, it is the same state. An empty input stands for the
// states of sessions that really lived, one of each kind of model.

#include "daemon/serve/house.h"
#include "daemon/serve/log.h"
#include "daemon/serve/session_state.h"
#include "tests/agent/sample.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { ARENA = 1 << 20, LIFE = 20 };

static uint64_t clock_us(void)
{
    return 1;
}

static void check(int fact)
{
    if (!fact)
        abort();
}

// With a small model of each kind, named after it; ours is "small".
static struct server *server_of_small_models(void)
{
    static struct server *server;
    if (server)
        return server;
    const struct house_options options = {
        .limits = {.connections = 2, .sessions = 4, .frame_bytes = 1 << 16, .in_flight = 4, .gaps = 8, .writers = 4,
                   .connection_idle_us = 1000, .session_idle_us = 1000, .slow_reader_us = 1000},
        .servers = 1, .clock_us = clock_us};
    struct house *house;
    char why[200];
    log_set_level(LOG_ERROR);
    check(house_new(&house, &options, why, sizeof why) == 0);
    check(house_serve(house, sample_model(&sample_small, 1), NULL, 0, why, sizeof why) == 0);
    for (enum model_kind kind = MODEL_VARIBAD; kind < MODEL_KIND_COUNT; kind++) {
        struct model_shape shape = sample_kind(kind);
        shape.name = model_kind_name(kind);
        check(house_serve(house, sample_model(&shape, 1), NULL, 0, why, sizeof why) == 0);
    }
    check(server_new(&server, house, 0, why, sizeof why) == 0);
    server_take_mail(server, 1);
    return server;
}

// The message of a session as it is, in memory of the caller's to free.
static uint8_t *tell(const struct session *session, size_t *size)
{
    struct portrait portrait;
    static uint8_t memory[ARENA];
    struct wire_arena arena;
    check(portrait_init(&portrait, session) == 0);
    const struct wire_envelope told = {.kind = WIRE_SESSION_STATE, .session_state = portrait.state};
    wire_arena_init(&arena, memory, sizeof memory);
    long whole = wire_encode(NULL, 0, &told, &arena);
    check(whole > 0);
    uint8_t *frame = malloc((size_t)whole);
    wire_arena_reset(&arena);
    check(wire_encode(frame, (size_t)whole, &told, &arena) == whole);
    portrait_release(&portrait);
    struct wire_bytes body = wire_body(frame, (size_t)whole);
    memmove(frame, body.bytes, body.size);
    *size = body.size;
    return frame;
}

static uint8_t *state_of_a_life(struct server *server, struct served *served, size_t *size)
{
    struct session *session = session_make("robot", served, &server->limits);
    check(session != NULL);
    float *block;
    struct observation_item *items = sample_items(served->model, LIFE, 3, &block);
    for (size_t i = 0; i < LIFE; i++)
        items[i].belief = &session->belief;
    agent_observe(served->model, served->scratch, items, LIFE);
    session->epoch = 3;
    session->seq = session->last_transition = LIFE;
    for (uint64_t seq = 1; seq <= LIFE; seq++)
        seen_add(&session->writers[0].seen, seq);
    uint8_t *bytes = tell(session, size);
    session_destroy(session);
    free(items);
    free(block);
    return bytes;
}

static void try_state(struct server *server, const uint8_t *bytes, size_t size, int must_be_good)
{
    static uint8_t memory[ARENA];
    struct wire_arena arena;
    struct wire_envelope message = {0};
    struct state_fault fault = {0};
    wire_arena_init(&arena, memory, sizeof memory);
    if (wire_decode_body(&message, WIRE_SESSION_STATE, bytes, size, &arena))
        return;
    struct session *session = session_from_state(server, &message.session_state, 0, &fault);
    check(session || fault.message[0]);
    check(session || !must_be_good);
    if (!session)
        return;
    for (int h = 0; h < HEAD_COUNT; h++)
        check(digest_equal(belief_digest(&session->belief.heads[h]), session->belief.heads[h].digest));
    const struct recurrent *recurrent = &session->belief.recurrent;
    check(recurrent->width == 0 || digest_equal(recurrent_digest(recurrent), recurrent->digest));
    size_t first_size, second_size;
    uint8_t *first = tell(session, &first_size);
    session_destroy(session);
    wire_arena_reset(&arena);
    check(wire_decode_body(&message, WIRE_SESSION_STATE, first, first_size, &arena) == 0);
    session = session_from_state(server, &message.session_state, 0, &fault);
    check(session != NULL);
    uint8_t *second = tell(session, &second_size);
    check(first_size == second_size && !memcmp(first, second, first_size));
    session_destroy(session);
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct server *server = server_of_small_models();
    if (size > 0) {
        try_state(server, bytes, size, 0);
        return 0;
    }
    for (struct served *served = server->serving.first; served; served = served->next) {
        uint8_t *good = state_of_a_life(server, served, &size);
        try_state(server, good, size, 1);
        free(good);
    }
    return 0;
}
