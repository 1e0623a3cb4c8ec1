// What an operator looks at and changes with beliefctl, on real daemons: sessions, metrics, health, models, the log.
//
//     test_operator BELIEFD BELIEFCTL
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- Looking ----------------------------------------------------------------------------------------------------------

START_TEST(sessions_are_listed_as_their_clients_know_them)
{
    struct daemon daemon;
    operator_start(&daemon, NULL, 1);
    struct bel *bel = operator_join(&daemon);
    struct robot robots[3];
    const char *const names[] = {"b", "a", "c"};
    for (int i = 0; i < 3; i++) {
        robot_open(&robots[i], bel, names[i], NULL);
        robot_step(&robots[i], 5 + (uint64_t)i);
    }
    cJSON *object = operator_ask(&daemon, 0, "sessions", "--json", NULL);
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
    char *text = operator_say(&daemon, 0, "sessions", NULL);
    const char *a = strstr(text, "\na "), *b = strstr(text, "\nb "), *c = strstr(text, "\nc ");
    ck_assert_msg(a && b && c && a < b && b < c, "%s", text);
    free(text);
    daemon_release(&daemon);
}
END_TEST

START_TEST(a_session_is_shown_with_belief_and_gaps)
{
    struct daemon daemon;
    operator_start(&daemon, NULL, 1);
    struct bel *bel = operator_join(&daemon);
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

    cJSON *object = operator_ask(&daemon, 0, "show", "arm-7", "--json", NULL);
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

    char *text = operator_say(&daemon, 0, "show", "arm-7", NULL);
    ck_assert_msg(strstr(text, "missing 3..4") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "reward head, 4 features, 1 targets") != NULL, "%s", text);
    free(text);
    object = operator_ask(&daemon, 1, "show", "nobody", "--json", NULL);
    ck_assert_ptr_nonnull(strstr(json_text(cJSON_GetObjectItemCaseSensitive(object, "error"), "message"), "nobody"));
    cJSON_Delete(object);
    bel_disconnect(bel);
    daemon_release(&daemon);
}
END_TEST

START_TEST(top_fits_on_a_terminal_and_counts_what_happened)
{
    struct daemon daemon;
    operator_start(&daemon, NULL, 1);
    struct bel *bel = operator_join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", NULL);
    char *text = operator_say(&daemon, 0, "top", "--once", "--interval", "0.2", NULL);
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
    operator_start(&daemon, NULL, 1);
    cJSON *object = operator_ask(&daemon, 0, "health", "--json", NULL);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "ready")));
    ck_assert_str_eq(json_text(object, "durability"), "interval");
    cJSON_Delete(object);
    ck_assert_int_eq(daemon_stop(&daemon), 0);
    object = operator_ask(&daemon, 3, "health", "--json", NULL);
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
        text = operator_say(&nobody, 2, bad[i][0], bad[i][1], bad[i][1] ? bad[i][2] : NULL, NULL);
        ck_assert_msg(strncmp(text, "beliefctl: ", 11) == 0, "%s", text);
        free(text);
    }
    text = operator_say(&nobody, 0, "move", "--help", NULL);
    ck_assert_ptr_nonnull(strstr(text, "--to ADDRESS"));
    free(text);
    directory_remove(nobody.directory);
}
END_TEST

// ---- The log ----------------------------------------------------------------------------------------------------------

START_TEST(a_log_is_verified_and_exported_while_it_is_written)
{
    struct daemon daemon;
    char data[128], path[128], line[4096], *text;
    operator_start(&daemon, NULL, 1);
    struct bel *bel = operator_join(&daemon);
    struct robot robots[2];
    robot_open(&robots[0], bel, "arm", NULL);
    robot_open(&robots[1], bel, "leg", NULL);
    robot_step(&robots[0], 30);
    robot_step(&robots[1], 12);
    ck_assert_int_eq(bel_sync(bel), 0);
    snprintf(data, sizeof data, "%s/data", daemon.directory);
    cJSON *object = operator_ask(&daemon, 0, "verify", data, "--json", NULL);
    ck_assert_double_eq(json_number(object, "sessions"), 2);
    ck_assert_double_eq(json_number(object, "transitions"), 42);
    ck_assert_double_eq(json_number(object, "mismatches"), 0);
    cJSON_Delete(object);

    snprintf(path, sizeof path, "%s/arm.csv", daemon.directory);
    object = operator_ask(&daemon, 0, "export", data, "--session", "arm", "--out", path, "--json", NULL);
    ck_assert_double_eq(json_number(object, "rows"), 30);
    cJSON_Delete(object);
    FILE *file = fopen(path, "r");
    size_t lines = 0;
    while (file && fgets(line, sizeof line, file))
        lines++;
    ck_assert_uint_eq(lines, 31);  // and the names of the columns
    fclose(file);
    free(operator_say(&daemon, 2, "export", data, "--format", "xls", NULL));
    text = operator_say(&daemon, 1, "export", "/nonexistent", "--out", path, NULL);
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
    operator_start(&daemon, "first", 1);
    snprintf(path, sizeof path, "%s/models", daemon.directory);
    ck_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
    write_model(&daemon, "second", 2, path);
    cJSON *object = operator_ask(&daemon, 0, "models", "load", path, "--json", NULL);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "models")), 2);
    cJSON_Delete(object);
    object = operator_ask(&daemon, 0, "models", "alias", "best", "second", "--json", NULL);
    ck_assert_str_eq(json_text(cJSON_GetObjectItemCaseSensitive(object, "aliases"), "best"), "second");
    cJSON_Delete(object);

    struct bel *bel = operator_join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", "best");
    ck_assert_str_eq(bel_session_model(robot.session)->name, "second");
    robot_step(&robot, 5);
    free(operator_say(&daemon, 0, "models", "alias", "best", NULL));
    object = operator_ask(&daemon, 0, "models", "unload", "second", "--json", NULL);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "models")), 1);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "no_longer_served")), 1);
    cJSON_Delete(object);
    robot_step(&robot, 5);  // who has it keeps it
    object = operator_ask(&daemon, 1, "models", "unload", "second", "--json", NULL);
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
    operator_start(&daemon, "only", 1);
    snprintf(path, sizeof path, "%s/broken", daemon.directory);
    FILE *file = fopen(path, "w");
    ck_assert(file && fputs("this is no model", file) >= 0 && fclose(file) == 0);
    free(operator_say(&daemon, 1, "models", "load", path, NULL));

    snprintf(path, sizeof path, "%s/0.safetensors", daemon.directory);
    file = fopen(path, "w");
    ck_assert(file && fputs("nor is this", file) >= 0 && fclose(file) == 0);
    cJSON *object = operator_ask(&daemon, 1, "reload", "--json", NULL);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "refused")), 1);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "models")), 1);
    cJSON_Delete(object);
    struct bel *bel = operator_join(&daemon);
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
    operator_start(&daemon, NULL, 1);
    struct bel *bel = operator_join(&daemon);
    struct robot robot;
    robot_open(&robot, bel, "arm", NULL);
    robot_step(&robot, 40);
    ck_assert_int_eq(bel_sync(bel), 0);
    cJSON *object = operator_ask(&daemon, 0, "rebuild", "arm", "--json", NULL);
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
    SUITE_TEST(suite, a_log_is_verified_and_exported_while_it_is_written);
    SUITE_TEST(suite, models_come_get_second_names_and_go);
    SUITE_TEST(suite, a_broken_model_changes_nothing);
    SUITE_TEST(suite, a_session_rebuilt_with_its_own_model_is_the_same);
    return suite_finish(suite);
}
