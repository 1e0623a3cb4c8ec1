#include "suite.h"

void suite_add(Suite *suite, const char *name, const TTest *test, int count, void (*before)(void),
               void (*after)(void))
{
    TCase *one = tcase_create(name);
    tcase_set_timeout(one, SUITE_TIMEOUT_SECONDS);
    tcase_add_checked_fixture(one, before, after);
    tcase_add_loop_test(one, test, 0, count);
    suite_add_tcase(suite, one);
}

int suite_finish(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    // Who asks for one case by a name that is no longer there is told.
    int failed = srunner_ntests_failed(runner) > 0 || srunner_ntests_run(runner) == 0;
    srunner_free(runner);
    return failed;
}
