// The set of numbers that were seen, against a plain table.

#include "daemon/serve/seen.h"

#include <errno.h>
#include <string.h>

#include "daemon/base/random.h"
#include "tests/support/suite.h"

enum { LIMIT = 12, NUMBERS = 64 };

static struct seen_range ranges[LIMIT];

static size_t runs(const unsigned char *table)
{
    size_t count = 0;
    for (size_t i = 1; i < NUMBERS; i++)
        count += table[i] && !table[i - 1];
    return count;
}

START_TEST(the_set_is_what_a_table_says)
{
    struct random_stream stream = random_stream(1, 0, 0, 0);
    for (int trial = 0; trial < 100; trial++) {
        struct seen seen;
        unsigned char table[NUMBERS] = {0};
        seen_init(&seen, ranges, LIMIT);
        for (int i = 0; i < 200; i++) {
            uint32_t number = 1 + random_below(&stream, NUMBERS - 1);
            unsigned char before[NUMBERS];
            memcpy(before, table, sizeof table);
            table[number] = 1;
            int expected = before[number] ? 0 : runs(table) > LIMIT ? -ENOSPC : 1;
            ck_assert_int_eq(seen_add(&seen, number), expected);
            if (expected < 0)
                memcpy(table, before, sizeof table);
            ck_assert_uint_eq(seen.count, runs(table));
            size_t wrong = 0;
            for (size_t n = 1; n < NUMBERS; n++)
                wrong += seen_contains(&seen, n) != table[n];
            ck_assert_uint_eq(wrong, 0);
        }
    }
}
END_TEST

START_TEST(the_ends_of_the_numbers_are_ordinary)
{
    struct seen seen;
    seen_init(&seen, ranges, LIMIT);
    ck_assert_int_eq(seen_add(&seen, UINT64_MAX), 1);
    ck_assert_int_eq(seen_add(&seen, UINT64_MAX - 2), 1);
    ck_assert_int_eq(seen_add(&seen, 1), 1);
    ck_assert_uint_eq(seen.count, 3);
    ck_assert_int_eq(seen_add(&seen, UINT64_MAX - 1), 1);
    ck_assert_int_eq(seen_add(&seen, UINT64_MAX), 0);
    ck_assert_uint_eq(seen.count, 2);
    ck_assert(!seen_contains(&seen, 2));
}
END_TEST

START_TEST(closing_the_oldest_gap_keeps_the_others)
{
    struct seen seen;
    seen_init(&seen, ranges, LIMIT);
    for (uint64_t number = 10; number <= 50; number += 10)
        seen_add(&seen, number);
    seen_close_oldest_gap(&seen);
    ck_assert_uint_eq(seen.count, 4);
    for (uint64_t number = 10; number <= 20; number++)
        ck_assert(seen_contains(&seen, number));
    ck_assert(!seen_contains(&seen, 9) && !seen_contains(&seen, 21) && !seen_contains(&seen, 35));
    ck_assert(seen_contains(&seen, 30) && seen_contains(&seen, 50));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("seen");
    SUITE_TEST(suite, the_set_is_what_a_table_says);
    SUITE_TEST(suite, the_ends_of_the_numbers_are_ordinary);
    SUITE_TEST(suite, closing_the_oldest_gap_keeps_the_others);
    return suite_finish(suite);
}
