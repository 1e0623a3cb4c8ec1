// What an operator does with beliefctl and real daemons: looking, keeping, moving, draining, changing models.
//
//     test_operator BELIEFD BELIEFCTL
#include "client/bel.h"
#include "tests/agent/sample.h"
#include "tests/end_to_end/process.h"
#include "tests/support/json_line.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DIM_LIMIT = 64, HEX_DIGEST = 33, WORDS_LIMIT = 16, MANY = 10 };

static const char *beliefctl_path;
static const char settings[] = "control = unix:@/control\ndata_directory = @/data\nmodel_directory = @/models\n";

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
static cJSON *ask(const struct daemon *daemon, int code, ...)
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
static char *say(const struct daemon *daemon, int code, ...)
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

static const char *json_text(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    ck_assert_msg(text != NULL, "%s is no string", key);
    return text;
}

static const char *error_code(const cJSON *object)
{
    return json_text(cJSON_GetObjectItemCaseSensitive(object, "error"), "code");
}

static const cJSON *find_session(const cJSON *object, const char *name)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(object, "sessions"))
        if (strcmp(json_text(entry, "session"), name) == 0)
            return entry;
    return NULL;
}

// ---- A robot ----------------------------------------------------------------------------------------------------------

struct robot {
    struct bel *bel;
    struct bel_session *session;
    uint64_t steps;            // made; what happened is a function of it
    struct bel_report report;  // of the last
};

static void robot_observe(uint64_t n, float *observation)
{
    struct random_stream stream = random_stream(7, 1, (uint32_t)n, 0);
    for (size_t i = 0; i < DIM_LIMIT; i++)
        observation[i] = (float)random_normal(&stream);
}

static void robot_open(struct robot *robot, struct bel *bel, const char *name, const char *model)
{
    float observation[DIM_LIMIT], action[DIM_LIMIT];
    *robot = (struct robot){.bel = bel};
    int error = bel_open(bel, &(struct bel_open){.id = name, .model = model}, &robot->session);
    ck_assert_msg(error == 0, "%s: %s", name, bel_error(bel));
    robot_observe(0, observation);
    ck_assert_msg(bel_act(robot->session, observation, action, &robot->report) == 0, "%s", bel_error(bel));
}

static void robot_step(struct robot *robot, uint64_t count)
{
    float observation[DIM_LIMIT], action[DIM_LIMIT];
    for (uint64_t i = 0; i < count; i++) {
        robot_observe(++robot->steps, observation);
        int error = bel_step(robot->session, NULL, observation[0], observation, action, &robot->report);
        ck_assert_msg(error == 0, "step %llu: %s", (unsigned long long)robot->steps, bel_error(robot->bel));
        ck_assert_int_eq(robot->report.status, BEL_STATUS_ABSORBED);
    }
}

static const char *hex(const uint8_t digest[16])
{
    static char text[HEX_DIGEST];
    for (size_t i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

static struct bel *join(const struct daemon *daemon)
{
    struct bel *bel;
    char why[256];
    ck_assert_msg(bel_connect(&bel, daemon->unix_address, &(struct bel_options){.deadline_ms = 20000}, why,
                              sizeof why) == 0, "%s", why);
    return bel;
}

static void start(struct daemon *daemon, const char *model_name, uint64_t seed)
{
    struct model_shape shape = sample_small;
    if (model_name)
        shape.name = model_name;
    struct model *model = sample_model(&shape, seed);
    daemon_start(daemon, &model, 1, settings);
    model_free(model);
}

// ---- Looking ----------------------------------------------------------------------------------------------------------

START_TEST(sessions_are_listed_as_their_clients_know_them)
{
    struct daemon daemon;
    start(&daemon, NULL, 1);
    struct bel *bel = join(&daemon);
    struct robot robots[3];
    const char *const names[] = {"b", "a", "c"};
    for (int i = 0; i < 3; i++) {
        robot_open(&robots[i], bel, names[i], NULL);
        robot_step(&robots[i], 5 + (uint64_t)i);
    }
    cJSON *object = ask(&daemon, 0, "sessions", "--json", NULL);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "sessions")), 3);
    for (int i = 0; i < 3; i++) {
        const cJSON *entry = find_session(object, names[i]);
        ck_assert_ptr_nonnull(entry);
        ck_assert_str_eq(json_text(entry, "digest"), hex(robots[i].report.digest));
        ck_assert_str_eq(json_text(entry, "place"), "live");
        ck_assert_double_eq(json_number(entry, "count"), 5 + i);
        ck_assert_double_eq(json_number(entry, "seq"), (double)robots[i].report.seq);
    }
    cJSON_Delete(object);
    bel_disconnect(bel);
    char *text = say(&daemon, 0, "sessions", NULL);
    const char *a = strstr(text, "\na "), *b = strstr(text, "\nb "), *c = strstr(text, "\nc ");
    ck_assert_msg(a && b && c && a < b && b < c, "%s", text);
    free(text);
    daemon_release(&daemon);
}
END_TEST

