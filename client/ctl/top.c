// beliefctl top: what a daemon does, drawn again each second from the differences between two scrapes of its metrics.
#include "ctl.h"
#include "scrape.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { HISTORY = 40, LINE = 79, LISTED = 6 };

struct view {
    struct scrape before, now;
    double seconds;             // between them
    double history[HISTORY];    // requests a second, the newest last
    size_t drawn;
};

struct rate {
    char name[32];
    double value;
};

static double gauge(const struct view *view, const char *name)
{
    return scrape_sum(&view->now, name, NULL, NULL);
}

static double rate_of(const struct view *view, const char *name, const char *label, const char *value)
{
    double change = scrape_sum(&view->now, name, label, value) - scrape_sum(&view->before, name, label, value);
    return change > 0 ? change / view->seconds : 0;
}

// How many loops there are, and how long ago the slowest turned.
static size_t loops(const struct view *view, double *slowest)
{
    size_t count = 0;
    *slowest = 0;
    for (size_t i = 0; i < view->now.count; i++)
        if (strcmp(view->now.samples[i].name, "beliefd_loop_beat_age_seconds") == 0) {
            *slowest = fmax(*slowest, view->now.samples[i].value);
            count++;
        }
    return count;
}

static double quantile(const struct view *view, const char *name, double q)
{
    return scrape_quantile(&view->now, &view->before, name, q);
}

static int larger_first(const void *a, const void *b)
{
    double x = ((const struct rate *)a)->value, y = ((const struct rate *)b)->value;
    return (x < y) - (x > y);
}

// The largest rates of a metric by one of its labels; how many there are.
static size_t rates_by(const struct view *view, const char *name, const char *label, struct rate *rates, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < view->now.count && count < room; i++) {
        struct rate *rate = &rates[count];
        const struct sample *sample = &view->now.samples[i];
        if (strcmp(sample->name, name) != 0 || !scrape_label(sample, label, rate->name, sizeof rate->name))
            continue;
        size_t twin = 0;
        while (twin < count && strcmp(rates[twin].name, rate->name) != 0)
            twin++;
        if (twin == count && (rate->value = rate_of(view, name, label, rate->name)) > 0)
            count++;
    }
    qsort(rates, count, sizeof *rates, larger_first);
    return count;
}

// ---- Drawing ------------------------------------------------------------------------------------------------------

// "1,234,567", "7" or "0.3"; bytes as "1.2 MB".
static const char *number_text(char text[DURATION_TEXT], double number)
{
    char digits[DURATION_TEXT];
    if (number < 9.95 && number != floor(number)) {
        snprintf(text, DURATION_TEXT, "%.1f", number);
        return text;
    }
    int length = snprintf(digits, sizeof digits, "%.0f", fmin(number, 999999999)), used = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = 0;
    return text;
}

