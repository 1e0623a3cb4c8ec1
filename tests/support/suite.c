#include "suite.h"

#include <stdlib.h>

int suite_finish(Suite *suite)
{
    // Sanitizers and emulators are slow; a test that hangs still ends.
    setenv("CK_DEFAULT_TIMEOUT", "300", 0);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
