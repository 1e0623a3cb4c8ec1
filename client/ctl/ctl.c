// What commands share; the contract is in ctl.h.
#include "ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int ctl_print(cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    if (text)
        puts(text);
    free(text);
    return text ? CTL_DONE : CTL_FAILED;
}

static int fail(const struct ctl *ctl, int code, const char *name, const char *field, const char *why)
{
    fprintf(stderr, "beliefctl: %s\n", why);
    if (ctl->json) {
        cJSON *object = cJSON_CreateObject(), *error = cJSON_AddObjectToObject(object, "error");
        cJSON_AddStringToObject(error, "code", name);
        cJSON_AddStringToObject(error, "field", field);
        cJSON_AddStringToObject(error, "message", why);
        ctl_print(object);
    }
    return code;
}

int ctl_fail(const struct ctl *ctl, int code, const char *format, ...)
{
    char why[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return fail(ctl, code, code == CTL_USAGE ? "USAGE" : "FAILED", "", why);
}

int ctl_refused(const struct ctl *ctl, const struct control *control, int error)
{
    if (error == -EREMOTEIO)
        return fail(ctl, CTL_FAILED, wire_error_name(control->code), control->field, control->why);
    return fail(ctl, error == -EINVAL ? CTL_USAGE : CTL_NO_DAEMON, "NO_DAEMON", "", control->why);
}

int ctl_connect(const struct ctl *ctl, struct control *control)
{
    int error = control_open(control, ctl->control, &ctl->own);
    return error ? ctl_refused(ctl, control, error) : 0;
}

int ctl_connect_to(const struct ctl *ctl, struct control *control)
{
    int error = control_open(control, ctl->to, &ctl->peer);
    return error ? ctl_refused(ctl, control, error) : 0;
}

void json_add_number(cJSON *object, const char *key, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    cJSON_AddRawToObject(object, key, text);
}

const char *digest_text(char text[DIGEST_TEXT], struct wire_bytes digest)
{
    text[0] = 0;
    for (size_t i = 0; i < digest.size && i < WIRE_DIGEST_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", digest.bytes[i]);
    return text;
}

void json_add_digest(cJSON *object, const char *key, struct wire_bytes digest)
{
    char text[DIGEST_TEXT];
    cJSON_AddStringToObject(object, key, digest_text(text, digest));
}

void json_add_told_task(cJSON *object, struct wire_floats told_task)
{
    if (told_task.count > 0)
        cJSON_AddItemToObject(object, "told_task", cJSON_CreateFloatArray(told_task.values, (int)told_task.count));
}

const char *duration_text(char text[DURATION_TEXT], double seconds)
{
    static const struct { double below, unit; const char *name; } scales[] = {
        {1e-3, 1e-6, "us"}, {1, 1e-3, "ms"}, {120, 1, "s"}, {7200, 60, "min"}, {172800, 3600, "h"}, {1e30, 86400, "d"}};
    size_t i = seconds > 0 ? 0 : 2;
    while (i < 5 && seconds >= scales[i].below)
        i++;
    double value = seconds / scales[i].unit;
    snprintf(text, DURATION_TEXT, value > 0 && value < 10 && i < 3 ? "%.1f %s" : "%.0f %s", value, scales[i].name);
    return text;
}

const char *place_name(enum wire_place place)
{
    static const char *const names[] = {"live", "idle", "spilled", "moved"};
    return (unsigned)place < 4 ? names[place] : "unknown";
}

const char *durability_name(enum wire_durability durability)
{
    static const char *const names[] = {"off", "interval", "always"};
    return (unsigned)durability < 3 ? names[durability] : "unknown";
}
