// Options and their values may stand anywhere.

#include "arguments.h"

#include "commands.h"
#include "nearest.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

enum { ARGUMENTS = 32 };

int asks_for_help(const char *argument)
{
    return !strcmp(argument, "--help") || !strcmp(argument, "-h");
}

static void print_help(const struct command_line *line)
{
    printf("%s\n\noptions\n", line->about);
    for (size_t i = 0; i < line->count; i++) {
        const struct argument *a = &line->arguments[i];
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", a->name, a->value ? " " : "", a->value ? a->value : "");
        printf("    %-21s %s\n", name, a->help);
    }
}

static int refuse_unknown(const struct command_line *line, const char *name)
{
    const char *names[ARGUMENTS];
    size_t count = 0;
    for (; count < line->count && count < ARGUMENTS; count++)
        names[count] = line->arguments[count].name;
    const char *nearest = nearest_name(name, names, count);
    fail("there is no option %s of %s%s%s%s (see bel-learn %s --help)", name, line->command,
         nearest ? "; was it to be " : "", nearest ? nearest : "", nearest ? "?" : "", line->command);
    return -1;
}

// text: NULL, there is none.
static int set(const struct argument *a, const char *text)
{
    uint64_t whole;
    if (!text || !strncmp(text, "--", 2)) {
        fail("%s needs a value, %s", a->name, a->value);
        return -1;
    }
    if (a->type == 't') {
        *(const char **)a->at = text;
        return 0;
    }
    if (options_whole(&whole, text) || (double)whole < a->low || (double)whole > a->high) {
        fail("%s takes a whole number from %.16g to %.16g, not \"%s\"", a->name, a->low, a->high, text);
        return -1;
    }
    *(uint64_t *)a->at = whole;
    return 0;
}

int arguments_read(const struct command_line *line, int argc, char **argv, int *status)
{
    int plain = 0;
    *status = 0;
    for (int i = 2; i < argc; i++)
        if (asks_for_help(argv[i])) {
            print_help(line);
            return -1;
        }
    *status = 2;
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] != '-' || !argv[i][1]) {
            argv[2 + plain++] = argv[i];
            continue;
        }
        size_t k = 0;
        while (k < line->count && strcmp(argv[i], line->arguments[k].name))
            k++;
        if (k == line->count)
            return refuse_unknown(line, argv[i]);
        const struct argument *a = &line->arguments[k];
        if (a->type == 'f')
            *(int *)a->at = 1;
        else if (set(a, i + 1 < argc ? argv[i + 1] : NULL))
            return -1;
        i += a->type != 'f';
    }
    if (plain < line->least || plain > line->most) {
        if (plain < line->least)
            fail("%s %s (see bel-learn %s --help)", line->command, line->plain, line->command);
        else
            fail("\"%s\" is one too many for %s (see bel-learn %s --help)", argv[2 + line->most], line->command,
                 line->command);
        return -1;
    }
    return plain;
}
