// Messages survive the wire, field by field; whatever else comes is refused without harm.

#include "messages.h"

#include "daemon/base/random.h"
#include "proto/frame.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static uint8_t frame[MESSAGE_FRAME], other_frame[MESSAGE_FRAME];

static void check_floats(struct wire_floats a, struct wire_floats b)
{
    ck_assert_uint_eq(a.count, b.count);
    if (a.count)
        ck_assert_mem_eq(a.values, b.values, a.count * sizeof(float));
}

// Encoding is canonical, so two messages are the same if their bytes are.
static void check_same(const struct wire_envelope *a, const struct wire_envelope *b)
{
    long size = message_encode(frame, sizeof frame, a);
    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(message_encode(other_frame, sizeof other_frame, b), size);
    ck_assert_mem_eq(frame, other_frame, (size_t)size);
}

START_TEST(every_message_survives_the_wire)
{
    for (size_t i = 0; i < message_count; i++) {
        for (int empty = 0; empty < 2; empty++) {
            struct wire_envelope in = empty ? (struct wire_envelope){.kind = messages[i].kind} : messages[i], out;
            long size = message_encode(frame, sizeof frame, &in);
            ck_assert_int_ge(size, FRAME_HEADER_SIZE);
            ck_assert_int_eq(message_decode(&out, frame + FRAME_HEADER_SIZE, (size_t)size - FRAME_HEADER_SIZE), 0);
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
    long size = message_encode(frame, sizeof frame, message_of(WIRE_STEP));
    ck_assert_int_eq(message_decode(&out, frame + 4, (size_t)size - 4), 0);
    ck_assert_uint_eq(out.step.handle, 70000);
    ck_assert_uint_eq(out.step.seq, UINT64_MAX);
    ck_assert_uint_eq(out.step.task, 3);
    check_floats(out.step.observation, message_of(WIRE_STEP)->step.observation);
    ck_assert(out.step.reward == -2.5f);
    check_floats(out.step.action, message_of(WIRE_STEP)->step.action);
    ck_assert_int_eq(out.step.last, 1);

    size = message_encode(frame, sizeof frame, message_of(WIRE_OBSERVE));
    ck_assert_int_eq(message_decode(&out, frame + 4, (size_t)size - 4), 0);
    ck_assert_uint_eq(out.observe.writer, 6);
    ck_assert_uint_eq(out.observe.transition_count, 2);
    ck_assert_uint_eq(out.observe.transitions[1].seq, UINT64_MAX);
    check_floats(out.observe.transitions[0].next_observation,
                 message_of(WIRE_OBSERVE)->observe.transitions[0].next_observation);

    size = message_encode(frame, sizeof frame, message_of(WIRE_ACTION));
    ck_assert_int_eq(message_decode(&out, frame + 4, (size_t)size - 4), 0);
    check_floats(out.action.action, message_of(WIRE_ACTION)->action.action);
    ck_assert_int_eq(out.action.status, WIRE_STATUS_DUPLICATE);
    ck_assert_mem_eq(out.action.digest.bytes, message_of(WIRE_ACTION)->action.digest.bytes, WIRE_DIGEST_SIZE);
    ck_assert(out.action.reward_p == 0.25 && out.action.transition_p == 1e-12);
    ck_assert_uint_eq(out.action.compute_us, 8);

    size = message_encode(frame, sizeof frame, message_of(WIRE_BELIEF));
    ck_assert_int_eq(message_decode(&out, frame + 4, (size_t)size - 4), 0);
    ck_assert_uint_eq(out.belief.head_count, 2);
    ck_assert_str_eq(out.belief.heads[0].name, "transition");
    ck_assert(out.belief.heads[0].mean.values[2] == 0.1);
    ck_assert_uint_eq(out.belief.estimate_mean.count, 2);

    size = message_encode(frame, sizeof frame, message_of(WIRE_OPENED));
    ck_assert_int_eq(message_decode(&out, frame + 4, (size_t)size - 4), 0);
    ck_assert_str_eq(out.opened.model->world, "half-cheetah-vel");
    ck_assert_uint_eq(out.opened.model->reward_features, 17);
}
END_TEST

// What clients of other languages send must not change: field numbers and types, byte by byte.
START_TEST(a_step_has_these_bytes)
{
    static const float observation[] = {1, -2};
    const struct wire_envelope step = {
        300, WIRE_STEP, .step = {.handle = 1, .seq = 5, .task = 2, .observation = {observation, 2}, .reward = 0.5f,
                             .action = {observation, 1}, .last = 1}};
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
    long size = message_encode(frame, sizeof frame, &step);
    ck_assert_int_eq(size, (long)sizeof expected);
    ck_assert_mem_eq(frame, expected, sizeof expected);
}
END_TEST

START_TEST(a_named_step_has_these_bytes)
{
    const struct wire_envelope step = {0, WIRE_STEP, .step = {.seq = 1, .session = "r", .epoch = 200}};
    static const uint8_t expected[] = {
        0, 0, 0, 10,                                     // length; request_id 0 is left out
        0x22, 8,                                         // step, 8 bytes
        0x10, 1,                                         // seq
        0x72, 1, 'r',                                    // session (field 14)
        0x78, 0xc8, 0x01,                                // epoch (field 15)
    };
    long size = message_encode(frame, sizeof frame, &step);
    ck_assert_int_eq(size, (long)sizeof expected);
    ck_assert_mem_eq(frame, expected, sizeof expected);
}
END_TEST

// This one is stored, so it must be read for as long as there are logs.
START_TEST(a_session_state_has_these_bytes)
{
    static const float observation[] = {1};
    static const uint64_t seen[] = {1, 300};
    static const uint8_t sum[] = {9};
    static const struct wire_writer_state writer = {3, {seen, 2}};
    static const struct wire_bytes sums[] = {{sum, 1}, {NULL, 0}};
    const struct wire_envelope state = {1, WIRE_SESSION_STATE, .session_state = {
        .version = 1, .session = "r", .identity = "i", .model = "m", .model_digest = "d", .epoch = 2, .task = 3,
        .seq = 4, .last_transition = 5, .standing = 1, .hold_prior = 1, .observation = {observation, 1},
        .action = {observation, 1}, .writers = &writer, .writer_count = 1, .sums = sums, .sums_count = 2, .count = 6,
        .digest = {sum, 1}, .duplicates = 7, .refused = 8}};
    static const uint8_t expected[] = {
        0x08, 1, 0x12, 1, 'r', 0x1a, 1, 'i', 0x22, 1, 'm', 0x2a, 1, 'd',  // version, names
        0x30, 2, 0x38, 3, 0x40, 4, 0x48, 5, 0x50, 1, 0x58, 1,             // epoch ... hold_prior
        0x62, 4, 0, 0, 0x80, 0x3f, 0x6a, 4, 0, 0, 0x80, 0x3f,             // observation, action
        0x72, 7, 0x08, 3, 0x12, 3, 1, 0xac, 0x02,                         // writers: 3 has seen 1 to 300
        0x7a, 1, 9, 0x7a, 0,                                              // sums
        0x80, 0x01, 6, 0x8a, 0x01, 1, 9, 0x90, 0x01, 7, 0x98, 0x01, 8,    // count, digest, duplicates, refused
    };
    long size = message_encode(frame, sizeof frame, &state);
    struct wire_bytes body = wire_body(frame, (size_t)size);
    ck_assert_uint_eq(body.size, sizeof expected);
    ck_assert_mem_eq(body.bytes, expected, sizeof expected);
}
END_TEST

START_TEST(a_body_is_decoded_without_its_envelope)
{
    static uint8_t memory[MESSAGE_ARENA];
    for (size_t i = 0; i < message_count; i++) {
        for (int anonymous = 0; anonymous < 2; anonymous++) {
            struct wire_envelope in = messages[i], out = {.request_id = 77};
            struct wire_arena arena;
            in.request_id = anonymous ? 0 : in.request_id;
            size_t size = (size_t)message_encode(frame, sizeof frame, &in);
            struct wire_bytes body = wire_body(frame, size);
            uint8_t *exact = malloc(body.size ? body.size : 1);
            memcpy(exact, body.bytes, body.size);
            wire_arena_init(&arena, memory, sizeof memory);
            ck_assert_int_eq(wire_decode_body(&out, in.kind, exact, body.size, &arena), 0);
            free(exact);
            ck_assert_uint_eq(out.request_id, 77);
            out.request_id = in.request_id;
            check_same(&in, &out);
        }
    }
}
END_TEST

START_TEST(a_body_of_no_kind_or_of_garbage_is_refused)
{
    static uint8_t memory[MESSAGE_ARENA];
    static const uint8_t garbage[] = {0x22, 0xff, 0xff};
    static const enum wire_kind none[] = {WIRE_NONE, (enum wire_kind)1, (enum wire_kind)27, (enum wire_kind)30,
                                          (enum wire_kind)31, (enum wire_kind)44, (enum wire_kind)-1};
    struct wire_envelope out;
    struct wire_arena arena;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        wire_arena_init(&arena, memory, sizeof memory);
        ck_assert_int_eq(wire_decode_body(&out, none[i], garbage, 0, &arena), -EINVAL);
        ck_assert_int_eq(message_encode(frame, sizeof frame, &(struct wire_envelope){.kind = none[i]}),
                         none[i] == WIRE_NONE ? FRAME_HEADER_SIZE : -EINVAL);
    }
    for (size_t i = 0; i < message_count; i++) {
        wire_arena_init(&arena, memory, sizeof memory);
        ck_assert_int_eq(wire_decode_body(&out, messages[i].kind, garbage, sizeof garbage, &arena), -EBADMSG);
        wire_arena_init(&arena, memory, 8);
        ck_assert_int_eq(wire_decode_body(&out, messages[i].kind, garbage, 0, &arena), -ENOMEM);
    }
    ck_assert_uint_eq(wire_body(frame, FRAME_HEADER_SIZE).size, 0);
}
END_TEST

// Session states as large as a daemon lets them grow, intervals in single bytes where they can be.
START_TEST(the_bound_is_enough_for_states_and_lists)
{
    enum { WRITERS = 16, NUMBERS = 130, SESSIONS = 300 };
    static struct wire_writer_state writers[WRITERS];
    static uint64_t numbers[NUMBERS];
    static struct wire_session_info sessions[SESSIONS];
    static uint8_t large[1 << 16];
    for (uint64_t i = 0; i < NUMBERS; i++)
        numbers[i] = i;
    for (uint32_t i = 0; i < WRITERS; i++)
        writers[i] = (struct wire_writer_state){i, {numbers, NUMBERS}};
    for (size_t i = 0; i < SESSIONS; i++)
        sessions[i] = message_of(WIRE_SESSION_LIST)->session_list.sessions[0];
    const struct wire_envelope in[] = {
        {1, WIRE_SESSION_STATE, .session_state = {.writers = writers, .writer_count = WRITERS}},
        {1, WIRE_SESSION_LIST, .session_list = {sessions, SESSIONS, 0}}};
    const size_t parts[] = {WRITERS + WRITERS * NUMBERS / 100, SESSIONS};
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
        size_t bound = wire_arena_bound(sizeof large, parts[i]);
        struct wire_arena arena;
        struct wire_envelope out;
        wire_arena_init(&arena, malloc(bound), bound);
        long size = wire_encode(large, sizeof large, &in[i], &arena);
        ck_assert_int_gt(size, 0);
        ck_assert_int_le(size, (long)sizeof large);
        wire_arena_reset(&arena);
        arena.size = wire_arena_bound((size_t)size, parts[i]);
        ck_assert_int_eq(wire_decode(&out, large + FRAME_HEADER_SIZE, (size_t)size - FRAME_HEADER_SIZE, &arena), 0);
        free(arena.memory);
    }
}
END_TEST

