// The config file; the contract is in config.h.
#include "config.h"

#include "daemon/policy/refuse.h"
#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000000, VALUE_LIMIT = 4096 };

// Whole numbers with their range; a unit above 1 marks a time kept in microseconds.
static const struct number_key {
    const char *key;
    size_t offset;
    uint64_t low, high, unit;
} number_keys[] = {
    {"connections", offsetof(struct config, limits.connections), 1, 100000, 1},
    {"sessions", offsetof(struct config, limits.sessions), 1, 1000000, 1},
    {"frame_bytes", offsetof(struct config, limits.frame_bytes), 4096, 1 << 28, 1},
    {"in_flight", offsetof(struct config, limits.in_flight), 1, 65536, 1},
    {"gaps", offsetof(struct config, limits.gaps), 1, 65536, 1},
    {"writers", offsetof(struct config, limits.writers), 1, 4096, 1},
    {"connection_idle_seconds", offsetof(struct config, limits.connection_idle_us), 1, 31536000, SECOND},
    {"session_idle_seconds", offsetof(struct config, limits.session_idle_us), 1, 31536000, SECOND},
    {"slow_reader_seconds", offsetof(struct config, limits.slow_reader_us), 1, 3600, SECOND},
    {"drain_seconds", offsetof(struct config, drain_us), 1, 3600, SECOND},
};

enum { NUMBER_KEYS = sizeof number_keys / sizeof *number_keys };
enum { KEY_LOG_LEVEL = NUMBER_KEYS, KEY_SOCKET_MODE, KEYS };

void config_init(struct config *config)
{
    *config = (struct config){
        .socket_mode = 0600,
        .limits = {.connections = 1024, .sessions = 4096, .frame_bytes = 4 << 20, .in_flight = 64, .gaps = 64,
                   .writers = 16, .connection_idle_us = 600ull * SECOND, .session_idle_us = 3600ull * SECOND,
                   .slow_reader_us = 10ull * SECOND},
        .drain_us = 5ull * SECOND,
        .log_level = LOG_INFO};
}

void config_release(struct config *config)
{
    for (size_t i = 0; i < config->model_count; i++)
        free(config->models[i]);
    config->model_count = 0;
}

int config_add_listen(struct config *config, const char *text, char *why, size_t why_size)
{
    if (config->listen_count == CONFIG_LISTEN_LIMIT)
        return refuse(why, why_size, -EINVAL, "no more than %d addresses", CONFIG_LISTEN_LIMIT);
    for (size_t i = 0; i < config->listen_count; i++)
        if (!strcmp(config->listen[i].text, text))
            return refuse(why, why_size, -EINVAL, "%s is given twice", text);
    int error = address_parse(&config->listen[config->listen_count], text, why, why_size);
    config->listen_count += error == 0;
    return error;
}

int config_add_model(struct config *config, const char *path, char *why, size_t why_size)
{
    if (config->model_count == MODELS_LIMIT)
        return refuse(why, why_size, -EINVAL, "no more than %d models", MODELS_LIMIT);
    for (size_t i = 0; i < config->model_count; i++)
        if (!strcmp(config->models[i], path))
            return refuse(why, why_size, -EINVAL, "%s is given twice", path);
    char *copy = strdup(path);
    if (!copy)
        return refuse(why, why_size, -EINVAL, "no memory");
    config->models[config->model_count++] = copy;
    return 0;
}

static int set_number(struct config *config, const struct number_key *key, const char *value, char *why,
                      size_t why_size)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || errno || number < key->low || number > key->high)
        return refuse(why, why_size, -EINVAL, "\"%s\" is not a whole number from %llu to %llu", value,
                      (unsigned long long)key->low, (unsigned long long)key->high);
    void *field = (char *)config + key->offset;
    if (key->unit == 1)
        *(size_t *)field = (size_t)number;
    else
        *(uint64_t *)field = number * key->unit;
    return 0;
}

