// Log lines; the contract is in log.h.
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_LIMIT = 2048, VALUE_LIMIT = 512 };

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static enum log_level threshold = LOG_INFO;
static enum log_style style_of_all = LOG_AS_TEXT;

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_set_style(enum log_style style)
{
    style_of_all = style;
}

struct log_field log_trace(const char *traceparent)
{
    static const char form[] = "hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
    size_t length = traceparent ? strlen(traceparent) : 0;
    int good = length == sizeof form - 1;
    for (size_t i = 0; good && i < length; i++)
        good = form[i] == '-' ? traceparent[i] == '-' : strchr("0123456789abcdef", traceparent[i]) != NULL;
    return (struct log_field){good ? "trace" : NULL, traceparent, 0};
}

struct line {
    enum log_style style;
    char *text;
    size_t size, used;
    int is_cut;  // something did not fit
};

static void put_char(struct line *line, char c)
{
    if (line->used + 1 < line->size)
        line->text[line->used++] = c;
    else
        line->is_cut = 1;
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
    if (line->style == LOG_AS_TEXT && is_plain(text) && strlen(text) <= VALUE_LIMIT) {
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
            put_text(line, line->style == LOG_AS_JSON ? "\\\\x" : "\\x");
            put_char(line, hex[c >> 4]);
            put_char(line, hex[c & 15]);
        } else {
            put_char(line, (char)c);
        }
    }
    put_char(line, '"');
}

static void put_field(struct line *line, const struct log_field *field)
{
    int json = line->style == LOG_AS_JSON;
    put_text(line, json ? ",\"" : " ");
    put_text(line, field->key);
    put_text(line, json ? "\":" : "=");
    if (field->text) {
        put_value(line, field->text);
    } else {
        char number[24];
        snprintf(number, sizeof number, "%llu", (unsigned long long)field->number);
        put_text(line, number);
    }
}

size_t log_format(char *out, size_t size, enum log_style style, enum log_level level, const char *event,
                  const struct log_field *fields, size_t count)
{
    struct line line = {style, out, style == LOG_AS_JSON ? size - 1 : size, 0, 0};  // room for the }
    put_text(&line, style == LOG_AS_JSON ? "{\"level\":\"" : "level=");
    put_text(&line, level_names[level]);
    put_text(&line, style == LOG_AS_JSON ? "\",\"event\":\"" : " event=");
    put_text(&line, event);
    if (style == LOG_AS_JSON)
        put_char(&line, '"');
    for (size_t i = 0; i < count; i++) {
        size_t before = line.used;
        if (fields[i].key)
            put_field(&line, &fields[i]);
        // Half a field is no JSON: it is left out, and all that follow.
        if (style == LOG_AS_JSON && line.is_cut) {
            line.used = before;
            break;
        }
    }
    if (style == LOG_AS_JSON)
        out[line.used++] = '}';
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
    char text[LINE_LIMIT], time[32];
    strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    int json = style_of_all == LOG_AS_JSON;
    size_t used = (size_t)snprintf(text, sizeof text, json ? "{\"time\":\"%s.%03ldZ\"" : "time=%s.%03ldZ", time,
                                   now.tv_nsec / 1000000);
    size_t joint = used;  // one object: its { is where the time's comma belongs
    used += !json;
    used += log_format(text + used, sizeof text - used - 1, style_of_all, level, event, fields, count);
    text[joint] = json ? ',' : ' ';
    text[used++] = '\n';
    // One write a line, so that lines of several threads and processes stay whole. A log that cannot be
    // written must not stop the daemon.
    ssize_t written = write(STDERR_FILENO, text, used);
    (void)written;
}
