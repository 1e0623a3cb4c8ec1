#pragma once
// An operator's hands and robots: beliefctl run as people run it, against daemons with a control socket and a log, and
// robots whose every step is a function of its number, so that another robot can be given the same life.
// Whatever goes wrong fails the test.

#include "client/bel.h"
#include "tests/agent/sample.h"
#include "tests/end_to_end/process.h"
#include "tests/support/json_line.h"
#include "tests/support/suite.h"

enum { DIM_LIMIT = 64, HEX_DIGEST = 33 };

extern const char *beliefctl_path;
extern const char operator_settings[];  // of the daemons

// A daemon with one model of that name (NULL: the sample's own), weights by seed.
void operator_start(struct daemon *daemon, const char *model_name, uint64_t seed);
struct bel *operator_join(const struct daemon *daemon);

// Runs beliefctl with these words, ending with NULL, and expects that exit code. ask: its JSON, the caller's (it must be
// told --json); say: all that it said, the caller's.
cJSON *operator_ask(const struct daemon *daemon, int code, ...);
char *operator_say(const struct daemon *daemon, int code, ...);

const char *json_text(const cJSON *object, const char *key);
const char *error_code(const cJSON *object);
const cJSON *find_session(const cJSON *object, const char *name);  // of `sessions`; NULL: not in it
const char *hex(const uint8_t digest[16]);                         // until the next call of this thread

struct robot {
    struct bel *bel;
    struct bel_session *session;
    uint64_t steps;            // made; what happened is a function of it
    struct bel_report report;  // of the last
};

void robot_observe(uint64_t n, float observation[DIM_LIMIT]);
void robot_open(struct robot *robot, struct bel *bel, const char *name, const char *model);
void robot_step(struct robot *robot, uint64_t count);  // each must be absorbed
