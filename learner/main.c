// bel-learn: trains the models that beliefd serves, and evaluates them.

#include "commands.h"

#include "blas.h"
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bel-learn: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return 1;
}

cJSON *json_numbers(const double *values, size_t count)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber(values[i]));
    return array;
}

int print_json(cJSON *json)
{
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;
    int failed = !text || puts(text) < 0 || fflush(stdout);
    cJSON_free(text);
    cJSON_Delete(json);
    return failed ? fail("the result cannot be written: %s", strerror(errno)) : 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        options_help();
        return argc < 2 ? 2 : 0;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("bel-learn %s, commit %s\n", BELIEFD_VERSION, learner_commit());
        return 0;
    }
    if (!strcmp(argv[1], "export"))
        return export_command(argc, argv);
    blas_choose(argv);
    if (!strcmp(argv[1], "train"))
        return train_command(argc, argv);
    if (!strcmp(argv[1], "evaluate"))
        return evaluate_command(argc, argv);
    if (!strcmp(argv[1], "experiment"))
        return experiment_command(argc, argv);
    if (!strcmp(argv[1], "report"))
        return report_command(argc, argv);
    if (!strcmp(argv[1], "study"))
        return study_command(argc, argv);
    fail("there is no command \"%s\" (see bel-learn --help)", argv[1]);
    return 2;
}
