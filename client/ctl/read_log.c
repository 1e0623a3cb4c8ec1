// beliefctl verify and export: the experience log, read without a daemon, or beside one that writes it.
#include "ctl.h"
#include "export.h"
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// As deploy/beliefd.conf has it.
static const char *directory_of(const struct ctl *ctl)
{
    return ctl->word_count ? ctl->words[0] : "/var/lib/beliefd/log";
}

int verify_log_run(struct ctl *ctl)
{
    return verify_run(directory_of(ctl), ctl->session, ctl->json, stdout) ? CTL_FAILED : CTL_DONE;
}

// What the data set says of itself, on standard error if the data are on standard output.
static int report(const struct ctl *ctl, unsigned long long rows)
{
    if (!ctl->json)
        return fprintf(stderr, "%llu transitions\n", rows) < 0 ? CTL_FAILED : CTL_DONE;
    cJSON *object = cJSON_CreateObject();
    json_add_number(object, "rows", rows);
    cJSON_AddStringToObject(object, "file", ctl->out);
    return ctl_print(object);
}

int export_log_run(struct ctl *ctl)
{
    const struct export_options options = {.session = ctl->session, .model = ctl->model, .format = ctl->format};
    char temporary[4096] = "", why[512] = "";
    unsigned long long rows = 0;
    if (ctl->json && !ctl->out)
        return ctl_fail(ctl, CTL_USAGE, "--json needs --out, for the data themselves go to standard output otherwise");
    if (ctl->format && strcmp(ctl->format, "csv") && strcmp(ctl->format, "jsonl") && strcmp(ctl->format, "npy"))
        return ctl_fail(ctl, CTL_USAGE, "--format %s: it is csv, jsonl or npy", ctl->format);
    FILE *out = stdout;
    if (ctl->out) {
        // Under another name until it is whole.
        if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", ctl->out) >= sizeof temporary)
            return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->out, strerror(ENAMETOOLONG));
        int file = mkostemp(temporary, O_CLOEXEC);
        out = file < 0 ? NULL : fdopen(file, "w");
        if (!out)
            return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->out, strerror(errno));
    }
    int error = export_run(directory_of(ctl), &options, out, &rows, why, sizeof why);
    if ((ctl->out ? fclose(out) : fflush(out)) && !error) {
        snprintf(why, sizeof why, "%s: %s", ctl->out ? ctl->out : "standard output", strerror(errno));
        error = 1;
    }
    if (!error && ctl->out && rename(temporary, ctl->out)) {
        snprintf(why, sizeof why, "%.256s: %s", ctl->out, strerror(errno));
        error = 1;
    }
    if (error && ctl->out)
        unlink(temporary);
    return error ? ctl_fail(ctl, CTL_FAILED, "%s", why) : report(ctl, rows);
}
