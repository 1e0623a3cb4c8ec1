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

// What a key's value is, and so how it is read.
enum value_kind { NUMBER, MICROSECONDS, TEXT, CHOICE, MODE, ADDRESS, HOST_PORT };

#define AT(field) offsetof(struct config, field)

static const char *const yes_or_no[] = {"no", "yes", NULL};
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};  // in the order of enum log_level
static const char *const durabilities[] = {"off", "interval", "always", NULL};    // of enum wire_durability
static const char *const formats[] = {"text", "json", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};

// Every key that is given once.
static const struct key {
    const char *key;
    size_t offset;
    enum value_kind kind;
    uint64_t low, high;           // of numbers, in the unit of the file
    const char *const *choices;   // CHOICE: the field is an int, `low` for the first and so on
} keys[] = {
    {"socket_mode", AT(socket_mode), MODE, 0, 0777, NULL},
    {"control", AT(control), ADDRESS, 0, 0, NULL},
    {"admin", AT(admin), HOST_PORT, 0, 0, NULL},
    {"insecure", AT(insecure), CHOICE, 0, 0, yes_or_no},
    {"identities", AT(identities), TEXT, 0, 0, NULL},
    {"tls_certificate", AT(tls_certificate), TEXT, 0, 0, NULL},
    {"tls_key", AT(tls_key), TEXT, 0, 0, NULL},
    {"tls_client_ca", AT(tls_client_ca), TEXT, 0, 0, NULL},
    {"tls_min_version", AT(tls_min_version), CHOICE, 12, 0, tls_versions},
    {"model_directory", AT(model_directory), TEXT, 0, 0, NULL},
    {"loops", AT(loops), NUMBER, 1, LOOPS_LIMIT, NULL},
    {"data_directory", AT(data_directory), TEXT, 0, 0, NULL},
    {"durability", AT(durability), CHOICE, 0, 0, durabilities},
    {"commit_ms", AT(commit_ms), NUMBER, 1, 10000, NULL},
    {"log_size_limit", AT(log_size_limit_bytes), NUMBER, 0, 1ull << 50, NULL},
    {"retention_days", AT(retention_days), NUMBER, 0, 36500, NULL},
    {"connections", AT(limits.connections), NUMBER, 1, 100000, NULL},
    {"sessions", AT(limits.sessions), NUMBER, 1, 1000000, NULL},
    {"frame_bytes", AT(limits.frame_bytes), NUMBER, 4096, 1 << 28, NULL},
    {"in_flight", AT(limits.in_flight), NUMBER, 1, 65536, NULL},
    {"gaps", AT(limits.gaps), NUMBER, 1, 65536, NULL},
    {"writers", AT(limits.writers), NUMBER, 1, 4096, NULL},
    {"handshake_seconds", AT(limits.handshake_us), MICROSECONDS, 1, 3600, NULL},
    {"connection_idle_seconds", AT(limits.connection_idle_us), MICROSECONDS, 1, 31536000, NULL},
    {"session_idle_seconds", AT(limits.session_idle_us), MICROSECONDS, 1, 31536000, NULL},
    {"session_spill_seconds", AT(limits.session_spill_us), MICROSECONDS, 1, 31536000, NULL},
    {"slow_reader_seconds", AT(limits.slow_reader_us), MICROSECONDS, 1, 3600, NULL},
    {"deadline_seconds", AT(limits.deadline_us), MICROSECONDS, 1, 3600, NULL},
    {"keepalive_seconds", AT(limits.keepalive_us), MICROSECONDS, 1, 86400, NULL},
    {"max_streams", AT(limits.streams), NUMBER, 1, 65536, NULL},
    {"header_bytes", AT(limits.header_bytes), NUMBER, 1024, 65536, NULL},
    {"resets_per_second", AT(limits.resets_per_second), NUMBER, 1, 1000000, NULL},
    {"pings_per_second", AT(limits.pings_per_second), NUMBER, 1, 1000000, NULL},
    {"drain_seconds", AT(drain_us), MICROSECONDS, 1, 3600, NULL},
    {"log_level", AT(log_level), CHOICE, LOG_ERROR, 0, levels},
    {"log_format", AT(log_json), CHOICE, 0, 0, formats},
};

enum { KEYS = sizeof keys / sizeof *keys };