static int set_log_level(struct config *config, const char *value, char *why, size_t why_size)
{
    int level = log_level_named(value);
    if (level < 0)
        return refuse(why, why_size, -EINVAL, "\"%s\" is not error, warning, info or debug", value);
    config->log_level = level;
    return 0;
}

static int set_socket_mode(struct config *config, const char *value, char *why, size_t why_size)
{
    char *end;
    unsigned long mode = strtoul(value, &end, 8);
    if (!isdigit((unsigned char)*value) || *end || mode > 0777)
        return refuse(why, why_size, -EINVAL, "\"%s\" is not a mode such as 0660", value);
    config->socket_mode = (unsigned)mode;
    return 0;
}

// key and value end with 0. `given` remembers which single keys were set in this file.
static int set(struct config *config, int given[KEYS], const char *key, const char *value, char *why,
               size_t why_size)
{
    if (!*value)
        return refuse(why, why_size, -EINVAL, "has no value");
    if (!strcmp(key, "listen"))
        return config_add_listen(config, value, why, why_size);
    if (!strcmp(key, "model"))
        return config_add_model(config, value, why, why_size);
    int which = -1;
    for (int i = 0; i < NUMBER_KEYS; i++)
        if (!strcmp(key, number_keys[i].key))
            which = i;
    if (!strcmp(key, "log_level"))
        which = KEY_LOG_LEVEL;
    if (!strcmp(key, "socket_mode"))
        which = KEY_SOCKET_MODE;
    if (which < 0)
        return refuse(why, why_size, -EINVAL, "unknown key");
    if (given[which]++)
        return refuse(why, why_size, -EINVAL, "is given twice");
    if (which == KEY_LOG_LEVEL)
        return set_log_level(config, value, why, why_size);
    if (which == KEY_SOCKET_MODE)
        return set_socket_mode(config, value, why, why_size);
    return set_number(config, &number_keys[which], value, why, why_size);
}

static char *trimmed(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

int config_parse(struct config *config, const char *name, const char *text, size_t size, char *why,
                 size_t why_size)
{
    int given[KEYS] = {0};
    size_t number = 0;
    for (size_t start = 0, end; start < size; start = end + 1) {
        const char *newline = memchr(text + start, '\n', size - start);
        end = newline ? (size_t)(newline - text) : size;
        number++;
        char line[VALUE_LIMIT], reason[VALUE_LIMIT + 128];
        size_t length = end - start;
        if (length >= sizeof line || memchr(text + start, '\0', length))
            return refuse(why, why_size, -EINVAL, "%s:%zu: not a line of text", name, number);
        memcpy(line, text + start, length);
        line[length] = '\0';
        char *key = trimmed(line);
        if (!*key || *key == '#')
            continue;
        char *equals = strchr(key, '=');
        if (!equals)
            return refuse(why, why_size, -EINVAL, "%s:%zu: %.64s: not of the form key = value", name, number, key);
        *equals = '\0';
        key = trimmed(key);
        if (set(config, given, key, trimmed(equals + 1), reason, sizeof reason))
            return refuse(why, why_size, -EINVAL, "%s:%zu: %.64s: %s", name, number, key, reason);
    }
    return 0;
}

int config_read(struct config *config, const char *path, char *why, size_t why_size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return refuse(why, why_size, -EINVAL, "%s: %s", path, strerror(errno));
    char *text = malloc(CONFIG_FILE_LIMIT);
    int result;
    size_t size = text ? fread(text, 1, CONFIG_FILE_LIMIT, file) : 0;
    if (!text)
        result = refuse(why, why_size, -EINVAL, "%s: no memory", path);
    else if (ferror(file))
        result = refuse(why, why_size, -EINVAL, "%s: cannot be read", path);
    else if (size == CONFIG_FILE_LIMIT)
        result = refuse(why, why_size, -EINVAL, "%s: too long for a config file", path);
    else
        result = config_parse(config, path, text, size, why, why_size);
    free(text);
    fclose(file);
    return result;
}
