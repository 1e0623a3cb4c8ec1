// bel-learn report DIR...: tables and pictures of what experiments left behind.

#include "learner/commands.h"

#include "learner/arguments.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int report_command(int argc, char **argv)
{
    const char *path = "docs/results.md";
    char why[1500] = "no memory", command[2000] = "bel-learn report";
    struct results *all = NULL;
    size_t count = 0, used = strlen(command);
    int status;
    const struct argument arguments[] = {
        {"--out", 't', &path, 0, 0, "FILE.md", "the report (docs/results.md); pictures go to the directory of the same name"},
    };
    const struct command_line line = {
        "report", "bel-learn report makes tables and pictures of what experiments left behind (docs/experiments.md).\n\n"
        "    bel-learn report DIR... [options]\n\n"
        "A DIR is an experiment, or holds experiments: what bel-learn experiment had as --out.",
        "on which directories?", 1, argc, arguments, sizeof arguments / sizeof *arguments};
    int directories = arguments_read(&line, argc, argv, &status);
    if (directories < 0)
        return status;
    status = 0;
    for (int i = 2; i < 2 + directories && !status; i++) {
        if (used < sizeof command)
            used += (size_t)snprintf(command + used, sizeof command - used, " %s", argv[i]);
        if (results_read(&all, &count, argv[i], why, sizeof why))
            status = fail("%s", why);
    }
    if (!status && used < sizeof command)
        snprintf(command + used, sizeof command - used, " --out %s", path);
    if (!status && report_write(all, count, path, command, why, sizeof why))
        status = fail("%s", why);
    results_free(all, count);
    return status;
}
