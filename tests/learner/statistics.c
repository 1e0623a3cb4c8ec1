// Statistics of a few runs: by hand, by symmetry, and a bootstrap whose distribution is known. statistics.py holds
// them against numpy.

#include "learner/study/statistics.h"
#include "tests/support/suite.h"

#include <math.h>
#include <string.h>

static void check_close(double is, double wanted)
{
    ck_assert_msg(fabs(is - wanted) <= 1e-12 * (1 + fabs(wanted)), "%.17g, wanted %.17g", is, wanted);
}

START_TEST(the_interquartile_mean_leaves_a_quarter_out_at_each_end)
{
    check_close(statistics_iqm((double[]){8, 1, 7, 2, 6, 3, 5, 4}, 8), (3 + 4 + 5 + 6) / 4.0);
    check_close(statistics_iqm((double[]){100, 2, 3, 4, -50}, 5), 3);
    check_close(statistics_iqm((double[]){1, 2, 6}, 3), 3);  // a quarter of three is none
    check_close(statistics_iqm((double[]){7}, 1), 7);
}
END_TEST

START_TEST(quantiles_lie_on_the_line_between_neighbours)
{
    const double values[] = {1, 2, 4, 8};
    check_close(statistics_quantile(values, 4, 0), 1);
    check_close(statistics_quantile(values, 4, 0.5), 3);
    check_close(statistics_quantile(values, 4, 0.75), 5);
    check_close(statistics_quantile(values, 4, 1), 8);
    check_close(statistics_quantile(values, 1, 0.3), 1);
}
END_TEST

START_TEST(a_bootstrap_of_three_runs_is_the_one_that_can_be_written_down)
{
    // Means of three draws from {0, 0, 3} are 0, 1, 2, 3 with probabilities 8, 12, 6, 1 of 27: 2.5 % and 97.5 % of
    // them are 0 and 3.
    struct interval interval;
    struct stratum stratum = {(double[]){0, 0, 3}, 3};
    ck_assert_int_eq(statistics_iqm_interval(&interval, &stratum, 1, STATISTICS_DRAWS, 1), 0);
    check_close(interval.value, 1);
    check_close(interval.low, 0);
    check_close(interval.high, 3);
    // From {0 (nine times), 10}: 10 is drawn at least k times of 10; P(3 or more) = 0.070, P(4 or more) = 0.013, but
    // the quarters that are left out take two of them.
    struct stratum ten = {(double[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 10}, 10};
    ck_assert_int_eq(statistics_iqm_interval(&interval, &ten, 1, STATISTICS_DRAWS, 1), 0);
    check_close(interval.value, 0);
    check_close(interval.low, 0);
    check_close(interval.high, 10.0 / 6);
}
END_TEST

START_TEST(every_run_is_drawn_as_often_as_any_other)
{
    enum { RUNS = 5, DRAWS = 20000 };
    double seen[RUNS] = {0};
    for (size_t draw = 0; draw < DRAWS; draw++) {
        size_t index[RUNS];
        statistics_draw(index, RUNS, 3, draw, 1);
        for (size_t i = 0; i < RUNS; i++) {
            ck_assert_uint_lt(index[i], RUNS);
            seen[index[i]]++;
        }
    }
    for (size_t i = 0; i < RUNS; i++)  // five standard deviations of a binomial of 100,000 and 1/5
        ck_assert_msg(fabs(seen[i] - DRAWS) < 5 * sqrt(DRAWS * 0.8), "run %zu was drawn %.0f times", i, seen[i]);
}
END_TEST

START_TEST(runs_are_not_drawn_into_another_stratum)
{
    // Each stratum is constant, so drawing again changes nothing.
    struct interval interval;
    struct stratum strata[] = {{(double[]){1, 1, 1}, 3}, {(double[]){5, 5}, 2}, {(double[]){9, 9, 9}, 3}};
    ck_assert_int_eq(statistics_iqm_interval(&interval, strata, 3, 500, 1), 0);
    check_close(interval.value, (1 + 5 + 5 + 9) / 4.0);
    check_close(interval.low, interval.value);
    check_close(interval.high, interval.value);
}
END_TEST

START_TEST(the_same_seed_gives_the_same_interval)
{
    struct interval one, two, other;
    struct stratum stratum = {(double[]){1, 2.5, 4, 8.25, 9}, 5};
    ck_assert_int_eq(statistics_iqm_interval(&one, &stratum, 1, 100, 7), 0);
    ck_assert_int_eq(statistics_iqm_interval(&two, &stratum, 1, 100, 7), 0);
    ck_assert_int_eq(statistics_iqm_interval(&other, &stratum, 1, 100, 8), 0);
    ck_assert_int_eq(memcmp(&one, &two, sizeof one), 0);
    ck_assert_int_ne(memcmp(&one, &other, sizeof one), 0);
}
END_TEST

START_TEST(one_run_has_no_interval)
{
    struct interval interval;
    struct stratum stratum = {(double[]){4}, 1};
    ck_assert_int_eq(statistics_iqm_interval(&interval, &stratum, 1, 100, 1), 0);
    check_close(interval.value, 4);
    ck_assert(isnan(interval.low) && isnan(interval.high));
}
END_TEST

START_TEST(improvement_counts_pairs_and_equal_ones_half)
{
    struct interval p, q;
    // 3 beats 1 and 2, 2 beats 1 and equals 2: 3.5 of 4.
    struct stratum x = {(double[]){3, 2}, 2}, y = {(double[]){1, 2}, 2};
    ck_assert_int_eq(statistics_improvement(&p, &x, &y, 1, 2000, 1), 0);
    ck_assert_int_eq(statistics_improvement(&q, &y, &x, 1, 2000, 1), 0);
    check_close(p.value, 3.5 / 4);
    check_close(p.value + q.value, 1);
    check_close(p.low, 0.5);   // {2, 2} against {2, 2} has a chance of 1/16
    check_close(p.high, 1);
    // All of one world, none of another.
    struct stratum ours[] = {{(double[]){5, 6}, 2}, {(double[]){1, 1}, 2}};
    struct stratum theirs[] = {{(double[]){1, 2}, 2}, {(double[]){3, 4}, 2}};
    ck_assert_int_eq(statistics_improvement(&p, ours, theirs, 2, 200, 1), 0);
    check_close(p.value, 0.5);
    check_close(p.low, 0.5);
    check_close(p.high, 0.5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("statistics");
    SUITE_TEST(suite, the_interquartile_mean_leaves_a_quarter_out_at_each_end);
    SUITE_TEST(suite, quantiles_lie_on_the_line_between_neighbours);
    SUITE_TEST(suite, a_bootstrap_of_three_runs_is_the_one_that_can_be_written_down);
    SUITE_TEST(suite, every_run_is_drawn_as_often_as_any_other);
    SUITE_TEST(suite, runs_are_not_drawn_into_another_stratum);
    SUITE_TEST(suite, the_same_seed_gives_the_same_interval);
    SUITE_TEST(suite, one_run_has_no_interval);
    SUITE_TEST(suite, improvement_counts_pairs_and_equal_ones_half);
    return suite_finish(suite);
}
