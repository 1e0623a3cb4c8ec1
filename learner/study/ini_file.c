// libinih with line numbers; the contract is in ini_file.h.
//
// The library tells its handler no line, but asks its reader for one line at a time: so the reader counts.

#include "ini_file.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct ini_file *file;
    FILE *stream;
    unsigned line;
    int continues;                   // this line begins with a blank
    int error;
    char *why;
    size_t why_size;
};

// The first mistake is the one that is told.
__attribute__((format(printf, 2, 3))) static void mistake(struct reading *r, const char *format, ...)
{
    if (r->error)
        return;
    r->error = -EINVAL;
    int used = snprintf(r->why, r->why_size, "%s:%u: ", r->file->path, r->line);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && (size_t)used < r->why_size)
        vsnprintf(r->why + used, r->why_size - (size_t)used, format, arguments);
    va_end(arguments);
}

static void begin_section(struct reading *r, const char *line)
{
    struct ini_file *file = r->file;
    size_t length = strcspn(line + 1, "]");
    char name[INI_NAME];
    if (line[1 + length] != ']') {
        mistake(r, "a section begins with its name in brackets, as in [cells]");
        return;
    }
    if (length == 0 || length >= sizeof name) {
        mistake(r, "the name of a section has 1 to %zu letters", sizeof name - 1);
        return;
    }
    memcpy(name, line + 1, length);
    name[length] = 0;
    if (ini_find_section(file, name))
        mistake(r, "[%s] is here a second time; it began at line %u", name, ini_find_section(file, name)->line);
    else if (file->count == INI_SECTIONS)
        mistake(r, "more than %d sections", INI_SECTIONS);
    if (r->error)
        return;
    struct ini_section *section = &file->sections[file->count++];
    memcpy(section->name, name, sizeof name);
    section->line = r->line;
}

static char *read_line(char *line, int room, void *context)
{
    struct reading *r = context;
    if (r->error || !fgets(line, room, r->stream))
        return NULL;
    r->line++;
    r->continues = isspace((unsigned char)line[0]);
    size_t length = strlen(line);
    if (length + 1 == (size_t)room && line[length - 1] != '\n') {
        mistake(r, "the line is longer than %d letters; go on in the next one, after a blank", room - 3);
        return NULL;
    }
    if (line[0] == '[')
        begin_section(r, line);
    return r->error ? NULL : line;
}

static void take_key(struct reading *r, const char *section_name, const char *name, const char *value)
{
    struct ini_file *file = r->file;
    struct ini_section *section = file->count ? &file->sections[file->count - 1] : NULL;
    if (!section || strcmp(section->name, section_name)) {
        mistake(r, "%s belongs to no section; one begins with a [ at the start of its line", name);
        return;
    }
    if (strlen(name) >= INI_NAME) {
        mistake(r, "the name of a key has at most %d letters", INI_NAME - 1);
        return;
    }
    struct ini_key *last = section->count ? &section->keys[section->count - 1] : NULL;
    if (r->continues && last && !strcmp(last->name, name)) {
        size_t length = strlen(last->value);
        if ((size_t)snprintf(last->value + length, INI_VALUE - length, " %s", value) >= INI_VALUE - length)
            mistake(r, "%s is longer than %d letters", name, INI_VALUE - 1);
        return;
    }
    const struct ini_key *before = ini_find_key(section, name);
    if (before)
        mistake(r, "%s is set a second time in [%s]; the first is at line %u", name, section_name, before->line);
    else if (section->count == INI_KEYS)
        mistake(r, "more than %d keys in [%s]", INI_KEYS, section_name);
    if (r->error)
        return;
    struct ini_key *key = &section->keys[section->count++];
    key->line = r->line;
    memcpy(key->name, name, strlen(name) + 1);
    if ((size_t)snprintf(key->value, sizeof key->value, "%s", value) >= sizeof key->value)
        mistake(r, "%s is longer than %zu letters", name, sizeof key->value - 1);
}

static int on_key(void *context, const char *section, const char *name, const char *value)
{
    struct reading *r = context;
    if (!r->error)
        take_key(r, section, name, value);
    return !r->error;
}

int ini_read(struct ini_file **result, const char *path, char *why, size_t why_size)
{
    struct ini_file *file = calloc(1, sizeof *file);
    struct reading r = {.file = file, .why = why, .why_size = why_size};
    if (!file || strlen(path) >= sizeof file->path) {
        free(file);
        snprintf(why, why_size, "%s", file ? "the path is too long" : "no memory");
        return file ? -ENAMETOOLONG : -ENOMEM;
    }
    snprintf(file->path, sizeof file->path, "%s", path);
    if (!(r.stream = fopen(path, "r"))) {
        r.error = -errno;
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
        goto fail;
    }
    int line = ini_parse_stream(read_line, &r, on_key, &r);
    if (!r.error && ferror(r.stream)) {
        r.error = -EIO;
        snprintf(why, why_size, "%s cannot be read", path);
    }
    fclose(r.stream);
    if (!r.error && line > 0) {
        r.line = (unsigned)line;
        mistake(&r, "this is neither \"key = value\" nor a section");
    }
    if (r.error)
        goto fail;
    *result = file;
    return 0;
fail:
    free(file);
    return r.error;
}

void ini_free(struct ini_file *file)
{
    free(file);
}

const struct ini_section *ini_find_section(const struct ini_file *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (!strcmp(file->sections[i].name, name))
            return &file->sections[i];
    return NULL;
}

const struct ini_key *ini_find_key(const struct ini_section *section, const char *name)
{
    for (size_t i = 0; section && i < section->count; i++)
        if (!strcmp(section->keys[i].name, name))
            return &section->keys[i];
    return NULL;
}
