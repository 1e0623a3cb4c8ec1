// Messages survive the wire, field by field; whatever else comes is refused without harm.

#include "proto/wire.h"

#include "daemon/base/random.h"
#include "proto/frame.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static uint8_t memory[1 << 16], frame[1 << 14], other_memory[1 << 16], other_frame[1 << 14];

static const float floats[] = {1.5f, -0.25f, INFINITY, 1e-30f, 7};
static const double doubles[] = {1e300, -1e-300, 0.1};
static const uint8_t digest[WIRE_DIGEST_SIZE] = {1, 2, 3, 0, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

#define FLOATS(first, number) {floats + (first), (number)}
#define DOUBLES(number) {doubles, (number)}
#define DIGEST {digest, sizeof digest}

static const struct wire_model models[] = {
    {"cheetah", "half-cheetah-vel", "abc", 20, 6, 1, FLOATS(0, 2), FLOATS(1, 2), FLOATS(2, 1), 33, 17,
     "{\"seed\":1}"},
    {"b", "", "", 1, 2, 3, FLOATS(0, 0), FLOATS(0, 0), FLOATS(0, 0), 0, 0, ""}};
static const struct wire_transition transitions[] = {
    {1, FLOATS(0, 3), FLOATS(1, 2), 2.5f, FLOATS(2, 3)},
    {UINT64_MAX, FLOATS(0, 0), FLOATS(0, 0), 0, FLOATS(0, 0)}};
static const enum wire_status statuses[] = {WIRE_STATUS_OTHER_TASK, WIRE_STATUS_NONE, (enum wire_status)200};
static const struct wire_head heads[] = {
    {"transition", 3, 2, -12.5, DOUBLES(3), DOUBLES(1), DOUBLES(2), DIGEST},
    {"reward", 1, 1, 0, DOUBLES(0), DOUBLES(0), DOUBLES(0), {NULL, 0}}};

// One of each kind with every field set, and one of each with none.
static const struct wire_envelope full[] = {
    {1, WIRE_HELLO, .hello = {"client 1"}},
    {2, WIRE_OPEN, .open = {"robot-7", "cheetah", 1}},
    {3, WIRE_STEP, .step = {70000, UINT64_MAX, 3, FLOATS(0, 5), -2.5f, FLOATS(1, 2), 1}},
    {4, WIRE_OBSERVE, .observe = {5, 6, 7, transitions, 2}},
    {5, WIRE_ACT, .act = {1, 2, FLOATS(0, 4)}},
    {6, WIRE_RESET, .reset = {1, WIRE_TASK, 9}},
    {7, WIRE_GET_BELIEF, .get_belief = {1, 1, 0, 1}},
    {8, WIRE_CLOSE, .close = {1, 1}},
    {.request_id = 9, .kind = WIRE_PING},
    {10, WIRE_ERROR, .error = {WIRE_IDLE, "field", "A sentence.", 77}},
    {11, WIRE_WELCOME, .welcome = {"beliefd 0.1.0", 1, models, 2, 4096, 8}},
    {12, WIRE_OPENED, .opened = {1, 2, 1, 3, 4, 5, DIGEST, &models[0]}},
    {13, WIRE_ACTION, .action = {UINT64_MAX, FLOATS(0, 4), WIRE_STATUS_DUPLICATE, 5, DIGEST, 6, 0.25, 1e-12, 7,
                                 8}},
    {14, WIRE_OBSERVED, .observed = {statuses, 3, 9, DIGEST}},
    {15, WIRE_DONE, .done = {1, 2, DIGEST}},
    {16, WIRE_BELIEF, .belief = {1, DIGEST, 2, heads, 2, DOUBLES(2), DOUBLES(1)}},
};
enum { KINDS = sizeof full / sizeof *full };

static long encode(uint8_t *out, size_t room, const struct wire_envelope *envelope)
{
    struct wire_arena arena;
    wire_arena_init(&arena, memory, sizeof memory);
    return wire_encode(out, room, envelope, &arena);
}

static int decode(struct wire_envelope *envelope, const uint8_t *bytes, size_t size)
{
    struct wire_arena arena;
    wire_arena_init(&arena, other_memory, sizeof other_memory);
    return wire_decode(envelope, bytes, size, &arena);
}

static void check_floats(struct wire_floats a, struct wire_floats b)
{
    ck_assert_uint_eq(a.count, b.count);
    if (a.count)
        ck_assert_mem_eq(a.values, b.values, a.count * sizeof(float));
}

// Encoding is canonical, so two messages are the same if their bytes are.
static void check_same(const struct wire_envelope *a, const struct wire_envelope *b)
{
    long size = encode(frame, sizeof frame, a);
    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(encode(other_frame, sizeof other_frame, b), size);
    ck_assert_mem_eq(frame, other_frame, (size_t)size);
}

START_TEST(every_message_survives_the_wire)
{
    for (size_t i = 0; i < KINDS; i++) {
        for (int empty = 0; empty < 2; empty++) {
            struct wire_envelope in = empty ? (struct wire_envelope){.kind = full[i].kind} : full[i], out;
            long size = encode(frame, sizeof frame, &in);
            ck_assert_int_ge(size, FRAME_HEADER_SIZE);
            ck_assert_int_eq(decode(&out, frame + FRAME_HEADER_SIZE, (size_t)size - FRAME_HEADER_SIZE), 0);
            ck_assert_uint_eq(out.request_id, in.request_id);
            ck_assert_int_eq(out.kind, in.kind);
            check_same(&in, &out);
        }
    }
}
END_TEST

START_TEST(fields_arrive_in_their_places)
{
    struct wire_envelope out;
    long size = encode(frame, sizeof frame, &full[2]);
    ck_assert_int_eq(decode(&out, frame + 4, (size_t)size - 4), 0);
    ck_assert_uint_eq(out.step.handle, 70000);
    ck_assert_uint_eq(out.step.seq, UINT64_MAX);
    ck_assert_uint_eq(out.step.task, 3);
    check_floats(out.step.observation, full[2].step.observation);
    ck_assert(out.step.reward == -2.5f);
    check_floats(out.step.action, full[2].step.action);
    ck_assert_int_eq(out.step.last, 1);

    size = encode(frame, sizeof frame, &full[3]);
    ck_assert_int_eq(decode(&out, frame + 4, (size_t)size - 4), 0);
    ck_assert_uint_eq(out.observe.writer, 6);
    ck_assert_uint_eq(out.observe.transition_count, 2);
    ck_assert_uint_eq(out.observe.transitions[1].seq, UINT64_MAX);
    check_floats(out.observe.transitions[0].next_observation, transitions[0].next_observation);

    size = encode(frame, sizeof frame, &full[12]);
    ck_assert_int_eq(decode(&out, frame + 4, (size_t)size - 4), 0);
    check_floats(out.action.action, full[12].action.action);
    ck_assert_int_eq(out.action.status, WIRE_STATUS_DUPLICATE);
    ck_assert_mem_eq(out.action.digest.bytes, digest, sizeof digest);
    ck_assert(out.action.reward_p == 0.25 && out.action.transition_p == 1e-12);
    ck_assert_uint_eq(out.action.compute_us, 8);

    size = encode(frame, sizeof frame, &full[15]);
    ck_assert_int_eq(decode(&out, frame + 4, (size_t)size - 4), 0);
    ck_assert_uint_eq(out.belief.head_count, 2);
    ck_assert_str_eq(out.belief.heads[0].name, "transition");
    ck_assert(out.belief.heads[0].mean.values[2] == 0.1);
    ck_assert_uint_eq(out.belief.estimate_mean.count, 2);

    size = encode(frame, sizeof frame, &full[11]);
    ck_assert_int_eq(decode(&out, frame + 4, (size_t)size - 4), 0);
    ck_assert_str_eq(out.opened.model->world, "half-cheetah-vel");
    ck_assert_uint_eq(out.opened.model->reward_features, 17);
}
END_TEST

// What clients of other languages send must not change: field numbers and types, byte by byte.
START_TEST(a_step_has_these_bytes)
{
    static const float observation[] = {1, -2};
    const struct wire_envelope step = {
        300, WIRE_STEP, .step = {1, 5, 2, {observation, 2}, 0.5f, {observation, 1}, 1}};
    static const uint8_t expected[] = {
        0, 0, 0, 34,                                     // length
        0x08, 0xac, 0x02,                                // request_id = 300
        0x22, 29,                                        // step, 29 bytes
        0x08, 1, 0x10, 5, 0x18, 2,                       // handle, seq, task
        0x22, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0,        // observation = 1, -2
        0x2d, 0, 0, 0, 0x3f,                             // reward = 0.5
        0x32, 4, 0, 0, 0x80, 0x3f,                       // action = 1
        0x38, 1,                                         // last
    };
    long size = encode(frame, sizeof frame, &step);
    ck_assert_int_eq(size, (long)sizeof expected);
    ck_assert_mem_eq(frame, expected, sizeof expected);
}
END_TEST

START_TEST(room_that_is_too_small_is_left_alone)
{
    for (size_t i = 0; i < KINDS; i++) {
        long size = encode(NULL, 0, &full[i]);
        ck_assert_int_gt(size, 0);
        memset(frame, 0xee, sizeof frame);
        ck_assert_int_eq(encode(frame, (size_t)size - 1, &full[i]), size);
        for (long b = 0; b <= size; b++)
            ck_assert_uint_eq(frame[b], 0xee);
        ck_assert_int_eq(encode(frame, (size_t)size, &full[i]), size);
        ck_assert_uint_eq(frame[size], 0xee);
    }
}
END_TEST

// Every prefix of every message: either refused, or a message of fewer fields; never more than its bytes.
START_TEST(cut_messages_do_no_harm)
{
    for (size_t i = 0; i < KINDS; i++) {
        size_t size = (size_t)encode(frame, sizeof frame, &full[i]) - FRAME_HEADER_SIZE;
        size_t refused = 0;
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *exact = malloc(cut ? cut : 1);  // so that a sanitizer sees a read past the end
            memcpy(exact, frame + FRAME_HEADER_SIZE, cut);
            struct wire_envelope out;
            int error = decode(&out, exact, cut);
            ck_assert(error == 0 || error == -EBADMSG);
            refused += error != 0;
            free(exact);
        }
        ck_assert_uint_ge(refused + 3, size);
    }
}
END_TEST

