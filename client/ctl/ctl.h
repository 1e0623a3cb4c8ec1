#pragma once
// What every command of beliefctl gets, and how it ends.

#include "control.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

enum ctl_code {
    CTL_DONE = 0,
    CTL_FAILED = 1,     // the daemon refused, or an answer is "no": not ready, a mismatch
    CTL_USAGE = 2,
    CTL_NO_DAEMON = 3,  // no connection, or no answer in time
};

struct ctl {
    const char *control;             // address of the control socket
    struct control_options own;      // how to reach `control`
    int json;                        // the last line is one JSON object, instead of text
    struct control_options peer;     // how to reach `to`: token, certificates, and its timeout
    const char *to;                  // another daemon; NULL: none was named
    const char *out;                 // a file; NULL: none
    const char *session, *model, *format;  // of verify and export; NULL: all, all, csv
    int once;                        // top: one picture
    double interval, linger;         // seconds
    char **words;                    // what follows the command and is no option
    int word_count;
};

// One command. 0 or another ctl_code.
typedef int ctl_run(struct ctl *ctl);
ctl_run sessions_run, show_run, top_run, models_run, reload_run, rebuild_run, drain_run, snapshot_run, restore_run,
    move_run, health_run, metrics_run, verify_log_run, export_log_run;

// Connects to the control socket; on failure it has been said, and the command ends with the code returned.
int ctl_connect(const struct ctl *ctl, struct control *control);
// The same to ctl->to, with its token.
int ctl_connect_to(const struct ctl *ctl, struct control *control);
// Says why and returns the code: to standard error, and as {"error": ...} if JSON is wanted.
int ctl_refused(const struct ctl *ctl, const struct control *control, int error);
__attribute__((format(printf, 3, 4)))
int ctl_fail(const struct ctl *ctl, int code, const char *format, ...);
// Prints the object as one line and frees it. CTL_DONE.
int ctl_print(cJSON *object);

// Numbers of 64 bits are written whole, not as a double.
void json_add_number(cJSON *object, const char *key, uint64_t number);
void json_add_digest(cJSON *object, const char *key, struct wire_bytes digest);  // hexadecimal, or ""
// What an oracle was told; nothing for others.
void json_add_told_task(cJSON *object, struct wire_floats told_task);

enum { DIGEST_TEXT = 2 * WIRE_DIGEST_SIZE + 1, DURATION_TEXT = 16 };
const char *digest_text(char text[DIGEST_TEXT], struct wire_bytes digest);
const char *duration_text(char text[DURATION_TEXT], double seconds);  // "12 ms", "3.5 s", "2 h"
const char *place_name(enum wire_place place);                        // "live"
const char *durability_name(enum wire_durability durability);