_Static_assert(LOG_ERROR == 0 && LOG_DEBUG == 3 && WIRE_DURABILITY_ALWAYS == 2 &&
                   sizeof(enum wire_durability) == sizeof(int),
               "choices are in the order of their enums");

void config_init(struct config *config)
{
    *config = (struct config){
        .socket_mode = 0600,
        .tls_min_version = 12,
        .loops = 1,
        .durability = WIRE_DURABILITY_INTERVAL,
        .commit_ms = 20,
        .limits = {.connections = 1024, .sessions = 4096, .frame_bytes = 4 << 20, .in_flight = 64, .gaps = 64,
                   .writers = 16, .handshake_us = 15ull * SECOND, .connection_idle_us = 600ull * SECOND,
                   .session_idle_us = 3600ull * SECOND, .session_spill_us = 300ull * SECOND,
                   .slow_reader_us = 10ull * SECOND, .deadline_us = 60ull * SECOND, .keepalive_us = 60ull * SECOND,
                   .streams = 128, .header_bytes = 8192, .resets_per_second = 100, .pings_per_second = 10},
        .drain_us = 5ull * SECOND,
        .log_level = LOG_INFO};
}

static char **text_field(struct config *config, const struct key *key)
{
    return (char **)((char *)config + key->offset);
}

void config_release(struct config *config)
{
    for (size_t i = 0; i < config->model_count; i++)
        free(config->models[i]);
    config->model_count = 0;
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].kind == TEXT) {
            free(*text_field(config, &keys[i]));
            *text_field(config, &keys[i]) = NULL;
        }
    }
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

static int set_number(void *field, const struct key *key, const char *value, char *why, size_t why_size)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || errno || number < key->low || number > key->high)
        return refuse(why, why_size, -EINVAL, "\"%s\" is not a whole number from %llu to %llu", value,
                      (unsigned long long)key->low, (unsigned long long)key->high);
    if (key->kind == MICROSECONDS)
        *(uint64_t *)field = number * SECOND;
    else
        *(size_t *)field = (size_t)number;
    return 0;
}

static int set_choice(void *field, const struct key *key, const char *value, char *why, size_t why_size)
{
    char all[64] = "";
    for (size_t i = 0; key->choices[i]; i++) {
        if (!strcmp(value, key->choices[i])) {
            *(int *)field = (int)(key->low + i);
            return 0;
        }
        size_t used = strlen(all);
        const char *comma = i == 0 ? "" : key->choices[i + 1] ? ", " : " or ";
        snprintf(all + used, sizeof all - used, "%s%s", comma, key->choices[i]);
    }
    return refuse(why, why_size, -EINVAL, "\"%s\" is not %s", value, all);
}

static int set_mode(void *field, const char *value, char *why, size_t why_size)
{
    char *end;
    unsigned long mode = strtoul(value, &end, 8);
    if (!isdigit((unsigned char)*value) || *end || mode > 0777)
        return refuse(why, why_size, -EINVAL, "\"%s\" is not a mode such as 0660", value);
    *(unsigned *)field = (unsigned)mode;
    return 0;
}

static int set_text(char **field, const char *value, char *why, size_t why_size)
{
    char *copy = strdup(value);
    if (!copy)
        return refuse(why, why_size, -EINVAL, "no memory");
    free(*field);
    *field = copy;
    return 0;
}

static int set_address(struct address *field, const char *prefix, const char *value, char *why, size_t why_size)
{
    char text[VALUE_LIMIT + 8];
    struct address address;
    snprintf(text, sizeof text, "%s%s", prefix, value);
    int error = address_parse(&address, text, why, why_size);
    if (!error)
        *field = address;
    return error;
}

size_t config_key_count(void)
{
    return KEYS + 2;  // listen and model
}

static const struct key *find_key(const char *name)
{
    for (size_t i = 0; i < KEYS; i++)
        if (!strcmp(name, keys[i].key))
            return &keys[i];
    return NULL;
}

static int set_key(struct config *config, const struct key *key, const char *value, char *why, size_t why_size)
{
    void *field = (char *)config + key->offset;
    switch (key->kind) {
    case NUMBER:
    case MICROSECONDS:
        return set_number(field, key, value, why, why_size);
    case TEXT:
        return set_text(field, value, why, why_size);
    case CHOICE:
        return set_choice(field, key, value, why, why_size);
    case MODE:
        return set_mode(field, value, why, why_size);
    case ADDRESS:
        return set_address(field, "", value, why, why_size);
    case HOST_PORT:
        if (!set_address(field, "tcp:", value, why, why_size))
            return 0;
        return refuse(why, why_size, -EINVAL, "\"%s\" is not HOST:PORT, an IP address and a port up to 65535", value);
    }
    return -EINVAL;
}