START_TEST(a_session_is_shown_with_belief_and_gaps)
{
    struct daemon daemon;
    start(&daemon, NULL, 1);
    struct bel *bel = join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm-7", NULL);
    robot_step(&robot, 12);
    float before[DIM_LIMIT], after[DIM_LIMIT], action[2] = {0.5f, -0.5f};
    robot_observe(100, before);
    robot_observe(101, after);
    struct bel_transition seen[] = {{1, before, action, 0.1f, after}, {2, after, action, 0.2f, before},
                                    {5, before, action, 0.3f, after}};
    enum bel_status status[3];
    ck_assert_int_eq(bel_observe(robot.session, 3, seen, 3, status, &robot.report), 0);

    cJSON *object = ask(&daemon, 0, "show", "arm-7", "--json", NULL);
    ck_assert_str_eq(json_text(object, "digest"), hex(robot.report.digest));
    ck_assert_double_eq(json_number(object, "count"), 15);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "heads")), 2);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "estimate_mean")), 2);
    const cJSON *writer = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(object, "writers"), 1);
    ck_assert_double_eq(json_number(writer, "writer"), 3);
    char *intervals = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(writer, "seen"));
    ck_assert_str_eq(intervals, "[1,2,5,5]");
    free(intervals);
    cJSON_Delete(object);

    char *text = say(&daemon, 0, "show", "arm-7", NULL);
    ck_assert_msg(strstr(text, "missing 3..4") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "reward head, 4 features, 1 targets") != NULL, "%s", text);
    free(text);
    object = ask(&daemon, 1, "show", "nobody", "--json", NULL);
    ck_assert_ptr_nonnull(strstr(json_text(cJSON_GetObjectItemCaseSensitive(object, "error"), "message"), "nobody"));
    cJSON_Delete(object);
    bel_disconnect(bel);
    daemon_release(&daemon);
}
END_TEST

START_TEST(top_fits_on_a_terminal_and_counts_what_happened)
{
    struct daemon daemon;
    start(&daemon, NULL, 1);
    struct bel *bel = join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", NULL);
    char *text = say(&daemon, 0, "top", "--once", "--interval", "0.2", NULL);
    size_t lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        size_t columns = 0;
        for (const char *at = line; at < end; at++)
            columns += ((unsigned char)*at & 0xc0) != 0x80;  // characters, not bytes
        ck_assert_msg(columns <= 80, "%zu columns: %.*s", columns, (int)(end - line), line);
    }
    ck_assert_msg(lines > 10 && lines <= 24, "%zu lines:\n%s", lines, text);
    free(text);

    char control[128];
    snprintf(control, sizeof control, "unix:%s/control", daemon.directory);
    const char *const arguments[] = {beliefctl_path, "top", "--once", "--json", "--interval", "1", "--control",
                                     control, NULL};
    struct process process;
    process_start(&process, daemon.directory, arguments);
    while (process_running(&process))
        robot_step(&robot, 10);
    ck_assert_int_eq(process_wait(&process, 30), 0);
    cJSON *object = json_last_line(process.output);
    ck_assert_double_gt(json_number(object, "requests_per_second"), 0);
    ck_assert_double_gt(json_number(cJSON_GetObjectItemCaseSensitive(object, "transitions"), "absorbed"), 0);
    const cJSON *latency = cJSON_GetObjectItemCaseSensitive(object, "request_seconds");
    ck_assert_double_gt(json_number(latency, "p50"), 0);
    ck_assert_double_ge(json_number(latency, "p99"), json_number(latency, "p50"));
    ck_assert_double_eq(json_number(object, "sessions_live"), 1);
    cJSON_Delete(object);
    process_release(&process);
    bel_disconnect(bel);
    daemon_release(&daemon);
}
END_TEST

