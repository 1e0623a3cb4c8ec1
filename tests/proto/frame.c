// Frames come out as they went in, however the bytes are cut.

#include "proto/frame.h"

#include "daemon/base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

enum { BASE = 32, LIMIT = 1000, FRAMES = 50 };

// FRAMES frames of random sizes in one block; body i is filled with byte i.
static size_t make_frames(uint8_t *out, size_t largest)
{
    struct random_stream stream = random_stream(1, 2, 3, 4);
    size_t used = 0;
    for (size_t i = 0; i < FRAMES; i++) {
        uint32_t size = random_below(&stream, (uint32_t)largest + 1);
        frame_write_header(out + used, size);
        memset(out + used + FRAME_HEADER_SIZE, (int)i, size);
        used += FRAME_HEADER_SIZE + size;
    }
    return used;
}

static void take_whole_frames(struct frame_buffer *buffer, size_t *next)
{
    const uint8_t *body;
    size_t size;
    while (frame_next(buffer, LIMIT, &body, &size) == 1) {
        for (size_t i = 0; i < size; i++)
            ck_assert_uint_eq(body[i], *next);
        frame_buffer_consume(buffer, FRAME_HEADER_SIZE + size);
        ++*next;
    }
}

START_TEST(any_cut_gives_the_same_frames)
{
    uint8_t *bytes = malloc(FRAMES * (FRAME_HEADER_SIZE + LIMIT));
    size_t total = make_frames(bytes, LIMIT - FRAME_HEADER_SIZE);
    struct random_stream stream = random_stream(5, 6, 7, 8);
    for (int trial = 0; trial < 20; trial++) {
        struct frame_buffer buffer;
        ck_assert_int_eq(frame_buffer_init(&buffer, BASE, LIMIT), 0);
        size_t next = 0;
        for (size_t at = 0, cut; at < total; at += cut) {
            cut = trial == 0 ? 1 : 1 + random_below(&stream, trial * 20u);
            cut = cut < total - at ? cut : total - at;
            uint8_t *room = frame_buffer_reserve(&buffer, 1);
            ck_assert_ptr_nonnull(room);
            size_t fits = buffer.capacity - buffer.end;
            cut = cut < fits ? cut : fits;
            memcpy(room, bytes + at, cut);
            frame_buffer_append(&buffer, cut);
            take_whole_frames(&buffer, &next);
        }
        ck_assert_uint_eq(next, FRAMES);
        ck_assert_uint_eq(frame_buffer_size(&buffer), 0);
        frame_buffer_release(&buffer);
    }
    free(bytes);
}
END_TEST

START_TEST(a_length_beyond_the_limit_is_known_from_four_bytes)
{
    struct frame_buffer buffer;
    const uint8_t *body;
    size_t size;
    ck_assert_int_eq(frame_buffer_init(&buffer, BASE, LIMIT), 0);
    frame_write_header(frame_buffer_reserve(&buffer, 4), 101);
    frame_buffer_append(&buffer, 3);
    ck_assert_int_eq(frame_next(&buffer, 100, &body, &size), 0);
    ck_assert_uint_eq(size, FRAME_HEADER_SIZE);
    frame_buffer_append(&buffer, 1);
    ck_assert_int_eq(frame_next(&buffer, 100, &body, &size), -EMSGSIZE);
    ck_assert_uint_eq(size, 101);
    ck_assert_int_eq(frame_next(&buffer, 101, &body, &size), 0);
    ck_assert_uint_eq(size, FRAME_HEADER_SIZE + 101);
    frame_write_header(buffer.memory, UINT32_MAX);
    ck_assert_int_eq(frame_next(&buffer, 101, &body, &size), -EMSGSIZE);
    ck_assert_uint_eq(size, UINT32_MAX);
    frame_buffer_release(&buffer);
}
END_TEST

START_TEST(a_buffer_grows_to_its_limit_and_back)
{
    struct frame_buffer buffer;
    ck_assert_int_eq(frame_buffer_init(&buffer, BASE, LIMIT), 0);
    for (size_t i = 0; i < LIMIT; i++) {
        uint8_t *room = frame_buffer_reserve(&buffer, 1);
        ck_assert_ptr_nonnull(room);
        *room = (uint8_t)(i * 7);
        frame_buffer_append(&buffer, 1);
    }
    ck_assert_uint_eq(buffer.capacity, LIMIT);
    ck_assert_ptr_null(frame_buffer_reserve(&buffer, 1));
    frame_buffer_consume(&buffer, LIMIT - BASE);
    ck_assert_ptr_nonnull(frame_buffer_reserve(&buffer, LIMIT - BASE));
    ck_assert_ptr_null(frame_buffer_reserve(&buffer, LIMIT - BASE + 1));
    frame_buffer_trim(&buffer);
    ck_assert_uint_eq(buffer.capacity, BASE);
    ck_assert_uint_eq(frame_buffer_size(&buffer), BASE);
    for (size_t i = 0; i < BASE; i++)
        ck_assert_uint_eq(frame_buffer_data(&buffer)[i], (uint8_t)((LIMIT - BASE + i) * 7));
    frame_buffer_release(&buffer);
}
END_TEST

START_TEST(small_frames_never_make_a_buffer_grow)
{
    struct frame_buffer buffer;
    ck_assert_int_eq(frame_buffer_init(&buffer, BASE, LIMIT), 0);
    const uint8_t *memory = buffer.memory;
    for (size_t i = 0; i < 10000; i++) {
        size_t size = i % (BASE / 2) + 1;
        ck_assert_ptr_nonnull(frame_buffer_reserve(&buffer, size));
        frame_buffer_append(&buffer, size);
        if (frame_buffer_size(&buffer) > BASE / 2)
            frame_buffer_consume(&buffer, frame_buffer_size(&buffer) - i % 3);
    }
    ck_assert_ptr_eq(memory, buffer.memory);
    ck_assert_uint_eq(buffer.capacity, BASE);
    frame_buffer_release(&buffer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    SUITE_TEST(suite, any_cut_gives_the_same_frames);
    SUITE_TEST(suite, a_length_beyond_the_limit_is_known_from_four_bytes);
    SUITE_TEST(suite, a_buffer_grows_to_its_limit_and_back);
    SUITE_TEST(suite, small_frames_never_make_a_buffer_grow);
    return suite_finish(suite);
}
