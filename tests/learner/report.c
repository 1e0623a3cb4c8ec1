// Reports of results that are written here by hand: tables with numbers that can be checked on paper, curves of known
// shape, pictures whose labels can be read.

#include "learner/study/chart.h"
#include "learner/study/curves.h"
#include "learner/study/report.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static void enter_directory(void)
{
    strcpy(directory, "/tmp/report-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chdir(directory), 0);
}

static void leave_directory(void)
{
    char command[100];
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    ck_assert_msg(file != NULL, "%s: %s", name, strerror(errno));
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static char *file_text(const char *path)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

static const char *world = "half-cheetah-vel";

// A cell with two episodes; finished unless first is NaN. Its log rises from -100 by 1 an
// iteration, to -51.
static void write_cell(const char *model, const char *variant, int seed, double first, double second)
{
    char path[200], text[2000], log[20000] = "";
    snprintf(path, sizeof path, "x/speeds/%s.%s.%s.%d", world, model, variant, seed);
    ck_assert_int_eq(mkdir(path, 0777), 0);
    snprintf(path, sizeof path, "x/speeds/%s.%s.%s.%d/description", world, model, variant, seed);
    snprintf(text, sizeof text, "world = %s\nmodel = %s\nalgorithm = ppo\nseed = %d\nvariant = %s\n", world, model, seed,
             variant);
    write_file(path, text);
    for (int i = 0, used = 0; i < 50; i++)
        used += snprintf(log + used, sizeof log - (size_t)used, "{\"frames\":%d,\"seconds\":%d,\"return/episode_1\":%d,"
                         "\"return/episode_2\":%d,\"speed/cpu_seconds\":%d}\n", 1000 * (i + 1), i, -101 + i, -99 + i,
                         2 * (i + 1));
    strcat(log, "{\"frames\":51000,\"seco");  // as a kill leaves it
    snprintf(path, sizeof path, "x/speeds/%s.%s.%s.%d/train.jsonl", world, model, variant, seed);
    write_file(path, log);
    if (isnan(first))
        return;
    snprintf(path, sizeof path, "x/speeds/%s.%s.%s.%d/result.json", world, model, variant, seed);
    snprintf(text, sizeof text,
             "{\"world\":\"%s\",\"model\":\"%s\",\"algorithm\":\"ppo\",\"seed\":%d,\"frames\":2e6,"
             "\"seconds\":50,\"cpu_seconds\":100,\"openblas_core\":\"SkylakeX\",\"command\":\"bel-learn train it\","
             "\"commit\":\"abc123\",\"return\":[%g,%g],\"evaluation\":{\"tasks\":256,\"seed\":20261,\"belief\":[%g,%g],"
             "\"step_rewards\":{\"belief\":[-3,-2,-1,-0.5]}}}\n", world, model, seed, first, second, first, second);
    write_file(path, text);
}

static void write_experiment(void)
{
    ck_assert_int_eq(mkdir("x", 0777), 0);
    ck_assert_int_eq(mkdir("x/speeds", 0777), 0);
    write_file("x/speeds/experiment.ini", "[experiment]\ntitle = Speeds & more\nabout = Who knows?\nbudget = small\n"
                                          "[cells]\nworlds = half-cheetah-vel\n");
    write_cell("glibrl", "", 1, -30, -20);
    write_cell("glibrl", "", 2, -34, -24);
    write_cell("glibrl", "", 3, -32, -22);
    write_cell("glibrl", "", 4, NAN, NAN);
    write_cell("glibrl", "wide basis", 1, -40, -36);
    write_cell("oracle", "", 1, -16, -14);
    write_cell("none", "", 1, -220, -210);
    write_cell("none", "", 2, -210, -220);
}

static char *report(void)
{
    struct results *all = NULL;
    size_t count = 0;
    char why[1500] = "";
    ck_assert_msg(results_read(&all, &count, "x", why, sizeof why) == 0, "%s", why);
    ck_assert_uint_eq(count, 1);
    ck_assert_msg(report_write(all, count, "page.md", "bel-learn report x", why, sizeof why) == 0, "%s", why);
    results_free(all, count);
    return file_text("page.md");
}

static void check_has(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "there is no\n%s\nin\n%s", part, text);
}

START_TEST(the_table_has_the_numbers_that_paper_has)
{
    write_experiment();
    char *text = report();
    check_has(text, "## Speeds & more\n\nWho knows?\n\nBudget: small.\n");
    check_has(text, "| agent | seeds | frames | episode 1 | episode 2 | mean of episodes | of the gap | glibrl is better | "
                    "CPU s | frames per CPU s |");
    // The gap is from -215 to -15. Three of 27 draws of three runs are all the same one: more than 2.5 % at each end.
    check_has(text, "| glibrl | 3 | 2M | **-32.00 [-34.00, -30.00]** | **-22.00 [-24.00, -20.00]** | "
                    "**-27.00 [-29.00, -25.00]** | 94 % [93, 95] | | 100 | 20k |");
    check_has(text, "| glibrl, wide basis | 1 | 2M | -40.00 | -36.00 | -38.00 | 88 % | | 100 | 20k |");
    check_has(text, "| oracle | 1 | 2M | -16.00 | -14.00 | -15.00 | 100 % | | 100 | 20k |");
    check_has(text, "| none | 2 | 2M | -215.0 [-220.0, -210.0] | -215.0 [-220.0, -210.0] | -215.0 [-215.0, -215.0] | "
                    "0 % [0, 0] | 1.00 [1.00, 1.00] | 100 | 20k |");
    check_has(text, "Return of an episode, mean action, 256 held-out tasks (seed 20261).");
}
END_TEST

START_TEST(what_may_be_as_good_as_the_best_is_marked_with_it)
{
    write_experiment();
    write_cell("varibad", "", 1, -36, -19);
    write_cell("varibad", "", 2, -33, -21);
    write_cell("rl2", "", 1, -29, -60);
    char *text = report();
    // In the first episode rl2 is best, with one seed; glibrl reaches only varibad in the second.
    check_has(text, "| rl2 | 1 | 2M | **-29.00** | -60.00 | -44.50 |");
    check_has(text, "| varibad | 2 | 2M | -34.50 [-36.00, -33.00] | **-20.00 [-21.00, -19.00]** | **-27.25 ");
    check_has(text, "| glibrl | 3 | 2M | -32.00 [-34.00, -30.00] | **-22.00 [-24.00, -20.00]** | **-27.00 ");
    check_has(text, "| oracle | 1 | 2M | -16.00 | -14.00 |");
    check_has(text, " In bold: the best that is not told the task, and those whose interval reaches its.");
}
END_TEST

START_TEST(an_oracle_that_is_worse_than_no_belief_leaves_no_gap)
{
    ck_assert_int_eq(mkdir("x", 0777), 0);
    ck_assert_int_eq(mkdir("x/speeds", 0777), 0);
    write_file("x/speeds/experiment.ini", "[experiment]\ntitle = Speeds\n[cells]\nworlds = half-cheetah-vel\n");
    write_cell("glibrl", "", 1, -30, -20);
    write_cell("oracle", "", 1, -220, -210);
    write_cell("none", "", 1, -16, -14);
    char *text = report();
    check_has(text, "there is no gap to close");
    ck_assert_ptr_null(strstr(text, "of the gap"));
}
END_TEST

START_TEST(next_to_nothing_of_a_gap_is_nothing)
{
    write_experiment();
    write_cell("rl2", "", 1, -215.1, -215.1);
    check_has(report(), "| rl2 | 1 | 2M | -215.1 | -215.1 | -215.1 | 0 % |");
}
END_TEST

START_TEST(shares_of_the_gap_are_put_together_over_worlds)
{
    write_experiment();
    world = "half-cheetah-dir";
    write_cell("glibrl", "", 1, 900, 900);
    write_cell("glibrl", "", 2, 700, 700);
    write_cell("oracle", "", 1, 1000, 1000);
    write_cell("none", "", 1, 0, 0);
    world = "half-cheetah-vel";
    char *text = report();
    check_has(text, "### All 2 worlds together\n");
    // 0.93, 0.94, 0.95 of one and 0.7, 0.9 of the other: the smallest and the largest of five are left out. The 2.5 %
    // and 97.5 % of all 27 x 4 draws, written out, are 0.853 and 0.933.
    check_has(text, "| glibrl | 2 | 0.92 [0.85, 0.93] |");
    check_has(text, "| glibrl, wide basis | 1 | 0.89 |");
}
END_TEST

START_TEST(what_is_not_finished_is_named_and_not_counted)
{
    write_experiment();
    check_has(report(), "Not finished: glibrl seed 4 (50k frames).");
}
END_TEST

START_TEST(tables_and_pictures_name_command_commit_and_kernels)
{
    write_experiment();
    check_has(report(), "From `bel-learn experiment speeds.ini; commit abc123; OpenBLAS kernels for SkylakeX`.");
    check_has(file_text("page.md"), "    bel-learn train it    # glibrl, and seeds 2 3\n");
    check_has(file_text("page.md"), "    bel-learn train it    # none, and seed 2\n");
    check_has(file_text("page.md"), "    bel-learn train it    # oracle\n");
    static const char *const pictures[] = {"page/speeds.half-cheetah-vel.learning.svg",
                                           "page/speeds.half-cheetah-vel.adaptation.svg",
                                           "page/speeds.half-cheetah-vel.scores.svg"};
    for (size_t i = 0; i < 3; i++) {
        char link[100];
        snprintf(link, sizeof link, "](%s)", pictures[i]);
        check_has(file_text("page.md"), link);
        check_has(file_text(pictures[i]), "bel-learn experiment speeds.ini; commit abc123; OpenBLAS kernels for SkylakeX<");
        check_has(file_text(pictures[i]), "@media (prefers-color-scheme: dark)");
    }
}
END_TEST

START_TEST(the_picture_of_returns_has_a_dot_for_each_finished_run)
{
    write_experiment();
    report();
    size_t dots = 0;
    for (char *dot = file_text("page/speeds.half-cheetah-vel.scores.svg"); (dot = strstr(dot, "<ellipse ")); dot++)
        dots++;
    ck_assert_uint_eq(dots, 3 + 1 + 1 + 2);
    size_t bars = 0;  // of agents with more than one run
    for (char *bar = file_text("page/speeds.half-cheetah-vel.scores.svg"); (bar = strstr(bar, "class=\"range ")); bar++)
        bars++;
    ck_assert_uint_eq(bars, 2);
}
END_TEST

START_TEST(a_broken_result_is_refused_by_name_and_the_old_page_stays)
{
    write_experiment();
    write_file("page.md", "old");
    write_file("x/speeds/half-cheetah-vel.oracle..1/result.json", "{\"world\":\"half-che");
    struct results *all = NULL;
    size_t count = 0;
    char why[1500] = "";
    ck_assert_int_eq(results_read(&all, &count, "x", why, sizeof why), -EINVAL);
    ck_assert_str_eq(why, "x/speeds/half-cheetah-vel.oracle..1: result.json is not what bel-learn train --json prints");
    results_free(all, count);
    ck_assert_str_eq(file_text("page.md"), "old");
    ck_assert_int_eq(mkdir("empty", 0777), 0);
    all = NULL;
    count = 0;
    ck_assert_int_eq(results_read(&all, &count, "empty", why, sizeof why), -ENOENT);
    ck_assert_int_eq(results_read(&all, &count, "nowhere", why, sizeof why), -ENOENT);
    ck_assert_str_eq(why, "nowhere: No such file or directory");
    results_free(all, count);
}
END_TEST

// ---- Curves and charts ----------------------------------------------------------------------------------------

START_TEST(returns_on_a_line_give_a_curve_on_that_line)
{
    static struct curve curve;
    struct curve_point points[2][100];
    struct result runs[2] = {{.points = points[0], .point_count = 100}, {.points = points[1], .point_count = 40}};
    for (size_t i = 0; i < 100; i++)
        points[0][i] = (struct curve_point){1000.0 * (double)(i + 1), (double)(i + 1), 5 + (double)i};
    for (size_t i = 0; i < 40; i++)  // another pace, and it ends earlier
        points[1][i] = (struct curve_point){2000.0 * (double)(i + 1), 3 * (double)(i + 1), 5 + 2 * (double)i + 1};
    ck_assert_int_eq(curve_of_learning(&curve, runs, 2, CURVE_FRAMES), 0);
    ck_assert_uint_eq(curve.count, CURVE_GRID);
    ck_assert_double_eq_tol(curve.x[CURVE_GRID - 1], 80000, 1e-6);
    for (size_t i = 3; i + 3 < curve.count; i++) {
        double line = 4 + curve.x[i] / 1000;
        ck_assert_msg(fabs(curve.y[i] - line) <= 1, "at %g it is %g, the line %g", curve.x[i], curve.y[i], line);
        ck_assert(curve.low[i] <= curve.y[i] && curve.y[i] <= curve.high[i]);
    }
    ck_assert_int_eq(curve_of_learning(&curve, runs, 2, CURVE_CPU_SECONDS), 0);
    ck_assert_double_eq_tol(curve.x[CURVE_GRID - 1], 100, 1e-9);
    runs[0].point_count = runs[1].point_count = 0;
    ck_assert_int_eq(curve_of_learning(&curve, runs, 2, CURVE_FRAMES), 0);
    ck_assert_uint_eq(curve.count, 0);
}
END_TEST

START_TEST(few_long_iterations_are_joined_by_straight_lines)
{
    static struct curve curve;
    struct curve_point points[3] = {{100, 1, 0}, {200, 2, 10}, {300, 3, 40}};
    struct result run = {.points = points, .point_count = 3};
    ck_assert_int_eq(curve_of_learning(&curve, &run, 1, CURVE_FRAMES), 0);
    for (size_t i = 0; i < curve.count; i++) {
        double x = curve.x[i], line = x <= 100 ? 0 : x <= 200 ? (x - 100) / 10 : 10 + 0.3 * (x - 200);
        ck_assert_double_eq_tol(curve.y[i], line, 1e-9);
        ck_assert(isnan(curve.low[i]));
    }
}
END_TEST

START_TEST(labels_of_lines_that_end_together_do_not_meet)
{
    enum { LINES = 8 };
    static const double x[2] = {0, 10};
    static const double y[LINES][2] = {{0, 5}, {1, 5}, {2, 5.01}, {0, 4.99}, {3, 5}, {0, -3}, {7, 9}, {1, 9}};
    struct chart_series series[LINES];
    for (unsigned i = 0; i < LINES; i++)
        series[i] = (struct chart_series){.label = "somebody", .colour = i, .count = 2, .x = x, .y = y[i]};
    struct chart chart = {.title = "a < b & c", .message = "", .y_name = "y", .y_low = NAN, .y_high = NAN, .panel_count = 1,
                          .panels = {{.x_name = "x", .x_high = 10, .count = LINES, .series = series}}};
    ck_assert_int_eq(chart_draw(&chart, "chart.svg"), 0);
    char *text = file_text("chart.svg");
    check_has(text, "a &lt; b &amp; c");
    double height, before = -INFINITY;
    ck_assert_int_eq(sscanf(strstr(text, "height=\""), "height=\"%lf", &height), 1);
    size_t count = 0;
    for (char *label = text; (label = strstr(label, "\" class=\"label fill")); label++) {
        char *at = label;
        while (strncmp(at, "y=\"", 3))
            at--;
        double place = strtod(at + 3, NULL);
        ck_assert_msg(place >= before + 15, "a label at %g after one at %g", place, before);
        ck_assert_msg(place > 0 && place < height, "a label at %g of %g", place, height);
        before = place;
        count++;
    }
    ck_assert_uint_eq(count, LINES);
}
END_TEST

START_TEST(a_chart_that_cannot_be_written_leaves_what_was_there)
{
    struct chart_series series = {.label = "a", .count = 1, .x = (double[]){1}, .y = (double[]){NAN}};
    struct chart chart = {.title = "t", .message = "", .y_name = "y", .y_low = NAN, .y_high = NAN, .panel_count = 1,
                          .panels = {{.x_name = "x", .x_high = 10, .count = 1, .series = &series}}};
    ck_assert_int_eq(chart_draw(&chart, "nowhere/chart.svg"), -ENOENT);
    ck_assert_int_eq(symlink("/dev/full", "chart.svg.part"), 0);
    write_file("chart.svg", "old");
    ck_assert_int_lt(chart_draw(&chart, "chart.svg"), 0);
    ck_assert_str_eq(file_text("chart.svg"), "old");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    SUITE_TEST_WITH(suite, the_table_has_the_numbers_that_paper_has, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, what_may_be_as_good_as_the_best_is_marked_with_it, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, an_oracle_that_is_worse_than_no_belief_leaves_no_gap, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, next_to_nothing_of_a_gap_is_nothing, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, shares_of_the_gap_are_put_together_over_worlds, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, what_is_not_finished_is_named_and_not_counted, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, tables_and_pictures_name_command_commit_and_kernels, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, the_picture_of_returns_has_a_dot_for_each_finished_run, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, a_broken_result_is_refused_by_name_and_the_old_page_stays, enter_directory, leave_directory);
    SUITE_TEST(suite, returns_on_a_line_give_a_curve_on_that_line);
    SUITE_TEST(suite, few_long_iterations_are_joined_by_straight_lines);
    SUITE_TEST_WITH(suite, labels_of_lines_that_end_together_do_not_meet, enter_directory, leave_directory);
    SUITE_TEST_WITH(suite, a_chart_that_cannot_be_written_leaves_what_was_there, enter_directory, leave_directory);
    return suite_finish(suite);
}