START_TEST(room_that_is_too_small_is_left_alone)
{
    for (size_t i = 0; i < message_count; i++) {
        long size = message_encode(NULL, 0, &messages[i]);
        ck_assert_int_gt(size, 0);
        memset(frame, 0xee, sizeof frame);
        ck_assert_int_eq(message_encode(frame, (size_t)size - 1, &messages[i]), size);
        for (long b = 0; b <= size; b++)
            ck_assert_uint_eq(frame[b], 0xee);
        ck_assert_int_eq(message_encode(frame, (size_t)size, &messages[i]), size);
        ck_assert_uint_eq(frame[size], 0xee);
    }
}
END_TEST

// Every prefix of every message: either refused, or a message of fewer fields; never more than its bytes.
START_TEST(cut_messages_do_no_harm)
{
    for (size_t i = 0; i < message_count; i++) {
        size_t size = (size_t)message_encode(frame, sizeof frame, &messages[i]) - FRAME_HEADER_SIZE;
        size_t refused = 0;
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *exact = malloc(cut ? cut : 1);  // so that a sanitizer sees a read past the end
            memcpy(exact, frame + FRAME_HEADER_SIZE, cut);
            struct wire_envelope out;
            int error = message_decode(&out, exact, cut);
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
    for (size_t i = 0; i < message_count; i++) {
        size_t size = (size_t)message_encode(frame, sizeof frame, &messages[i]) - FRAME_HEADER_SIZE;
        size_t enough = 0;
        for (size_t room = 0; room < 8192; room += 8) {
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
        ck_assert_uint_le(enough, wire_arena_bound(size, 8));
    }
    static uint8_t memory[8];
    struct wire_arena none;
    wire_arena_init(&none, memory, sizeof memory);
    ck_assert_int_eq(wire_encode(frame, sizeof frame, message_of(WIRE_OBSERVE), &none), -ENOMEM);
    ck_assert_int_eq(wire_encode(frame, sizeof frame, message_of(WIRE_BELIEF), &none), -ENOMEM);
}
END_TEST

START_TEST(the_bound_is_enough_for_the_largest_messages)
{
    enum { COUNT = 300, DIM = 3 };
    static struct wire_transition many[COUNT];
    static const float numbers[DIM] = {1.5f, -0.25f, 7};
    static uint8_t large[1 << 16];
    for (size_t i = 0; i < COUNT; i++)
        many[i] = (struct wire_transition){.seq = i + 1, .observation = {numbers, DIM}, .action = {numbers, 1},
                                           .reward = 1, .next_observation = {numbers, DIM}};
    const struct wire_envelope in = {
        1, WIRE_OBSERVE, .observe = {.handle = 1, .writer = 2, .task = 3, .transitions = many, .transition_count = COUNT}};
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
    ck_assert_int_eq(message_decode(&out, unknown_body, sizeof unknown_body), 0);
    ck_assert_uint_eq(out.request_id, 5);
    ck_assert_int_eq(out.kind, WIRE_NONE);
    ck_assert_int_eq(message_decode(&out, unknown_field, sizeof unknown_field), 0);
    ck_assert_int_eq(out.kind, WIRE_PING);
    ck_assert_int_eq(message_decode(&out, wrong_type, sizeof wrong_type), -EBADMSG);
    ck_assert_int_eq(message_decode(&out, garbage, sizeof garbage - 1), -EBADMSG);
    ck_assert_int_eq(message_decode(&out, NULL, 0), 0);
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
            const struct wire_envelope *in = &messages[random_below(&stream, message_count)];
            size = (size_t)message_encode(frame, sizeof frame, in) - FRAME_HEADER_SIZE;
            frame[FRAME_HEADER_SIZE + random_below(&stream, (uint32_t)size)] ^=
                (uint8_t)(1 << random_below(&stream, 8));
        } else {
            for (size_t i = 0; i < size; i++)
                frame[FRAME_HEADER_SIZE + i] = (uint8_t)random_bits(&stream);
        }
        struct wire_envelope out;
        int error = message_decode(&out, frame + FRAME_HEADER_SIZE, size);
        ck_assert(error == 0 || error == -EBADMSG || error == -ENOMEM);
        if (!error)
            ck_assert_int_ge(message_encode(other_frame, sizeof other_frame, &out), FRAME_HEADER_SIZE);
    }
}
END_TEST

