#pragma once
// The summary of a program: the last line that it printed, one JSON object.

#include <cjson/cJSON.h>

// The caller's. Fails the test when there is none.
cJSON *json_last_line(const char *output);

double json_number(const cJSON *object, const char *key);
