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
#define SUITE_TEST(suite, function)                           \
    do {                                                      \
        TCase *suite_case = tcase_create(#function);          \
        tcase_set_timeout(suite_case, SUITE_TIMEOUT_SECONDS); \
        tcase_add_test(suite_case, function);                 \
        suite_add_tcase(suite, suite_case);                   \
    } while (0)

// Runs all, prints check's summary, frees. The exit code for main.
int suite_finish(Suite *suite);
