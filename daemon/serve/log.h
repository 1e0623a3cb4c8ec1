#pragma once
// Log lines for people and for programs: one line an event, `key=value` pairs, on standard error.
//
//     time=2026-01-31T12:00:00.000Z level=info event=ready sessions=0 model="arm 3"
//     {"time":"2026-01-31T12:00:00.000Z","level":"info","event":"ready","sessions":0,"model":"arm 3"}
//
// Values that are not plain words are quoted and everything unprintable in them is escaped, so that what a client
// sent cannot forge a line or reach a terminal. Any thread.

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

enum log_style { LOG_AS_TEXT, LOG_AS_JSON };

struct log_field {
    const char *key;   // NULL: this field is left out
    const char *text;  // or NULL: number
    uint64_t number;
};

#define LOG_TEXT(key, value) ((struct log_field){(key), (value), 0})
#define LOG_NUMBER(key, value) ((struct log_field){(key), NULL, (uint64_t)(value)})

// log_event(LOG_INFO, "ready", LOG_NUMBER("models", 2), LOG_TEXT("listen", address));
#define log_event(level, event, ...)                                                              \
    log_fields((level), (event), (const struct log_field[]){__VA_ARGS__},                         \
               sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

// Before other threads begin. Lines above the level are not written; LOG_INFO and LOG_AS_TEXT at start.
void log_set_level(enum log_level level);
void log_set_style(enum log_style style);
void log_fields(enum log_level level, const char *event, const struct log_field *fields, size_t count);

// What a request's line has of its W3C trace context: trace=00-<32 hex>-<16 hex>-<2 hex>. Left out if `traceparent` is
// NULL or not one.
struct log_field log_trace(const char *traceparent);

// The line (without time) in out, cut to size (so that it still is a JSON object). For log_fields and for tests.
size_t log_format(char *out, size_t size, enum log_style style, enum log_level level, const char *event,
                  const struct log_field *fields, size_t count);
