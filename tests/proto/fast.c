// The short cuts for Steps and Actions do what protobuf-c does, bit for bit, or leave it to protobuf-c.
#include "proto/belief.pb-c.h"
#include "proto/frame.h"
#include "proto/wire_fast.h"

#include "daemon/base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

enum { ROUNDS = 4000, FLOATS = 80, FRAME = 2048 };

static struct random_stream stream;
static uint8_t memory[1 << 13];

static uint64_t any_bits(void) { return (uint64_t)random_bits(&stream) << 32 | random_bits(&stream); }
static uint64_t any(uint64_t count) { return any_bits() % count; }

// Numbers of all lengths, and 0 often.
static uint64_t any_number(void) { return any(4) ? any_bits() >> any(64) : 0; }

static double any_double(void)
{
    static const double special[] = {0, -0.0, 1, NAN, INFINITY, -INFINITY, 5e-324};
    return any(2) ? special[any(7)] : random_normal(&stream);
}

static size_t any_floats(float *out)
{
    size_t count = any(3) ? any(FLOATS + 1) : 0;
    for (size_t i = 0; i < count; i++)
        out[i] = (float)any_double();
    return count;
}

START_TEST(actions_are_written_as_protobuf_c_writes_them)
{
    static uint8_t ours[FRAME], theirs[FRAME];
    stream = random_stream(1, 0, 0, 0);
    for (int i = 0; i < ROUNDS; i++) {
        float action[FLOATS];
        uint8_t digest[WIRE_DIGEST_SIZE];
        for (size_t k = 0; k < sizeof digest; k++)
            digest[k] = (uint8_t)any(256);
        struct wire_envelope in = {.request_id = any_number(), .kind = WIRE_ACTION};
        in.action = (struct wire_action){
            .seq = any_number(), .action = {action, any_floats(action)}, .status = (enum wire_status)any(200),
            .count = any_number(), .digest = {digest, any(2) * sizeof digest}, .task = (uint32_t)any_number(),
            .reward_p = any_double(), .transition_p = any_double(), .queue_us = (uint32_t)any_number(),
            .compute_us = (uint32_t)any_number(), .durable_seq = any_number()};
        Belief__V1__Envelope envelope = BELIEF__V1__ENVELOPE__INIT;
        Belief__V1__Action m = BELIEF__V1__ACTION__INIT;
        envelope.request_id = in.request_id;
        envelope.body_case = BELIEF__V1__ENVELOPE__BODY_ACTION;
        envelope.action = &m;
        m.seq = in.action.seq;
        m.n_action = in.action.action.count;
        m.action = action;
        m.status = (Belief__V1__Status)in.action.status;
        m.count = in.action.count;
        m.digest = (ProtobufCBinaryData){in.action.digest.size, digest};
        m.task = in.action.task;
        m.reward_p = in.action.reward_p;
        m.transition_p = in.action.transition_p;
        m.queue_us = in.action.queue_us;
        m.compute_us = in.action.compute_us;
        m.durable_seq = in.action.durable_seq;
        size_t size = belief__v1__envelope__get_packed_size(&envelope);
        ck_assert_uint_eq(wire_fast_write_action(ours, FRAME, &in), FRAME_HEADER_SIZE + size);
        frame_write_header(theirs, (uint32_t)size);
        belief__v1__envelope__pack(&envelope, theirs + FRAME_HEADER_SIZE);
        ck_assert_mem_eq(ours, theirs, FRAME_HEADER_SIZE + size);
        // One byte less is no room, and nothing is written.
        memset(ours, 0xee, sizeof ours);
        ck_assert_uint_eq(wire_fast_write_action(ours, FRAME_HEADER_SIZE + size - 1, &in), FRAME_HEADER_SIZE + size);
        memset(theirs, 0xee, sizeof theirs);
        ck_assert_mem_eq(ours, theirs, sizeof ours);
    }
}
END_TEST

static size_t any_step(uint8_t *out)
{
    float observation[FLOATS], action[FLOATS];
    Belief__V1__Envelope envelope = BELIEF__V1__ENVELOPE__INIT;
    Belief__V1__Step m = BELIEF__V1__STEP__INIT;
    envelope.request_id = any_number() >> 1;
    envelope.body_case = BELIEF__V1__ENVELOPE__BODY_STEP;
    envelope.step = &m;
    m.handle = (uint32_t)any_number();
    m.seq = any_number() >> 1 | 1;  // an empty Step is left to protobuf-c
    m.task = (uint32_t)any_number();
    m.n_observation = any_floats(observation);
    m.observation = observation;
    m.reward = (float)any_double();
    m.n_action = any_floats(action);
    m.action = action;
    m.last = (int)any(2);
    m.session = (char *[]){(char *)protobuf_c_empty_string, (char[]){"robot"}}[any(2)];
    m.epoch = any_number() >> 1;
    return belief__v1__envelope__pack(&envelope, out);
}

