// bel-controller with the real daemon, which is paused, killed and started again while the robot goes on.
//
//     test_controller BEL-CONTROLLER BELIEFD MODEL...
#include "tests/agent/sample.h"
#include "tests/end_to_end/process.h"
#include "tests/support/json_line.h"
#include "tests/support/suite.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *controller;
static struct model *point;
static struct daemon daemon_under_test;
static char data[64];

static void begin_with(struct model *model, int logged)
{
    char settings[160];
    directory_make(data, sizeof data);
    snprintf(settings, sizeof settings, "data_directory = %s/log\ndurability = interval\n", data);
    daemon_start(&daemon_under_test, &model, 1, logged ? settings : NULL);
}

static void begin(int logged) { begin_with(point, logged); }

static void end(void)
{
    daemon_release(&daemon_under_test);
    directory_remove(data);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

// Slow enough for a machine that runs other tests, and for sanitizers.
static void start(struct process *process, const char *seconds, const char *fallback)
{
    const char *arguments[] = {
        controller, "--world", "point", "--connect", daemon_under_test.unix_address, "--rate", "100",
        "--seconds", seconds, "--deadline", "4000", "--fallback", fallback, "--json", NULL};
    process_start(process, daemon_under_test.directory, arguments);
}

// Its summary; it ended well and nothing was lost.
static cJSON *finish(struct process *process)
{
    int code = process_wait(process, 120);
    ck_assert_msg(code == 0, "it ended with %d and said:\n%s", code, process_words(process));
    cJSON *summary = json_last_line(process->output);
    double transitions = json_number(summary, "transitions");
    ck_assert_double_gt(transitions, 0);
    ck_assert_double_eq(json_number(summary, "reported"), transitions);
    ck_assert_double_eq(json_number(summary, "absorbed") + json_number(summary, "refused"), transitions);
    ck_assert_double_eq(json_number(summary, "lost"), 0);
    process_release(process);
    return summary;
}

START_TEST(every_transition_that_the_robot_makes_is_told)
{
    struct process process;
    begin(0);
    start(&process, "2", "hold");
    cJSON *summary = finish(&process);
    // 2 s at 100 Hz, less the ticks that put it back to a start; what a busy machine skips, the robot makes up
    // for.
    ck_assert_double_gt(json_number(summary, "transitions"), 100);
    ck_assert_double_lt(json_number(summary, "transitions"), 300);
    ck_assert_double_ge(json_number(summary, "jitter_max_us"), json_number(summary, "jitter_p99_us"));
    ck_assert_double_ge(json_number(summary, "jitter_p99_us"), json_number(summary, "jitter_p50_us"));
    ck_assert_double_gt(json_number(summary, "reaction_p50_us"), 0);
    ck_assert_double_eq(json_number(summary, "reconnects"), 0);
    ck_assert_double_eq(json_number(summary, "resumed"), 0);
    ck_assert_double_gt(json_number(summary, "episodes"), 0);
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(summary, "durable")));
    cJSON_Delete(summary);
    end();
}
END_TEST

START_TEST(a_model_without_a_belief_advises_a_robot_too_and_an_oracle_is_told_its_task)
{
    static const enum model_kind kinds[] = {MODEL_NONE, MODEL_ORACLE};
    struct model_shape shape = sample_kind(kinds[_i]);
    shape.observation_dim = point->observation_dim;
    shape.action_dim = point->action_dim;
    struct model *model = sample_model(&shape, 3);
    struct process process;
    begin_with(model, 1);
    start(&process, "0.5", "hold");
    cJSON_Delete(finish(&process));
    end();
    model_free(model);
}
END_TEST

