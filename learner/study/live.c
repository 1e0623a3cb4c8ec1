// The live table; the contract is in live.h. A drawing leaves in one write, so that it does not flicker.

#include "live.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PLAIN_LINE_SECONDS = 60, HEAD_AND_FOOT = 4 };

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// "950", "6.4k", "1.25M".
static const char *short_number(char text[16], double value)
{
    if (value >= 1e6)
        snprintf(text, 16, "%.4gM", value * 1e-6);
    else if (value >= 1e3)
        snprintf(text, 16, "%.3gk", value * 1e-3);
    else
        snprintf(text, 16, "%.0f", value);
    return text;
}

// "45 s", "12 min", "3.4 h".
static const char *short_time(char text[16], double seconds)
{
    if (!isfinite(seconds))
        snprintf(text, 16, "-");
    else if (seconds < 100)
        snprintf(text, 16, "%.0f s", seconds);
    else if (seconds < 6000)
        snprintf(text, 16, "%.0f min", seconds / 60);
    else
        snprintf(text, 16, "%.1f h", seconds / 3600);
    return text;
}

static int name_width(const struct run *run)
{
    size_t width = 4;
    for (size_t i = 0; i < run->count; i++)
        width = strlen(run->jobs[i].cell->name) > width ? strlen(run->jobs[i].cell->name) : width;
    return (int)width;
}

// Numbers of one cell; no line end.
static void write_job(FILE *out, const struct job *job, int width)
{
    char frames[16], all[16], rate[16], left[16];
    const struct cell_progress *p = &job->progress;
    fprintf(out, "%-*s  %-9s", width, job->cell->name, job_state_name(job));
    fprintf(out, " %7s of %-7s", short_number(frames, (double)p->frames), short_number(all, (double)job->cell->frames));
    if (isfinite(p->mean_return))
        fprintf(out, " %9.2f", p->mean_return);
    else
        fprintf(out, " %9s", "-");
    fprintf(out, " %9s/s", short_number(rate, p->frames_per_second));
    int is_over = job->state == JOB_FINISHED || job->state == JOB_FAILED;
    fprintf(out, " %8s", is_over ? "" : short_time(left, job_seconds_left(job)));
    if (job->state == JOB_FAILED)
        fprintf(out, "  %s", job->why);
}

static void write_head(FILE *out, int width)
{
    fprintf(out, "%-*s  %-9s %18s %9s %11s %8s", width, "cell", "state", "frames", "return", "speed", "left");
}

static void write_foot(FILE *out, const struct run *run)
{
    char left[16];
    fprintf(out, "%zu finished, %zu running, %zu waiting", run_count(run, JOB_FINISHED), run_count(run, JOB_RUNNING),
            run_count(run, JOB_WAITING));
    if (run_count(run, JOB_FAILED))
        fprintf(out, ", %zu failed", run_count(run, JOB_FAILED));
    if (run_count(run, JOB_RUNNING) && isfinite(run_seconds_left(run)))
        fprintf(out, ", %s left", short_time(left, run_seconds_left(run)));
}

void live_list(FILE *out, const struct run *run)
{
    int width = name_width(run);
    write_head(out, width);
    fputc('\n', out);
    for (size_t i = 0; i < run->count; i++) {
        write_job(out, &run->jobs[i], width);
        fputc('\n', out);
    }
    write_foot(out, run);
    fputc('\n', out);
}

static size_t rows_of(FILE *out, size_t *columns)
{
    struct winsize size;
    int known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_row > HEAD_AND_FOOT + 4 && size.ws_col > 20;
    *columns = known ? (size_t)size.ws_col - 1 : 79;
    return (size_t)(known ? size.ws_row : 24) - HEAD_AND_FOOT;
}

// One line, no longer than the terminal is wide.
static void put_line(struct live *live, const char *text, size_t size, size_t columns, const char *code)
{
    fprintf(live->out, "%s%.*s%s\033[K\n", live->colour ? code : "", (int)(size < columns ? size : columns), text,
            live->colour ? "\033[0m" : "");
    live->drawn++;
}

static void draw(struct live *live, const struct run *run)
{
    // What runs and what failed is always shown; then as many others as there is room for.
    static const char *const codes[JOB_STATES] = {"\033[2m", "", "\033[32m", "\033[33m", "\033[31m"};
    char *line;
    size_t size, columns;
    int width = name_width(run);
    size_t room = rows_of(live->out, &columns), urgent = run_count(run, JOB_RUNNING) + run_count(run, JOB_FAILED);
    size_t others = room > urgent ? room - urgent : 0, hidden = 0;
    if (live->drawn)
        fprintf(live->out, "\033[%zuA\r", live->drawn);
    live->drawn = 0;
    FILE *text = open_memstream(&line, &size);
    if (!text)
        return;
    write_head(text, width);
    fflush(text);
    put_line(live, line, size, columns, "\033[1m");
    for (size_t i = 0; i < run->count; i++) {
        const struct job *job = &run->jobs[i];
        if (job->state != JOB_RUNNING && job->state != JOB_FAILED) {
            if (!others) {
                hidden++;
                continue;
            }
            others--;
        }
        rewind(text);
        write_job(text, job, width);
        fflush(text);
        put_line(live, line, size, columns, codes[job->state]);
    }
    rewind(text);
    if (hidden)
        fprintf(text, "and %zu more; ", hidden);
    write_foot(text, run);
    if (run->interrupted)
        fprintf(text, "; stopping, after checkpoints");
    fflush(text);
    put_line(live, line, size, columns, "\033[1m");
    fputs("\033[J", live->out);
    fflush(live->out);
    fclose(text);
    free(line);
}

static void tell(struct live *live, const struct run *run)
{
    int width = name_width(run);
    for (size_t i = 0; i < run->count; i++) {
        const struct job *job = &run->jobs[i];
        if (job->state == live->seen[i])
            continue;
        live->seen[i] = job->state;
        write_job(live->out, job, width);
        fputc('\n', live->out);
    }
    if (now_seconds() >= live->next) {
        if (live->next > 0 && run_count(run, JOB_RUNNING)) {
            for (size_t i = 0; i < run->count; i++)
                if (run->jobs[i].state == JOB_RUNNING) {
                    write_job(live->out, &run->jobs[i], width);
                    fputc('\n', live->out);
                }
            write_foot(live->out, run);
            fputc('\n', live->out);
        }
        live->next = now_seconds() + PLAIN_LINE_SECONDS;
    }
    fflush(live->out);
}

int live_init(struct live *live, FILE *out, const struct run *run)
{
    const char *terminal = getenv("TERM");
    *live = (struct live){.out = out, .colour = !getenv("NO_COLOR"), .count = run->count,
                          .terminal = isatty(fileno(out)) && terminal && strcmp(terminal, "dumb")};
    if (!(live->seen = calloc(run->count + 1, sizeof *live->seen)))
        return -ENOMEM;
    for (size_t i = 0; i < run->count; i++)
        live->seen[i] = run->jobs[i].state == JOB_FINISHED ? JOB_FINISHED : JOB_WAITING;
    return 0;
}

void live_release(struct live *live)
{
    free(live->seen);
}

void live_watch(void *context, const struct run *run)
{
    struct live *live = context;
    if (live->terminal)
        draw(live, run);
    else
        tell(live, run);
}
