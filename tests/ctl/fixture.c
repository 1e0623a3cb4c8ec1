// Operators and robots of the tests; the contract is in fixture.h.
#include "fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_LIMIT = 16 };

const char *beliefctl_path;
const char operator_settings[] = "control = unix:@/control\ndata_directory = @/data\nmodel_directory = @/models\n";

// ---- beliefctl --------------------------------------------------------------------------------------------------------

// Runs it against the daemon's control socket; the rest are its words, ending with NULL. What it said is process's.
static void run(struct process *process, const struct daemon *daemon, int code, va_list more)
{
    char control[128];
    const char *arguments[WORDS_LIMIT + 4] = {beliefctl_path, "--control", control}, *word;
    size_t count = 3;
    snprintf(control, sizeof control, "unix:%s/control", daemon->directory);
    while ((word = va_arg(more, const char *))) {
        ck_assert_uint_lt(count, WORDS_LIMIT + 3);
        arguments[count++] = word;
    }
    process_start(process, daemon->directory, arguments);
    int ended = process_wait(process, 60);
    ck_assert_msg(ended == code, "beliefctl %s ended with %d instead of %d:\n%s", arguments[3], ended, code,
                  process_words(process));
}

// The same with --json; the object is the caller's.
cJSON *operator_ask(const struct daemon *daemon, int code, ...)
{
    struct process process;
    va_list more;
    va_start(more, code);
    run(&process, daemon, code, more);
    va_end(more);
    cJSON *object = json_last_line(process.output);
    process_release(&process);
    return object;
}

// What it says to people; the caller's.
char *operator_say(const struct daemon *daemon, int code, ...)
{
    struct process process;
    va_list more;
    va_start(more, code);
    run(&process, daemon, code, more);
    va_end(more);
    char *text = strdup(process.output);
    process_release(&process);
    return text;
}

const char *json_text(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    ck_assert_msg(text != NULL, "%s is no string", key);
    return text;
}

const char *error_code(const cJSON *object)
{
    return json_text(cJSON_GetObjectItemCaseSensitive(object, "error"), "code");
}

const cJSON *find_session(const cJSON *object, const char *name)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(object, "sessions"))
        if (strcmp(json_text(entry, "session"), name) == 0)
            return entry;
    return NULL;
}

// ---- A robot ----------------------------------------------------------------------------------------------------------

void robot_observe(uint64_t n, float observation[DIM_LIMIT])
{
    struct random_stream stream = random_stream(7, 1, (uint32_t)n, 0);
    for (size_t i = 0; i < DIM_LIMIT; i++)
        observation[i] = (float)random_normal(&stream);
}

void robot_open(struct robot *robot, struct bel *bel, const char *name, const char *model)
{
    float observation[DIM_LIMIT], action[DIM_LIMIT];
    *robot = (struct robot){.bel = bel};
    int error = bel_open(bel, &(struct bel_open){.id = name, .model = model}, &robot->session);
    ck_assert_msg(error == 0, "%s: %s", name, bel_error(bel));
    robot_observe(0, observation);
    ck_assert_msg(bel_act(robot->session, observation, action, &robot->report) == 0, "%s", bel_error(bel));
}

void robot_step(struct robot *robot, uint64_t count)
{
    float observation[DIM_LIMIT], action[DIM_LIMIT];
    for (uint64_t i = 0; i < count; i++) {
        robot_observe(++robot->steps, observation);
        int error = bel_step(robot->session, NULL, observation[0], observation, action, &robot->report);
        ck_assert_msg(error == 0, "step %llu: %s", (unsigned long long)robot->steps, bel_error(robot->bel));
        ck_assert_int_eq(robot->report.status, BEL_STATUS_ABSORBED);
    }
}

const char *hex(const uint8_t digest[16])
{
    static _Thread_local char text[HEX_DIGEST];
    for (size_t i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

struct bel *operator_join(const struct daemon *daemon)
{
    struct bel *bel;
    char why[256];
    ck_assert_msg(bel_connect(&bel, daemon->unix_address, &(struct bel_options){.deadline_ms = 20000}, why,
                              sizeof why) == 0, "%s", why);
    return bel;
}

void operator_start(struct daemon *daemon, const char *model_name, uint64_t seed)
{
    struct model_shape shape = sample_small;
    if (model_name)
        shape.name = model_name;
    struct model *model = sample_model(&shape, seed);
    daemon_start(daemon, &model, 1, operator_settings);
    model_free(model);
}
