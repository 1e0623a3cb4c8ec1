// Aliases on disk; the contract is in aliases.h.
#include "aliases.h"

#include "log.h"

#include "daemon/policy/refuse.h"
#include "daemon/policy/whole_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

_Static_assert(MODEL_NAME_LIMIT == 64, "the widths below");

static int path_of(const char *directory, char path[PATH_MAX])
{
    return directory && snprintf(path, PATH_MAX, "%s/aliases", directory) < PATH_MAX;
}

int aliases_write(const char *directory, const struct catalogue *catalogue, char *why, size_t why_size)
{
    char path[PATH_MAX], text[ALIASES_LIMIT * sizeof(struct alias) + 1] = "";
    size_t used = 0;
    if (!path_of(directory, path))
        return 0;
    for (size_t i = 0; i < catalogue->alias_count; i++)
        used += (size_t)sprintf(text + used, "%s %s\n", catalogue->aliases[i].alias, catalogue->aliases[i].model);
    int error = whole_file_write(path, (const uint8_t *)text, used);
    return error ? refuse(why, why_size, error, "%s cannot be written: %s", path, strerror(-error)) : 0;
}

void aliases_read(const char *directory, struct catalogue *catalogue)
{
    char path[PATH_MAX], alias[MODEL_NAME_LIMIT], model[MODEL_NAME_LIMIT], why[256];
    FILE *file = path_of(directory, path) ? fopen(path, "re") : NULL;
    while (file && fscanf(file, "%63s %63s", alias, model) == 2)
        if (catalogue_alias(catalogue, alias, model, why, sizeof why))
            log_event(LOG_ERROR, "alias_refused", LOG_TEXT("alias", alias), LOG_TEXT("why", why));
    if (file)
        fclose(file);
}
