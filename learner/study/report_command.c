// bel-learn report DIR...: tables and pictures of what experiments left behind.

#include "learner/commands.h"

#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int report_command(int argc, char **argv)
{
    const char *path = "docs/results.md";
    char why[1500] = "no memory", command[2000] = "bel-learn report";
    struct results *all = NULL;
    size_t count = 0, directories = 0, used = strlen(command);
    int status = 0;
    for (int i = 2; i < argc && !status; i++) {
        if (!strcmp(argv[i], "--out") && i + 1 < argc) {
            path = argv[++i];
        } else if (!strncmp(argv[i], "--", 2)) {
            fail("%s is not an option of report, or lacks its value (see bel-learn --help)", argv[i]);
            status = 2;
        } else {
            directories++;
            if (used < sizeof command)
                used += (size_t)snprintf(command + used, sizeof command - used, " %s", argv[i]);
            if (results_read(&all, &count, argv[i], why, sizeof why))
                status = fail("%s", why);
        }
    }
    if (!status && !directories) {
        fail("report on which directories? (see bel-learn --help)");
        status = 2;
    }
    if (!status && used < sizeof command)
        snprintf(command + used, sizeof command - used, " --out %s", path);
    if (!status && report_write(all, count, path, command, why, sizeof why))
        status = fail("%s", why);
    results_free(all, count);
    return status;
}
