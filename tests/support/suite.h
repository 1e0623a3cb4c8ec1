#pragma once
// Every test program is one check suite: build it, hand it over, return the result.
//
//     int main(void)
//     {
//         Suite *suite = suite_create("belief");
//         SUITE_TEST(suite, observing_in_any_order_gives_one_posterior);
//         return suite_finish(suite);
//     }

#include <check.h>

// Sanitizers and emulators are slow; a test that hangs still ends.
enum { SUITE_TIMEOUT_SECONDS = 300 };

// One test function as a case of its own, so that a failure names the fact that does not hold.
#define SUITE_TEST(suite, function) suite_add(suite, #function, function, 1, NULL, NULL)

// The same between `before` and `after`.
#define SUITE_TEST_WITH(suite, function, before, after) suite_add(suite, #function, function, 1, before, after)

// The same for each line of a table: the function finds its number in _i, 0 .. count - 1.
#define SUITE_TEST_EACH(suite, function, count) suite_add(suite, #function, function, count, NULL, NULL)

void suite_add(Suite *suite, const char *name, const TTest *test, int count, void (*before)(void),
               void (*after)(void));

// Runs all, prints check's summary, frees. The exit code for main.
int suite_finish(Suite *suite);