static const char *bytes_text(char text[DURATION_TEXT], double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (unit < 4 && bytes >= 1000)
        bytes /= 1000, unit++;
    snprintf(text, DURATION_TEXT, bytes < 10 && unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return text;
}

static const char *time_text(char text[DURATION_TEXT], double seconds)
{
    if (!isfinite(seconds))
        return "-";
    return duration_text(text, seconds);
}

static void print_history(FILE *out, const struct view *view)
{
    static const char *const heights[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double most = 0;
    for (size_t i = 0; i < HISTORY; i++)
        most = fmax(most, view->history[i]);
    for (size_t i = 0; i < HISTORY; i++)
        fputs(heights[most > 0 ? (int)ceil(8 * view->history[i] / most) : 0], out);
}

static void print_rates(FILE *out, const struct view *view, const char *title, const char *name, const char *label,
                        const char *nothing)
{
    struct rate rates[64];
    char number[DURATION_TEXT];
    size_t count = rates_by(view, name, label, rates, sizeof rates / sizeof *rates);
    int used = fprintf(out, "%-13s", title);
    if (!count)
        fprintf(out, "%s", nothing);
    for (size_t i = 0; i < count && i < LISTED; i++) {
        char item[64];
        int length = snprintf(item, sizeof item, "%s %s/s   ", rates[i].name, number_text(number, rates[i].value));
        if (used + length > LINE)
            break;
        used += fprintf(out, "%s", item);
    }
    fputs("\n", out);
}

static void print_latency(FILE *out, const struct view *view, const char *title, const char *name)
{
    char texts[3][DURATION_TEXT];
    fprintf(out, "%-13sp50 %-10s p99 %-10s p99.9 %s\n", title, time_text(texts[0], quantile(view, name, 0.5)),
           time_text(texts[1], quantile(view, name, 0.99)), time_text(texts[2], quantile(view, name, 0.999)));
}

static void draw(FILE *out, const struct ctl *ctl, const struct view *view)
{
    char a[DURATION_TEXT], b[DURATION_TEXT], c[DURATION_TEXT], d[DURATION_TEXT], clock[16];
    double slowest;
    size_t loop_count = loops(view, &slowest);
    time_t when = time(NULL);
    struct tm local;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&when, &local));
    fprintf(out, "beliefd at %-48.48s  %s  %s\n\n", ctl->control, clock,
            gauge(view, "beliefd_ready") > 0 ? "ready" : "NOT READY");
    fprintf(out, "%-13s%-12s", "requests/s", number_text(a, rate_of(view, "beliefd_requests_total", NULL, NULL)));
    print_history(out, view);
    fputs("\n", out);
    print_rates(out, view, "", "beliefd_requests_total", "kind", "none");
    print_latency(out, view, "step", "beliefd_request_seconds");
    print_latency(out, view, "  queue", "beliefd_queue_seconds");
    print_latency(out, view, "  compute", "beliefd_compute_seconds");
    fprintf(out, "  loops      %zu, the slowest turned %s ago\n", loop_count, duration_text(a, slowest));
    print_rates(out, view, "transitions", "beliefd_transitions_total", "status", "none");
    print_rates(out, view, "refusals", "beliefd_refusals_total", "code", "none");
    fprintf(out, "%-13s%s/s with p below 1e-6; holes in sequences %s\n", "surprises",
           number_text(a, rate_of(view, "beliefd_surprises_total", NULL, NULL)),
           number_text(b, gauge(view, "beliefd_gaps")));
    fprintf(out, "\n%-13slive %-10s idle %-10s opened %s/s  fenced %s/s\n", "sessions",
           number_text(a, scrape_sum(&view->now, "beliefd_sessions", "state", "live")),
           number_text(b, scrape_sum(&view->now, "beliefd_sessions", "state", "idle")),
           number_text(c, rate_of(view, "beliefd_sessions_opened_total", NULL, NULL)),
           number_text(d, rate_of(view, "beliefd_sessions_fenced_total", NULL, NULL)));
    fprintf(out, "%-13sspilled %s/s  loaded %s/s  moved %s/s\n", "",
           number_text(a, rate_of(view, "beliefd_sessions_spilled_total", NULL, NULL)),
           number_text(b, rate_of(view, "beliefd_sessions_loaded_total", NULL, NULL)),
           number_text(c, rate_of(view, "beliefd_sessions_moved_total", NULL, NULL)));
    fprintf(out, "%-13sframes %-8s grpc %-8s", "connections",
           number_text(a, scrape_sum(&view->now, "beliefd_connections", "door", "frames")),
           number_text(b, scrape_sum(&view->now, "beliefd_connections", "door", "grpc")));
    fprintf(out, " in %s/s  out %s/s\n", bytes_text(a, rate_of(view, "beliefd_received_bytes_total", NULL, NULL)),
           bytes_text(b, rate_of(view, "beliefd_sent_bytes_total", NULL, NULL)));
    if (!scrape_has(&view->now, "beliefd_log_size_bytes")) {
        fprintf(out, "\n%-13soff: what the daemon knows ends with it\n", "log");
    } else {
        fprintf(out, "\n%-13s%s  %s transitions/s, %s queued, %s on disk\n", "log",
               gauge(view, "beliefd_log_refusing") > 0 ? "REFUSING" : "ok",
               number_text(a, rate_of(view, "beliefd_log_transitions_total", NULL, NULL)),
               bytes_text(b, gauge(view, "beliefd_log_queued_bytes")),
               bytes_text(c, gauge(view, "beliefd_log_size_bytes")));
        print_latency(out, view, "  commit", "beliefd_log_commit_seconds");
        print_latency(out, view, "  waiting", "beliefd_durable_seconds");
    }
}

// In place on a screen: each line covers what stood there before.
static void paint(const struct ctl *ctl, struct view *view, int screen)
{
    char *text = NULL, *rest, *line;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    draw(out, ctl, view);
    if (fclose(out) == 0) {
        if (screen)
            fputs(view->drawn++ ? "\033[H" : "\033[H\033[2J", stdout);
        for (rest = text; (line = strsep(&rest, "\n")) && rest;)
            printf("%s%s\n", line, screen ? "\033[K" : "");
        if (screen)
            fputs("\033[J", stdout);
        fflush(stdout);
    }
    free(text);
}

