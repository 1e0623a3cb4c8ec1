#pragma once
// The command line of a command, by a table that its --help is made of too.

#include <stddef.h>

struct argument {
    const char *name;            // with its dashes
    char type;                   // 'f' a flag (int), 't' a text (const char *), 'u' a whole number (uint64_t)
    void *at;
    double low, high;            // of a number
    const char *value;           // what help calls its value
    const char *help;
};

struct command_line {
    const char *command;         // "evaluate"
    const char *about;           // what it does, and its usage
    const char *plain;           // "which model?": what is asked for if there are too few arguments that are no options
    int least, most;             // how many of those
    const struct argument *arguments;
    size_t count;
};

// Reads argv[2] and on, and moves what is no option to there. Returns how many of those there are; or -1, with what to
// exit with in status: help was printed, or a sentence on standard error.
int arguments_read(const struct command_line *line, int argc, char **argv, int *status);

int asks_for_help(const char *argument);
