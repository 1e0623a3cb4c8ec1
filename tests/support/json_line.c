#include "json_line.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

cJSON *json_last_line(const char *output)
{
    char *text = strdup(output);
    for (size_t length; (length = strlen(text)) && text[length - 1] == '\n';)
        text[length - 1] = 0;
    const char *newline = strrchr(text, '\n');
    cJSON *object = cJSON_Parse(newline ? newline + 1 : text);
    free(text);
    ck_assert_msg(cJSON_IsObject(object), "no JSON object at the end of:\n%s", output);
    return object;
}

double json_number(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    ck_assert_msg(cJSON_IsNumber(value), "%s is no number", key);
    return value->valuedouble;
}
