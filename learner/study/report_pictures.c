// The pictures of a report, of one world: what the agents reach, learning curves, adaptation curves.

#include "report.h"

#include "chart.h"
#include "curves.h"
#include "statistics.h"
#include "client/worlds/world.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_STEPS = 30, RUNS = 64 };  // of which the picture says so
static const uint64_t SEED = 1;

struct agent {
    size_t first, end;           // cells
    char label[120];
    unsigned colour;
    int dashed;
};

struct canvas {
    size_t count;
    struct agent agents[CHART_SERIES];
    struct curve curves[2][CHART_SERIES];       // of each panel
    struct chart_series series[2][CHART_SERIES];
    char names[2][CHART_SERIES][140];           // labels, with where the line ends
};

// Each kind in its own colour, variants in what is left.
static void choose_colours(struct canvas *canvas, const struct results *results)
{
    static const struct { const char *model; enum chart_colour colour; } own[] = {
        {"glibrl", CHART_BLUE}, {"varibad", CHART_VERMILION}, {"rl2", CHART_GREEN}, {"pearl", CHART_PURPLE},
        {"oracle", CHART_INK}, {"none", CHART_GREY}};
    int used[CHART_COLOURS] = {0}, has[CHART_SERIES] = {0};
    for (size_t a = 0; a < canvas->count; a++) {
        const char *model = results->cells[canvas->agents[a].first].model;
        canvas->agents[a].dashed = !strcmp(model, "oracle") || !strcmp(model, "none");
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            if (!strcmp(model, own[k].model) && !used[own[k].colour]) {
                canvas->agents[a].colour = own[k].colour;
                has[a] = used[own[k].colour] = 1;
            }
    }
    for (size_t a = 0, next = CHART_GREY + 1; a < canvas->count; a++)
        if (!has[a]) {
            while (next < CHART_COLOURS + CHART_GREY && used[next % CHART_COLOURS])
                next++;
            canvas->agents[a].colour = (unsigned)(next++ % CHART_COLOURS);
        }
}

static void find_agents(struct canvas *canvas, const struct results *results, size_t first, size_t end)
{
    canvas->count = 0;
    for (size_t i = first; i < end && canvas->count < CHART_SERIES; i = results_agent_end(results, i)) {
        struct agent *agent = &canvas->agents[canvas->count++];
        *agent = (struct agent){.first = i, .end = results_agent_end(results, i)};
        results_label(results, &results->cells[i], agent->label, sizeof agent->label);
    }
    choose_colours(canvas, results);
}

static void add_series(struct canvas *canvas, size_t p, struct chart_panel *panel, const struct agent *agent)
{
    const struct curve *curve = &canvas->curves[p][panel->count];
    double last = curve->y[curve->count - 1];
    char *name = canvas->names[p][panel->count];
    last = fabs(last) < 0.005 ? 0 : last;  // and not minus nothing
    snprintf(name, sizeof canvas->names[p][panel->count], "%s  %.*f", agent->label,
             fabs(last) < 10 ? 2 : fabs(last) < 1000 ? 1 : 0, last);
    canvas->series[p][panel->count++] = (struct chart_series){
        .label = name, .colour = agent->colour, .dashed = agent->dashed, .count = curve->count, .x = curve->x,
        .y = curve->y, .low = curve->low, .high = curve->high};
    panel->x_high = fmax(panel->x_high, curve->x[curve->count - 1]);
}

static void write_message(char *text, size_t size, const struct results *results, size_t first, size_t end,
                          const char *what)
{
    size_t least = SIZE_MAX, most = 0;
    for (size_t i = first; i < end; i = results_agent_end(results, i)) {
        size_t runs = results_agent_end(results, i) - i;
        least = runs < least ? runs : least;
        most = runs > most ? runs : most;
    }
    if (most == 1)
        snprintf(text, size, "%s. One seed, so nothing is known of its spread.", what);
    else if (least == most)
        snprintf(text, size, "%s. Interquartile mean of %zu seeds and its 95 %% bootstrap interval.", what, most);
    else
        snprintf(text, size, "%s. Interquartile mean of %zu to %zu seeds and its 95 %% bootstrap interval.", what, least,
                 most);
}

static int draw_learning(struct canvas *canvas, const struct results *results, size_t first, size_t end,
                         const char *base, const char *origin)
{
    static const char *const names[] = {"environment frames", "CPU seconds, simulation included"};
    char path[1400], title[200], message[300];
    snprintf(path, sizeof path, "%s.learning.svg", base);
    snprintf(title, sizeof title, "Learning curves: %s", results->cells[first].world);
    write_message(message, sizeof message, results, first, end, "Return per episode while it explores");
    struct chart chart = {.title = title, .message = message, .notes = {origin}, .y_name = "training return per episode",
                          .y_low = NAN, .y_high = NAN, .panel_count = 2};
    for (size_t p = 0; p < 2; p++) {
        struct chart_panel *panel = &chart.panels[p];
        *panel = (struct chart_panel){.x_name = names[p], .series = canvas->series[p]};
        for (size_t a = 0; a < canvas->count; a++) {
            const struct agent *agent = &canvas->agents[a];
            struct curve *curve = &canvas->curves[p][panel->count];
            int error = curve_of_learning(curve, &results->cells[agent->first], agent->end - agent->first,
                                          p ? CURVE_CPU_SECONDS : CURVE_FRAMES);
            if (error)
                return error;
            if (curve->count)
                add_series(canvas, p, panel, agent);
        }
        if (!panel->count)
            return -ENODATA;
    }
    return chart_draw(&chart, path);
}