START_TEST(health_tells_by_its_exit_code)
{
    struct daemon daemon;
    start(&daemon, NULL, 1);
    cJSON *object = ask(&daemon, 0, "health", "--json", NULL);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "ready")));
    ck_assert_str_eq(json_text(object, "durability"), "interval");
    cJSON_Delete(object);
    ck_assert_int_eq(daemon_stop(&daemon), 0);
    object = ask(&daemon, 3, "health", "--json", NULL);
    ck_assert_str_eq(error_code(object), "NO_DAEMON");
    cJSON_Delete(object);
    daemon_release(&daemon);
}
END_TEST

START_TEST(wrong_usage_is_told_and_asks_nothing)
{
    static const char *const bad[][4] = {
        {"frobnicate"}, {"show"}, {"move", "arm"}, {"sessions", "--to", "x"}, {"top", "--interval", "0"},
        {"models", "load"}, {"snapshot", "arm"}, {"snapshot", "--out", "x"}, {"sessions", "--unknown"},
        {"health", "--timeout", "soon"}, {"sessions", "too", "many"}};
    struct daemon nobody = {.directory = "/nonexistent"};
    char *text;
    directory_make(nobody.directory, sizeof nobody.directory);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        text = say(&nobody, 2, bad[i][0], bad[i][1], bad[i][1] ? bad[i][2] : NULL, NULL);
        ck_assert_msg(strncmp(text, "beliefctl: ", 11) == 0, "%s", text);
        free(text);
    }
    text = say(&nobody, 0, "move", "--help", NULL);
    ck_assert_ptr_nonnull(strstr(text, "--to ADDRESS"));
    free(text);
    directory_remove(nobody.directory);
}
END_TEST

// ---- Keeping and moving -----------------------------------------------------------------------------------------------

START_TEST(a_session_in_a_file_comes_back)
{
    struct daemon daemon;
    char path[128];
    start(&daemon, NULL, 1);
    struct bel *bel = join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", NULL);
    robot_step(&robot, 30);
    uint8_t digest[16];
    memcpy(digest, robot.report.digest, sizeof digest);
    snprintf(path, sizeof path, "%s/arm.belief", daemon.directory);
    cJSON *object = ask(&daemon, 0, "snapshot", "arm", "--out", path, "--json", NULL);
    ck_assert_str_eq(json_text(object, "digest"), hex(digest));
    cJSON_Delete(object);
    ck_assert_int_eq(bel_close(robot.session, 1), 0);

    object = ask(&daemon, 0, "restore", path, "--json", NULL);
    ck_assert_str_eq(json_text(object, "digest"), hex(digest));
    ck_assert_double_eq(json_number(object, "count"), 30);
    cJSON_Delete(object);
    object = ask(&daemon, 1, "restore", path, "--json", NULL);  // it is there now
    ck_assert_str_eq(error_code(object), "FENCED");
    cJSON_Delete(object);

    struct robot again;
    robot_open(&again, bel, "arm", NULL);
    ck_assert_int_eq(bel_session_resumed(again.session), 1);
    ck_assert_mem_eq(again.report.digest, digest, sizeof digest);
    bel_disconnect(bel);

    FILE *file = fopen(path, "w");
    ck_assert(file && fputs("not the state of a session", file) >= 0 && fclose(file) == 0);
    free(say(&daemon, 1, "restore", path, NULL));
    free(say(&daemon, 0, "snapshot", NULL));
    daemon_release(&daemon);
}
END_TEST