static void check_floats(struct wire_floats ours, const float *theirs, size_t count)
{
    ck_assert_uint_eq(ours.count, count);
    if (count)
        ck_assert_mem_eq(ours.values, theirs, count * sizeof(float));
    ck_assert(((uintptr_t)ours.values & (sizeof(float) - 1)) == 0);
}

// Is it taken? Then protobuf-c says the same.
static int read_both(const uint8_t *bytes, size_t size)
{
    struct wire_arena arena;
    struct wire_envelope ours;
    wire_arena_init(&arena, memory, sizeof memory);
    if (!wire_fast_read_envelope(&ours, bytes, size, &arena)) {
        ck_assert_uint_eq(arena.used, 0);
        return 0;
    }
    Belief__V1__Envelope *theirs = belief__v1__envelope__unpack(NULL, size, bytes);
    ck_assert_ptr_nonnull(theirs);
    ck_assert_int_eq(theirs->body_case, BELIEF__V1__ENVELOPE__BODY_STEP);
    const Belief__V1__Step *m = theirs->step;
    ck_assert_int_eq(ours.kind, WIRE_STEP);
    ck_assert_uint_eq(ours.request_id, theirs->request_id);
    ck_assert_uint_eq(ours.step.handle, m->handle);
    ck_assert_uint_eq(ours.step.seq, m->seq);
    ck_assert_uint_eq(ours.step.task, m->task);
    check_floats(ours.step.observation, m->observation, m->n_observation);
    ck_assert_mem_eq(&ours.step.reward, &m->reward, sizeof m->reward);
    check_floats(ours.step.action, m->action, m->n_action);
    ck_assert_int_eq(ours.step.last, m->last);
    ck_assert_str_eq(ours.step.session, m->session);
    ck_assert_uint_eq(ours.step.epoch, m->epoch);
    belief__v1__envelope__free_unpacked(theirs, NULL);
    return 1;
}

START_TEST(steps_are_read_as_protobuf_c_reads_them)
{
    static uint8_t bytes[FRAME];
    stream = random_stream(2, 0, 0, 0);
    for (int i = 0; i < ROUNDS; i++)
        ck_assert_int_eq(read_both(bytes, any_step(bytes)), 1);
}
END_TEST

START_TEST(what_is_taken_of_damaged_steps_is_what_protobuf_c_takes)
{
    static uint8_t bytes[FRAME];
    int taken = 0, left = 0;
    stream = random_stream(3, 0, 0, 0);
    for (int i = 0; i < 10 * ROUNDS; i++) {
        size_t size = any_step(bytes);
        for (uint64_t harm = any(3); harm > 0 && size > 0; harm--) {
            size_t at = any(size < 24 || any(2) ? size : 24);
            if (any(4) == 0)
                size = at;
            else
                bytes[at] = any(2) ? (uint8_t)any(256) : (uint8_t)(bytes[at] ^ 1u << any(8));
        }
        // A copy of its own size, so that a sanitizer sees what is read beyond it.
        uint8_t *copy = malloc(size ? size : 1);
        memcpy(copy, bytes, size);
        int took = read_both(copy, size);
        free(copy);
        taken += took;
        left += !took;
    }
    ck_assert_int_gt(taken, ROUNDS);
    ck_assert_int_gt(left, ROUNDS);
}
END_TEST

START_TEST(an_arena_that_is_too_small_leaves_it_to_protobuf_c)
{
    static uint8_t bytes[FRAME];
    stream = random_stream(4, 0, 0, 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct wire_arena arena;
        struct wire_envelope out;
        size_t size = any_step(bytes), room = any(400);
        wire_arena_init(&arena, memory, room);
        if (!wire_fast_read_envelope(&out, bytes, size, &arena))
            ck_assert_uint_eq(arena.used, 0);
        else
            ck_assert_uint_le(arena.used, room);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fast");
    SUITE_TEST(suite, actions_are_written_as_protobuf_c_writes_them);
    SUITE_TEST(suite, steps_are_read_as_protobuf_c_reads_them);
    SUITE_TEST(suite, what_is_taken_of_damaged_steps_is_what_protobuf_c_takes);
    SUITE_TEST(suite, an_arena_that_is_too_small_leaves_it_to_protobuf_c);
    return suite_finish(suite);
}
