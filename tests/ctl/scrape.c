// Metrics are read as Prometheus would read them.
#include "client/ctl/scrape.h"

#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char text[] =
    "# HELP requests_total Requests taken.\n"
    "# TYPE requests_total counter\n"
    "requests_total{loop=\"0\",kind=\"step\"} 100\n"
    "requests_total{loop=\"1\",kind=\"step\"} 20\n"
    "requests_total{loop=\"0\",kind=\"a \\\"quoted\\\" } one\"} 3\n"
    "\n"
    "open_files 17\n"
    "wait_seconds_bucket{le=\"0.001\"} 10\n"
    "wait_seconds_bucket{le=\"0.01\"} 90\n"
    "wait_seconds_bucket{le=\"+Inf\"} 100\n"
    "wait_seconds_sum 0.5\n"
    "wait_seconds_count 100\n";

START_TEST(sums_are_over_all_other_labels)
{
    struct scrape scrape;
    ck_assert_int_eq(scrape_parse(&scrape, text), 0);
    ck_assert_double_eq(scrape_sum(&scrape, "requests_total", NULL, NULL), 123);
    ck_assert_double_eq(scrape_sum(&scrape, "requests_total", "kind", "step"), 120);
    ck_assert_double_eq(scrape_sum(&scrape, "requests_total", "loop", "0"), 103);
    ck_assert_double_eq(scrape_sum(&scrape, "requests_total", "kind", "a \"quoted\" } one"), 3);
    ck_assert_double_eq(scrape_sum(&scrape, "requests", NULL, NULL), 0);
    ck_assert_double_eq(scrape_sum(&scrape, "open_files", NULL, NULL), 17);
    ck_assert_int_eq(scrape_has(&scrape, "open_files"), 1);
    ck_assert_int_eq(scrape_has(&scrape, "open"), 0);
    scrape_release(&scrape);
}
END_TEST

START_TEST(a_label_is_found_by_its_whole_name)
{
    struct sample sample = {.name = "x", .labels = "sessions=\"9\",session=\"7\""};
    char value[4];
    ck_assert_int_eq(scrape_label(&sample, "session", value, sizeof value), 1);
    ck_assert_str_eq(value, "7");
    ck_assert_int_eq(scrape_label(&sample, "sess", value, sizeof value), 0);
    sample.labels = "state=\"a long value\"";
    ck_assert_int_eq(scrape_label(&sample, "state", value, sizeof value), 1);
    ck_assert_str_eq(value, "a l");
}
END_TEST

START_TEST(quantiles_are_of_what_was_counted_between)
{
    struct scrape now, before;
    ck_assert_int_eq(scrape_parse(&now, text), 0);
    // Rank 50 of 100 is the 40th of 80 between 1 ms and 10 ms.
    ck_assert_double_eq_tol(scrape_quantile(&now, NULL, "wait_seconds", 0.5), 0.0055, 1e-12);
    ck_assert_double_eq_tol(scrape_quantile(&now, NULL, "wait_seconds", 0.05), 0.0005, 1e-12);
    // The last bucket has no upper edge: what is known is its lower one.
    ck_assert_double_eq_tol(scrape_quantile(&now, NULL, "wait_seconds", 0.99), 0.01, 1e-12);
    ck_assert(isnan(scrape_quantile(&now, &now, "wait_seconds", 0.5)));
    ck_assert(isnan(scrape_quantile(&now, NULL, "other_seconds", 0.5)));

    ck_assert_int_eq(scrape_parse(&before, "wait_seconds_bucket{le=\"0.001\"} 10\n"
                                           "wait_seconds_bucket{le=\"0.01\"} 10\n"
                                           "wait_seconds_bucket{le=\"+Inf\"} 10\n"), 0);
    // 80 of the 90 that came since are between 1 ms and 10 ms, none below.
    ck_assert_double_eq_tol(scrape_quantile(&now, &before, "wait_seconds", 40.0 / 90), 0.0055, 1e-12);
    scrape_release(&before);
    scrape_release(&now);
}
END_TEST

START_TEST(histograms_of_several_loops_add)
{
    struct scrape scrape;
    ck_assert_int_eq(scrape_parse(&scrape, "t_bucket{loop=\"0\",le=\"1\"} 4\nt_bucket{loop=\"0\",le=\"+Inf\"} 4\n"
                                           "t_bucket{loop=\"1\",le=\"1\"} 0\nt_bucket{loop=\"1\",le=\"2\"} 4\n"
                                           "t_bucket{loop=\"1\",le=\"+Inf\"} 4\n"), 0);
    ck_assert_double_eq_tol(scrape_quantile(&scrape, NULL, "t", 0.25), 0.5, 1e-12);
    scrape_release(&scrape);
}
END_TEST

START_TEST(what_is_no_metric_is_refused)
{
    static const char *const bad[] = {"name\n", "name{a=\"b\" 3\n", "name{a=\"b\"} \n", "{} 3\n", "name x\n", " 3\n"};
    struct scrape scrape;
    ck_assert_int_eq(scrape_parse(&scrape, bad[_i]), -EINVAL);
    ck_assert_ptr_null(scrape.samples);
}
END_TEST

START_TEST(no_metrics_are_no_error)
{
    struct scrape scrape;
    ck_assert_int_eq(scrape_parse(&scrape, ""), 0);
    ck_assert_uint_eq(scrape.count, 0);
    scrape_release(&scrape);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scrape");
    SUITE_TEST(suite, sums_are_over_all_other_labels);
    SUITE_TEST(suite, a_label_is_found_by_its_whole_name);
    SUITE_TEST(suite, quantiles_are_of_what_was_counted_between);
    SUITE_TEST(suite, histograms_of_several_loops_add);
    SUITE_TEST_EACH(suite, what_is_no_metric_is_refused, 6);
    SUITE_TEST(suite, no_metrics_are_no_error);
    return suite_finish(suite);
}