START_TEST(a_session_moves_in_the_middle_of_an_episode)
{
    struct daemon from, to, alone;
    start(&from, NULL, 1);
    start(&to, NULL, 1);
    start(&alone, NULL, 1);
    struct bel *bel = join(&from), *other = join(&alone);
    struct robot robot, shadow;
    robot_open(&robot, bel, "arm", NULL);
    robot_open(&shadow, other, "arm", NULL);
    robot_step(&robot, 20);
    robot_step(&shadow, 20);
    cJSON *object = ask(&from, 0, "move", "arm", "--to", to.unix_address, "--json", NULL);
    ck_assert_str_eq(json_text(object, "digest"), hex(shadow.report.digest));
    ck_assert_double_eq(json_number(object, "count"), 20);
    cJSON_Delete(object);

    // The same robot goes on and does not know; nothing is lost or counted twice.
    robot_step(&robot, 20);
    robot_step(&shadow, 20);
    ck_assert_mem_eq(robot.report.digest, shadow.report.digest, 16);
    ck_assert_uint_eq(robot.report.count, 40);
    object = ask(&to, 0, "show", "arm", "--json", NULL);
    ck_assert_str_eq(json_text(object, "digest"), hex(shadow.report.digest));
    cJSON_Delete(object);
    object = ask(&from, 0, "sessions", "--json", NULL);
    const cJSON *there = find_session(object, "arm");
    ck_assert(there == NULL || strcmp(json_text(there, "place"), "moved") == 0);
    cJSON_Delete(object);

    // And back.
    object = ask(&to, 0, "move", "arm", "--to", from.tcp_address, "--json", NULL);
    cJSON_Delete(object);
    robot_step(&robot, 5);
    robot_step(&shadow, 5);
    ck_assert_mem_eq(robot.report.digest, shadow.report.digest, 16);
    bel_disconnect(bel);
    bel_disconnect(other);
    daemon_release(&from);
    daemon_release(&to);
    daemon_release(&alone);
}
END_TEST

START_TEST(a_session_that_does_not_fit_there_stays)
{
    struct daemon from, to;
    start(&from, NULL, 1);
    start(&to, NULL, 2);  // a model of the same name with other weights
    struct bel *bel = join(&from);
    struct robot robot;
    robot_open(&robot, bel, "arm", NULL);
    robot_step(&robot, 10);
    cJSON *object = ask(&from, 1, "move", "arm", "--to", to.unix_address, "--json", NULL);
    ck_assert_ptr_nonnull(strstr(json_text(cJSON_GetObjectItemCaseSensitive(object, "error"), "message"),
                                 "WRONG_MODEL"));
    cJSON_Delete(object);
    robot_step(&robot, 10);
    ck_assert_uint_eq(robot.report.count, 20);
    object = ask(&to, 0, "sessions", "--json", NULL);
    ck_assert_ptr_null(find_session(object, "arm"));
    cJSON_Delete(object);
    bel_disconnect(bel);
    daemon_release(&from);
    daemon_release(&to);
}
END_TEST

START_TEST(a_drained_daemon_leaves_nothing_behind)
{
    struct daemon from, to;
    start(&from, NULL, 1);
    start(&to, NULL, 1);
    struct bel *bel = join(&from);
    struct robot robots[MANY];
    char names[MANY][16], digests[MANY][HEX_DIGEST];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "arm-%d", i);
        robot_open(&robots[i], bel, names[i], NULL);
        robot_step(&robots[i], 3 + (uint64_t)i);
        snprintf(digests[i], sizeof digests[i], "%s", hex(robots[i].report.digest));
    }
    bel_close(robots[0].session, 0);  // waits for its client
    cJSON *object = ask(&from, 0, "drain", "--to", to.unix_address, "--linger", "0", "--json", NULL);
    ck_assert_double_eq(json_number(object, "moved"), MANY);
    cJSON_Delete(object);
    ck_assert_int_eq(process_wait(&from.process, 60), 0);

    object = ask(&to, 0, "sessions", "--json", NULL);
    for (int i = 0; i < MANY; i++) {
        const cJSON *entry = find_session(object, names[i]);
        ck_assert_msg(entry != NULL, "%s did not arrive", names[i]);
        ck_assert_str_eq(json_text(entry, "digest"), digests[i]);
    }
    cJSON_Delete(object);
    bel_disconnect(bel);
    daemon_release(&from);
    daemon_release(&to);
}
END_TEST