START_TEST(names_are_those_of_the_proto_file)
{
    ck_assert_str_eq(wire_error_name(WIRE_OUT_OF_STEP), "OUT_OF_STEP");
    ck_assert_str_eq(wire_error_name(WIRE_IDLE), "IDLE");
    ck_assert_str_eq(wire_error_name(WIRE_MOVED), "MOVED");
    ck_assert_str_eq(wire_error_name(WIRE_RATE), "RATE");
    ck_assert_str_eq(wire_error_name((enum wire_error_code)99), "UNKNOWN");
    ck_assert_str_eq(wire_status_name(WIRE_STATUS_OTHER_TASK), "other_task");
    ck_assert_str_eq(wire_status_name(WIRE_STATUS_UNDURABLE), "undurable");
    ck_assert_str_eq(wire_status_name((enum wire_status)99), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire");
    SUITE_TEST(suite, every_message_survives_the_wire);
    SUITE_TEST(suite, fields_arrive_in_their_places);
    SUITE_TEST(suite, a_step_has_these_bytes);
    SUITE_TEST(suite, a_named_step_has_these_bytes);
    SUITE_TEST(suite, a_session_state_has_these_bytes);
    SUITE_TEST(suite, a_body_is_decoded_without_its_envelope);
    SUITE_TEST(suite, a_body_of_no_kind_or_of_garbage_is_refused);
    SUITE_TEST(suite, the_bound_is_enough_for_states_and_lists);
    SUITE_TEST(suite, room_that_is_too_small_is_left_alone);
    SUITE_TEST(suite, cut_messages_do_no_harm);
    SUITE_TEST(suite, an_arena_that_is_too_small_is_an_error);
    SUITE_TEST(suite, the_bound_is_enough_for_the_largest_messages);
    SUITE_TEST(suite, unknown_bodies_and_fields_are_told_apart_from_garbage);
    SUITE_TEST(suite, random_bytes_do_no_harm);
    SUITE_TEST(suite, names_are_those_of_the_proto_file);
    return suite_finish(suite);
}