START_TEST(an_arena_that_is_too_small_is_an_error)
{
    for (size_t i = 0; i < KINDS; i++) {
        size_t size = (size_t)encode(frame, sizeof frame, &full[i]) - FRAME_HEADER_SIZE;
        size_t enough = 0;
        for (size_t room = 0; room < 4096; room += 8) {
            struct wire_arena arena;
            struct wire_envelope out;
            uint8_t *exact = malloc(room ? room : 1);
            wire_arena_init(&arena, exact, room);
            int error = wire_decode(&out, frame + FRAME_HEADER_SIZE, size, &arena);
            ck_assert(error == 0 || error == -ENOMEM);
            ck_assert(error == 0 || !enough);
            if (!error && !enough)
                enough = room;
            free(exact);
        }
        ck_assert_uint_gt(enough, 0);
        ck_assert_uint_le(enough, wire_arena_bound(size, 2));
    }
    struct wire_arena none;
    wire_arena_init(&none, memory, 8);
    ck_assert_int_eq(wire_encode(frame, sizeof frame, &full[3], &none), -ENOMEM);
    ck_assert_int_eq(wire_encode(frame, sizeof frame, &full[15], &none), -ENOMEM);
}
END_TEST

START_TEST(the_bound_is_enough_for_the_largest_messages)
{
    enum { COUNT = 300, DIM = 3 };
    static struct wire_transition many[COUNT];
    static uint8_t large[1 << 16];
    for (size_t i = 0; i < COUNT; i++)
        many[i] = (struct wire_transition){i + 1, FLOATS(0, DIM), FLOATS(0, 1), 1, FLOATS(1, DIM)};
    const struct wire_envelope in = {1, WIRE_OBSERVE, .observe = {1, 2, 3, many, COUNT}};
    size_t bound = wire_arena_bound(sizeof large, COUNT);
    struct wire_arena arena;
    wire_arena_init(&arena, malloc(bound), bound);
    long size = wire_encode(large, sizeof large, &in, &arena);
    ck_assert_int_gt(size, 0);
    ck_assert_int_le(size, (long)sizeof large);
    struct wire_envelope out;
    arena.size = wire_arena_bound((size_t)size, COUNT);
    wire_arena_reset(&arena);
    ck_assert_int_eq(wire_decode(&out, large + FRAME_HEADER_SIZE, (size_t)size - FRAME_HEADER_SIZE, &arena), 0);
    ck_assert_uint_eq(out.observe.transition_count, COUNT);
    ck_assert_uint_eq(out.observe.transitions[COUNT - 1].seq, COUNT);
    free(arena.memory);
}
END_TEST

