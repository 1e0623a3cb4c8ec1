// The ring between a loop and the store's thread.

#include "daemon/store/ring.h"

#include <pthread.h>
#include <string.h>

#include "tests/support/suite.h"

enum { RECORDS = 50000 };

START_TEST(a_record_is_in_one_piece_where_the_ring_closes)
{
    struct ring ring;
    ck_assert_int_eq(ring_init(&ring, 4096), 0);
    uint64_t position = 0;
    for (int i = 0; i < 1000; i++) {
        size_t size = 8 * (1 + (size_t)i * 37 % 300);
        uint8_t *bytes = ring_room(&ring, size);
        ck_assert_ptr_nonnull(bytes);
        memset(bytes, i, size);
        uint64_t end = ring_publish(&ring, size);
        const uint8_t *there = ring_at(&ring, position);
        for (size_t k = 0; k < size; k++)
            ck_assert_uint_eq(there[k], (uint8_t)i);
        ring_take(&ring, end);
        position = end;
    }
    ring_release(&ring);
}
END_TEST

START_TEST(a_full_ring_has_no_room_until_something_was_taken)
{
    struct ring ring;
    ck_assert_int_eq(ring_init(&ring, 1), 0);
    ck_assert_uint_eq(ring.size, 4096);
    ck_assert_ptr_null(ring_room(&ring, ring.size + 8));
    for (int i = 0; i < 4; i++) {
        ck_assert_ptr_nonnull(ring_room(&ring, 1024));
        ring_publish(&ring, 1024);
    }
    ck_assert_ptr_null(ring_room(&ring, 8));
    ring_take(&ring, 1024);
    ck_assert_ptr_nonnull(ring_room(&ring, 1024));
    ck_assert_ptr_null(ring_room(&ring, 1032));
    ring_release(&ring);
}
END_TEST

// Each record is its size, then its number in every word.
static void *put_all(void *context)
{
    struct ring *ring = context;
    for (uint64_t i = 0; i < RECORDS; i++) {
        size_t words = 2 + i % 29;
        uint64_t *record;
        while ((record = (uint64_t *)ring_room(ring, 8 * words)) == NULL)
            sched_yield();
        record[0] = words;
        for (size_t k = 1; k < words; k++)
            record[k] = i;
        ring_publish(ring, 8 * words);
    }
    return NULL;
}

START_TEST(what_one_thread_puts_another_takes_in_order)
{
    struct ring ring;
    pthread_t thread;
    ck_assert_int_eq(ring_init(&ring, 8192), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, put_all, &ring), 0);
    uint64_t position = 0;
    for (uint64_t i = 0; i < RECORDS;) {
        uint64_t head = ring_head(&ring);
        if (head == position)
            sched_yield();
        for (; position < head; i++) {
            const uint64_t *record = (const uint64_t *)ring_at(&ring, position);
            ck_assert_uint_eq(record[0], 2 + i % 29);
            for (size_t k = 1; k < record[0]; k++)
                ck_assert_uint_eq(record[k], i);
            position += 8 * record[0];
        }
        ring_take(&ring, position);
    }
    pthread_join(thread, NULL);
    ring_release(&ring);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring");
    SUITE_TEST(suite, a_record_is_in_one_piece_where_the_ring_closes);
    SUITE_TEST(suite, a_full_ring_has_no_room_until_something_was_taken);
    SUITE_TEST(suite, what_one_thread_puts_another_takes_in_order);
    return suite_finish(suite);
}
