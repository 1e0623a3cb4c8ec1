// bel-learn: trains the models that beliefd serves, and evaluates them.

#include "commands.h"

#include "arguments.h"
#include "blas.h"
#include "nearest.h"

#include <errno.h>
#include <signal.h>
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

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    int computes;                // with OpenBLAS
    const char *help;
} commands[] = {
    {"train", train_command, 1, "a model for a family of tasks"},
    {"evaluate", evaluate_command, 1, "what a model reaches on fresh tasks"},
    {"study", study_command, 1, "what a model's belief is worth by itself"},
    {"experiment", experiment_command, 1, "trains all that one file compares"},
    {"report", report_command, 0, "tables and pictures of what experiments left behind"},
    {"export", export_command, 0, "a model as ONNX graphs"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void help(void)
{
    printf("bel-learn trains the models that beliefd serves.\n\n"
           "    bel-learn COMMAND --help\n    bel-learn --version\n\ncommands\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("    %-20s %s\n", commands[i].name, commands[i].help);
    worlds_help();
}

static int refuse_command(const char *name)
{
    const char *names[COMMANDS + 1] = {"help"};
    for (size_t i = 0; i < COMMANDS; i++)
        names[i + 1] = commands[i].name;
    const char *nearest = nearest_name(name, names, COMMANDS + 1);
    fail("there is no command \"%s\"%s%s%s (see bel-learn --help)", name, nearest ? "; was it to be " : "",
         nearest ? nearest : "", nearest ? "?" : "");
    return 2;
}

static int run(const struct command *command, int argc, char **argv)
{
    int helps = 0;
    for (int i = 2; i < argc; i++)
        helps |= asks_for_help(argv[i]);
    if (command->computes && !helps)
        blas_choose(argv);
    return command->run(argc, argv);
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is an error like a full disk
    // "bel-learn help train" is "bel-learn train --help".
    char *turned[] = {argv[0], argc > 2 ? argv[2] : NULL, "--help", NULL};
    if (argc == 3 && !strcmp(argv[1], "help"))
        argv = turned;
    if (argc < 2 || asks_for_help(argv[1]) || !strcmp(argv[1], "help")) {
        help();
        return argc < 2 ? 2 : 0;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("bel-learn %s, commit %s\n", BELIEFD_VERSION, learner_commit());
        return 0;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name))
            return run(&commands[i], argc, argv);
    return refuse_command(argv[1]);
}