START_TEST(unknown_bodies_and_fields_are_told_apart_from_garbage)
{
    static const uint8_t unknown_body[] = {0x08, 5, 0xa2, 0x06, 1, 0};        // request_id 5, field 100
    static const uint8_t unknown_field[] = {0x08, 5, 0x52, 2, 0x78, 9};       // Ping with field 15
    static const uint8_t wrong_type[] = {0x08, 5, 0x20, 1};                   // step is not a number
    static const uint8_t garbage[] = "GET / HTTP/1.1\r\n";
    struct wire_envelope out;
    ck_assert_int_eq(decode(&out, unknown_body, sizeof unknown_body), 0);
    ck_assert_uint_eq(out.request_id, 5);
    ck_assert_int_eq(out.kind, WIRE_NONE);
    ck_assert_int_eq(decode(&out, unknown_field, sizeof unknown_field), 0);
    ck_assert_int_eq(out.kind, WIRE_PING);
    ck_assert_int_eq(decode(&out, wrong_type, sizeof wrong_type), -EBADMSG);
    ck_assert_int_eq(decode(&out, garbage, sizeof garbage - 1), -EBADMSG);
    ck_assert_int_eq(decode(&out, NULL, 0), 0);
    ck_assert_int_eq(out.kind, WIRE_NONE);
}
END_TEST

