// The live table; the contract is in table.h. A drawing is put together in memory and leaves in one write, so
// that it does not flicker.
#include "table.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { STRIP = 25, PAGE = 256 << 10, LINES_PER_EPISODE = 4, SHOWN = 3 };
static const double PERIOD = 0.125;   // seconds between drawings
static const double UNLIKELY = 0.01;  // a surprise worth a mark

struct page {
    char text[PAGE];
    size_t length, lines;
};

__attribute__((format(printf, 2, 3)))
static void add(struct page *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(page->text + page->length, PAGE - page->length, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < PAGE - page->length)
        page->length += (size_t)length;
}

static void end_line(struct page *page)
{
    add(page, "\033[K\n");
    page->lines++;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void table_init(struct table *table, const char *heading)
{
    setlocale(LC_CTYPE, "");
    const char *terminal = getenv("TERM");
    *table = (struct table){
        .live = isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0,
        .unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
        .colour = !getenv("NO_COLOR"), .heading = heading};
}

static const char *colour(const struct table *table, const char *code)
{
    return table->colour ? code : "";
}

#define PLAIN colour(table, "\033[0m")
#define BOLD colour(table, "\033[1m")
#define FAINT colour(table, "\033[2m")
#define TRUTH colour(table, "\033[33m")   // orange, and
#define BELIEF colour(table, "\033[36m")  // blue: told apart by every eye

// The range of a one-dimensional task: where the belief thinks it is, where it is.
static void add_strip(struct page *page, const struct table *table, const struct fleet *fleet,
                      const struct robot *robot)
{
    const struct world *world = fleet->options.world;
    double scale = (STRIP - 1) / (world->task_high[0] - world->task_low[0]);
    double truth = round((robot->task[0] - world->task_low[0]) * scale);
    double from = (robot->now.mean[0] - robot->now.sd[0] - world->task_low[0]) * scale;
    double to = (robot->now.mean[0] + robot->now.sd[0] - world->task_low[0]) * scale;
    for (int i = 0; i < STRIP; i++) {
        int believed = robot->estimate_count && i >= (int)round(from) && i <= (int)round(to);
        if (i == (int)truth)
            add(page, "%s%s%s", TRUTH, table->unicode ? believed ? "┿" : "│" : believed ? "#" : "|", PLAIN);
        else if (believed)
            add(page, "%s%s%s", BELIEF, table->unicode ? "━" : "=", PLAIN);
        else
            add(page, "%s%s%s", FAINT, table->unicode ? "·" : ".", PLAIN);
    }
}

// As many numbers of a task as are shown of it.
static size_t shown_dim(const struct world *world)
{
    return world->task_dim < SHOWN ? world->task_dim : SHOWN;
}

static void add_point(struct page *page, const double *at, size_t dim)
{
    for (size_t k = 0; k < dim; k++)
        add(page, "%s%6.2f", k ? "," : "", at[k]);
}

static double spread(const struct robot *robot, size_t dim)
{
    double sum = 0;
    for (size_t k = 0; k < dim; k++)
        sum += robot->now.sd[k] * robot->now.sd[k];
    return sqrt(sum);
}

// The last episode stays to be seen when all are over.
static size_t episode_of(const struct fleet *fleet)
{
    return fleet->episode < fleet->options.episodes ? fleet->episode : fleet->options.episodes - 1;
}

static void add_robot(struct page *page, const struct table *table, const struct fleet *fleet, size_t i)
{
    const struct robot *robot = &fleet->robots[i];
    size_t dim = shown_dim(fleet->options.world);
    add(page, " %4zu %5zu %9.1f  ", i + 1, fleet->step, robot->returns[episode_of(fleet)]);
    add(page, "%s", TRUTH);
    add_point(page, robot->task, dim);
    add(page, "%s  %s", PLAIN, BELIEF);
    if (robot->estimate_count) {
        add_point(page, robot->now.mean, dim);
        add(page, "%s %s %-5.2f ", PLAIN, table->unicode ? "±" : "+-", spread(robot, fleet->options.world->task_dim));
    } else {
        add(page, "%*s%s %*s ", (int)(7 * dim - 1), "-", PLAIN, table->unicode ? 7 : 8, "");
    }
    if (dim == 1)
        add_strip(page, table, fleet, robot);
    double p = fmin(robot->reward_p, robot->transition_p);
    if (fleet->step == 0)
        add(page, "  %8s", "-");
    else
        add(page, "  %s%8.3f%s", p < UNLIKELY ? BOLD : "", p, p < UNLIKELY ? PLAIN : "");
    end_line(page);
}

static void add_median(struct page *page, const struct fleet *fleet)
{
    double median = fleet_median_us(fleet);
    if (!isnan(median))
        add(page, "   round trip of all %.0f us (median)", median);
}

static size_t rows_of_terminal(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 8 ? size.ws_row : 24;
}

static void draw(struct table *table, struct fleet *fleet)
{
    static struct page page;
    const struct world *world = fleet->options.world;
    size_t dim = shown_dim(world), count = fleet->options.count, room = rows_of_terminal() - 5;
    size_t shown = count > room ? room - 1 : count;
    double sum = 0;
    page.length = page.lines = 0;
    if (table->drawn)
        add(&page, "\033[%zuA", table->drawn);
    add(&page, "\r%s%s%s   episode %zu of %zu, step %zu of %zu", BOLD, table->heading, PLAIN,
        episode_of(fleet) + 1, fleet->options.episodes, fleet->step, world->horizon);
    add_median(&page, fleet);
    end_line(&page);
    add(&page, "%srobot  step    return  %*s  %*s    spread ", FAINT, (int)(7 * dim - 1), "true",
        (int)(7 * dim - 1), "belief");
    if (dim == 1)
        add(&page, "%-5.3g%*s%5.3g", world->task_low[0], STRIP - 10, "", world->task_high[0]);
    add(&page, "  surprise%s", PLAIN);
    end_line(&page);
    for (size_t i = 0; i < count; i++) {
        sum += fleet->robots[i].returns[episode_of(fleet)];
        if (i < shown)
            add_robot(&page, table, fleet, i);
    }
    if (shown < count) {
        add(&page, "%s      and %zu more%s", FAINT, count - shown, PLAIN);
        end_line(&page);
    }
    add(&page, "%s mean       %9.1f%s  %s", BOLD, sum / (double)count, PLAIN, dim ? world->task_names[0] : "");
    for (size_t k = 1; k < dim && world->task_names[k]; k++)
        add(&page, ", %s", world->task_names[k]);
    if (dim < world->task_dim)
        add(&page, " and %zu more", world->task_dim - dim);
    double error = fleet_error(fleet);
    if (!isnan(error))
        add(&page, ": the belief is off by %.2f", error);
    end_line(&page);
    add(&page, "\033[J");
    fwrite(page.text, 1, page.length, stdout);
    fflush(stdout);
    table->drawn = page.lines;
}

static void say_line(struct table *table, struct fleet *fleet)
{
    double sum = 0, error = fleet_error(fleet);
    for (size_t i = 0; i < fleet->options.count; i++)
        sum += fleet->robots[i].returns[fleet->episode];
    printf("%s: episode %zu, step %3zu: mean return %8.1f", table->heading, fleet->episode + 1, fleet->step,
           sum / (double)fleet->options.count);
    if (!isnan(error))
        printf(", the belief is off by %.2f", error);
    printf(", round trip of all %.0f us\n", fleet_median_us(fleet));
    fflush(stdout);
}

// A failing estimate is not the table's to tell: the next step meets the same failure.
void table_watch(void *context, struct fleet *fleet)
{
    struct table *table = context;
    if (table->live) {
        double at = now();
        if (at < table->next)
            return;
        table->next = at + PERIOD;
        if (fleet_estimate(fleet) == 0)
            draw(table, fleet);
        return;
    }
    size_t horizon = fleet->options.world->horizon;
    size_t every = horizon > LINES_PER_EPISODE ? horizon / LINES_PER_EPISODE : 1;
    if (fleet->step && fleet->step % every == 0 && fleet_estimate(fleet) == 0)
        say_line(table, fleet);
}

void table_end(struct table *table, struct fleet *fleet)
{
    if (!table->live || fleet->total == 0)
        return;
    if (fleet_estimate(fleet) == 0)
        draw(table, fleet);
    putchar('\n');
}
