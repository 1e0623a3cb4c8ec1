// Log lines; the contract is in log.h.
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_LIMIT = 2048, VALUE_LIMIT = 512 };

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static enum log_level threshold = LOG_INFO;

void log_set_level(enum log_level level)
{
    threshold = level;
}

int log_level_named(const char *name)
{
    for (int i = 0; i < (int)(sizeof level_names / sizeof *level_names); i++)
        if (!strcmp(name, level_names[i]))
            return i;
    return -1;
}

struct line {
    char *text;
    size_t size, used;
};

static void put_char(struct line *line, char c)
{
    if (line->used + 1 < line->size)
        line->text[line->used++] = c;
}

static void put_text(struct line *line, const char *text)
{
    while (*text)
        put_char(line, *text++);
}

static int is_plain(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-[],";
    return *text && text[strspn(text, plain)] == '\0';
}

static void put_value(struct line *line, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    if (is_plain(text) && strlen(text) <= VALUE_LIMIT) {
        put_text(line, text);
        return;
    }
    put_char(line, '"');
    for (size_t i = 0; text[i] && i < VALUE_LIMIT; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            put_char(line, '\\');
            put_char(line, (char)c);
        } else if (c < 0x20 || c >= 0x7f) {
            put_text(line, "\\x");
            put_char(line, hex[c >> 4]);
            put_char(line, hex[c & 15]);
        } else {
            put_char(line, (char)c);
        }
    }
    put_char(line, '"');
}

size_t log_format(char *out, size_t size, enum log_level level, const char *event, const struct log_field *fields,
                  size_t count)
{
    struct line line = {out, size, 0};
    put_text(&line, "level=");
    put_text(&line, level_names[level]);
    put_text(&line, " event=");
    put_text(&line, event);
    for (size_t i = 0; i < count; i++) {
        put_char(&line, ' ');
        put_text(&line, fields[i].key);
        put_char(&line, '=');
        if (fields[i].text) {
            put_value(&line, fields[i].text);
        } else {
            char number[24];
            snprintf(number, sizeof number, "%llu", (unsigned long long)fields[i].number);
            put_text(&line, number);
        }
    }
    out[line.used] = '\0';
    return line.used;
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    if (level > threshold)
        return;
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char text[LINE_LIMIT];
    size_t used = strftime(text, sizeof text, "time=%Y-%m-%dT%H:%M:%S", &utc);
    used += (size_t)snprintf(text + used, sizeof text - used, ".%03ldZ ", now.tv_nsec / 1000000);
    used += log_format(text + used, sizeof text - used - 1, level, event, fields, count);
    text[used++] = '\n';
    // One write a line, so that lines of several processes on one terminal stay whole. A log that cannot be
    // written must not stop the daemon.
    ssize_t written = write(STDERR_FILENO, text, used);
    (void)written;
}
