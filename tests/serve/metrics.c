// What Prometheus is told is what was counted, over all loops.
//
//     test_metrics            the suite
//     test_metrics --print    a text of everything, for `promtool check metrics`

#include "daemon/serve/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/store.h"
#include "tests/support/suite.h"

static struct metrics first, second;
static struct store_stats disk;
static const struct metrics *servers[3];
static struct wire_model models[2] = {{.name = "arm", .world = "reach", .digest = "00ff"},
                                      {.name = "odd \"name\\\n", .world = "w", .digest = "11"}};
static uint64_t model_sessions[2] = {3, 0};
static struct metrics_view view;
static char *text;

static void fill(void)
{
    count_set(&first.requests[WIRE_STEP], 100);
    count_set(&second.requests[WIRE_STEP], 23);
    count_set(&second.requests[WIRE_GET_METRICS], 7);
    count_set(&first.refusals[WIRE_OUT_OF_STEP], 2);
    count_set(&second.refusals[WIRE_RATE], 5);
    count_set(&first.transitions[WIRE_STATUS_ABSORBED], 90);
    count_set(&second.transitions[WIRE_STATUS_UNDURABLE], 1);
    count_set(&first.connections[0], 4);
    count_set(&second.connections[1], 6);
    count_set(&first.sessions_live, 8);
    count_set(&second.sessions_idle, 9);
    count_set(&first.beat_us, 1000000);
    count_set(&second.beat_us, 4000000);
    static const uint64_t times_us[] = {0, 1, 2, 3, 1000, 8388607, 100000000};
    for (size_t i = 0; i < sizeof times_us / sizeof *times_us; i++)
        histogram_add(i % 2 ? &first.request_us : &second.request_us, times_us[i]);
    disk = (struct store_stats){.transitions = 90, .commits = 3, .bytes = 9000, .size_bytes = 12000, .queued_bytes = 5,
                                .commit_us_buckets = {[10] = 2, [23] = 1}, .commit_us_sum = 9000000};
    servers[0] = &first, servers[1] = &second, servers[2] = NULL;
    view = (struct metrics_view){.servers = servers, .server_count = 3, .log = &disk, .models = models,
                                 .model_sessions = model_sessions, .model_count = 2, .now_us = 4500000, .ready = 1,
                                 .certificate_expiry = 1700000000};
}

static void set_up(void)
{
    fill();
    text = metrics_text(&view);
    ck_assert_ptr_nonnull(text);
}

static void tear_down(void)
{
    free(text);
}

static void must_have(const char *line)
{
    char whole[256];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    ck_assert_msg(strstr(text, whole) != NULL, "missing: %s\nin:\n%s", line, text);
}

START_TEST(counters_of_all_loops_are_added)
{
    must_have("beliefd_requests_total{kind=\"step\"} 123");
    must_have("beliefd_requests_total{kind=\"open\"} 0");
    must_have("beliefd_requests_total{kind=\"get_metrics\"} 7");
    must_have("beliefd_refusals_total{code=\"OUT_OF_STEP\"} 2");
    must_have("beliefd_refusals_total{code=\"RATE\"} 5");
    must_have("beliefd_transitions_total{status=\"absorbed\"} 90");
    must_have("beliefd_transitions_total{status=\"undurable\"} 1");
    must_have("beliefd_connections{door=\"frames\"} 4");
    must_have("beliefd_connections{door=\"grpc\"} 6");
    must_have("beliefd_sessions{state=\"live\"} 8");
    must_have("beliefd_sessions{state=\"idle\"} 9");
    must_have("beliefd_ready 1");
    must_have("beliefd_draining 0");
    must_have("beliefd_tls_certificate_expiry_timestamp_seconds 1700000000");
    must_have("beliefd_log_size_bytes 12000");
    must_have("beliefd_build_info{version=\"" BELIEFD_VERSION "\"} 1");
}
END_TEST

START_TEST(each_loop_has_its_beat)
{
    must_have("beliefd_loop_beat_age_seconds{loop=\"0\"} 3.500000");
    must_have("beliefd_loop_beat_age_seconds{loop=\"1\"} 0.500000");
    ck_assert_ptr_null(strstr(text, "loop=\"2\""));
}
END_TEST

START_TEST(one_draining_loop_is_a_draining_daemon)
{
    count_set(&second.draining, 1);
    char *now = metrics_text(&view);
    ck_assert_ptr_nonnull(strstr(now, "\nbeliefd_draining 1\n"));
    free(now);
    count_set(&second.draining, 0);
}
END_TEST