START_TEST(a_robot_does_not_wait_for_a_daemon_that_pauses)
{
    static const char *const fallbacks[] = {"hold", "zero", "last"};
    for (int f = 0; f < 3; f++) {
        struct process process;
        begin(0);
        start(&process, "2", fallbacks[f]);
        pause_ms(800);
        process_signal(&daemon_under_test.process, SIGSTOP);
        pause_ms(500);
        process_signal(&daemon_under_test.process, SIGCONT);
        cJSON *summary = finish(&process);
        double missed = json_number(summary, "missed_deadlines");
        ck_assert_msg(missed >= 30, "missed %g", missed);
        ck_assert_double_eq(json_number(summary, "fallbacks"), missed);
        ck_assert_double_gt(json_number(summary, "late_replies"), 0);
        // Only who says nothing meets the watchdog, 100 ms after the last advice. (Or who could not run for so
        // long.)
        double watchdogs = json_number(summary, "watchdogs");
        if (f == 0)
            ck_assert_msg(watchdogs >= 20, "%g", watchdogs);
        else if (json_number(summary, "jitter_max_us") < 50000)
            ck_assert_msg(watchdogs < 20, "%s: %g", fallbacks[f], watchdogs);
        cJSON_Delete(summary);
        end();
    }
}
END_TEST

START_TEST(a_daemon_that_is_killed_and_started_again_is_resumed_and_nothing_is_lost)
{
    struct process process;
    begin(1);
    start(&process, "3", "last");
    for (int i = 0; i < 2; i++) {
        pause_ms(700);
        process_signal(&daemon_under_test.process, SIGKILL);
        process_wait(&daemon_under_test.process, 10);
        process_release(&daemon_under_test.process);
        pause_ms(150);
        daemon_restart(&daemon_under_test);
    }
    cJSON *summary = finish(&process);
    ck_assert_double_ge(json_number(summary, "resumed"), 1);
    ck_assert_double_ge(json_number(summary, "reconnects"), 2);
    ck_assert_double_ge(json_number(summary, "longest_outage_ms"), 100);
    ck_assert_double_eq(json_number(summary, "durable"), json_number(summary, "transitions"));
    cJSON_Delete(summary);
    end();
}
END_TEST

START_TEST(what_cannot_be_is_a_sentence)
{
    static const struct { const char *arguments[6]; int code; const char *word; } cases[] = {
        {{"--world", "point"}, 2, "--connect"},
        {{"--world", "nowhere", "--connect", "unix:/x"}, 2, "nowhere"},
        {{"--rate", "0"}, 2, "from 1 to 10000"},
        {{"--fallback", "brake"}, 2, "hold, zero or last"},
        {{"--surprise"}, 2, "--surprise"},
        {{"--world", "point", "--connect", "unix:/nonexistent/socket"}, 1, "/nonexistent/socket"},
    };
    char directory[64];
    directory_make(directory, sizeof directory);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *arguments[8] = {controller};
        struct process process;
        memcpy(arguments + 1, cases[i].arguments, sizeof cases[i].arguments);
        process_start(&process, directory, arguments);
        ck_assert_int_eq(process_wait(&process, 60), cases[i].code);
        ck_assert_msg(strstr(process.output, cases[i].word) != NULL, "%s: %s", cases[i].word, process.output);
        process_release(&process);
    }
    directory_remove(directory);
}
END_TEST

int main(int argc, char **argv)
{
    char why[256];
    if (argc != 4)
        return 2;
    controller = argv[1];
    beliefd_path = argv[2];
    if (model_load(&point, argv[3], why, sizeof why)) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    Suite *suite = suite_create("controller");
    SUITE_TEST(suite, every_transition_that_the_robot_makes_is_told);
    SUITE_TEST_EACH(suite, a_model_without_a_belief_advises_a_robot_too_and_an_oracle_is_told_its_task, 2);
    SUITE_TEST(suite, a_robot_does_not_wait_for_a_daemon_that_pauses);
    SUITE_TEST(suite, a_daemon_that_is_killed_and_started_again_is_resumed_and_nothing_is_lost);
    SUITE_TEST(suite, what_cannot_be_is_a_sentence);
    int result = suite_finish(suite);
    model_free(point);
    return result;
}