static int draw_adaptation(struct canvas *canvas, const struct results *results, size_t first, size_t end,
                           const char *base, const char *origin)
{
    static double marks[RESULT_EPISODES];
    char path[1400], title[200], message[300];
    const struct world *world = world_find(results->cells[first].world);
    snprintf(path, sizeof path, "%s.adaptation.svg", base);
    snprintf(title, sizeof title, "Finding out, step by step: %s", results->cells[first].world);
    write_message(message, sizeof message, results, first, end, "Mean reward of each step on held-out tasks");
    struct chart chart = {.title = title, .message = message, .notes = {origin}, .y_name = "mean reward of the step",
                          .y_low = NAN, .y_high = NAN, .panel_count = 2};
    struct chart_panel *all = &chart.panels[1], *begin = &chart.panels[0];
    *all = (struct chart_panel){.x_name = "step of the task", .series = canvas->series[1], .x_low = 1, .marks = marks};
    *begin = (struct chart_panel){.x_name = "step of the task, the first 30", .series = canvas->series[0], .x_low = 1};
    for (size_t a = 0; a < canvas->count; a++) {
        const struct agent *agent = &canvas->agents[a];
        struct curve *curve = &canvas->curves[1][all->count];
        int error = curve_of_adaptation(curve, &results->cells[agent->first], agent->end - agent->first);
        if (error)
            return error;
        if (!curve->count)
            continue;
        struct curve *start = &canvas->curves[0][begin->count];
        *start = *curve;
        start->count = start->count < FIRST_STEPS ? start->count : FIRST_STEPS;
        add_series(canvas, 1, all, agent);
        add_series(canvas, 0, begin, agent);
    }
    if (!all->count)
        return -ENODATA;
    for (size_t e = 1; world && e < world->episodes && all->mark_count < RESULT_EPISODES; e++)
        marks[all->mark_count++] = (double)(e * world->horizon) + 0.5;
    return chart_draw(&chart, path);
}

static int draw_scores(const struct canvas *canvas, const struct results *results, size_t first, const char *base,
                       const char *origin)
{
    static double values[CHART_SERIES][RUNS];
    struct chart_row rows[CHART_SERIES];
    char path[1400], title[200];
    size_t count = 0, most = 0;
    for (size_t a = 0; a < canvas->count; a++) {
        const struct agent *agent = &canvas->agents[a];
        struct chart_row *row = &rows[count];
        *row = (struct chart_row){.label = agent->label, .colour = agent->colour, .values = values[count]};
        for (size_t i = agent->first; i < agent->end && row->count < RUNS; i++)
            if (results->cells[i].finished)
                values[count][row->count++] = results->cells[i].mean_return;
        if (!row->count)
            continue;
        struct interval interval;
        int error = statistics_iqm_interval(&interval, &(struct stratum){row->values, row->count}, 1, STATISTICS_DRAWS,
                                            SEED);
        if (error)
            return error;
        row->middle = interval.value;
        row->low = interval.low;
        row->high = interval.high;
        most = row->count > most ? row->count : most;
        count++;
    }
    if (count < 2 || most < 2)
        return -ENODATA;
    snprintf(path, sizeof path, "%s.scores.svg", base);
    snprintf(title, sizeof title, "What they reach: %s", results->cells[first].world);
    return chart_draw_rows(title, "Dots are seeds, the line is their interquartile mean and the bar its 95 % bootstrap "
                           "interval.", origin, "mean return per episode on held-out tasks", rows, count, path);
}

int report_draw(struct report_pictures *made, const struct results *results, size_t first, size_t end,
                const char *base, char *why, size_t why_size)
{
    char origin[400];
    struct canvas *canvas = calloc(1, sizeof *canvas);
    *made = (struct report_pictures){0};
    if (!canvas)
        return -ENOMEM;
    report_origin(results, first, end, origin, sizeof origin);
    find_agents(canvas, results, first, end);
    int error = draw_scores(canvas, results, first, base, origin);
    made->scores = !error;
    if (!error || error == -ENODATA) {
        error = draw_learning(canvas, results, first, end, base, origin);
        made->learning = !error;
    }
    if (!error || error == -ENODATA) {
        error = draw_adaptation(canvas, results, first, end, base, origin);
        made->adaptation = !error;
    }
    free(canvas);
    if (error && error != -ENODATA) {
        snprintf(why, why_size, "%s.*.svg: %s", base, strerror(-error));
        return error;
    }
    return 0;
}