START_TEST(random_bytes_do_no_harm)
{
    struct random_stream stream = random_stream(11, 0, 0, 0);
    for (int trial = 0; trial < 20000; trial++) {
        // Half of them are damaged messages.
        size_t size = random_below(&stream, 60);
        if (trial % 2) {
            const struct wire_envelope *in = &full[random_below(&stream, KINDS)];
            size = (size_t)encode(frame, sizeof frame, in) - FRAME_HEADER_SIZE;
            frame[FRAME_HEADER_SIZE + random_below(&stream, (uint32_t)size)] ^=
                (uint8_t)(1 << random_below(&stream, 8));
        } else {
            for (size_t i = 0; i < size; i++)
                frame[FRAME_HEADER_SIZE + i] = (uint8_t)random_bits(&stream);
        }
        struct wire_envelope out;
        int error = decode(&out, frame + FRAME_HEADER_SIZE, size);
        ck_assert(error == 0 || error == -EBADMSG || error == -ENOMEM);
        if (!error)
            ck_assert_int_ge(encode(other_frame, sizeof other_frame, &out), FRAME_HEADER_SIZE);
    }
}
END_TEST

START_TEST(names_are_those_of_the_proto_file)
{
    ck_assert_str_eq(wire_error_name(WIRE_OUT_OF_STEP), "OUT_OF_STEP");
    ck_assert_str_eq(wire_error_name(WIRE_IDLE), "IDLE");
    ck_assert_str_eq(wire_error_name((enum wire_error_code)99), "UNKNOWN");
    ck_assert_str_eq(wire_status_name(WIRE_STATUS_OTHER_TASK), "other_task");
    ck_assert_str_eq(wire_status_name((enum wire_status)99), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire");
    SUITE_TEST(suite, every_message_survives_the_wire);
    SUITE_TEST(suite, fields_arrive_in_their_places);
    SUITE_TEST(suite, a_step_has_these_bytes);
    SUITE_TEST(suite, room_that_is_too_small_is_left_alone);
    SUITE_TEST(suite, cut_messages_do_no_harm);
    SUITE_TEST(suite, an_arena_that_is_too_small_is_an_error);
    SUITE_TEST(suite, the_bound_is_enough_for_the_largest_messages);
    SUITE_TEST(suite, unknown_bodies_and_fields_are_told_apart_from_garbage);
    SUITE_TEST(suite, random_bytes_do_no_harm);
    SUITE_TEST(suite, names_are_those_of_the_proto_file);
    return suite_finish(suite);
}