// key and value end with 0. `given` (KEYS, or NULL) remembers which keys were set in this file.
static int set(struct config *config, int *given, const char *name, const char *value, char *why, size_t why_size)
{
    if (!*value)
        return refuse(why, why_size, -EINVAL, "has no value");
    if (!strcmp(name, "listen"))
        return config_add_listen(config, value, why, why_size);
    if (!strcmp(name, "model"))
        return config_add_model(config, value, why, why_size);
    const struct key *key = find_key(name);
    if (!key)
        return refuse(why, why_size, -EINVAL, "unknown key");
    if (given && given[key - keys]++)
        return refuse(why, why_size, -EINVAL, "is given twice");
    return set_key(config, key, value, why, why_size);
}

int config_set(struct config *config, const char *key, const char *value, char *why, size_t why_size)
{
    char reason[VALUE_LIMIT + 128];
    if (strlen(value) >= VALUE_LIMIT)
        return refuse(why, why_size, -EINVAL, "%s: more than %d bytes", key, VALUE_LIMIT - 1);
    int error = set(config, NULL, key, value, reason, sizeof reason);
    return error ? refuse(why, why_size, error, "%s: %s", key, reason) : 0;
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
        result = refuse(why, why_size, -EINVAL, "%s: %s", path, strerror(errno));
    else if (size == CONFIG_FILE_LIMIT)
        result = refuse(why, why_size, -EINVAL, "%s: too long for a config file", path);
    else
        result = config_parse(config, path, text, size, why, why_size);
    free(text);
    fclose(file);
    return result;
}

static int check_tls(const struct config *config, char *why, size_t why_size)
{
    int wanted = 0;
    for (size_t i = 0; i < config->listen_count; i++)
        wanted |= config->listen[i].kind == ADDRESS_TLS;
    if (wanted && (!config->tls_certificate || !config->tls_key))
        return refuse(why, why_size, -EINVAL, "a tls: address needs tls_certificate and tls_key");
    if (!config->tls_certificate != !config->tls_key)
        return refuse(why, why_size, -EINVAL, "tls_certificate and tls_key belong together");
    return 0;
}

// Nobody reads along or comes in from outside unless the operator said so.
static int check_address(const struct config *config, const struct address *address, char *why, size_t why_size)
{
    int is_admin = address == &config->admin;
    if (address->kind != ADDRESS_TCP || address->loopback || config->insecure)
        return 0;
    return refuse(why, why_size, -EINVAL,
                  "%s%s can be reached from other machines, and what is said there can be read by others: "
                  "%s, or say insecure = yes",
                  is_admin ? "admin: " : "", address->text + (is_admin ? strlen("tcp:") : 0),
                  is_admin ? "name an address of this machine alone, such as 127.0.0.1" : "use tls: instead");
}

int config_check(struct config *config, char *why, size_t why_size)
{
    if (config->listen_count == 0 || config->model_count == 0)
        return refuse(why, why_size, -EINVAL, "at least one --listen and one --model are needed (see --help)");
    int error = check_tls(config, why, why_size);
    for (size_t i = 0; i < config->listen_count && !error; i++)
        error = check_address(config, &config->listen[i], why, why_size);
    if (!error && *config->admin.text)
        error = check_address(config, &config->admin, why, why_size);
    if (error)
        return error;
    if (*config->control.text && config->control.kind != ADDRESS_UNIX)
        return refuse(why, why_size, -EINVAL, "control: %s: operators come over a Unix socket, unix:PATH",
                      config->control.text);
    for (size_t i = 0; i < config->listen_count; i++)
        if (!strcmp(config->listen[i].text, config->control.text))
            return refuse(why, why_size, -EINVAL, "control: %s: robots already listen there", config->control.text);
    if (!config->data_directory && config->durability == WIRE_DURABILITY_ALWAYS)
        return refuse(why, why_size, -EINVAL, "durability = always needs a data_directory");
    if (!config->data_directory)
        config->durability = WIRE_DURABILITY_OFF;
    return 0;
}