START_TEST(sessions_that_only_the_log_has_move_too)
{
    struct daemon from, to;
    struct model *model = sample_model(&sample_small, 1);
    char spilling[256];
    snprintf(spilling, sizeof spilling, "%ssession_spill_seconds = 1\n", settings);
    daemon_start(&from, &model, 1, spilling);
    daemon_start(&to, &model, 1, settings);
    model_free(model);
    struct bel *bel = join(&from);
    struct robot robots[3];
    char names[3][16], digests[3][HEX_DIGEST];
    for (int i = 0; i < 3; i++) {
        snprintf(names[i], sizeof names[i], "arm-%d", i);
        robot_open(&robots[i], bel, names[i], NULL);
        robot_step(&robots[i], 4);
        snprintf(digests[i], sizeof digests[i], "%s", hex(robots[i].report.digest));
    }
    bel_disconnect(bel);
    int spilled = 0;
    for (int tries = 0; spilled < 3 && tries < 100; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        cJSON *object = ask(&from, 0, "sessions", "--json", NULL);
        const cJSON *entry;
        spilled = 0;
        cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(object, "sessions"))
            spilled += strcmp(json_text(entry, "place"), "spilled") == 0;
        cJSON_Delete(object);
    }
    ck_assert_int_eq(spilled, 3);
    cJSON *object = ask(&from, 0, "drain", "--to", to.unix_address, "--linger", "0", "--json", NULL);
    ck_assert_double_eq(json_number(object, "moved"), 3);
    cJSON_Delete(object);
    object = ask(&to, 0, "sessions", "--json", NULL);
    for (int i = 0; i < 3; i++) {
        const cJSON *entry = find_session(object, names[i]);
        ck_assert_msg(entry != NULL, "%s did not arrive", names[i]);
        ck_assert_str_eq(json_text(entry, "digest"), digests[i]);
    }
    cJSON_Delete(object);
    ck_assert_int_eq(process_wait(&from.process, 60), 0);
    daemon_release(&from);
    daemon_release(&to);
}
END_TEST

START_TEST(a_daemon_that_drains_keeps_its_sessions_for_the_next)
{
    struct daemon daemon;
    start(&daemon, NULL, 1);
    struct bel *bel = join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", NULL);
    robot_step(&robot, 25);
    free(say(&daemon, 0, "drain", NULL));
    ck_assert_int_eq(process_wait(&daemon.process, 60), 0);
    process_release(&daemon.process);
    daemon_restart(&daemon);
    robot_step(&robot, 5);  // the library connects again and goes on
    ck_assert_uint_eq(robot.report.count, 30);
    bel_disconnect(bel);
    daemon_release(&daemon);
}
END_TEST

START_TEST(a_log_is_verified_and_exported_while_it_is_written)
{
    struct daemon daemon;
    char data[128], path[128], line[4096], *text;
    start(&daemon, NULL, 1);
    struct bel *bel = join(&daemon);
    struct robot robots[2];
    robot_open(&robots[0], bel, "arm", NULL);
    robot_open(&robots[1], bel, "leg", NULL);
    robot_step(&robots[0], 30);
    robot_step(&robots[1], 12);
    ck_assert_int_eq(bel_sync(bel), 0);
    snprintf(data, sizeof data, "%s/data", daemon.directory);
    cJSON *object = ask(&daemon, 0, "verify", data, "--json", NULL);
    ck_assert_double_eq(json_number(object, "sessions"), 2);
    ck_assert_double_eq(json_number(object, "transitions"), 42);
    ck_assert_double_eq(json_number(object, "mismatches"), 0);
    cJSON_Delete(object);

    snprintf(path, sizeof path, "%s/arm.csv", daemon.directory);
    object = ask(&daemon, 0, "export", data, "--session", "arm", "--out", path, "--json", NULL);
    ck_assert_double_eq(json_number(object, "rows"), 30);
    cJSON_Delete(object);
    FILE *file = fopen(path, "r");
    size_t lines = 0;
    while (file && fgets(line, sizeof line, file))
        lines++;
    ck_assert_uint_eq(lines, 31);  // and the names of the columns
    fclose(file);
    free(say(&daemon, 2, "export", data, "--format", "xls", NULL));
    text = say(&daemon, 1, "export", "/nonexistent", "--out", path, NULL);
    ck_assert_ptr_nonnull(strstr(text, "/nonexistent"));
    free(text);
    ck_assert_int_eq(access(path, R_OK), 0);  // what was there stays
    bel_disconnect(bel);
    daemon_release(&daemon);
}
END_TEST

// ---- Models -----------------------------------------------------------------------------------------------------------

static void write_model(const struct daemon *daemon, const char *name, uint64_t seed, char path[128])
{
    struct model_shape shape = sample_small;
    shape.name = name;
    struct model *model = sample_model(&shape, seed);
    snprintf(path, 128, "%s/%s.model", daemon->directory, name);
    ck_assert_int_eq(model_save(model, path), 0);
    model_free(model);
}