static void add_quantiles(cJSON *object, const struct view *view, const char *key, const char *name)
{
    static const struct { const char *key; double q; } quantiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}};
    cJSON *entry = cJSON_AddObjectToObject(object, key);
    for (size_t i = 0; i < 3; i++) {
        double value = quantile(view, name, quantiles[i].q);
        if (isfinite(value))
            cJSON_AddNumberToObject(entry, quantiles[i].key, value);
        else
            cJSON_AddNullToObject(entry, quantiles[i].key);
    }
}

static void add_rates(cJSON *object, const struct view *view, const char *key, const char *name, const char *label)
{
    struct rate rates[64];
    size_t count = rates_by(view, name, label, rates, sizeof rates / sizeof *rates);
    cJSON *entry = cJSON_AddObjectToObject(object, key);
    for (size_t i = 0; i < count; i++)
        cJSON_AddNumberToObject(entry, rates[i].name, rates[i].value);
}

static void print_json(const struct view *view)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "seconds", view->seconds);
    cJSON_AddNumberToObject(object, "requests_per_second", rate_of(view, "beliefd_requests_total", NULL, NULL));
    add_rates(object, view, "requests", "beliefd_requests_total", "kind");
    add_rates(object, view, "transitions", "beliefd_transitions_total", "status");
    add_rates(object, view, "refusals", "beliefd_refusals_total", "code");
    add_quantiles(object, view, "request_seconds", "beliefd_request_seconds");
    add_quantiles(object, view, "queue_seconds", "beliefd_queue_seconds");
    add_quantiles(object, view, "compute_seconds", "beliefd_compute_seconds");
    add_quantiles(object, view, "commit_seconds", "beliefd_log_commit_seconds");
    cJSON_AddNumberToObject(object, "sessions_live", scrape_sum(&view->now, "beliefd_sessions", "state", "live"));
    cJSON_AddNumberToObject(object, "sessions_idle", scrape_sum(&view->now, "beliefd_sessions", "state", "idle"));
    cJSON_AddNumberToObject(object, "connections", gauge(view, "beliefd_connections"));
    cJSON_AddNumberToObject(object, "log_queued_bytes", gauge(view, "beliefd_log_queued_bytes"));
    cJSON_AddBoolToObject(object, "log_refusing", gauge(view, "beliefd_log_refusing") > 0);
    ctl_print(object);
    fflush(stdout);
}

// ---- Watching -----------------------------------------------------------------------------------------------------

static struct termios terminal_before;

static void restore_terminal(void)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

// Keys arrive one at a time and unseen. 0: standard input is no terminal.
static int take_keys(void)
{
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal_before))
        return 0;
    struct termios raw = terminal_before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    atexit(restore_terminal);
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

// Until the interval is over. 1: the key q.
static int wait_or_quit(double seconds, int keys)
{
    int64_t until = link_now() + (int64_t)(seconds * 1e9);
    for (;;) {
        int64_t left = until - link_now();
        if (left <= 0)
            return 0;
        struct pollfd key = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
        char pressed;
        if (poll(&key, 1, (int)(left / 1000000) + 1) == 1 && read(STDIN_FILENO, &pressed, 1) == 1 && pressed == 'q')
            return 1;
    }
}

static int scrape(const struct ctl *ctl, struct control *control, struct view *view)
{
    struct wire_envelope reply;
    int error = control_ask(control, &(struct wire_envelope){.kind = WIRE_GET_METRICS}, WIRE_METRICS, &reply);
    if (error)
        return ctl_refused(ctl, control, error);
    scrape_release(&view->before);
    view->before = view->now;
    view->now = (struct scrape){0};
    if (scrape_parse(&view->now, reply.metrics.text))
        return ctl_fail(ctl, CTL_FAILED, "the daemon's metrics cannot be read");
    return 0;
}

int top_run(struct ctl *ctl)
{
    struct control control;
    struct view view = {0};
    int code = ctl_connect(ctl, &control);
    if (code)
        return code;
    int screen = !ctl->once && !ctl->json && isatty(STDOUT_FILENO), keys = screen && take_keys();
    int64_t last = link_now();
    code = scrape(ctl, &control, &view);
    while (!code && !wait_or_quit(ctl->interval, keys)) {
        if ((code = scrape(ctl, &control, &view)))
            break;
        int64_t now = link_now();
        view.seconds = (double)(now - last) / 1e9;
        last = now;
        memmove(view.history, view.history + 1, (HISTORY - 1) * sizeof *view.history);
        view.history[HISTORY - 1] = rate_of(&view, "beliefd_requests_total", NULL, NULL);
        if (ctl->json)
            print_json(&view);
        else
            paint(ctl, &view, screen);
        if (ctl->once)
            break;
    }
    scrape_release(&view.before);
    scrape_release(&view.now);
    control_close(&control);
    return code;
}