// Cumulative, in seconds, the last equal to the count.
START_TEST(histograms_are_cumulative)
{
    must_have("beliefd_request_seconds_bucket{le=\"1e-06\"} 1");        // 0
    must_have("beliefd_request_seconds_bucket{le=\"2e-06\"} 2");        // 1
    must_have("beliefd_request_seconds_bucket{le=\"4e-06\"} 4");        // 2, 3
    must_have("beliefd_request_seconds_bucket{le=\"0.000512\"} 4");
    must_have("beliefd_request_seconds_bucket{le=\"0.001024\"} 5");     // 1000
    must_have("beliefd_request_seconds_bucket{le=\"4.1943\"} 5");
    must_have("beliefd_request_seconds_bucket{le=\"+Inf\"} 7");         // 8388607, 100000000
    must_have("beliefd_request_seconds_count 7");
    must_have("beliefd_request_seconds_sum 108.389613");
    must_have("beliefd_log_commit_seconds_bucket{le=\"0.000512\"} 0");
    must_have("beliefd_log_commit_seconds_bucket{le=\"0.001024\"} 2");
    must_have("beliefd_log_commit_seconds_bucket{le=\"+Inf\"} 3");
    must_have("beliefd_log_commit_seconds_sum 9");
    must_have("beliefd_queue_seconds_count 0");
}
END_TEST

START_TEST(a_name_cannot_break_a_line)
{
    must_have("beliefd_model_info{model=\"arm\",world=\"reach\",digest=\"00ff\"} 1");
    must_have("beliefd_model_info{model=\"odd \\\"name\\\\\\n\",world=\"w\",digest=\"11\"} 1");
    must_have("beliefd_model_sessions{model=\"arm\"} 3");
}
END_TEST

START_TEST(without_a_log_nothing_is_said_about_one)
{
    view.log = NULL;
    view.certificate_expiry = 0;
    char *less = metrics_text(&view);
    ck_assert_ptr_null(strstr(less, "beliefd_log_"));
    ck_assert_ptr_null(strstr(less, "certificate"));
    ck_assert_ptr_nonnull(strstr(less, "beliefd_requests_total"));
    free(less);
}
END_TEST

// HELP, TYPE, then samples of that name, each name once; no line of another form.
START_TEST(every_line_has_its_form)
{
    char name[128] = "", type[16] = "", *rest = NULL;
    size_t samples = 0;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char word[128];
        double value;
        if (sscanf(line, "# HELP %127s", word) == 1) {
            strcpy(name, word);
            strcpy(type, "");
            ck_assert_msg(strlen(line) > strlen("# HELP ") + strlen(name) + 5, "%s", line);
        } else if (!strncmp(line, "# TYPE ", 7)) {
            ck_assert_int_eq(sscanf(line, "# TYPE %127s %15s", word, type), 2);
            ck_assert_str_eq(word, name);
            if (!strcmp(type, "counter"))
                ck_assert_str_eq(name + strlen(name) - 6, "_total");
        } else {
            ck_assert_msg(!strncmp(line, name, strlen(name)) && *type, "%s", line);
            ck_assert_msg(sscanf(strrchr(line, ' '), "%lf", &value) == 1 && value >= 0, "%s", line);
            samples++;
        }
    }
    ck_assert_uint_gt(samples, 200);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--print")) {
        fill();
        text = metrics_text(&view);
        fputs(text, stdout);
        free(text);
        return 0;
    }
    Suite *suite = suite_create("metrics");
    SUITE_TEST_WITH(suite, counters_of_all_loops_are_added, set_up, tear_down);
    SUITE_TEST_WITH(suite, each_loop_has_its_beat, set_up, tear_down);
    SUITE_TEST_WITH(suite, one_draining_loop_is_a_draining_daemon, set_up, tear_down);
    SUITE_TEST_WITH(suite, histograms_are_cumulative, set_up, tear_down);
    SUITE_TEST_WITH(suite, a_name_cannot_break_a_line, set_up, tear_down);
    SUITE_TEST_WITH(suite, without_a_log_nothing_is_said_about_one, set_up, tear_down);
    SUITE_TEST_WITH(suite, every_line_has_its_form, set_up, tear_down);
    return suite_finish(suite);
}