START_TEST(models_come_get_second_names_and_go)
{
    struct daemon daemon;
    char path[128];
    start(&daemon, "first", 1);
    snprintf(path, sizeof path, "%s/models", daemon.directory);
    ck_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
    write_model(&daemon, "second", 2, path);
    cJSON *object = ask(&daemon, 0, "models", "load", path, "--json", NULL);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "models")), 2);
    cJSON_Delete(object);
    object = ask(&daemon, 0, "models", "alias", "best", "second", "--json", NULL);
    ck_assert_str_eq(json_text(cJSON_GetObjectItemCaseSensitive(object, "aliases"), "best"), "second");
    cJSON_Delete(object);

    struct bel *bel = join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", "best");
    ck_assert_str_eq(bel_session_model(robot.session)->name, "second");
    robot_step(&robot, 5);
    free(say(&daemon, 0, "models", "alias", "best", NULL));
    object = ask(&daemon, 0, "models", "unload", "second", "--json", NULL);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "models")), 1);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "no_longer_served")), 1);
    cJSON_Delete(object);
    robot_step(&robot, 5);  // who has it keeps it
    object = ask(&daemon, 1, "models", "unload", "second", "--json", NULL);
    ck_assert_str_eq(error_code(object), "UNKNOWN_MODEL");
    cJSON_Delete(object);
    bel_disconnect(bel);
    daemon_release(&daemon);
}
END_TEST

START_TEST(a_broken_model_changes_nothing)
{
    struct daemon daemon;
    char path[128];
    start(&daemon, "only", 1);
    snprintf(path, sizeof path, "%s/broken", daemon.directory);
    FILE *file = fopen(path, "w");
    ck_assert(file && fputs("this is no model", file) >= 0 && fclose(file) == 0);
    free(say(&daemon, 1, "models", "load", path, NULL));

    snprintf(path, sizeof path, "%s/0.safetensors", daemon.directory);
    file = fopen(path, "w");
    ck_assert(file && fputs("nor is this", file) >= 0 && fclose(file) == 0);
    cJSON *object = ask(&daemon, 1, "reload", "--json", NULL);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "refused")), 1);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "models")), 1);
    cJSON_Delete(object);
    struct bel *bel = join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", "only");
    robot_step(&robot, 3);
    bel_disconnect(bel);
    daemon_release(&daemon);
}
END_TEST

START_TEST(a_session_rebuilt_with_its_own_model_is_the_same)
{
    struct daemon daemon;
    start(&daemon, NULL, 1);
    struct bel *bel = join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", NULL);
    robot_step(&robot, 40);
    ck_assert_int_eq(bel_sync(bel), 0);
    cJSON *object = ask(&daemon, 0, "rebuild", "arm", "--json", NULL);
    ck_assert_str_eq(json_text(object, "digest"), hex(robot.report.digest));
    ck_assert_double_eq(json_number(object, "count"), 40);
    cJSON_Delete(object);
    robot_step(&robot, 1);
    bel_disconnect(bel);
    daemon_release(&daemon);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    beliefd_path = argv[1];
    beliefctl_path = argv[2];
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("operator");
    SUITE_TEST(suite, sessions_are_listed_as_their_clients_know_them);
    SUITE_TEST(suite, a_session_is_shown_with_belief_and_gaps);
    SUITE_TEST(suite, top_fits_on_a_terminal_and_counts_what_happened);
    SUITE_TEST(suite, health_tells_by_its_exit_code);
    SUITE_TEST(suite, wrong_usage_is_told_and_asks_nothing);
    SUITE_TEST(suite, a_session_in_a_file_comes_back);
    SUITE_TEST(suite, a_session_moves_in_the_middle_of_an_episode);
    SUITE_TEST(suite, a_session_that_does_not_fit_there_stays);
    SUITE_TEST(suite, a_drained_daemon_leaves_nothing_behind);
    SUITE_TEST(suite, sessions_that_only_the_log_has_move_too);
    SUITE_TEST(suite, a_daemon_that_drains_keeps_its_sessions_for_the_next);
    SUITE_TEST(suite, a_log_is_verified_and_exported_while_it_is_written);
    SUITE_TEST(suite, models_come_get_second_names_and_go);
    SUITE_TEST(suite, a_broken_model_changes_nothing);
    SUITE_TEST(suite, a_session_rebuilt_with_its_own_model_is_the_same);
    return suite_finish(suite);
}
